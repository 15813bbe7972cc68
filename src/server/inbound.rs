//! An accepted connection: a client, or a neighbour once it has greeted.
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

use super::callback::{Callback, Loop};
use super::deadlines::{
    CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, Deadlines, LINGER_DEADLINE, LINGER_MAX,
};
use super::journal::Who;
use super::lines::Then;
use super::node::Node;
use crate::event_loop::{Readiness, Token};
use crate::net::{Buffer, Host, Read, Transport};

/// Above this many unsent bytes nothing is read from a client. (asyncio: transports, high water.)
pub const UNSENT_HIGH: usize = 64 * 1024;
/// At this many, reading goes on. (asyncio: high / 4.)
pub const UNSENT_LOW: usize = UNSENT_HIGH / 4;

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
pub enum Phase {
    /// Commands are read and answered.
    Open,
    /// No more commands are read; the answers so far go out.
    Closing,
    /// Our end was sent; what still comes is thrown away.
    Lingering,
}

/// An accepted connection.
pub struct Inbound<S> {
    /// The stream.
    pub transport: Transport<S>,
    /// Where it came from.
    pub address: SocketAddr,
    /// Who speaks.
    pub role: Role,
    /// Where it is in its life.
    pub phase: Phase,
    /// Input not yet answered: part of a line, or more lines than one turn takes.
    pub(super) partial: Buffer,
    /// `partial` may hold whole lines.
    pub(super) backlogged: bool,
    /// A [`Callback::Again`] is queued.
    pub(super) again: bool,
    /// Too much is unsent to read more.
    pub(super) paused: bool,
    /// A WHATSAT waits for Places; what comes behind it waits too.
    pub waits: bool,
    /// It had its share of this turn.
    served: bool,
    /// Made when the first is set: an idle client has none.
    pub(super) deadlines: Option<Box<Deadlines>>,
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
            again: false,
            paused: false,
            waits: false,
            served: false,
            deadlines: None,
        }
    }

    /// Sends what it may, ends what has ended. True when the connection is to be closed.
    fn advance<H: Host<Stream = S>>(&mut self, world: &mut H, answers: &[u8]) -> io::Result<bool> {
        self.served = false;
        let waiting = self.transport.unsent() > 0;
        self.transport.write(world, answers)?;
        let taken = self.transport.flush(world)?;
        if let Some(deadlines) = self.deadlines.as_mut().filter(|_| taken > 0 || !waiting) {
            deadlines.unsent = None;
        }
        let unsent = self.transport.unsent();
        self.paused = unsent > UNSENT_HIGH || (self.paused && unsent > UNSENT_LOW);
        if self.phase == Phase::Closing && unsent == 0 && !self.waits {
            if self.transport.at_end() {
                return Ok(true);
            }
            self.transport.write_eof();
            self.transport.flush(world)?;
            self.phase = Phase::Lingering;
        }
        self.transport.register(world)?;
        Ok(self.phase == Phase::Lingering && self.transport.at_end())
    }

    /// True if a callback would find something to do without a new event.
    fn wants_again(&self) -> bool {
        match self.phase {
            Phase::Open => {
                !self.paused && !self.waits && (self.backlogged || self.transport.may_read())
            }
            Phase::Closing => false,
            Phase::Lingering => self.transport.may_read(),
        }
    }

    /// Sets the deadlines that the connection's state asks for. A handshake is as a line.
    fn set_deadlines(&mut self, now: Duration, idle: Duration, handshake: bool) {
        let client = self.role == Role::Client;
        let line = client
            && self.phase == Phase::Open
            && !self.backlogged
            && !self.paused
            && !self.waits
            && (handshake || !self.partial.is_empty());
        let unsent = self.transport.unsent() > 0;
        let linger = self.phase == Phase::Lingering;
        let busy = self.paused || self.waits || self.backlogged || unsent;
        let quiet = self.phase == Phase::Open && !busy;
        let is_idle = client && quiet && !idle.is_zero();
        if self.deadlines.is_none() && !(line || unsent || linger || is_idle) {
            return;
        }
        let keep = |wanted: bool, old: Option<Duration>, patience: Duration| {
            wanted.then(|| old.unwrap_or(now.saturating_add(patience)))
        };
        let deadlines = self.deadlines.get_or_insert_default();
        deadlines.line = keep(line, deadlines.line, CLIENT_LINE_DEADLINE);
        deadlines.unsent = keep(unsent, deadlines.unsent, CLIENT_UNSENT_DEADLINE);
        deadlines.linger = keep(linger, deadlines.linger, LINGER_DEADLINE);
        deadlines.linger_max = keep(linger, deadlines.linger_max, LINGER_MAX);
        deadlines.idle = keep(is_idle, deadlines.idle, idle);
    }

    /// A command was answered: what was waited for has come.
    fn command_came(&mut self) {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.line = None;
            deadlines.idle = None;
        }
    }
}

