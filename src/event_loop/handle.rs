//! Handles: callbacks as data, with a name under which each can be cancelled.
//!
//! asyncio's `Handle` is a callback with its arguments. Ours is a value of a small enum, so it can
//! be printed, matched, compared and recorded. (asyncio: events.Handle, events.TimerHandle.)

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use slab::Slab;

/// The name of a scheduled callback. Copy it, keep it, cancel by it; once the callback ran or was
/// cancelled the name means nothing and using it is harmless.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle {
    /// How many handles were made before this one: unique, and the order of queueing.
    pub(super) serial: u64,
    /// Its slot.
    pub(super) index: u32,
}

impl Handle {
    /// How many handles the loop made before this one.
    pub fn serial(self) -> u64 {
        self.serial
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handle {}", self.serial)
    }
}

/// Why a handle exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody called `call_soon`.
    Soon,
    /// A timer.
    Timer,
    /// The poll said that a socket is ready.
    Io,
    /// A signal arrived.
    Signal,
    /// Another thread sent it (`call_soon_threadsafe`, or a job of the executor).
    Thread,
}

/// A handle's content while it waits.
#[derive(Clone, Debug)]
pub struct Pending<C> {
    /// What will run.
    pub callback: C,
    /// Why it is here.
    pub origin: Origin,
    /// Loop time since which it waits to run: when it was queued or, of a timer, when it was due;
    /// for a timer that is not due yet, when it was set.
    pub since: Duration,
    /// The line of source that queued it. (asyncio: debug mode's source_traceback.)
    pub location: &'static Location<'static>,
    /// True while it sits in the timer heap.
    pub(super) scheduled: bool,
    serial: u64,
}

/// All waiting handles. The ready queue and the timer heap hold names, this holds the content:
/// so cancelling is O(1) wherever the name sits, and drops the callback at once.
pub(super) struct Handles<C> {
    slots: Slab<Pending<C>>,
    next_serial: u64,
}

impl<C> Handles<C> {
    pub fn new() -> Handles<C> {
        Handles {
            slots: Slab::new(),
            next_serial: 0,
        }
    }

    pub fn insert(
        &mut self,
        callback: C,
        origin: Origin,
        since: Duration,
        location: &'static Location<'static>,
    ) -> Handle {
        let serial = self.next_serial;
        self.next_serial += 1;
        let index = self.slots.insert(Pending {
            callback,
            origin,
            since,
            location,
            scheduled: origin == Origin::Timer,
            serial,
        });
        Handle {
            serial,
            index: index as u32,
        }
    }

    pub fn get(&self, handle: Handle) -> Option<&Pending<C>> {
        self.slots
            .get(handle.index as usize)
            .filter(|pending| pending.serial == handle.serial)
    }

    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Pending<C>> {
        self.slots
            .get_mut(handle.index as usize)
            .filter(|pending| pending.serial == handle.serial)
    }

    pub fn take(&mut self, handle: Handle) -> Option<Pending<C>> {
        self.get(handle)?;
        self.slots.try_remove(handle.index as usize)
    }
}
