//! How far a turn got with a connection, and how it goes on.

/// How far a turn got with a connection's input.
pub struct Progress {
    /// Bytes of input that are done with.
    pub used: usize,
    /// What is next.
    pub then: Then,
}

/// What is next for a connection's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// More bytes are needed.
    Read,
    /// There may be more lines, for the next turn.
    Later,
    /// The next line is costly, and waits for its share of a turn.
    Queue,
    /// No more commands are taken.
    Close,
}

/// How a connection goes on without a new event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// In the next turn.
    Soon,
    /// What it wants is costly: as the turns have something left for it.
    Queued,
}
