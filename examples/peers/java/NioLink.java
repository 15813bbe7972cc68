import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;

/** A link on the loop: what is sent leaves at the end of the turn, in one write. */
final class NioLink implements Link, NioHandler {
    private static final Sighting[] NOTHING = {};
    /** Of the dump, in a turn. */
    private static final int PIECE = 64 * 1024;

    private final NioHerd herd;
    private final String name;
    private final InetSocketAddress address;
    private final Backoff backoff = new Backoff();
    /** Null while it waits to be dialled. */
    private SocketChannel channel;
    private SelectionKey key;
    private boolean up;
    private boolean greeted;
    /** Which time of waiting this is. */
    private int wait;
    private final Bytes unsent = new Bytes(PIECE);
    /** The socket takes no more for now. */
    private boolean blocked;
    private Sighting[] dump = NOTHING;
    private int dumped;

    NioLink(NioHerd herd, String name, InetSocketAddress address) {
        this.herd = herd;
        this.name = name;
        this.address = address;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean send(Sighting sighting) {
        if (!up) {
            return false;
        }
        unsent.add(sighting.line());
        if (unsent.length() > UNSENT_MAX) {
            failed();
        }
        return up;
    }

    @Override
    public void greeted() {
        greeted = true;
        backoff.reset();
        if (channel == null) {
            dial();
        }
    }

    void dial() {
        wait++;
        greeted = false;
        herd.attempt(this, () -> {
            SocketChannel dialled = SocketChannel.open();
            channel = dialled;
            channel.configureBlocking(false);
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            key = herd.register(channel, SelectionKey.OP_CONNECT, this);
            herd.executeIn(CONNECT_DEADLINE_MS, () -> {
                if (channel == dialled && !up) {
                    failed();
                }
            });
            if (channel.connect(address)) {
                connected();
            }
        });
    }

    @Override
    public void ready(SelectionKey key) throws IOException {
        if (key.isConnectable() && channel.finishConnect()) {
            connected();
            return;
        }
        if (key.isReadable()) {
            // A neighbour says nothing here; its end is what we wait for.
            boolean goesOn = herd.input.fill(channel);
            herd.input.clear();
            if (!goesOn) {
                failed();
                return;
            }
        }
        if (key.isWritable()) {
            blocked = false;
        }
    }

    /** Greets; the whole table follows. */
    private void connected() throws IOException {
        // To dial a port of this machine where nobody listens can end at ourselves.
        if (channel.getLocalAddress().equals(channel.getRemoteAddress())) {
            throw new ConnectException("this is our own end");
        }
        up = true;
        backoff.reset();
        key.interestOps(SelectionKey.OP_READ);
        unsent.add("PEER " + herd.server.options.name() + "\n");
        dump = herd.server.table.snapshot();
        dumped = 0;
    }

    void finishTurn() throws IOException {
        if (!up || blocked) {
            return;
        }
        while (dumped < dump.length && unsent.length() < PIECE) {
            unsent.add(dump[dumped++].line());
        }
        if (unsent.isEmpty()) {
            return;
        }
        unsent.dropFirst(channel.write(ByteBuffer.wrap(unsent.array(), 0, unsent.length())));
        blocked = !unsent.isEmpty();
        if (dumped == dump.length) {
            dump = NOTHING;
            dumped = 0;
        }
        boolean hasMore = blocked || dump != NOTHING;
        key.interestOps(hasMore ? SelectionKey.OP_READ | SelectionKey.OP_WRITE : SelectionKey.OP_READ);
    }

    /** Lets go of what there is, and waits before it dials again. */
    @Override
    public void failed() {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException ignored) {
            // It is gone either way.
        }
        channel = null;
        up = false;
        blocked = false;
        unsent.truncate(0);
        dump = NOTHING;
        dumped = 0;
        int thisWait = ++wait;
        herd.executeIn(greeted ? 0 : backoff.nextMillis(), () -> {
            if (wait == thisWait) {
                dial();
            }
        });
    }
}
