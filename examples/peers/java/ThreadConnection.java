import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;

/** Serves a client, or a neighbour once it has greeted, on a thread of its own. */
final class ThreadConnection implements Runnable {
    /** How long a client may go on talking after our end. */
    private static final int LINGER_MS = 1000;
    private static final int BUFFER_KEPT_MAX = 64 * 1024;

    private final Server server;
    private final Socket socket;
    private final Input input = Input.own();
    private Bytes answers = new Bytes(1024);
    private Link neighbour;

    ThreadConnection(Server server, Socket socket) {
        this.server = server;
        this.socket = socket;
    }

    @Override
    public void run() {
        try (socket) {
            socket.setTcpNoDelay(true);
            converse(socket.getInputStream(), socket.getOutputStream());
        } catch (IOException gone) {
            // A client may go away whenever it likes.
        }
    }

    /** Reads, takes all lines that are there, sends all answers. */
    private void converse(InputStream in, OutputStream out) throws IOException {
        boolean goesOn = true;
        while (goesOn) {
            goesOn = input.fill(in);
            long receipt = Server.now();
            Line line;
            while ((line = input.next()) != null) {
                take(line, receipt, out);
            }
            if (input.isTooLong()) {
                refuse(input.last(), in, out);
                return;
            }
            // Not from a neighbour: one that died may have left half a line.
            if (!goesOn && neighbour == null && (line = input.last()) != null) {
                take(line, receipt, out);
            }
            send(out);
        }
    }

    private void take(Line line, long receipt, OutputStream out) throws IOException {
        Outcome outcome = server.take(line, neighbour, receipt, answers);
        if (outcome instanceof Outcome.Greeted greeted) {
            neighbour = greeted.neighbour();
        } else if (outcome instanceof Outcome.Work work) {
            send(out);
            answers.add(server.perform(work).join());
        }
    }

    private void send(OutputStream out) throws IOException {
        if (!answers.isEmpty()) {
            out.write(answers.array(), 0, answers.length());
        }
        answers.truncate(0);
        if (answers.array().length > BUFFER_KEPT_MAX) {
            answers = new Bytes(1024);
        }
    }

    /** To close a socket with unread input would reset it, and the reset can overtake the last answer. */
    private void refuse(Line line, InputStream in, OutputStream out) throws IOException {
        if (neighbour == null) {
            server.refuseTooLong(line, answers);
        }
        send(out);
        socket.shutdownOutput();
        socket.setSoTimeout(LINGER_MS);
        long end = System.nanoTime() + LINGER_MS * 1_000_000L;
        do {
            input.clear();
        } while (System.nanoTime() < end && input.fill(in));
    }
}
