//! What the loop tells whoever watches it. (asyncio: debug mode's slow-callback warning; the rest
//! people have asked for since 2016.)

use std::panic::Location;
use std::time::Duration;

use super::handle::{Handle, Pending};

/// A callback that ran this long is reported. (asyncio: `slow_callback_duration`.)
pub const SLOW_CALLBACK: Duration = Duration::from_millis(100);

/// A turn whose callbacks ran this long in all is reported, even if none was slow by itself
/// (cpython#101946 asks for it).
pub const SLOW_ITERATION: Duration = Duration::from_millis(100);

/// One thing that happened in the loop. Durations come from the stopwatch: they are for people,
/// and nothing may be decided by them.
#[derive(Debug)]
pub enum Observation<'a, C> {
    /// A poll returned: when it began, how long it took, how many events it brought, how many
    /// callbacks this turn will run.
    Polled {
        /// The stopwatch when it began: the end of the turn before, since no clock is read between.
        began: Duration,
        /// From then until it returned.
        took: Duration,
        /// How long it might have slept; `None`: for ever.
        timeout: Option<Duration>,
        /// Events it returned.
        events: usize,
        /// Callbacks that will run in this turn.
        todo: usize,
    },
    /// A callback is about to run.
    Started(Handle, &'a Pending<C>),
    /// It returned.
    Finished {
        /// Which one.
        handle: Handle,
        /// The stopwatch when it began.
        began: Duration,
        /// For how long it ran.
        took: Duration,
    },
    /// It took at least [`SLOW_CALLBACK`].
    SlowCallback {
        /// What ran.
        callback: &'a C,
        /// Where it was queued.
        location: &'static Location<'static>,
        /// For how long.
        took: Duration,
    },
    /// A turn is over: how many callbacks ran and how long, the final flush included.
    Iteration {
        /// Callbacks run.
        ran: usize,
        /// The stopwatch at the end of the poll.
        began: Duration,
        /// From the end of the poll to the end of the turn.
        took: Duration,
    },
    /// The same, when it took at least [`SLOW_ITERATION`].
    SlowIteration {
        /// Callbacks run.
        ran: usize,
        /// From the end of the poll to the end of the turn.
        took: Duration,
    },
}

impl<C> Observation<'_, C> {
    /// True for the two that tell of something slow.
    #[inline]
    pub fn is_slow(&self) -> bool {
        matches!(
            self,
            Observation::SlowCallback { .. } | Observation::SlowIteration { .. }
        )
    }
}
