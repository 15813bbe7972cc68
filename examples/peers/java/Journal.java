import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

/** A line for each line that comes or goes; they are written when somebody flushes, in one write. */
final class Journal {
    private static final DateTimeFormatter SECOND =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.").withZone(ZoneOffset.UTC);
    private static final String HEX = "0123456789abcdef";
    private static final int FLUSH_EVERY_MS = 50;
    /** With this much waiting, whoever notes something more flushes: a slow disk slows the server down. */
    private static final int FLUSH_ABOVE = 1 << 20;

    /** Null if no journal is kept. */
    private final FileOutputStream file;
    private Bytes pending = new Bytes(1024);
    private Bytes spare = new Bytes(1024);
    private long second;
    private String secondAsText = "";

    /** Without a path, none is kept. */
    Journal(Path path) throws IOException {
        file = path == null ? null : new FileOutputStream(path.toFile(), true);
    }

    /** Notes what came from ({@code '<'}) or went to ({@code '>'}) somebody. */
    void note(String who, char direction, byte[] text, int start, int end) {
        if (file == null) {
            return;
        }
        boolean isMuch;
        synchronized (this) {
            addTime(Instant.now());
            pending.add(' ').add(who).add(' ').add(direction).add(' ');
            addEscaped(text, start, end > start && text[end - 1] == '\n' ? end - 1 : end);
            pending.add('\n');
            isMuch = pending.length() > FLUSH_ABOVE;
        }
        if (isMuch) {
            flush();
        }
    }

    void flush() {
        if (file == null) {
            return;
        }
        // The file's lock first: whoever comes later must write later.
        synchronized (file) {
            Bytes full;
            synchronized (this) {
                full = pending;
                pending = spare;
            }
            if (!full.isEmpty()) {
                write(full);
            }
            synchronized (this) {
                spare = full;
            }
        }
    }

    /** For servers that have no turns. */
    void flushRegularly() {
        if (file == null) {
            return;
        }
        Thread thread = new Thread(this::flushAgainAndAgain, "journal");
        thread.setDaemon(true);
        thread.start();
    }

    private void flushAgainAndAgain() {
        try {
            while (true) {
                Thread.sleep(FLUSH_EVERY_MS);
                flush();
            }
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    private void write(Bytes full) {
        try {
            file.write(full.array(), 0, full.length());
        } catch (IOException ignored) {
            // A full disk is no reason to stop.
        }
        full.truncate(0);
    }

    private void addTime(Instant now) {
        if (now.getEpochSecond() != second) {
            second = now.getEpochSecond();
            secondAsText = SECOND.format(now);
        }
        pending.add(secondAsText).addNumber(now.getNano() / 1000, 6).add('Z');
    }

    private void addEscaped(byte[] text, int start, int end) {
        int plain = start;
        for (int at = start; at < end; at++) {
            byte b = text[at];
            if (b < ' ' || b > '~' || b == '\\') {
                pending.add(text, plain, at).add('\\').add('x');
                pending.add(HEX.charAt(b >> 4 & 15)).add(HEX.charAt(b & 15));
                plain = at + 1;
            }
        }
        pending.add(text, plain, end);
    }
}
