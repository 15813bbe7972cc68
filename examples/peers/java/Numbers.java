import java.util.Arrays;

/**
 * Decimal numbers as they stand in a line: digits, perhaps a point and digits. They are compared and subtracted
 * as they were written: a double loses a nanosecond of today's times.
 */
final class Numbers {
    private static final long NANOS = 1_000_000_000;
    private static final long SHIFT_MAX = (Long.MAX_VALUE - 9) / 10;

    private Numbers() {}

    /** Where the digits end that begin at {@code start}. */
    static int digits(byte[] text, int start, int end) {
        int at = start;
        while (at < end && text[at] >= '0' && text[at] <= '9') {
            at++;
        }
        return at;
    }

    /** Where the number ends that begins at {@code start}; -1 if none does. */
    static int number(byte[] text, int start, int end) {
        int point = digits(text, start, end);
        if (point == start) {
            return -1;
        }
        if (point < end && text[point] == '.') {
            int behind = digits(text, point + 1, end);
            return behind > point + 1 ? behind : point;
        }
        return point;
    }

    static boolean isNumber(byte[] text, int start, int end) {
        return number(text, start, end) == end;
    }

    /** By value, as a Comparator does. */
    static int compare(byte[] a, int aStart, int aEnd, byte[] b, int bStart, int bEnd) {
        int aFirst = skipZeros(a, aStart, aEnd);
        int bFirst = skipZeros(b, bStart, bEnd);
        int aPoint = digits(a, aFirst, aEnd);
        int bPoint = digits(b, bFirst, bEnd);
        if (aPoint - aFirst != bPoint - bFirst) {
            return Integer.compare(aPoint - aFirst, bPoint - bFirst);
        }
        int whole = Arrays.compare(a, aFirst, aPoint, b, bFirst, bPoint);
        if (whole != 0) {
            return whole;
        }
        int aFraction = Math.min(aPoint + 1, aEnd);
        int bFraction = Math.min(bPoint + 1, bEnd);
        aEnd = dropZeros(a, aFraction, aEnd);
        bEnd = dropZeros(b, bFraction, bEnd);
        return Arrays.compare(a, aFraction, aEnd, b, bFraction, bEnd);
    }

    /** The value in units of 10^-places, further digits cut off; -1 beyond a long. */
    static long scaled(byte[] text, int start, int end, int places) {
        long value = 0;
        int at = start;
        for (; at < end && text[at] != '.'; at++) {
            value = shift(value, text[at] - '0');
        }
        for (at++; places > 0; at++, places--) {
            value = shift(value, at < end ? text[at] - '0' : 0);
        }
        return value;
    }

    /** Adds {@code receipt} (in nanoseconds) less the time in the text: a sign, seconds, nine decimals. */
    static void addSkew(Bytes out, long receipt, byte[] text, int start, int end) {
        long sent = scaled(text, start, end, 9);
        if (sent < 0) {
            addFarSkew(out, receipt, text, start, end);
            return;
        }
        long skew = Math.abs(receipt - sent);
        out.add(receipt < sent ? '-' : '+');
        out.addNumber(skew / NANOS, 1).add('.').addNumber(skew % NANOS, 9);
    }

    /** The same for a time beyond the year 2262: digit by digit, as at school. */
    private static void addFarSkew(Bytes out, long receipt, byte[] text, int start, int end) {
        int point = digits(text, start, end);
        int fraction = Math.min(point + 1, end);
        byte[] digits = new byte[point - start + 9];
        Arrays.fill(digits, (byte) '0');
        System.arraycopy(text, start, digits, 0, point - start);
        System.arraycopy(text, fraction, digits, point - start, Math.min(end - fraction, 9));
        int borrow = 0;
        for (int at = digits.length - 1; at >= 0; at--) {
            int digit = digits[at] - '0' - (int) (receipt % 10) - borrow;
            receipt /= 10;
            borrow = digit < 0 ? 1 : 0;
            digits[at] = (byte) ('0' + digit + 10 * borrow);
        }
        int seconds = digits.length - 9;
        int first = Math.min(skipZeros(digits, 0, seconds), seconds - 1);
        out.add('-').add(digits, first, seconds).add('.').add(digits, seconds, digits.length);
    }

    private static long shift(long value, int digit) {
        return value < 0 || value > SHIFT_MAX ? -1 : 10 * value + digit;
    }

    private static int skipZeros(byte[] text, int start, int end) {
        int at = start;
        while (at < end && text[at] == '0') {
            at++;
        }
        return at;
    }

    private static int dropZeros(byte[] text, int start, int end) {
        int at = end;
        while (at > start && text[at - 1] == '0') {
            at--;
        }
        return at;
    }
}
