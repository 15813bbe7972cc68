//! When patience with an accepted connection ends.

use std::time::Duration;

use crate::event_loop::Handle;

/// An unfinished line may take this long.
pub const CLIENT_LINE_DEADLINE: Duration = Duration::from_secs(30);
/// A client that takes not one byte of its answers for this long is closed.
pub const CLIENT_UNSENT_DEADLINE: Duration = Duration::from_secs(30);
/// After our end of the stream, a client that says nothing has this long to send its own.
pub const LINGER_DEADLINE: Duration = Duration::from_secs(1);
/// One that goes on talking gets that anew with each byte, for this long at most: it may not have read
/// our end yet, and a close with its bytes unread would destroy what is on its way. Shorter than
/// [`STOP_DEADLINE`](crate::server::STOP_DEADLINE), so that a stop waits for it.
pub const LINGER_MAX: Duration = Duration::from_secs(4);

/// The deadlines of one connection, in loop time, and the one timer that serves them all. The timer
/// is not moved when a deadline goes away or later: it fires, finds nothing due, and is armed anew.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// For the end of a line that has begun.
    pub line: Option<Duration>,
    /// For the next byte that the client takes.
    pub unsent: Option<Duration>,
    /// For the client's end after ours.
    pub linger: Option<Duration>,
    /// For it, however much comes before.
    pub linger_max: Option<Duration>,
    /// For the next command.
    pub idle: Option<Duration>,
    /// Bytes of input and answers that were held for it when that was last counted. (They stand here
    /// since whoever holds some has a deadline, and few hold any.)
    pub held: usize,
    /// The timer.
    pub armed: Option<(Duration, Handle)>,
}

impl Deadlines {
    /// The earliest deadline, and what was waited for.
    pub fn earliest(&self) -> Option<(Duration, &'static str)> {
        [
            (self.line, "its line was not finished in time"),
            (self.unsent, "it takes no answers"),
            (self.linger, "it did not close after us"),
            (self.linger_max, "it went on talking after our end"),
            (self.idle, "it was idle"),
        ]
        .into_iter()
        .filter_map(|(when, why)| Some((when?, why)))
        .min_by_key(|(when, _)| *when)
    }
}
