import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.util.Arrays;

/** What came in and was not looked at yet; it gives line after line, without copying them. */
final class Input {
    static final byte[] NOTHING = {};

    /** The most that one read takes. */
    private static final int READ = 64 * 1024;
    private static final int CAPACITY_MAX = Line.MAX + READ;

    private byte[] bytes;
    private int from;
    private int to;
    /** Up to here there is no LF. */
    private int searched;
    private final Line line = new Line();

    private Input(int capacity) {
        bytes = new byte[capacity];
    }

    /** For all connections of a loop, one after the other. */
    static Input shared() {
        return new Input(CAPACITY_MAX);
    }

    /** For one connection. It grows if a line is long. */
    static Input own() {
        return new Input(8 * 1024);
    }

    int length() {
        return to - from;
    }

    /** The next line, until the one after it is asked for; null if it is not there yet. */
    Line next() {
        int limit = Math.min(to, from + Line.MAX + 1);
        for (int at = searched; at < limit; at++) {
            if (bytes[at] == '\n') {
                line.lookAt(bytes, from, at);
                from = at + 1;
                searched = from;
                return line;
            }
        }
        searched = limit;
        return null;
    }

    /** When there is no next line: because it is longer than a line may be? */
    boolean isTooLong() {
        return to - from > Line.MAX;
    }

    /** What is behind the last LF; null if nothing is. */
    Line last() {
        if (from == to) {
            return null;
        }
        line.lookAt(bytes, from, to);
        from = to;
        searched = to;
        return line;
    }

    /** Reads once; false at the end of the stream. */
    boolean fill(InputStream stream) throws IOException {
        makeRoom();
        int count = stream.read(bytes, to, bytes.length - to);
        to += Math.max(count, 0);
        return count >= 0;
    }

    /** Reads once; false at the end of the stream. */
    boolean fill(ReadableByteChannel channel) throws IOException {
        int count = channel.read(ByteBuffer.wrap(bytes, to, Math.min(bytes.length - to, READ)));
        to += Math.max(count, 0);
        return count >= 0;
    }

    /** Takes up what another connection's input was put aside for. */
    void resume(byte[] rest, boolean hasLines) {
        System.arraycopy(rest, 0, bytes, 0, rest.length);
        from = 0;
        to = rest.length;
        searched = hasLines ? 0 : to;
    }

    /** Gives what is left, and is empty. */
    byte[] putAside() {
        byte[] rest = from == to ? NOTHING : Arrays.copyOfRange(bytes, from, to);
        clear();
        return rest;
    }

    void clear() {
        from = 0;
        to = 0;
        searched = 0;
    }

    private void makeRoom() {
        if (from > 0) {
            System.arraycopy(bytes, from, bytes, 0, to - from);
            to -= from;
            searched -= from;
            from = 0;
        }
        if (to == bytes.length) {
            bytes = Arrays.copyOf(bytes, Math.min(2 * bytes.length, CAPACITY_MAX));
        }
    }
}
