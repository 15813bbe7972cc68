/** What a line leaves to do for the connection that it came from. */
sealed interface Outcome {
    enum Settled implements Outcome {
        /** Its answer is there, or it gets none. */
        DONE,
        /** It is no command, and is answered with itself. */
        INVALID
    }

    /** From now on a neighbour speaks here. */
    record Greeted(Link neighbour) implements Outcome {}

    /** Something that takes its time; the next line must wait for its answer. */
    sealed interface Work extends Outcome {}

    record Ask(Sighting sighting, int metres, int bound) implements Work {}

    record Burn(int milliseconds, boolean away) implements Work {}
}
