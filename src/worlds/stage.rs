//! What whoever drives a loop from above asks of its world, beyond what a server does.

use std::time::Duration;

use super::recording::Ending;
use super::tap::Exchange;
use crate::net::Host;

/// A world that can be held still, and looked at. What a world does not know of, it leaves as it is
/// here.
pub trait Stage: Host {
    /// A callback is about to run, by its digest.
    fn begin(&mut self, callback: u32) {
        let _ = callback;
    }

    /// Stops the clock of the loop.
    fn hold(&mut self) {}

    /// Lets the clock go on from where it stopped.
    fn release(&mut self) {}

    /// True if something else than the server's business ended a poll: somebody looks at the server
    /// from outside. Told once.
    fn take_attention(&mut self) -> bool {
        false
    }

    /// Whether the next polls end when somebody wants to look. After `within` they end anyhow.
    fn attend(&mut self, heed: bool, within: Option<Duration>) {
        let _ = (heed, within);
    }

    /// True once a replay has ended: what it says from then on means nothing.
    fn has_ended(&self) -> bool {
        false
    }

    /// How a replay ended, once it has.
    fn ending(&self) -> Option<Ending> {
        None
    }

    /// What was read and written since the last call, if it is kept.
    fn take_exchanges(&mut self) -> Vec<Exchange> {
        Vec::new()
    }

    /// Why the recording of this run broke off, told once.
    fn take_recording_error(&mut self) -> Option<std::io::Error> {
        None
    }

    /// The server has stopped in good order.
    fn finish(&mut self) {}
}
