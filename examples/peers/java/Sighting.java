import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * A report as a server took it: its AT line, and where the fields begin in it. A record of five strings would be
 * eight objects more, and would have to be put together for each answer and each neighbour.
 */
final class Sighting implements Comparable<Sighting> {
    private static final int SERVER = "AT ".length();

    private final byte[] line;
    private final int skew;
    private final int id;
    private final int position;
    private final int time;

    /** The line stands in {@code out}, from {@code start} on. */
    private Sighting(Bytes out, int start, int skew, int id, int position, int time) {
        line = out.copyFrom(start);
        this.skew = skew - start;
        this.id = id - start;
        this.position = position - start;
        this.time = time - start;
    }

    /** What a client's IAMAT becomes, received at {@code receipt}; its line is added to {@code out} as well. */
    static Sighting taken(Line iamat, byte[] prefix, long receipt, Bytes out) {
        int start = out.length();
        out.add(prefix);
        int skew = out.length();
        Numbers.addSkew(out, receipt, iamat.bytes(), iamat.start(3), iamat.end(3));
        return report(iamat, 1, out, start, skew);
    }

    /** What another server's AT says; its line, with single spaces, is added to {@code out} as well. */
    static Sighting heard(Line at, Bytes out) {
        int start = out.length();
        out.add('A').add('T');
        add(at, 1, out);
        int skew = add(at, 2, out);
        return report(at, 3, out, start, skew);
    }

    private static Sighting report(Line line, int first, Bytes out, int start, int skew) {
        int id = add(line, first, out);
        int position = add(line, first + 1, out);
        int time = add(line, first + 2, out);
        out.add('\n');
        return new Sighting(out, start, skew, id, position, time);
    }

    private static int add(Line line, int field, Bytes out) {
        out.add(' ');
        int begin = out.length();
        out.add(line.bytes(), line.start(field), line.end(field));
        return begin;
    }

    /** LF included; not to be changed. */
    byte[] line() {
        return line;
    }

    String server() {
        return text(SERVER, skew - 1);
    }

    String id() {
        return text(id, position - 1);
    }

    /** Latitude and longitude as Google wants them. */
    String coordinates() {
        int middle = Numbers.number(line, position + 1, time - 1);
        return text(position, middle).replace("+", "") + "," + text(middle, time - 1).replace("+", "");
    }

    private String text(int from, int to) {
        return new String(line, from, to - from, StandardCharsets.ISO_8859_1);
    }

    /** Whether a client said just this before. */
    boolean repeats(Sighting known) {
        return Arrays.equals(line, position, line.length, known.line, known.position, known.line.length);
    }

    /**
     * By time, server, position, skew, whole line: a total order, so that equal times end in the same record on
     * all servers.
     */
    @Override
    public int compareTo(Sighting other) {
        int order = Numbers.compare(line, time, line.length - 1, other.line, other.time, other.line.length - 1);
        if (order == 0) {
            order = compare(SERVER, skew, other, SERVER, other.skew);
        }
        if (order == 0) {
            order = compare(position, time, other, other.position, other.time);
        }
        if (order == 0) {
            order = compare(skew, id, other, other.skew, other.id);
        }
        return order == 0 ? Arrays.compareUnsigned(line, other.line) : order;
    }

    /** Compares fields that begin at these places; the next ones begin a space behind them. */
    private int compare(int from, int next, Sighting other, int otherFrom, int otherNext) {
        return Arrays.compareUnsigned(line, from, next - 1, other.line, otherFrom, otherNext - 1);
    }
}
