import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.stream.LongStream;

/** Bytes that grow: a ByteArrayOutputStream without its locks, whose array can be read in place. */
final class Bytes {
    private static final long[] POWERS_OF_TEN = LongStream.iterate(1, power -> 10 * power).limit(19).toArray();

    private byte[] array;
    private int length;

    Bytes(int capacity) {
        array = new byte[capacity];
    }

    /** What it holds is at the front, {@link #length()} bytes of it. */
    byte[] array() {
        return array;
    }

    int length() {
        return length;
    }

    boolean isEmpty() {
        return length == 0;
    }

    Bytes add(char latin1) {
        reserve(1);
        array[length++] = (byte) latin1;
        return this;
    }

    Bytes add(String latin1) {
        return add(latin1.getBytes(StandardCharsets.ISO_8859_1));
    }

    Bytes add(byte[] bytes) {
        return add(bytes, 0, bytes.length);
    }

    Bytes add(byte[] bytes, int start, int end) {
        reserve(end - start);
        System.arraycopy(bytes, start, array, length, end - start);
        length += end - start;
        return this;
    }

    /** Adds a number that is not negative, with zeros in front if it has fewer digits. */
    Bytes addNumber(long number, int digits) {
        while (digits < POWERS_OF_TEN.length && number >= POWERS_OF_TEN[digits]) {
            digits++;
        }
        reserve(digits);
        length += digits;
        for (int at = length - 1; at >= length - digits; at--) {
            array[at] = (byte) ('0' + number % 10);
            number /= 10;
        }
        return this;
    }

    byte[] copyFrom(int start) {
        return Arrays.copyOfRange(array, start, length);
    }

    void truncate(int shorter) {
        length = shorter;
    }

    void dropFirst(int count) {
        System.arraycopy(array, count, array, 0, length - count);
        length -= count;
    }

    private void reserve(int more) {
        if (array.length - length < more) {
            array = Arrays.copyOf(array, Math.max(2 * array.length, length + more));
        }
    }
}
