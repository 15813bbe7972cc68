//! Runs a server from a recording.

use std::fmt;
use std::io;
use std::rc::Rc;

use super::header::config;
use super::probed::Probed;
use crate::event_loop::EventLoop;
use crate::server::{Loop, Node};
use crate::worlds::recording::{Ending, Records, Tape};
use crate::worlds::replay::ReplayWorld;
use crate::worlds::watched::Watched;
use crate::worlds::{Stage, Tap};

/// The world of a replay that is looked at.
pub type Replayed = Watched<ReplayWorld>;

/// A recording, read.
#[derive(Clone)]
pub struct Recording {
    records: Rc<Records>,
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

impl Outcome {
    /// What a program ends with that came to it: 0 if all is equal, or all that is there of a recording
    /// that was cut; 1 at a difference; 3 if the recording is damaged.
    pub fn status(&self) -> u8 {
        match self.ending {
            Ending::Complete | Ending::Cut => 0,
            Ending::Different(_) => 1,
            Ending::Damaged(_) => 3,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, length) = self.progress;
        let equal = format!("{} callbacks, order {:016x}", self.callbacks, self.order);
        match &self.ending {
            Ending::Complete => write!(f, "equal: {equal}"),
            Ending::Cut => write!(
                f,
                "equal so far: {equal}; the recording ends at byte {at} of {length} without a good end"
            ),
            Ending::Damaged(from) => write!(
                f,
                "equal so far: {equal}; the recording is damaged from byte {from} of {length} on"
            ),
            Ending::Different(difference) => difference.fmt(f),
        }
    }
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
            records: Rc::new(Records::read(bytes, records)),
        })
    }

    /// The configuration of the server that was recorded.
    pub fn config(&self) -> &crate::config::Config {
        &self.config
    }

    /// A server at the beginning of its life, in the recorded world.
    pub fn begin(&self, tap: Option<Tap>) -> (Loop<Replayed>, Probed<Replayed>) {
        let tape = Tape::new(Rc::clone(&self.records));
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
