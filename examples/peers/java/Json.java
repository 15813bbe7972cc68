import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A JSON value and where it stands in its text. The JDK has no reader of JSON. */
sealed interface Json {
    int start();

    int end();

    record Text(String value, int start, int end) implements Json {}

    record Array(List<Json> items, int start, int end) implements Json {}

    record Dictionary(Map<String, Json> members, int start, int end) implements Json {}

    /** A number, true, false or null: nobody here looks at one. */
    record Other(int start, int end) implements Json {}

    /** Reads a text that is one value and nothing else. */
    static Json parse(String text) {
        Reader reader = new Reader(text);
        Json value = reader.value();
        reader.skipSpace();
        if (reader.at < text.length()) {
            throw reader.wrong("the end");
        }
        return value;
    }

    final class Reader {
        private static final int DEPTH_MAX = 64;
        private static final Pattern OTHER =
                Pattern.compile("-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null");

        private final String text;
        private int at;
        private int depth;

        private Reader(String text) {
            this.text = text;
        }

        private Json value() {
            skipSpace();
            return switch (peek()) {
                case '{' -> nested(this::dictionary);
                case '[' -> nested(this::array);
                case '"' -> string();
                default -> other();
            };
        }

        /** Each depth costs a piece of the stack. */
        private Json nested(Supplier<Json> read) {
            depth++;
            if (depth > DEPTH_MAX) {
                throw wrong("less depth");
            }
            Json value = read.get();
            depth--;
            return value;
        }

        private Json dictionary() {
            int start = at;
            Map<String, Json> members = new LinkedHashMap<>();
            expect('{');
            if (!take('}')) {
                do {
                    skipSpace();
                    Text key = string();
                    expect(':');
                    if (members.put(key.value(), value()) != null) {
                        throw wrong("no second " + key.value());
                    }
                } while (take(','));
                expect('}');
            }
            return new Dictionary(members, start, at);
        }

        private Json array() {
            int start = at;
            List<Json> items = new ArrayList<>();
            expect('[');
            if (!take(']')) {
                do {
                    items.add(value());
                } while (take(','));
                expect(']');
            }
            return new Array(items, start, at);
        }

        private Json other() {
            Matcher matcher = OTHER.matcher(text).region(at, text.length());
            if (!matcher.lookingAt()) {
                throw wrong("a value");
            }
            int start = at;
            at = matcher.end();
            return new Other(start, at);
        }

        private Text string() {
            int start = at;
            StringBuilder value = new StringBuilder();
            if (peek() != '"') {
                throw wrong("a string");
            }
            at++;
            while (peek() != '"') {
                char c = next();
                if (c < ' ') {
                    throw wrong("no control character");
                }
                value.append(c == '\\' ? escaped() : c);
            }
            at++;
            return new Text(value.toString(), start, at);
        }

        private char escaped() {
            char c = next();
            return switch (c) {
                case '"', '\\', '/' -> c;
                case 'b' -> '\b';
                case 'f' -> '\f';
                case 'n' -> '\n';
                case 'r' -> '\r';
                case 't' -> '\t';
                case 'u' -> (char) (hexDigit() << 12 | hexDigit() << 8 | hexDigit() << 4 | hexDigit());
                default -> throw wrong("an escape");
            };
        }

        private int hexDigit() {
            int digit = Character.digit(next(), 16);
            if (digit < 0) {
                throw wrong("a hexadecimal digit");
            }
            return digit;
        }

        /** The next character; at the end one that nothing begins with. */
        private char peek() {
            return at < text.length() ? text.charAt(at) : 0;
        }

        private char next() {
            if (at == text.length()) {
                throw wrong("more");
            }
            return text.charAt(at++);
        }

        private boolean take(char c) {
            skipSpace();
            if (peek() != c) {
                return false;
            }
            at++;
            return true;
        }

        private void expect(char c) {
            if (!take(c)) {
                throw wrong("'" + c + "'");
            }
        }

        private void skipSpace() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
                at++;
            }
        }

        private IllegalArgumentException wrong(String expected) {
            return new IllegalArgumentException("character " + at + ": expected " + expected);
        }
    }
}
