import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.function.LongSupplier;

/** What a server does with a line, whoever moves the bytes. As safe for threads as the map of its table. */
final class Server {
    /** What of a line that is too long comes back. */
    private static final int TOO_LONG_ECHO = 128;

    final Options options;
    final Table table;
    final Journal journal;
    private final Places places;
    /** What our AT lines begin with. */
    private final byte[] prefix;
    private List<? extends Link> links = List.of();
    /** Where work goes that is sent away. */
    private final Executor away = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors(), task -> {
        Thread thread = new Thread(task, "away");
        thread.setDaemon(true);
        return thread;
    });

    Server(Options options, Map<String, Sighting> empty) throws IOException, GeneralSecurityException {
        this.options = options;
        table = new Table(empty);
        journal = new Journal(options.log());
        places = new Places(options.placesUrl(), options.caFile());
        prefix = ("AT " + options.name() + " ").getBytes(StandardCharsets.ISO_8859_1);
    }

    /** Says that it listens, once it does. */
    void announce(List<? extends Link> links) {
        this.links = links;
        Runtime.getRuntime().addShutdownHook(new Thread(this::stop, "stop"));
        String host = options.address().getHostString();
        System.out.printf("%s listens on %s:%d%n", options.name(), host, options.address().getPort());
    }

    /** SIGTERM comes here. A JVM would go on to exit with 143, as if this were a failure. */
    private void stop() {
        journal.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Nanoseconds since 1970. */
    static long now() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000_000 + now.getNano();
    }

    /** Takes a line of a client, or of a neighbour once it has greeted; adds its answer if it has one now. */
    Outcome take(Line line, Link neighbour, long receipt, Bytes answers) {
        String who = neighbour == null ? "client" : neighbour.name();
        journal.note(who, '<', line.bytes(), line.start(), line.end());
        if (neighbour != null) {
            // A neighbour is never answered.
            if (line.command() == Line.Command.AT) {
                hear(line, neighbour, answers);
            }
            return Outcome.Settled.DONE;
        }
        int start = answers.length();
        Outcome outcome = switch (line.command()) {
            case IAMAT -> report(line, receipt, answers);
            case WHATSAT -> ask(line);
            case PEER -> greet(line.text(1));
            case BURN -> burn(line);
            case AT, INVALID -> Outcome.Settled.INVALID;
        };
        if (outcome == Outcome.Settled.INVALID) {
            refuse(line, line.end(), answers);
        } else if (outcome == Outcome.Settled.DONE) {
            noteAnswer(answers.array(), start, answers.length());
        }
        return outcome;
    }

    /** Answers a line that is too long, the last of its connection. */
    void refuseTooLong(Line line, Bytes answers) {
        refuse(line, line.start() + TOO_LONG_ECHO, answers);
    }

    /** Begins what takes its time. The answer comes on another thread, unless it was computed right here. */
    CompletableFuture<byte[]> perform(Outcome.Work work) {
        return answer(work).thenApply(answer -> {
            noteAnswer(answer, 0, answer.length);
            return answer;
        });
    }

    /** From Java 21 on this is a switch, and the compiler sees that it leaves nothing out. */
    private CompletableFuture<byte[]> answer(Outcome.Work work) {
        if (work instanceof Outcome.Ask ask) {
            byte[] line = ask.sighting().line();
            return places.near(ask.sighting().coordinates(), ask.metres(), ask.bound())
                    .thenApply(json -> new Bytes(line.length + json.length).add(line).add(json).copyFrom(0));
        }
        if (work instanceof Outcome.Burn burn) {
            return burn.away()
                    ? CompletableFuture.supplyAsync(() -> compute(burn.milliseconds()), away)
                    : CompletableFuture.completedFuture(compute(burn.milliseconds()));
        }
        throw new AssertionError(work);
    }

    private Outcome report(Line line, long receipt, Bytes answers) {
        int start = answers.length();
        Sighting sighting = Sighting.taken(line, prefix, receipt, answers);
        if (sighting.line().length > Line.MAX + 1) {
            // No neighbour would take it.
            answers.truncate(start);
            return Outcome.Settled.INVALID;
        }
        if (table.report(sighting)) {
            flood(sighting, null);
        }
        return Outcome.Settled.DONE;
    }

    private void hear(Line line, Link neighbour, Bytes scratch) {
        int start = scratch.length();
        Sighting sighting = Sighting.heard(line, scratch);
        scratch.truncate(start);
        if (options.servers().containsKey(sighting.server()) && table.hear(sighting)) {
            flood(sighting, neighbour);
        }
    }

    private Outcome ask(Line line) {
        Sighting sighting = table.of(line.text(1));
        if (sighting == null) {
            return Outcome.Settled.INVALID;
        }
        return new Outcome.Ask(sighting, line.scaled(2, 3), line.scaled(3, 0));
    }

    private Outcome burn(Line line) {
        if (!options.burn()) {
            return Outcome.Settled.INVALID;
        }
        return new Outcome.Burn(line.scaled(1, 0), line.fields() == 3);
    }

    private Outcome greet(String name) {
        for (Link link : links) {
            if (link.name().equals(name)) {
                link.greeted();
                return new Outcome.Greeted(link);
            }
        }
        return Outcome.Settled.INVALID;
    }

    /** Passes news on, to all neighbours but the one they came from. */
    private void flood(Sighting sighting, Link origin) {
        for (Link link : links) {
            if (link != origin && link.send(sighting)) {
                journal.note(link.name(), '>', sighting.line(), 0, sighting.line().length);
            }
        }
    }

    private void refuse(Line line, int end, Bytes answers) {
        int start = answers.length();
        answers.add('?').add(' ').add(line.bytes(), line.start(), end).add('\n');
        noteAnswer(answers.array(), start, answers.length());
    }

    private void noteAnswer(byte[] bytes, int start, int end) {
        journal.note("client", '>', bytes, start, end);
    }

    /** Computes until this thread has used so much time. */
    private static byte[] compute(int milliseconds) {
        LongSupplier clock = cpuClock();
        long end = clock.getAsLong() + milliseconds * 1_000_000L;
        byte[] answer = ("BURNT " + milliseconds + "\n").getBytes(StandardCharsets.US_ASCII);
        long bits = 1;
        // Without a look at the bits the compiler could leave the loop out.
        while (clock.getAsLong() < end || bits == 0) {
            for (int round = 0; round < 10_000; round++) {
                bits = bits * 6_364_136_223_846_793_005L + 1;
            }
        }
        return answer;
    }

    /**
     * A virtual thread has no CPU time that can be asked for: there it is the time that passes. Little else does
     * meanwhile, since it leaves its carrier only when it blocks.
     */
    private static LongSupplier cpuClock() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        return threads.getCurrentThreadCpuTime() < 0 ? System::nanoTime : threads::getCurrentThreadCpuTime;
    }
}
