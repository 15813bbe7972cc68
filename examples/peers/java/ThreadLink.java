import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** A link on two threads: one dials and waits for its end, one writes what the others have queued. */
final class ThreadLink implements Link, Runnable {
    private final Server server;
    private final ThreadFactory threads;
    private final String name;
    private final InetSocketAddress address;
    private final Semaphore greetings = new Semaphore(0);
    /** Null while the link is down. */
    private volatile Feed feed;

    ThreadLink(Server server, ThreadFactory threads, String name, InetSocketAddress address) {
        this.server = server;
        this.threads = threads;
        this.name = name;
        this.address = address;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean send(Sighting sighting) {
        Feed current = feed;
        return current != null && current.add(sighting);
    }

    @Override
    public void greeted() {
        greetings.release();
    }

    @Override
    public void run() {
        Backoff backoff = new Backoff();
        try {
            while (true) {
                // From here on a greeting is not missed, whenever it comes.
                greetings.drainPermits();
                try (Socket socket = dial()) {
                    backoff.reset();
                    hold(socket);
                } catch (IOException | OutOfMemoryError gone) {
                    // Why it ended does not matter, or that the system had no thread: it is dialled again.
                }
                if (greetings.tryAcquire(backoff.nextMillis(), TimeUnit.MILLISECONDS)) {
                    backoff.reset();
                }
            }
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    private Socket dial() throws IOException {
        Socket socket = new Socket();
        try {
            socket.setTcpNoDelay(true);
            socket.connect(address, CONNECT_DEADLINE_MS);
            // To dial a port of this machine where nobody listens can end at ourselves.
            if (socket.getLocalSocketAddress().equals(socket.getRemoteSocketAddress())) {
                throw new ConnectException("this is our own end");
            }
            return socket;
        } catch (IOException problem) {
            socket.close();
            throw problem;
        }
    }

    private void hold(Socket socket) throws IOException {
        Feed current = new Feed(socket);
        // Before the dump is begun: what changes meanwhile is in one of them.
        feed = current;
        Thread writer = threads.newThread(current);
        try {
            writer.start();
            // A neighbour says nothing here; its end is what we wait for.
            socket.getInputStream().transferTo(OutputStream.nullOutputStream());
        } finally {
            feed = null;
            writer.interrupt();
        }
    }

    /** The writing side of a link that is up. */
    private final class Feed implements Runnable {
        private final Socket socket;
        /** It needs no bound of its own, since {@code unsent} has one, in bytes. */
        private final BlockingQueue<Sighting> news = new LinkedBlockingQueue<>();
        private final AtomicInteger unsent = new AtomicInteger();

        Feed(Socket socket) {
            this.socket = socket;
        }

        boolean add(Sighting sighting) {
            if (unsent.addAndGet(sighting.line().length) > UNSENT_MAX) {
                close();
                return false;
            }
            return news.add(sighting);
        }

        @Override
        public void run() {
            try (OutputStream out = new BufferedOutputStream(socket.getOutputStream(), 64 * 1024)) {
                out.write(("PEER " + server.options.name() + "\n").getBytes(StandardCharsets.ISO_8859_1));
                for (Sighting sighting : server.table.all()) {
                    out.write(sighting.line());
                    // News do not wait for the end of a long table.
                    writeNews(news.poll(), out);
                }
                while (true) {
                    out.flush();
                    writeNews(news.take(), out);
                }
            } catch (IOException | InterruptedException end) {
                close();
            }
        }

        private void writeNews(Sighting first, OutputStream out) throws IOException {
            for (Sighting sighting = first; sighting != null; sighting = news.poll()) {
                out.write(sighting.line());
                unsent.addAndGet(-sighting.line().length);
            }
        }

        private void close() {
            try {
                socket.close();
            } catch (IOException ignored) {
                // It is gone either way.
            }
        }
    }
}
