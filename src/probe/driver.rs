//! Drives a loop from moment to moment: the same three calls that `run_once` makes, one at a time.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::meters::{LastPoll, LastTurn, Meters};
use super::probed::{Probed, Ran};
use super::view::{Phase, Stand, State, view};
use crate::event_loop::{Handle, Pending};
use crate::server::{Callback, Loop};
use crate::worlds::{Exchange, Stage};

/// What a moment was.
#[derive(Clone, Copy, Debug)]
pub enum Moved {
    /// The loop polled, and queued what was ready and due.
    Polled,
    /// A callback ran.
    Ran(Ran),
    /// The turn's products were sent.
    Finished,
}

/// A loop and its server, between two moments.
pub struct Driver<H: Stage> {
    event_loop: Loop<H>,
    probed: Probed<H>,
    phase: Phase,
    moment: u64,
    /// The turn and the loop time of the last callback or finish.
    passed: Option<(u64, Duration)>,
    over: bool,
}

impl<H: Stage> Driver<H> {
    /// Stands before the first poll.
    pub fn new(event_loop: Loop<H>, probed: Probed<H>) -> Driver<H> {
        Driver {
            event_loop,
            probed,
            phase: Phase::BeforePoll,
            moment: 0,
            passed: None,
            over: false,
        }
    }

    /// Runs one moment.
    ///
    /// # Errors
    /// The world cannot poll any more, which ends the run; the end of a replay is no error.
    pub fn advance(&mut self) -> io::Result<Moved> {
        self.moment += 1;
        let moved = match self.phase {
            Phase::BeforePoll => {
                let polled = self.event_loop.collect(&mut self.probed);
                if !self.event_loop.world.has_ended() {
                    polled?;
                }
                Moved::Polled
            }
            Phase::BetweenCallbacks => {
                self.event_loop.run_next(&mut self.probed);
                match self.probed.take_ran() {
                    Some(ran) => Moved::Ran(ran),
                    None => Moved::Finished,
                }
            }
            Phase::BeforeFinish => {
                self.event_loop.finish(&mut self.probed);
                Moved::Finished
            }
        };
        if !matches!(moved, Moved::Polled) {
            self.passed = Some(self.place());
        }
        self.phase = match self.phase {
            Phase::BeforeFinish => Phase::BeforePoll,
            _ if self.event_loop.next().is_some() => Phase::BetweenCallbacks,
            _ => Phase::BeforeFinish,
        };
        self.look_for_the_end();
        Ok(moved)
    }

    fn look_for_the_end(&mut self) {
        if self.over {
            return;
        }
        if self.phase == Phase::BeforePoll && self.event_loop.is_stopping() {
            self.event_loop.world.finish();
            self.over = true;
        }
        self.over |= self.event_loop.world.has_ended();
    }

    /// The callback that the next moment runs, if it runs one.
    pub fn coming(&self) -> Option<(Handle, &Pending<Callback>)> {
        match self.phase {
            Phase::BetweenCallbacks => self.event_loop.next(),
            _ => None,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The turn and the loop time.
    pub fn place(&self) -> (u64, Duration) {
        (self.event_loop.iteration(), self.event_loop.time())
    }

    /// Those of the last callback or finish, if one ran.
    pub fn passed(&self) -> Option<(u64, Duration)> {
        self.passed
    }

    /// Moments so far.
    pub fn moment(&self) -> u64 {
        self.moment
    }

    /// True once there is nothing more to run.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The loop.
    pub fn event_loop(&self) -> &Loop<H> {
        &self.event_loop
    }

    /// The loop's world.
    pub fn world(&mut self) -> &mut H {
        &mut self.event_loop.world
    }

    /// The server.
    pub fn node(&self) -> &crate::server::Node<H> {
        &self.probed.node
    }

    /// How long things took.
    pub fn meters(&mut self) -> &mut Meters {
        &mut self.probed.meters
    }

    /// What the last poll came to.
    pub fn last_poll(&self) -> LastPoll {
        self.probed.meters.last_poll
    }

    /// What the last turn came to.
    pub fn last_turn(&self) -> LastTurn {
        self.probed.meters.last_turn
    }

    /// What was read and written since the last call.
    pub fn take_exchanges(&mut self) -> Vec<Exchange> {
        self.event_loop.world.take_exchanges()
    }

    /// Everything there is to see.
    pub fn view(&self, why: Option<&str>, held: bool) -> Value {
        let state = match (self.over, held) {
            (true, _) => State::Over,
            (false, true) => State::Held,
            (false, false) => State::Running,
        };
        let stand = Stand {
            state,
            phase: self.phase,
            why: why.map(str::to_string),
            moment: self.moment,
        };
        view(
            &self.event_loop,
            &self.probed.node,
            &self.probed.meters,
            &stand,
        )
    }
}
