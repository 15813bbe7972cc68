//! An accepted connection as a state machine: what it has read, what it has yet to send, how long it
//! may take.
//!
//! ```text
//! Open ──(its end, our decision)──▶ Closing ──(all sent)──▶ Lingering ──(its end, 1 to 4 s)──▶ closed
//! ```
//!
//! A connection whose end was read already skips the lingering. Lingering exists because closing a
//! socket with unread input resets it, and a reset can destroy the last answer on its way.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::deadlines::{
    CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, Deadlines, LINGER_DEADLINE, LINGER_MAX,
};
use super::progress::{Again, Progress, Then};
use crate::event_loop::{Handle, Readiness, Token};
use crate::net::{Buffer, Network, Next, Read, Transport, next_line};
use crate::portions::Portions;
use crate::server::neighbour::Neighbour;
use crate::server::rows::row;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Anyone who has not greeted.
    Client,
    /// A neighbour, by its place among this server's neighbours.
    Neighbour(usize),
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Commands are read and answered.
    Open,
    /// No more commands are read; the answers so far go out.
    Closing,
    /// Our end was sent; what still comes is thrown away.
    Lingering,
}

/// An accepted connection.
pub struct Inbound<S> {
    transport: Transport<S>,
    address: SocketAddr,
    role: Role,
    phase: Phase,
    /// Input not yet answered: part of a line, or more lines than one turn takes.
    partial: Buffer,
    /// `partial` may hold whole lines.
    backlogged: bool,
    /// A [`Callback::Again`](crate::server::Callback::Again) is queued, or it waits for one.
    again: Option<Again>,
    /// What it wants next is costly.
    costly: bool,
    /// The server stops: after the line that queues, no more commands are read.
    last_line: bool,
    /// Too much is unsent to read more.
    paused: bool,
    /// A WHATSAT waits for Places; what comes behind it waits too.
    waits: bool,
    /// It had its share of this turn.
    served: bool,
    /// A byte of it was read.
    begun: bool,
    /// Bytes of answers that lie in the turn's buffer for it: our end must not go out before them.
    promised: usize,
    /// Made when the first is set: an idle client has none.
    deadlines: Option<Box<Deadlines>>,
}

impl<S> Inbound<S> {
    /// A connection just accepted.
    pub fn new(stream: S, address: SocketAddr, token: Token) -> Inbound<S> {
        Inbound {
            transport: Transport::accepted(stream, token),
            address,
            role: Role::Client,
            phase: Phase::Open,
            partial: Buffer::default(),
            backlogged: false,
            again: None,
            costly: false,
            last_line: false,
            paused: false,
            waits: false,
            served: false,
            begun: false,
            promised: 0,
            deadlines: None,
        }
    }

    /// Its name among the connections.
    #[inline]
    pub fn token(&self) -> Token {
        self.transport.token()
    }

    /// The stream, for what the world knows of it.
    #[inline]
    pub fn stream(&self) -> &S {
        self.transport.stream()
    }

    /// Where it came from.
    #[inline]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who speaks.
    #[inline]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The neighbour for which it speaks.
    #[inline]
    pub fn neighbour(&self) -> Option<usize> {
        match self.role {
            Role::Client => None,
            Role::Neighbour(index) => Some(index),
        }
    }

    /// From now on it speaks for this neighbour.
    pub fn greet(&mut self, neighbour: usize) {
        self.role = Role::Neighbour(neighbour);
    }

    /// Answers that the system has not taken.
    #[inline]
    pub fn unsent(&self) -> usize {
        self.transport.unsent()
    }

    /// True until a byte of it was read: it may be TLS that begins.
    #[inline]
    pub fn is_new(&self) -> bool {
        !self.begun
    }

    /// Whether the next commands wait for an answer of Places.
    #[inline]
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// The next commands wait, or do so no longer.
    #[inline]
    pub fn wait(&mut self, waits: bool) {
        self.waits = waits;
    }

    /// So many bytes of answers will come with the end of the turn.
    #[inline]
    pub fn promise(&mut self, bytes: usize) {
        self.promised += bytes;
    }

    /// What the poll told.
    #[inline]
    pub fn note(&mut self, readiness: Readiness) {
        self.transport.note(readiness);
    }

    /// How it goes on, if nothing else happens.
    #[inline]
    pub fn again(&self) -> Option<Again> {
        self.again
    }

    /// The callback for that runs.
    #[inline]
    pub fn again_comes(&mut self) {
        self.again = None;
        self.costly = false;
    }

    /// It may not even be read now: that would be costly.
    pub fn postpone(&mut self) {
        self.costly = true;
    }