impl<H: Host> Node<H> {
    /// Reads from an accepted connection once and answers what came; the answers wait in the turn's
    /// buffer.
    pub(super) fn inbound_ready(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let start = self.turn.out.len();
        let result = self.inbound_turn(event_loop, token, &mut scratch);
        self.scratch = scratch;
        match result {
            Ok(()) => self.turn.touch(token, start),
            Err(error) => self.close_inbound(event_loop, token, &error.to_string()),
        }
    }

    /// [`Callback::Again`].
    pub(super) fn inbound_again(&mut self, event_loop: &mut Loop<H>, token: Token) {
        if let Some(inbound) = self.connections.inbound(token) {
            inbound.again = false;
            self.inbound_ready(event_loop, token);
        }
    }

    fn inbound_turn(
        &mut self,
        event_loop: &mut Loop<H>,
        token: Token,
        scratch: &mut [u8],
    ) -> io::Result<()> {
        let Some(inbound) = self.connections.inbound(token) else {
            return Ok(());
        };
        // While a callback is queued that will read, an event has nothing to add.
        let full = inbound.paused || inbound.waits;
        let wait = full || inbound.again || inbound.phase == Phase::Closing;
        if wait || std::mem::replace(&mut inbound.served, true) {
            return Ok(());
        }
        let mut count = 0;
        if !inbound.backlogged {
            match inbound.transport.read(&mut event_loop.world, scratch)? {
                Read::Nothing => return Ok(()),
                Read::Bytes(read) => count = read,
                Read::End => {}
            }
        }
        if inbound.phase == Phase::Lingering {
            if let Some(deadlines) = inbound.deadlines.as_mut().filter(|_| count > 0) {
                deadlines.linger = None;
            }
            return Ok(());
        }
        let at_end = inbound.transport.at_end();
        let mut partial = std::mem::take(&mut inbound.partial);
        let progress = if partial.is_empty() {
            // The usual case: whole lines, answered where they were read.
            let progress = self.lines(event_loop, token, &scratch[..count], at_end);
            partial.extend(&scratch[progress.used..count]);
            progress
        } else {
            partial.extend(&scratch[..count]);
            let progress = self.lines(event_loop, token, partial.as_slice(), at_end);
            partial.consume(progress.used);
            progress
        };
        let Some(inbound) = self.connections.inbound(token) else {
            return Ok(());
        };
        inbound.backlogged = progress.then == Then::Later;
        inbound.partial = partial;
        if progress.used > 0 {
            inbound.command_came();
        }
        if progress.then == Then::Close || (at_end && !inbound.backlogged) {
            inbound.phase = Phase::Closing;
            inbound.partial = Buffer::default();
        }
        Ok(())
    }

    /// The end of a turn for one connection: sends its answers, and sees what is next.
    pub(super) fn settle(&mut self, event_loop: &mut Loop<H>, token: Token, answers: &[u8]) {
        let idle = self.config.client_idle;
        let Some(inbound) = self.connections.inbound(token) else {
            return;
        };
        match inbound.advance(&mut event_loop.world, answers) {
            Ok(false) => {}
            Ok(true) => return self.close_inbound(event_loop, token, "it ended"),
            Err(error) => return self.close_inbound(event_loop, token, &error.to_string()),
        }
        if inbound.wants_again() && !inbound.again {
            inbound.again = true;
            event_loop.call_soon(Callback::Again(token));
        }
        let stream = inbound.transport.stream();
        let handshake = self.config.tls && event_loop.world.is_handshaking(stream);
        inbound.set_deadlines(event_loop.time(), idle, handshake);
        self.arm_deadline(event_loop, token);
    }

