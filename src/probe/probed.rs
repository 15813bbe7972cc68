//! The server, with somebody looking: the same application, and a note of what the loop did.

use std::error::Error;

use crate::event_loop::{Application, Context, Observation};
use crate::server::{Callback, Loop, Node};
use crate::worlds::Stage;
use crate::worlds::recording::Digest;

/// A server that is looked at.
pub struct Probed<H: Stage> {
    /// The server.
    pub node: Node<H>,
}

impl<H: Stage> Probed<H> {
    /// Looks at `node`.
    pub fn new(node: Node<H>) -> Probed<H> {
        Probed { node }
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
        self.node.observe(observation);
    }
}
