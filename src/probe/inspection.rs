//! The inspection's own small loop, nested in the server's: the descriptor of its poller is a source
//! of the server's poll. While the server runs, it is looked after between two moments, for a bounded
//! share of the time ([`Pace`]); while the server is held, it runs alone. Nothing of it enters the
//! server's queue or recording.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use serde_json::{Value, json};

use super::console::read_lines;
use super::inspector::{InspectLoop, Inspector, REQUEST_DEADLINE};
use super::pace::{LOOK_MAX, LOOK_SHARE, Pace};
use super::visitors::VISITORS_MAX;
use crate::event_loop::{EventLoop, Token, World};
use crate::worlds::os::OsWorld;

pub use super::inspector::{Ask, InspectCallback};

/// What the inspection wants of the server's next poll.
pub struct Wish {
    /// It rests: nothing of it shall end the poll, but the end of the rest.
    pub rests: bool,
    /// The poll shall end after this long, at the latest.
    pub within: Option<Duration>,
}

impl Wish {
    /// True if it wants to be looked after now.
    pub fn is_due(&self) -> bool {
        !self.rests && self.within == Some(Duration::ZERO)
    }
}

/// The small loop and its application.
pub struct Inspection {
    event_loop: InspectLoop,
    inspector: Inspector,
    pace: Pace,
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
            pace: Pace::default(),
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

    /// What it wants of the server's next poll.
    pub fn wish(&mut self) -> Wish {
        let world = &mut self.event_loop.world;
        if let Some(left) = self.pace.rests(|| world.time()) {
            return Wish {
                rests: true,
                within: Some(left),
            };
        }
        let within = match self.inspector.has_asks() {
            true => Some(Duration::ZERO),
            false => {
                let when = self.event_loop.next_deadline();
                when.map(|when| when.saturating_sub(self.event_loop.world.time()))
            }
        };
        Wish {
            rests: false,
            within,
        }
    }

    /// True while somebody wants every view.
    pub fn is_watched(&self) -> bool {
        self.inspector.has_subscribers()
    }

    /// A look begins. A server that runs is looked at for a share of its time only.
    pub fn begin(&mut self, runs: bool) {
        if runs {
            self.pace.begin(self.event_loop.world.time());
        }
    }

    /// Looks after visitors and input. With `wait` it sleeps until there is something.
    ///
    /// # Errors
    /// It cannot poll any more.
    pub fn turn(&mut self, wait: bool) -> io::Result<()> {
        // What the last look did not come to comes before anything new.
        if self.event_loop.todo() == 0 {
            if !wait {
                self.event_loop.call_soon(InspectCallback::Look);
            }
            self.event_loop.collect(&mut self.inspector)?;
        }
        let until = self.event_loop.world.time() + LOOK_MAX;
        while self.event_loop.run_next(&mut self.inspector) {
            if self.event_loop.world.time() >= until {
                break;
            }
        }
        Ok(())
    }

    /// The next thing that somebody wants.
    pub fn take_ask(&mut self) -> Option<Ask> {
        self.inspector.take_ask()
    }

    /// True if the look has lasted long enough: the rest waits for the next.
    pub fn is_spent(&mut self) -> bool {
        self.pace.is_spent(self.event_loop.world.time())
    }

    /// The look ends: what it produced is sent. How long it kept a server that runs.
    ///
    /// # Errors
    /// It cannot poll any more.
    pub fn end(&mut self) -> io::Result<Duration> {
        if self.event_loop.ready_len() > 0 {
            self.turn(false)?;
        }
        Ok(self.pace.end(self.event_loop.world.time()))
    }

    /// Answers a command with JSON.
    pub fn answer(&mut self, to: Token, json: &str) {
        self.inspector.answer(&mut self.event_loop, to, json);
    }

    /// The view that was asked for.
    pub fn show(&mut self, json: String) {
        self.inspector.show(&mut self.event_loop, json);
    }

    /// Tells all who want every view.
    pub fn publish(&mut self, json: String) {
        self.inspector.publish(&mut self.event_loop, json);
    }

    /// What is in use of its limits, as the view shows those of the server. Empty if it has no
    /// listener.
    pub fn usage(&self) -> Vec<Value> {
        if self.address().is_none() {
            return Vec::new();
        }
        let share = 100 / LOOK_SHARE as usize;
        let rows = [
            (
                "visitors of the page",
                self.inspector.visitors(),
                VISITORS_MAX,
            ),
            (
                "percent of the time for the page",
                self.pace.percent(),
                share,
            ),
        ];
        let row =
            |(name, used, max)| json!({"name": name, "used": used, "max": max, "option": null});
        rows.map(row).into()
    }
}
