import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * A line where it stands in the input, without its LF, and the fields in it. One object looks at one line after
 * the other, so that reading a line allocates nothing.
 */
final class Line {
    enum Command { IAMAT, WHATSAT, AT, PEER, BURN, INVALID }

    /** The longest, its LF not counted. */
    static final int MAX = 64 * 1024;

    private static final int BURN_MAX = 10_000;
    private static final int ID_MAX = 4096;
    private static final int BOUND_MAX = 20;
    private static final int FIELDS_MAX = 6;
    private static final byte[] RADIUS_MAX = latin1("50");
    private static final byte[] AWAY = latin1("away");
    private static final byte[] IAMAT = latin1("IAMAT");
    private static final byte[] WHATSAT = latin1("WHATSAT");
    private static final byte[] AT = latin1("AT");
    private static final byte[] PEER = latin1("PEER");
    private static final byte[] BURN = latin1("BURN");

    private byte[] bytes;
    private int start;
    private int end;
    private final int[] starts = new int[FIELDS_MAX];
    private final int[] ends = new int[FIELDS_MAX];
    private int count;

    Line lookAt(byte[] bytes, int start, int end) {
        this.bytes = bytes;
        this.start = start;
        this.end = end;
        return this;
    }

    byte[] bytes() {
        return bytes;
    }

    int start() {
        return start;
    }

    int end() {
        return end;
    }

    int start(int field) {
        return starts[field];
    }

    int end(int field) {
        return ends[field];
    }

    /** A field as text, a character a byte. */
    String text(int field) {
        return new String(bytes, starts[field], ends[field] - starts[field], StandardCharsets.ISO_8859_1);
    }

    /** A number in units of 10^-places. */
    int scaled(int field, int places) {
        return (int) Numbers.scaled(bytes, starts[field], ends[field], places);
    }

    int fields() {
        return count;
    }

    /** Looks for the fields, and whether they are what a command wants. */
    Command command() {
        split();
        return switch (count) {
            case 2 -> {
                if (is(0, PEER)) {
                    yield Command.PEER;
                }
                yield is(0, BURN) && isWork(1) ? Command.BURN : Command.INVALID;
            }
            case 3 -> is(0, BURN) && isWork(1) && is(2, AWAY) ? Command.BURN : Command.INVALID;
            case 4 -> {
                if (is(0, IAMAT)) {
                    yield isReport(1) ? Command.IAMAT : Command.INVALID;
                }
                yield is(0, WHATSAT) && isQuestion() ? Command.WHATSAT : Command.INVALID;
            }
            case 6 -> is(0, AT) && isSkew(2) && isReport(3) ? Command.AT : Command.INVALID;
            default -> Command.INVALID;
        };
    }

    private void split() {
        count = 0;
        int at = start;
        while (true) {
            while (at < end && isWhiteSpace(bytes[at])) {
                at++;
            }
            if (at == end) {
                return;
            }
            if (count == FIELDS_MAX) {
                count++;
                return;
            }
            starts[count] = at;
            while (at < end && !isWhiteSpace(bytes[at])) {
                at++;
            }
            ends[count++] = at;
        }
    }

    /** Space, and the five from TAB to CR. */
    private static boolean isWhiteSpace(byte b) {
        return b <= ' ' && (b == ' ' || b >= '\t' && b <= '\r');
    }

    private boolean is(int field, byte[] word) {
        return Arrays.equals(bytes, starts[field], ends[field], word, 0, word.length);
    }

    /** An id, a position and a time. */
    private boolean isReport(int first) {
        return isId(first) && isPosition(first + 1) && isNumber(first + 2);
    }

    private boolean isQuestion() {
        return isId(1) && isNumber(2) && isAtMost(2, RADIUS_MAX) && isCount(3, BOUND_MAX);
    }

    private boolean isWork(int field) {
        return isCount(field, BURN_MAX);
    }

    private boolean isId(int field) {
        return ends[field] - starts[field] <= ID_MAX;
    }

    private boolean isNumber(int field) {
        return Numbers.isNumber(bytes, starts[field], ends[field]);
    }

    private boolean isAtMost(int field, byte[] limit) {
        return Numbers.compare(bytes, starts[field], ends[field], limit, 0, limit.length) <= 0;
    }

    private boolean isCount(int field, int limit) {
        if (Numbers.digits(bytes, starts[field], ends[field]) < ends[field]) {
            return false;
        }
        long value = Numbers.scaled(bytes, starts[field], ends[field], 0);
        return value >= 0 && value <= limit;
    }

    private boolean isPosition(int field) {
        int latitude = starts[field] + 1;
        int end = ends[field];
        if (!isSign(latitude - 1, end)) {
            return false;
        }
        int middle = Numbers.number(bytes, latitude, end);
        return middle >= 0
                && isSign(middle, end)
                && Numbers.isNumber(bytes, middle + 1, end)
                && isWithin(latitude, middle, 90)
                && isWithin(middle + 1, end, 180);
    }

    private boolean isWithin(int from, int to, int limit) {
        int whole = 0;
        int at = from;
        for (; at < to && bytes[at] != '.'; at++) {
            whole = Math.min(10 * whole + bytes[at] - '0', 1000);
        }
        boolean isMore = whole == limit && hasMoreThanZeros(at + 1, to);
        return whole <= limit && !isMore;
    }

    private boolean hasMoreThanZeros(int from, int to) {
        for (int at = from; at < to; at++) {
            if (bytes[at] != '0') {
                return true;
            }
        }
        return false;
    }

    /** A sign and a number, perhaps with an exponent: servers that others wrote print floats. */
    private boolean isSkew(int field) {
        int end = ends[field];
        if (!isSign(starts[field], end)) {
            return false;
        }
        int at = Numbers.number(bytes, starts[field] + 1, end);
        if (at < 0 || at == end) {
            return at == end;
        }
        if (bytes[at] != 'e' && bytes[at] != 'E') {
            return false;
        }
        int exponent = isSign(at + 1, end) ? at + 2 : at + 1;
        return exponent < end && Numbers.digits(bytes, exponent, end) == end;
    }

    private boolean isSign(int at, int limit) {
        return at < limit && (bytes[at] == '+' || bytes[at] == '-');
    }

    private static byte[] latin1(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }
}
