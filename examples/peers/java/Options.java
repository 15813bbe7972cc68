import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the command line and the herd file say. */
record Options(
        String name,
        Map<String, InetSocketAddress> servers,
        List<String> neighbours,
        URI placesUrl,
        Path caFile,
        Path log,
        boolean burn) {

    private static final String COURSE =
            """
            {"servers": {"Bailey": "127.0.0.1:10000", "Bona": "127.0.0.1:10001", "Campbell": "127.0.0.1:10002",
                         "Clark": "127.0.0.1:10003", "Jaquez": "127.0.0.1:10004"},
             "links": [["Clark", "Jaquez"], ["Clark", "Bona"], ["Campbell", "Bailey"],
                       ["Campbell", "Bona"], ["Campbell", "Jaquez"], ["Bona", "Bailey"]]}
            """;

    InetSocketAddress address() {
        return servers.get(name);
    }

    /** Ends the program if it makes no sense of them. */
    static Options parse(String program, String[] arguments) {
        try {
            return read(List.of(arguments).iterator());
        } catch (IOException | IllegalArgumentException problem) {
            System.err.printf("%s: %s%n", program, problem);
            System.err.printf(
                    "usage: %s NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE|none] [--burn]%n",
                    program);
            System.exit(2);
            throw new AssertionError(problem);
        }
    }

    private static Options read(Iterator<String> arguments) throws IOException {
        String name = next(arguments, "a server's name");
        String herd = COURSE;
        String log = name + ".log";
        URI placesUrl = null;
        Path caFile = null;
        boolean burn = false;
        while (arguments.hasNext()) {
            String option = arguments.next();
            switch (option) {
                case "--herd" -> herd = Files.readString(Path.of(next(arguments, "a file")));
                case "--places-url" -> placesUrl = URI.create(next(arguments, "a URL"));
                case "--ca-file" -> caFile = Path.of(next(arguments, "a file"));
                case "--log" -> log = next(arguments, "a file or none");
                case "--burn" -> burn = true;
                default -> throw new IllegalArgumentException(option + " is no option");
            }
        }
        Map<String, Json> file = members(Json.parse(herd));
        Map<String, InetSocketAddress> servers = new LinkedHashMap<>();
        members(file.get("servers")).forEach((server, address) -> servers.put(server, address(text(address))));
        List<String> neighbours = neighbours(name, items(file.get("links")));
        check(name, servers);
        neighbours.forEach(neighbour -> check(neighbour, servers));
        Path journal = log.equals("none") ? null : Path.of(log);
        return new Options(name, servers, neighbours, placesUrl, caFile, journal, burn);
    }

    private static String next(Iterator<String> arguments, String expected) {
        if (!arguments.hasNext()) {
            throw new IllegalArgumentException("expected " + expected);
        }
        return arguments.next();
    }

    private static void check(String name, Map<String, InetSocketAddress> servers) {
        if (!servers.containsKey(name)) {
            throw new IllegalArgumentException(name + " is none of " + servers.keySet());
        }
    }

    private static List<String> neighbours(String name, List<Json> links) {
        return links.stream()
                .map(Options::pair)
                .filter(pair -> pair.contains(name))
                .map(pair -> pair.get(pair.get(0).equals(name) ? 1 : 0))
                .toList();
    }

    private static List<String> pair(Json link) {
        List<String> names = items(link).stream().map(Options::text).toList();
        if (names.size() != 2) {
            throw new IllegalArgumentException("the herd file: expected two names in a link");
        }
        return names;
    }

    private static InetSocketAddress address(String text) {
        int colon = text.lastIndexOf(':');
        String host = text.substring(0, Math.max(colon, 0)).replaceAll("[\\[\\]]", "");
        InetSocketAddress address = new InetSocketAddress(host, Integer.parseInt(text.substring(colon + 1)));
        if (address.isUnresolved()) {
            throw new IllegalArgumentException("nobody knows the host of " + text);
        }
        return address;
    }

    private static Map<String, Json> members(Json json) {
        if (json instanceof Json.Dictionary dictionary) {
            return dictionary.members();
        }
        throw new IllegalArgumentException("the herd file: expected an object");
    }

    private static List<Json> items(Json json) {
        if (json instanceof Json.Array array) {
            return array.items();
        }
        throw new IllegalArgumentException("the herd file: expected a list");
    }

    private static String text(Json json) {
        if (json instanceof Json.Text text) {
            return text.value();
        }
        throw new IllegalArgumentException("the herd file: expected a string");
    }
}
