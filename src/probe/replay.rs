//! Runs a server from a recording.

use std::io;
use std::rc::Rc;

use super::header::config;
use super::probed::Probed;
use crate::event_loop::EventLoop;
use crate::server::{Loop, Node};
use crate::worlds::recording::{Ending, Tape};
use crate::worlds::replay::ReplayWorld;
use crate::worlds::watched::Watched;
use crate::worlds::{Stage, Tap};

/// The world of a replay that is looked at.
pub type Replayed = Watched<ReplayWorld>;

/// A recording, read.
#[derive(Clone)]
pub struct Recording {
    bytes: Rc<[u8]>,
    records: usize,
    config: crate::config::Config,
}

/// What a replay came to.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Callbacks that ran.
    pub callbacks: u64,
    /// A hash of which callbacks ran in which order.
    pub order: u64,
    /// How far it came in the recording, and the recording's length, in bytes.
    pub progress: (usize, usize),
}

impl Recording {
    /// Reads the header of a recording.
    ///
    /// # Errors
    /// In words: what was expected.
    pub fn new(bytes: &[u8]) -> Result<Recording, String> {
        let (header, records) = Tape::header(bytes)?;
        Ok(Recording {
            config: config(header)?,
            bytes: bytes.into(),
            records,
        })
    }

    /// The configuration of the server that was recorded.
    pub fn config(&self) -> &crate::config::Config {
        &self.config
    }

    /// A server at the beginning of its life, in the recorded world.
    pub fn begin(&self, tap: Option<Tap>) -> (Loop<Replayed>, Probed<Replayed>) {
        let tape = Tape::new(Rc::clone(&self.bytes), self.records);
        let world = Watched::new(ReplayWorld::new(tape), None, tap, "");
        let mut event_loop = EventLoop::new(world);
        let mut probed = Probed::new(Node::new(self.config.clone()));
        // If it could not start then, it cannot now, and the recording ends there.
        let _ = probed.node.start(&mut event_loop);
        (event_loop, probed)
    }

    /// Replays all of it.
    pub fn run(&self) -> Outcome {
        let (mut event_loop, mut probed) = self.begin(None);
        let ended: io::Result<()> = event_loop.run_forever(&mut probed);
        if ended.is_ok() {
            event_loop.world.finish();
        }
        outcome(&mut event_loop.world)
    }
}

/// What a replay has come to.
pub fn outcome(world: &mut Replayed) -> Outcome {
    let ending = world.ending().unwrap_or(Ending::Cut);
    let (callbacks, order) = world.inner().order();
    Outcome {
        ending,
        callbacks,
        order,
        progress: world.inner().progress(),
    }
}
