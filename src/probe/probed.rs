//! The server, with somebody looking: the same application, and a note of what the loop did.

use std::error::Error;
use std::panic::Location;
use std::time::Duration;

use super::meters::Meters;
use crate::event_loop::{Application, Context, Observation, Origin};
use crate::server::{Callback, Loop, Node};
use crate::worlds::Stage;
use crate::worlds::recording::Digest;

/// A server that is looked at.
pub struct Probed<H: Stage> {
    /// The server.
    pub node: Node<H>,
    /// How long things took.
    pub meters: Meters,
    begun: Option<Ran>,
    ran: Option<Ran>,
}

/// A callback that ran.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// What it was.
    pub callback: Callback,
    /// Why it was queued.
    pub origin: Origin,
    /// Where.
    pub location: &'static Location<'static>,
    /// Loop time at which it was queued.
    pub since: Duration,
    /// The stopwatch when it began.
    pub began: Duration,
    /// For how long it ran.
    pub took: Duration,
}

impl Ran {
    /// How long it had waited.
    pub fn waited(&self) -> Duration {
        self.began.saturating_sub(self.since)
    }
}

impl<H: Stage> Probed<H> {
    /// Looks at `node`.
    pub fn new(node: Node<H>) -> Probed<H> {
        Probed {
            node,
            meters: Meters::default(),
            begun: None,
            ran: None,
        }
    }

    /// The callback that ran last, told once.
    pub fn take_ran(&mut self) -> Option<Ran> {
        self.ran.take()
    }
}

impl<H: Stage> Application<H> for Probed<H> {
    type Callback = Callback;

    fn call(&mut self, event_loop: &mut Loop<H>, callback: Callback) -> Result<(), Box<dyn Error>> {
        event_loop.world.begin(Digest::value(&callback));
        // A replay that has come to a difference shall not run what was not recorded.
        if event_loop.world.has_ended() {
            return Ok(());
        }
        self.node.call(event_loop, callback)
    }

    fn before_poll(&mut self, event_loop: &mut Loop<H>) {
        if !event_loop.world.has_ended() {
            self.node.before_poll(event_loop);
        }
    }

    fn exception_handler(&mut self, context: &Context<Callback>) -> Result<(), Box<dyn Error>> {
        self.node.exception_handler(context)
    }

    fn observe(&mut self, observation: Observation<'_, Callback>) {
        self.meters.observe(&observation);
        match &observation {
            Observation::Started(_, pending) => {
                self.begun = Some(Ran {
                    callback: pending.callback,
                    origin: pending.origin,
                    location: pending.location,
                    since: pending.since,
                    began: Duration::ZERO,
                    took: Duration::ZERO,
                });
            }
            Observation::Finished { began, took, .. } => {
                self.ran = self.begun.take().map(|begun| Ran {
                    began: *began,
                    took: *took,
                    ..begun
                });
            }
            _ => {}
        }
        self.node.observe(observation);
    }
}
