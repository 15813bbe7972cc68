import java.io.IOException;
import java.nio.channels.SelectionKey;

/** What a key of the selector belongs to. */
interface NioHandler {
    void ready(SelectionKey key) throws IOException;

    /** It cannot go on. */
    void failed();
}
