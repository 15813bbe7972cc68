//! The server: the one place where its callbacks run, and its end.

use std::error::Error;
use std::io;

use super::callback::{Callback, Loop, Part};
use super::desk::Desk;
use super::journal::About;
use super::parts::{Parts, STOP_DEADLINE};
use crate::config::Config;
use crate::event_loop::{Application, Context, Observation};
use crate::herd::Store;
use crate::net::Host;

/// The signal that asks to reopen the journal.
pub const SIGHUP: i32 = 1;
/// The signal of Ctrl-C.
pub const SIGINT: i32 = 2;
/// The signal that asks to stop.
pub const SIGTERM: i32 = 15;

/// One server of the herd.
pub struct Node<H: Host> {
    desk: Desk<H>,
    parts: Parts<H>,
    /// A second signal cut the stopping short.
    stop_was_forced: bool,
}

impl<H: Host> Node<H> {
    /// A server that does nothing until [`Node::start`].
    pub fn new(config: Config) -> Node<H> {
        let desk = Desk::new(config);
        Node {
            parts: Parts::new(&desk.shared),
            desk,
            stop_was_forced: false,
        }
    }

    /// Opens the listener and dials every neighbour.
    ///
    /// # Errors
    /// The listener's address cannot be had; or the snapshot cannot be read.
    pub fn start(&mut self, event_loop: &mut Loop<H>) -> io::Result<()> {
        let floor = &mut self.desk.floor(event_loop);
        self.parts.open(floor)?;
        let address = floor.shared.config.roster.servers[floor.shared.config.me].address;
        floor.notice(About::Server, format_args!("listens on {address}"));
        for warning in floor.shared.config.warnings() {
            floor.notice(About::Server, format_args!("{warning}"));
        }
        self.parts.dial(floor);
        Ok(())
    }

    /// What the operator should know about the snapshot that was restored.
    pub fn restored(&self) -> &[String] {
        self.parts.restored()
    }

    /// The server's copy of the table.
    pub fn store(&self) -> &Store {
        self.desk.shared.replica.store()
    }

    /// Bytes of input and answers that are held for all accepted connections.
    pub fn held(&self) -> usize {
        self.desk.shared.held
    }

    /// How many records each link that is up owes its neighbour.
    pub fn owed(&self) -> Vec<usize> {
        self.parts.owed(&self.desk)
    }

    /// True if a second signal cut the stopping short.
    pub fn stop_was_forced(&self) -> bool {
        self.stop_was_forced
    }

    /// Why the last snapshot of a server that has stopped was not written, if it was not.
    pub fn lost(&self) -> Option<&str> {
        self.parts.lost()
    }

    /// What is shared, and the parts, to look at.
    pub fn inside(&self) -> (&Desk<H>, &Parts<H>) {
        (&self.desk, &self.parts)
    }

    fn signal(&mut self, event_loop: &mut Loop<H>, number: i32) {
        match number {
            SIGHUP => self.hang_up(event_loop),
            _ if self.desk.shared.stopping => {
                self.stop_was_forced = true;
                self.parts.abandon(&mut self.desk.floor(event_loop));
                event_loop.stop();
            }
            _ => self.begin_to_stop(event_loop, number),
        }
    }

    /// Opens anew what others may have changed: the journal, and the certificates.
    fn hang_up(&mut self, event_loop: &mut Loop<H>) {
        let floor = &mut self.desk.floor(event_loop);
        floor.event_loop.world.reopen_journal(Part::Journal.job(0));
        let reloaded = match floor.event_loop.world.reload_identity() {
            Ok(false) => return,
            Ok(true) => String::from("the certificates were read again"),
            Err(why) => format!("the certificates stay as they were: {why}"),
        };
        floor.notice(About::Server, format_args!("{reloaded}"));
    }

    /// Stops accepting, sends everybody what they are owed, ends the loop. (asyncio: Runner.close.)
    fn begin_to_stop(&mut self, event_loop: &mut Loop<H>, number: i32) {
        let floor = &mut self.desk.floor(event_loop);
        floor.shared.stopping = true;
        floor.notice(About::Server, format_args!("stopping on signal {number}"));
        self.parts.stop(floor);
        event_loop.call_later(STOP_DEADLINE, Callback::StopDeadline);
    }
}

impl<H: Host> Application<H> for Node<H> {
    type Callback = Callback;

    fn call(&mut self, event_loop: &mut Loop<H>, callback: Callback) -> Result<(), Box<dyn Error>> {
        match callback {
            Callback::Signal(number) => self.signal(event_loop, number),
            Callback::StopDeadline => match self.parts.give_up(&mut self.desk.floor(event_loop)) {
                Some(when) => drop(event_loop.call_at(when, Callback::StopDeadline)),
                None => event_loop.stop(),
            },
            callback => self.parts.call(&mut self.desk.floor(event_loop), callback),
        }
        let Node { desk, parts, .. } = self;
        parts.carry_on(&mut desk.floor(event_loop));
        parts.check_invariants(desk);
        if desk.shared.journal.is_filling() {
            desk.shared.journal.flush(&mut event_loop.world, false);
        }
        Ok(())
    }

    fn before_poll(&mut self, event_loop: &mut Loop<H>) {
        let Node { desk, parts, .. } = self;
        let mut floor = desk.floor(event_loop);
        parts.flush(&mut floor);
        // Closing a connection may have freed what others wait for.
        parts.carry_on(&mut floor);
        parts.before_poll(&mut floor);
        parts.check_invariants(desk);
        if desk.shared.stopping && parts.are_done(desk) {
            event_loop.stop();
        }
        let last = event_loop.is_stopping();
        desk.shared.journal.flush(&mut event_loop.world, last);
    }

    fn exception_handler(&mut self, context: &Context<Callback>) -> Result<(), Box<dyn Error>> {
        self.desk.shared.notice_late(format_args!("{context}"));
        Ok(())
    }

    #[inline]
    fn observe(&mut self, observation: Observation<'_, Callback>) {
        // Inlined into the loop, this leaves nothing of the many that are not slow.
        if observation.is_slow() {
            self.note_slow(&observation);
        }
    }
}

impl<H: Host> Node<H> {
    #[cold]
    fn note_slow(&mut self, observation: &Observation<'_, Callback>) {
        let text = match observation {
            Observation::SlowCallback {
                callback,
                location,
                took,
            } => format!("{callback:?}, queued at {location}, took {took:?}"),
            Observation::SlowIteration { ran, took } => {
                format!("a turn of {ran} callbacks took {took:?}")
            }
            _ => return,
        };
        self.desk.shared.notice_late(format_args!("{text}"));
    }
}
