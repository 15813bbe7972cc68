/** Our connection to a neighbour: we dial, greet, and only write. */
interface Link {
    /** Above this many unsent bytes a link is cut: the whole table follows when it is dialled again. */
    int UNSENT_MAX = 4 << 20;
    int CONNECT_DEADLINE_MS = 3000;

    String name();

    /** Sends a line soon; false if it has to come with the next dump. */
    boolean send(Sighting sighting);

    /** The neighbour spoke to us: it is worth dialling. */
    void greeted();
}
