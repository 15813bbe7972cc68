//! A line on stderr once a second, for people who wait.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Says how far a run is.
pub struct Progress {
    what: &'static str,
    started: Instant,
    /// When it last said something, and how many had been answered then.
    last: (Instant, u64),
    /// One line, written over again, instead of one after another.
    on_terminal: bool,
}

impl Progress {
    /// If `asked_for`, or if somebody can see it.
    pub fn new(what: &'static str, asked_for: bool) -> Option<Progress> {
        let on_terminal = stderr().is_terminal();
        let now = Instant::now();
        (asked_for || on_terminal).then_some(Progress {
            what,
            started: now,
            last: (now, 0),
            on_terminal,
        })
    }

    /// How long until the next line.
    pub fn left(&self, now: Instant) -> Duration {
        (self.last.0 + EVERY).saturating_duration_since(now)
    }

    pub fn tick(&mut self, now: Instant, answered: u64, waiting: usize) {
        if !self.left(now).is_zero() {
            return;
        }
        let (then, before) = self.last;
        self.last = (now, answered);
        let line = format!(
            "load: {} for {:.0} s: {answered} answered, {:.0} a second, {waiting} connections wait",
            self.what,
            (now - self.started).as_secs_f64(),
            (answered - before) as f64 / (now - then).as_secs_f64(),
        );
        // Nobody is there to tell if this fails.
        let _ = match self.on_terminal {
            true => write!(stderr(), "\r{line}\x1b[K"),
            false => writeln!(stderr(), "{line}"),
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
