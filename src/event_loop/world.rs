//! The narrow waist between the loop and the outside: what time it is, and what is ready.
//!
//! Everything that the loop learns comes through these calls, so whoever implements them decides
//! what the program sees: the operating system, a simulation, or a recording.

use std::fmt;
use std::io;
use std::ops::BitOr;
use std::sync::Arc;
use std::time::Duration;

/// Names one connection for as long as it lives, and never again.
///
/// A slot of the slab is reused, so the index alone could name the wrong connection: an event
/// taken from the poller may concern a socket that an earlier callback of the same turn closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// Slot in the owner's table.
    pub index: u32,
    /// Counts up with each connection; told apart from an earlier one in the same slot.
    pub generation: u32,
}

impl Token {
    /// The token of a listener: which of its owner's doors it is. Connections begin with
    /// generation 1, so no token of theirs is one of a listener.
    pub const fn listener(door: u32) -> Token {
        Token {
            index: door,
            generation: 0,
        }
    }

    /// Whether it is a listener's.
    pub const fn is_listener(self) -> bool {
        self.generation == 0
    }

    /// The token as one number, for pollers that carry a `u64` or `usize`.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The reverse of [`Token::to_bits`].
    pub fn from_bits(bits: u64) -> Token {
        Token {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.generation)
    }
}

/// What a poller says about a socket. All but the first two are hints: a read or a write decides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const EMPTY: Readiness = Readiness(0);
    /// A read will not block (it may return bytes, the end, or an error).
    pub const READABLE: Readiness = Readiness(1);
    /// A write will not block.
    pub const WRITABLE: Readiness = Readiness(2);
    /// The other side will send no more, or sent an urgent byte, at which a read stops: either way
    /// a short read does not show that all was read.
    pub const READ_CLOSED: Readiness = Readiness(4);

    /// The flags as one byte, for a recording.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The reverse of [`Readiness::bits`]; bits that mean nothing are dropped.
    pub fn from_bits(bits: u8) -> Readiness {
        Readiness(bits & 7)
    }

    /// Whether all of `other` is in `self`.
    pub fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Readiness {
    type Output = Readiness;
    fn bitor(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Readiness::READABLE, "r"),
            (Readiness::WRITABLE, "w"),
            (Readiness::READ_CLOSED, "c"),
        ];
        for (flag, name) in names {
            if self.contains(flag) {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

/// One thing that came out of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A socket changed its readiness (edge-triggered: said once).
    Ready(Token, Readiness),
    /// A signal arrived, by its number. (asyncio: unix_events, the self-pipe.)
    Signal(i32),
    /// Another thread woke the poll: the inbox has something.
    Woken,
    /// A blocking job that was asked of the world is done, by its number.
    Done(u64),
}

/// Wakes a sleeping poll from another thread. (asyncio: `_write_to_self`.)
pub trait Wake: Send + Sync {
    /// Makes the next or current poll return with [`Event::Woken`]. Never blocks.
    fn wake(&self);
}

/// What the loop asks of its world.
pub trait World {
    /// So many units of work were done that no call shows. Only a clock that is made of such things
    /// moves: the simulator's.
    fn spend(&mut self, units: usize) {
        let _ = units;
    }

    /// Time since the loop was born. Decides things (timers); asked after each poll, and before one
    /// that has a timer to wait for.
    fn time(&mut self) -> Duration;

    /// Waits until something is ready, at most for `timeout` (`None`: without end), and appends
    /// what is ready to `events`. A wait cut short by a signal is no error: it tells of what
    /// is ready by then.
    ///
    /// # Errors
    /// Only what makes the poller useless (a closed descriptor, say).
    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()>;

    /// The same clock, for observers only: it decides nothing. A recording keeps it all the same, since
    /// the journal tells of slow callbacks.
    fn stopwatch(&self) -> Duration;

    /// A handle with which other threads wake the poll.
    fn waker(&self) -> Arc<dyn Wake>;
}
