import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;

/** A client, or a neighbour once it has greeted. While it is idle it has no buffer. */
final class NioConnection implements NioHandler {
    /** How long a client may go on talking after our end. */
    private static final int LINGER_MS = 1000;

    private final NioHerd herd;
    private final SocketChannel channel;
    /** Null until the end of its first turn: many come, ask and go in less. */
    private SelectionKey key;
    private Link neighbour;
    /** Input behind the last line that was taken. */
    private byte[] rest = Input.NOTHING;
    /** Null if there is nothing to send. */
    private Bytes answers;
    /** For the answer to a line that takes its time. */
    private boolean waits;
    private boolean ended;
    private boolean refused;
    private boolean lingers;

    NioConnection(NioHerd herd, SocketChannel channel) {
        this.herd = herd;
        this.channel = channel;
    }

    /** Its first line is mostly there already. */
    void begin() throws IOException {
        channel.configureBlocking(false);
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        read();
    }

    @Override
    public void ready(SelectionKey key) throws IOException {
        if (key.isReadable()) {
            read();
        } else {
            herd.serves(this, 0);
        }
    }

    @Override
    public void failed() {
        try {
            channel.close();
        } catch (IOException ignored) {
            // It is gone either way.
        }
    }

    private void read() throws IOException {
        Input input = herd.input;
        input.resume(rest, false);
        ended = !input.fill(channel);
        if (lingers) {
            rest = Input.NOTHING;
            herd.serves(this, 0);
        } else {
            takeLines(input);
        }
    }

    private void takeLines(Input input) {
        if (answers == null) {
            answers = herd.takeBuffer();
        }
        herd.serves(this, input.length());
        long receipt = Server.now();
        Line line;
        while (!waits && (line = input.next()) != null) {
            take(line, receipt);
        }
        if (!waits && input.isTooLong()) {
            refuse(input.last());
        }
        // Not from a neighbour: one that died may have left half a line.
        if (!waits && ended && neighbour == null && (line = input.last()) != null) {
            take(line, receipt);
        }
        rest = input.putAside();
    }

    private void take(Line line, long receipt) {
        Outcome outcome = herd.server.take(line, neighbour, receipt, answers);
        if (outcome instanceof Outcome.Greeted greeted) {
            neighbour = greeted.neighbour();
        } else if (outcome instanceof Outcome.Work work) {
            waits = true;
            herd.server
                    .perform(work)
                    .whenCompleteAsync((answer, failure) -> herd.attempt(this, () -> answered(answer)), herd);
        }
    }

    private void answered(byte[] answer) {
        if (!channel.isOpen()) {
            return;
        }
        waits = false;
        if (answers == null) {
            answers = herd.takeBuffer();
        }
        answers.add(answer);
        herd.input.resume(rest, true);
        takeLines(herd.input);
    }

    private void refuse(Line line) {
        refused = true;
        if (neighbour == null) {
            herd.server.refuseTooLong(line, answers);
        }
    }

    /** Sends what there is, and says what it waits for then. */
    void finishTurn() throws IOException {
        if (!channel.isOpen()) {
            return;
        }
        if (!send()) {
            // A client that does not read is not read from.
            await(SelectionKey.OP_WRITE);
        } else if (waits) {
            await(0);
        } else if (ended) {
            channel.close();
        } else {
            if (refused && !lingers) {
                linger();
            }
            await(SelectionKey.OP_READ);
        }
    }

    /** True if nothing is left to send. */
    private boolean send() throws IOException {
        if (answers == null) {
            return true;
        }
        if (!answers.isEmpty()) {
            answers.dropFirst(channel.write(ByteBuffer.wrap(answers.array(), 0, answers.length())));
        }
        if (!answers.isEmpty()) {
            return false;
        }
        herd.giveBuffer(answers);
        answers = null;
        return true;
    }

    /** To close it with unread input would reset it, and the reset can overtake the last answer. */
    private void linger() throws IOException {
        lingers = true;
        channel.shutdownOutput();
        herd.executeIn(LINGER_MS, this::failed);
    }

    private void await(int interest) throws IOException {
        if (key == null) {
            key = herd.register(channel, interest, this);
        } else {
            key.interestOps(interest);
        }
    }
}
