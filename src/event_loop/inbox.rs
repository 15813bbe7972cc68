//! The one door for other threads. (asyncio: `call_soon_threadsafe` and the self-pipe.)

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::world::Wake;

/// How many callbacks may wait in the inbox.
pub const INBOX_MAX: usize = 65_536;

/// Sends callbacks into a loop from any thread.
pub struct Remote<C> {
    queue: Arc<Mutex<VecDeque<C>>>,
    waker: Arc<dyn Wake>,
}

/// The inbox held [`INBOX_MAX`] callbacks; this one comes back.
#[derive(Debug, PartialEq, Eq)]
pub struct InboxFull<C>(pub C);

impl<C> fmt::Display for InboxFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the loop's inbox is full ({INBOX_MAX} callbacks)")
    }
}

impl<C: fmt::Debug> std::error::Error for InboxFull<C> {}

impl<C> Clone for Remote<C> {
    fn clone(&self) -> Remote<C> {
        Remote {
            queue: Arc::clone(&self.queue),
            waker: Arc::clone(&self.waker),
        }
    }
}

impl<C> Remote<C> {
    pub(super) fn new(waker: Arc<dyn Wake>) -> Remote<C> {
        Remote {
            queue: Arc::default(),
            waker,
        }
    }

    /// Queues `callback` for the loop's next turn and wakes its poll. Push first, wake second: the
    /// other order could wake a loop that finds nothing and sleeps again.
    ///
    /// # Errors
    /// [`InboxFull`] gives the callback back when [`INBOX_MAX`] wait already.
    pub fn call_soon_threadsafe(&self, callback: C) -> Result<(), InboxFull<C>> {
        {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.len() >= INBOX_MAX {
                return Err(InboxFull(callback));
            }
            queue.push_back(callback);
        }
        self.waker.wake();
        Ok(())
    }

    /// Takes everything that waits.
    pub(super) fn drain(&self) -> VecDeque<C> {
        std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
