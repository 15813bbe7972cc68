//! The inspection's own small loop, nested in the server's: the descriptor of its poller is a source
//! of the server's poll. While the server runs, it is looked after between two turns; while the
//! server is held, it runs alone. Nothing of it enters the server's queue or recording.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::console::read_lines;
use super::inspector::{InspectLoop, Inspector, REQUEST_DEADLINE};
use crate::event_loop::{EventLoop, Token, World};
use crate::worlds::os::OsWorld;

pub use super::inspector::{Ask, InspectCallback};

/// Turns of the small loop between two of the server's, at most.
const TURNS_MAX: usize = 4;

/// The small loop and its application.
pub struct Inspection {
    event_loop: InspectLoop,
    inspector: Inspector,
    /// Tells the reader of standard input that a line was obeyed.
    obeyed: Option<SyncSender<()>>,
}

impl Inspection {
    /// A loop to which nobody speaks yet.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Inspection> {
        Ok(Inspection {
            event_loop: EventLoop::new(OsWorld::new()?),
            inspector: Inspector::new(REQUEST_DEADLINE),
            obeyed: None,
        })
    }

    /// Lets visitors in, over HTTP.
    ///
    /// # Errors
    /// The address is not loopback, or cannot be had.
    pub fn listen(&mut self, address: SocketAddr) -> io::Result<()> {
        self.inspector.listen(&mut self.event_loop, address)
    }

    /// Where it lets visitors in.
    pub fn address(&self) -> Option<SocketAddr> {
        self.inspector.address()
    }

    /// Reads commands from standard input.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn read_input(&mut self) -> io::Result<()> {
        self.obeyed = Some(read_lines(self.event_loop.remote())?);
        Ok(())
    }

    /// A line of standard input was obeyed: another may come.
    pub fn line_obeyed(&self) {
        if let Some(obeyed) = &self.obeyed {
            // A reader that is gone has nothing more to read.
            let _ = obeyed.try_send(());
        }
    }

    /// Has a signal told to the driver.
    ///
    /// # Errors
    /// As the system says.
    pub fn watch_signal(&mut self, number: i32) -> io::Result<()> {
        self.event_loop.world.watch_signal(number)
    }

    /// Its world, for [`OsWorld::attend_to`].
    pub fn world(&self) -> &OsWorld {
        &self.event_loop.world
    }

    /// After this long at the latest it wants a turn.
    pub fn patience(&mut self) -> Option<Duration> {
        let when = self.event_loop.next_deadline()?;
        Some(when.saturating_sub(self.event_loop.world.time()))
    }

    /// True while somebody wants every view.
    pub fn is_watched(&self) -> bool {
        self.inspector.has_subscribers()
    }

    /// Looks after visitors and input, and says what they want. With `wait` it sleeps until there
    /// is something.
    ///
    /// # Errors
    /// It cannot poll any more.
    pub fn turn(&mut self, wait: bool) -> io::Result<Vec<Ask>> {
        if !wait {
            self.event_loop.call_soon(InspectCallback::Look);
        }
        self.event_loop.run_once(&mut self.inspector)?;
        // The outer poll is edge-triggered: what is not taken now might not be told again.
        for _ in 0..TURNS_MAX {
            if self.event_loop.ready().next().is_none() {
                break;
            }
            self.event_loop.run_once(&mut self.inspector)?;
        }
        Ok(self.inspector.take_asks())
    }

    /// Answers a visitor with JSON.
    pub fn answer(&mut self, to: Token, json: &str) {
        self.inspector.answer(&mut self.event_loop, to, json);
    }

    /// Tells all who want every view.
    pub fn publish(&mut self, json: &str) {
        self.inspector.publish(&mut self.event_loop, json);
    }
}
