/** What a line leaves to do for the connection that it came from. */
sealed interface Outcome {
    /** Nothing: its answer is there, or it gets none. */
    record Done() implements Outcome {}

    /** It is no command; it is to be answered with itself. */
    record Invalid() implements Outcome {}

    /** From now on a neighbour speaks here. */
    record Greeted(Link neighbour) implements Outcome {}

    /** Something that takes its time; the next line must wait for its answer. */
    sealed interface Work extends Outcome {}

    record Ask(Sighting sighting, int metres, int bound) implements Work {}

    record Burn(int milliseconds, boolean away) implements Work {}

    Outcome DONE = new Done();
    Outcome INVALID = new Invalid();
}
