import java.util.concurrent.ThreadLocalRandom;

/** Waits from 100 ms to 10 s, each drawn evenly from zero to a ceiling that doubles. */
final class Backoff {
    private static final long FIRST_MS = 100;
    private static final long MAX_MS = 10_000;

    private long ceiling = FIRST_MS;

    long nextMillis() {
        long wait = ThreadLocalRandom.current().nextLong(ceiling + 1);
        ceiling = Math.min(2 * ceiling, MAX_MS);
        return wait;
    }

    void reset() {
        ceiling = FIRST_MS;
    }
}
