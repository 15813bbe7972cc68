import java.io.IOException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.security.GeneralSecurityException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * The herd on an NIO selector: one thread serves all connections.
 *
 * <pre>
 * javac -d DIR examples/peers/java/*.java
 * java -cp DIR NioHerd NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE|none] [--burn]
 * </pre>
 *
 * What a turn of the loop brings forth leaves at its end, in one write for each connection: to the neighbours
 * first, then to the clients, then to the journal. Its platform: the JDK's HTTP client and its timer have threads
 * of their own, and hand what they have to the loop, which is an Executor.
 */
public final class NioHerd implements Executor {
    private static final int BACKLOG = 4096;
    private static final int ACCEPTS_A_TURN = 64;
    private static final int ACCEPT_RETRY_MS = 100;
    /** With this much read, a turn is finished before all that is ready was handled. */
    private static final int TURN_INPUT_MAX = 256 * 1024;
    private static final int BUFFERS_MAX = 1024;
    private static final int BUFFER_KEPT_MAX = 64 * 1024;

    /** What a connection or a link does. */
    interface Action {
        void run() throws IOException;
    }

    final Server server;
    /** For whoever reads. What is left in it afterwards, each puts aside. */
    final Input input = Input.shared();

    private final Selector selector = Selector.open();
    private final List<NioLink> links = new ArrayList<>();
    private final List<NioConnection> served = new ArrayList<>();
    private int turnInput;
    /** Buffers for answers: a connection has one only while it has something to send. */
    private final ArrayDeque<Bytes> buffers = new ArrayDeque<>();
    private List<Runnable> tasks = new ArrayList<>();

    private NioHerd(Options options) throws IOException, GeneralSecurityException {
        server = new Server(options, new HashMap<>());
    }

    public static void main(String[] arguments) {
        Options options = Options.parse("NioHerd", arguments);
        try {
            NioHerd herd = new NioHerd(options);
            herd.start();
            herd.run();
        } catch (IOException | GeneralSecurityException problem) {
            System.err.println("NioHerd: " + problem);
            Runtime.getRuntime().halt(1);
        }
    }

    private void start() throws IOException {
        Options options = server.options;
        ServerSocketChannel listener = ServerSocketChannel.open();
        listener.bind(options.address(), BACKLOG);
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT, new Acceptor(listener));
        for (String neighbour : options.neighbours()) {
            links.add(new NioLink(this, neighbour, options.servers().get(neighbour)));
        }
        server.announce(links);
        links.forEach(NioLink::dial);
    }

    private void run() throws IOException {
        while (true) {
            selector.select(this::handle);
            runTasks();
            finishTurn();
        }
    }

    private void handle(SelectionKey key) {
        // Something before it in this turn may have closed its channel.
        if (key.isValid()) {
            NioHandler handler = (NioHandler) key.attachment();
            attempt(handler, () -> handler.ready(key));
        }
        if (turnInput > TURN_INPUT_MAX) {
            finishTurn();
        }
    }

    private void runTasks() {
        List<Runnable> due;
        synchronized (this) {
            if (tasks.isEmpty()) {
                return;
            }
            due = tasks;
            tasks = new ArrayList<>();
        }
        due.forEach(Runnable::run);
    }

    private void finishTurn() {
        for (NioLink link : links) {
            attempt(link, link::finishTurn);
        }
        for (NioConnection connection : served) {
            attempt(connection, connection::finishTurn);
        }
        served.clear();
        turnInput = 0;
        server.journal.flush();
    }

    /** Runs a task on the loop's thread, in its next turn. Every thread may call this. */
    @Override
    public void execute(Runnable task) {
        synchronized (this) {
            tasks.add(task);
        }
        selector.wakeup();
    }

    void executeIn(long millis, Runnable task) {
        CompletableFuture.delayedExecutor(millis, TimeUnit.MILLISECONDS, this).execute(task);
    }

    /** What goes wrong concerns this handler alone. */
    void attempt(NioHandler handler, Action action) {
        try {
            action.run();
        } catch (IOException gone) {
            handler.failed();
        } catch (RuntimeException defect) {
            defect.printStackTrace();
            handler.failed();
        }
    }

    SelectionKey register(SocketChannel channel, int interest, NioHandler handler) throws IOException {
        return channel.register(selector, interest, handler);
    }

    /** The connection wants to finish this turn. */
    void serves(NioConnection connection, int count) {
        served.add(connection);
        turnInput += count;
    }

    Bytes takeBuffer() {
        Bytes buffer = buffers.poll();
        return buffer == null ? new Bytes(1024) : buffer;
    }

    void giveBuffer(Bytes buffer) {
        if (buffers.size() < BUFFERS_MAX && buffer.array().length <= BUFFER_KEPT_MAX) {
            buffer.truncate(0);
            buffers.push(buffer);
        }
    }

    private final class Acceptor implements NioHandler {
        private final ServerSocketChannel listener;

        Acceptor(ServerSocketChannel listener) {
            this.listener = listener;
        }

        @Override
        public void ready(SelectionKey key) throws IOException {
            for (int count = 0; count < ACCEPTS_A_TURN; count++) {
                SocketChannel channel = listener.accept();
                if (channel == null) {
                    return;
                }
                NioConnection connection = new NioConnection(NioHerd.this, channel);
                attempt(connection, connection::begin);
            }
        }

        /** No descriptor is left. The selector would tell of the listener again and again. */
        @Override
        public void failed() {
            SelectionKey key = listener.keyFor(selector);
            key.interestOps(0);
            executeIn(ACCEPT_RETRY_MS, () -> key.interestOps(SelectionKey.OP_ACCEPT));
        }
    }
}
