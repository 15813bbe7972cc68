//! Wakes the poll.

use mio::Waker;

use crate::event_loop::Wake;

/// Ends a poll from any thread.
pub struct OsWaker(Waker);

impl OsWaker {
    /// Wakes the poll that `waker` belongs to.
    pub(super) fn new(waker: Waker) -> OsWaker {
        OsWaker(waker)
    }
}

impl Wake for OsWaker {
    fn wake(&self) {
        // A full counter means that a wake is pending already. (asyncio ignores it as well.)
        let _ = self.0.wake();
    }
}