    /// Sees to it that the connection's timer fires no later than its earliest deadline.
    fn arm_deadline(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let Some(inbound) = self.connections.inbound(token) else {
            return;
        };
        let Some(deadlines) = &mut inbound.deadlines else {
            return;
        };
        let Some((when, _)) = deadlines.earliest() else {
            return;
        };
        match deadlines.armed {
            Some((armed, _)) if armed <= when => return,
            Some((_, handle)) => event_loop.cancel(handle),
            None => false,
        };
        let handle = event_loop.call_at(when, Callback::Deadline(token));
        deadlines.armed = Some((when, handle));
    }

    /// [`Callback::Deadline`].
    pub(super) fn inbound_deadline(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let Some(inbound) = self.connections.inbound(token) else {
            return;
        };
        let Some(deadlines) = &mut inbound.deadlines else {
            return;
        };
        deadlines.armed = None;
        // The poller says that there is room only once a good part of the kernel's buffer is free:
        // a client that reads slowly has made some long before. So look, before giving it up.
        let unsent = deadlines
            .unsent
            .is_some_and(|when| when <= event_loop.time());
        if unsent && inbound.transport.unsent() > 0 {
            inbound.transport.note(Readiness::WRITABLE);
            self.settle(event_loop, token, &[]);
        }
        let Some(inbound) = self.connections.inbound(token) else {
            return;
        };
        match inbound
            .deadlines
            .as_ref()
            .map(|deadlines| deadlines.earliest())
        {
            Some(Some((when, why))) if when <= event_loop.time() => {
                self.close_inbound(event_loop, token, why);
            }
            Some(Some(_)) => self.arm_deadline(event_loop, token),
            _ => inbound.deadlines = None,
        }
    }

    /// Reads no more commands from a connection and closes it once its answers are sent.
    pub(super) fn finish_inbound(&mut self, token: Token) {
        self.close_after_answer(token);
        self.turn.touch(token, self.turn.out.len());
    }

    /// The same, for a connection that is looked after at the end of this turn anyway.
    pub(super) fn close_after_answer(&mut self, token: Token) {
        let open = |inbound: &&mut Inbound<H::Stream>| inbound.phase == Phase::Open;
        if let Some(inbound) = self.connections.inbound(token).filter(open) {
            inbound.phase = Phase::Closing;
            inbound.partial = Buffer::default();
            inbound.backlogged = false;
        }
    }

    /// Closes an accepted connection at once: the only place where one ends.
    pub(super) fn close_inbound(&mut self, event_loop: &mut Loop<H>, token: Token, why: &str) {
        let Some(inbound) = self.connections.inbound(token) else {
            return;
        };
        if let Some((_, handle)) = inbound.deadlines.as_ref().and_then(|d| d.armed) {
            event_loop.cancel(handle);
        }
        let role = inbound.role;
        if let Some(super::connections::Connection::Inbound(inbound)) =
            self.connections.remove(token)
        {
            inbound.transport.close(&mut event_loop.world);
            self.uncount_address(inbound.address);
        }
        self.notice_inbound(event_loop, token, role, format_args!("dropped: {why}"));
        self.descriptor_freed(event_loop);
        self.stop_if_done(event_loop);
    }

    /// Journals something about an accepted connection.
    pub(super) fn notice_inbound(
        &mut self,
        event_loop: &mut Loop<H>,
        token: Token,
        role: Role,
        text: std::fmt::Arguments<'_>,
    ) {
        if !self.journal.is_enabled() {
            return;
        }
        let wall = self.wall_clock(event_loop);
        let who = match role {
            Role::Client => Who::Client(token),
            Role::Neighbour(index) => Who::Peer(token, &self.neighbours[index].name),
        };
        self.journal.notice(wall, who, text);
    }
}