    /// Reads once, unless it had its turn, has to wait, or has kept lines enough.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn read<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        scratch: &mut [u8],
    ) -> io::Result<Option<usize>> {
        // While a callback is queued that will read, an event has nothing to add.
        let full = self.paused || self.waits;
        let wait = full || self.again.is_some() || self.phase == Phase::Closing;
        if wait || std::mem::replace(&mut self.served, true) {
            return Ok(None);
        }
        let mut count = 0;
        if !self.backlogged {
            match self.transport.read(network, scratch)? {
                Read::Nothing => return Ok(None),
                Read::Bytes(read) => {
                    self.begun = true;
                    count = read;
                }
                Read::End => {}
            }
        }
        if self.phase == Phase::Lingering {
            if let Some(deadlines) = self.deadlines.as_mut().filter(|_| count > 0) {
                deadlines.linger = None;
            }
            return Ok(None);
        }
        Ok(Some(count))
    }

    /// True once the other side's end was read.
    #[inline]
    pub fn at_end(&self) -> bool {
        self.transport.at_end()
    }

    /// The input that was kept. It is taken out, and comes back with [`Inbound::keep`].
    #[inline]
    pub fn take_kept(&mut self) -> Buffer {
        std::mem::take(&mut self.partial)
    }

    /// What is left of the input waits for more of it, or for the next turn.
    pub fn keep(&mut self, rest: Buffer, progress: &Progress) {
        self.costly = progress.then == Then::Queue;
        self.backlogged = self.costly || progress.then == Then::Later;
        self.partial = rest;
        if progress.used > 0
            && let Some(deadlines) = &mut self.deadlines
        {
            // A command was answered: what was waited for has come.
            deadlines.line = None;
            deadlines.idle = None;
        }
        let last = (self.at_end() || self.last_line) && !self.backlogged;
        if progress.then == Then::Close || last {
            self.eof_received();
        }
    }

    /// The server stops. A line that has come and queues is answered; nothing behind it.
    pub fn stop(&mut self) {
        let length = match next_line(self.partial.as_slice()) {
            Next::Line(line) => line.len() + 1,
            Next::Partial if self.at_end() => self.partial.len(),
            _ => 0,
        };
        if self.costly && self.backlogged && length > 0 {
            self.partial.truncate(length);
            self.last_line = true;
        } else {
            self.eof_received();
        }
    }

    /// No more commands are read. (asyncio: Protocol.eof_received; here also if the end is ours.)
    pub fn eof_received(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
            self.partial = Buffer::default();
            self.backlogged = false;
            self.costly = false;
        }
    }

    /// Too much is unsent: nothing is read. (asyncio: Protocol.pause_writing.)
    fn pause_writing(&mut self) {
        self.paused = true;
    }

    /// There is room again. (asyncio: Protocol.resume_writing.)
    fn resume_writing(&mut self) {
        self.paused = false;
    }

    /// Sends what it may, ends what has ended. True when the connection is to be closed.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn advance<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        answers: &[u8],
        portions: &Portions,
    ) -> io::Result<bool> {
        self.served = false;
        self.promised -= answers.len().min(self.promised);
        let waiting = self.transport.unsent() > 0;
        self.transport.write(network, answers)?;
        let taken = self.transport.flush(network)?;
        if let Some(deadlines) = self.deadlines.as_mut().filter(|_| taken > 0 || !waiting) {
            deadlines.unsent = None;
        }
        let unsent = self.transport.unsent();
        if unsent > portions.unsent_high {
            self.pause_writing();
        } else if unsent <= portions.unsent_low {
            self.resume_writing();
        }
        let owed = unsent + self.promised;
        if self.phase == Phase::Closing && owed == 0 && !self.waits {
            if self.transport.at_end() {
                return Ok(true);
            }
            self.transport.write_eof();
            self.transport.flush(network)?;
            self.phase = Phase::Lingering;
        }
        self.transport.register(network)?;
        Ok(self.phase == Phase::Lingering && self.transport.at_end())
    }

    /// How the caller shall see to it that a callback comes, if one would find something to do without
    /// a new event, and none will come yet.
    pub fn wants_again(&mut self) -> Option<Again> {
        let wants = match self.phase {
            Phase::Open => {
                !self.paused && !self.waits && (self.backlogged || self.transport.may_read())
            }
            Phase::Closing => false,
            Phase::Lingering => self.transport.may_read(),
        };
        if !wants || self.again.is_some() {
            return None;
        }
        self.again = Some(match self.costly {
            true => Again::Queued,
            false => Again::Soon,
        });
        self.again
    }

    /// Sets the deadlines that the connection's state asks for, and counts the bytes that all connections
    /// hold. A handshake is as a line.
    pub fn set_deadlines(
        &mut self,
        now: Duration,
        idle: Duration,
        handshake: bool,
        all_held: &mut usize,
    ) {
        let client = self.role == Role::Client;
        let line = self.phase == Phase::Open
            && !self.backlogged
            && !self.paused
            && !self.waits
            && (handshake || !self.partial.is_empty());
        let unsent = self.transport.unsent() > 0;
        let held = self.transport.unsent() + self.partial.len();
        let linger = self.phase == Phase::Lingering;
        let busy = self.paused || self.waits || self.backlogged || unsent;
        let quiet = self.phase == Phase::Open && !busy;
        let is_idle = client && quiet && !idle.is_zero();
        if self.deadlines.is_none() && !(line || held > 0 || linger || is_idle) {
            return;
        }
        let keep = |wanted: bool, old: Option<Duration>, patience: Duration| {
            wanted.then(|| old.unwrap_or(now.saturating_add(patience)))
        };
        let deadlines = self.deadlines.get_or_insert_default();
        *all_held = *all_held - deadlines.held + held;
        deadlines.held = held;
        deadlines.line = keep(line, deadlines.line, CLIENT_LINE_DEADLINE);
        deadlines.unsent = keep(unsent, deadlines.unsent, CLIENT_UNSENT_DEADLINE);
        deadlines.linger = keep(linger, deadlines.linger, LINGER_DEADLINE);
        deadlines.linger_max = keep(linger, deadlines.linger_max, LINGER_MAX);
        deadlines.idle = keep(is_idle, deadlines.idle, idle);
    }

    /// When the connection's one timer must fire, if it is not armed for that time or an earlier one;
    /// and the timer that stands now, to be cancelled.
    pub fn timer_due(&self) -> Option<(Duration, Option<Handle>)> {
        let deadlines = self.deadlines.as_ref()?;
        let (when, _) = deadlines.earliest()?;
        match deadlines.armed {
            Some((armed, _)) if armed <= when => None,
            armed => Some((when, armed.map(|(_, handle)| handle))),
        }
    }

    /// The timer is set.
    pub fn armed(&mut self, when: Duration, handle: Handle) {
        self.deadlines.get_or_insert_default().armed = Some((when, handle));
    }

    /// The timer has fired. True if something is due: look at the socket, before giving it up.
    pub fn timer_fired(&mut self, now: Duration) -> bool {
        let Some(deadlines) = &mut self.deadlines else {
            return false;
        };
        deadlines.armed = None;
        deadlines.earliest().is_some_and(|(when, _)| when <= now)
    }

    /// Why its time is over, if it is.
    pub fn overdue(&mut self, now: Duration) -> Option<&'static str> {
        let deadlines = self.deadlines.as_mut()?;
        if self.again.is_some() {
            // It waits for its turn, and what it said may lie in its socket: late is not it.
            deadlines.line = None;
            deadlines.idle = None;
            deadlines.linger = None;
        }
        match deadlines.earliest() {
            Some((when, why)) => (when <= now).then_some(why),
            None => {
                self.deadlines.take_if(|deadlines| deadlines.held == 0);
                None
            }
        }
    }

    /// The bytes that it was counted with.
    pub fn held(&self) -> usize {
        self.deadlines
            .as_ref()
            .map_or(0, |deadlines| deadlines.held)
    }

    /// Closes the stream; the timer that stands, to be cancelled.
    pub fn close<N: Network<Stream = S>>(self, network: &mut N) -> Option<Handle> {
        self.transport.close(network);
        let (_, handle) = self.deadlines?.armed?;
        Some(handle)
    }

    /// What must hold between two calls. Checked in debug builds.
    pub fn check_invariants(&self, portions: &Portions) {
        if !cfg!(debug_assertions) {
            return;
        }
        let unsent = self.transport.unsent();
        debug_assert!(
            self.paused || unsent <= portions.unsent_high,
            "{unsent} unsent"
        );
        debug_assert!(
            !self.paused || unsent > portions.unsent_low,
            "paused for nothing"
        );
        debug_assert!(
            self.phase == Phase::Open || self.partial.is_empty() && !self.backlogged,
            "it keeps input that nobody will answer"
        );
        debug_assert!(
            self.phase != Phase::Lingering || unsent == 0 && !self.waits,
            "our end went out before an answer"
        );
        if let Some((when, _)) = self.deadlines.as_ref().and_then(|all| all.earliest()) {
            let armed = self.deadlines.as_ref().and_then(|all| all.armed);
            debug_assert!(
                armed.is_some_and(|(armed, _)| armed <= when),
                "no timer for its deadline"
            );
        }
    }

    /// For the view.
    pub fn row(&self, neighbours: &[Neighbour]) -> Value {
        let neighbour = self.neighbour().map(|index| &neighbours[index].name);
        let flags = [
            (self.waits, "waits for Places"),
            (self.paused, "paused: too much is unsent"),
            (self.backlogged, "has more lines"),
        ];
        let flags = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag);
        let earliest = self.deadlines.as_ref().and_then(|all| all.earliest());
        let state = match self.phase {
            Phase::Open => "open",
            Phase::Closing => "closing",
            Phase::Lingering => "lingering",
        };
        let kind = match neighbour {
            Some(_) => "peer",
            None => "client",
        };
        let mut row = row(&self.transport, kind, state);
        row["who"] = self.address.to_string().into();
        row["partial"] = self.partial.len().into();
        row["neighbour"] = json!(neighbour);
        row["deadline"] = json!(earliest.map(|(when, _)| when.as_secs_f64()));
        row["flags"] = flags.collect();
        row
    }
}
