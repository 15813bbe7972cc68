import java.util.Map;

/** The newest sighting of each client. As safe for threads as its map. */
final class Table {
    private final Map<String, Sighting> sightings;

    Table(Map<String, Sighting> empty) {
        sightings = empty;
    }

    /** The newest of a client; null if there is none. */
    Sighting of(String id) {
        return sightings.get(id);
    }

    /** All of them; of a concurrent map also while it changes. */
    Iterable<Sighting> all() {
        return sightings.values();
    }

    /** All of them as they are now. */
    Sighting[] snapshot() {
        return sightings.values().toArray(Sighting[]::new);
    }

    /** Takes what a client says; true if it is news. Said once more, a report keeps its first record. */
    boolean report(Sighting sighting) {
        return sightings.merge(sighting.id(), sighting, Table::firstOrNewest) == sighting;
    }

    /** Takes what another server says; true if it is news. */
    boolean hear(Sighting sighting) {
        return sightings.merge(sighting.id(), sighting, Table::newest) == sighting;
    }

    private static Sighting firstOrNewest(Sighting known, Sighting sighting) {
        return sighting.repeats(known) ? known : newest(known, sighting);
    }

    private static Sighting newest(Sighting known, Sighting sighting) {
        return sighting.compareTo(known) > 0 ? sighting : known;
    }
}
