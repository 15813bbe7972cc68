import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadFactory;

/**
 * The herd with a thread for each connection, and blocking streams.
 *
 * <pre>
 * javac -d DIR examples/peers/java/*.java
 * java -cp DIR ThreadHerd NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE|none] [--burn]
 * </pre>
 *
 * The threads are virtual where the JDK has them (21 and later), and else the system's, with a small stack; the
 * second line on standard output says which. Its platform: a client that does not read blocks its own thread and
 * nobody else. News leave on the threads of the links: soon after the answer, where a loop can send them before it.
 */
public final class ThreadHerd {
    private static final int BACKLOG = 4096;
    private static final int ACCEPT_RETRY_MS = 100;
    /** Reserved for each of the system's threads, where the JDK's own choice is a megabyte. */
    private static final int STACK = 256 * 1024;

    private ThreadHerd() {}

    public static void main(String[] arguments) throws InterruptedException {
        Options options = Options.parse("ThreadHerd", arguments);
        try {
            Server server = new Server(options, new ConcurrentHashMap<>());
            ThreadFactory threads = virtualThreads();
            String kind = threads == null ? "a thread of the system" : "a virtual thread";
            serve(server, threads == null ? ThreadHerd::systemThread : threads, kind);
        } catch (IOException | GeneralSecurityException problem) {
            System.err.println("ThreadHerd: " + problem);
            System.exit(1);
        }
    }

    private static void serve(Server server, ThreadFactory threads, String kind)
            throws IOException, InterruptedException {
        Options options = server.options;
        try (ServerSocket listener =
                new ServerSocket(options.address().getPort(), BACKLOG, options.address().getAddress())) {
            List<ThreadLink> links = options.neighbours().stream()
                    .map(name -> new ThreadLink(server, threads, name, options.servers().get(name)))
                    .toList();
            server.announce(links);
            System.out.println(kind + " for each connection");
            links.forEach(link -> threads.newThread(link).start());
            server.journal.flushRegularly();
            while (true) {
                accept(server, threads, listener);
            }
        }
    }

    private static void accept(Server server, ThreadFactory threads, ServerSocket listener)
            throws InterruptedException {
        try {
            Socket socket = listener.accept();
            try {
                threads.newThread(new ThreadConnection(server, socket)).start();
            } catch (OutOfMemoryError noThread) {
                // The system has no thread for this one; it may have later.
                socket.close();
            }
        } catch (IOException noDescriptor) {
            Thread.sleep(ACCEPT_RETRY_MS);
        }
    }

    private static Thread systemThread(Runnable task) {
        Thread thread = new Thread(null, task, "connection", STACK);
        thread.setDaemon(true);
        return thread;
    }

    /** {@code Thread.ofVirtual().factory()}, for a compiler that does not know it; null if there is none. */
    private static ThreadFactory virtualThreads() {
        try {
            Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
            Class<?> type = Class.forName("java.lang.Thread$Builder");
            return (ThreadFactory) type.getMethod("factory").invoke(builder);
        } catch (ReflectiveOperationException older) {
            return null;
        }
    }
}
