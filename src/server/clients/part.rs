//! The part for accepted connections: from their first byte to their last.

use std::cmp::Reverse;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::conversation::{Conversation, TOO_LONG_ECHO, about};
use super::deadlines::{CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, LINGER_DEADLINE, LINGER_MAX};
use super::inbound::Inbound;
use super::progress::Again;
use crate::config::Config;
use crate::event_loop::{Readiness, Token};
use crate::herd::ID_MAX;
use crate::net::{Host, LINE_MAX};
use crate::places::frame;
use crate::portions::{
    LINES_A_TURN, LINES_A_VISIT, LINES_AT_LEAST, UNSENT_HIGH, UNSENT_LOW, VISITS_A_TURN,
    WORK_A_TURN, WORK_A_VISIT,
};
use crate::server::callback::{Callback, Loop};
use crate::server::connections::Connection;
use crate::server::desk::{Floor, Shared};
use crate::server::intent::{Intent, Waiter};
use crate::server::journal::About;
use crate::server::limits::{Limit, limit};

/// What a step of a TLS handshake costs, in the units of [`WORK_A_TURN`]: some 0.3 ms.
const HANDSHAKE_WORK: usize = 100_000;
/// A standing trouble is journalled this often.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// The part.
#[derive(Default)]
pub struct Clients {
    /// When the journal last said that the table is full.
    full_said: Option<Duration>,
}

impl Clients {
    /// A connection was accepted. The command is often here already: read before the poller is told
    /// of the socket. (asyncio: Protocol.connection_made.)
    pub fn connection_made<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        stream: H::Stream,
        address: SocketAddr,
    ) {
        let token = floor.connections.next_token();
        let mut inbound = Inbound::new(stream, address, token);
        let text = format_args!("connected from {address}");
        floor.notice(About::Client(token), text);
        let (shared, event_loop) = (&mut *floor.shared, &mut *floor.event_loop);
        let served = self.serve(&mut inbound, floor.scratch, shared, event_loop, false);
        floor.connections.insert(Connection::Inbound(inbound));
        self.lost_if(floor, token, served);
    }

    /// Closes a connection that has failed.
    pub fn lost_if<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, served: io::Result<()>) {
        if let Err(error) = served {
            self.connection_lost(floor, token, &error.to_string());
        }
    }

    /// The poll told something of a connection, or it has `queued` and its turn comes: reads once
    /// and answers what came; the answers wait for the end of the turn.
    ///
    /// # Errors
    /// The connection is lost.
    #[inline]
    pub fn serve<H: Host>(
        &mut self,
        inbound: &mut Inbound<H::Stream>,
        scratch: &mut [u8],
        shared: &mut Shared,
        event_loop: &mut Loop<H>,
        queued: bool,
    ) -> io::Result<()> {
        let (token, start) = (inbound.token(), shared.answers.out.len());
        let read = match shared.config.tls {
            false => inbound.read(&mut event_loop.world, scratch),
            true => read_tls(inbound, scratch, shared, event_loop, queued),
        };
        if let Some(count) = read? {
            let at_end = inbound.at_end();
            let mut kept = inbound.take_kept();
            let mut conversation = Conversation {
                inbound,
                shared,
                event_loop,
                queued,
                spent: 0,
                table_was_full: false,
            };
            let progress = if kept.is_empty() {
                // The usual case: whole lines, answered where they were read.
                let progress = conversation.data_received(&scratch[..count], at_end);
                kept.extend(&scratch[progress.used..count]);
                progress
            } else {
                kept.extend(&scratch[..count]);
                let progress = conversation.data_received(kept.as_slice(), at_end);
                kept.consume(progress.used);
                progress
            };
            let (full, spent) = (conversation.table_was_full, conversation.spent);
            if spent > 0 {
                shared.work.spend(spent);
            }
            inbound.promise(shared.answers.out.len() - start);
            inbound.keep(kept, &progress);
            if full {
                self.table_is_full(shared, event_loop);
            }
        }
        shared.answers.touch(token, start);
        Ok(())
    }

    /// The end of a turn for one connection: sends its answers, and sees what is next.
    #[inline]
    pub fn settle<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, answers: &[u8]) {
        let config = &floor.shared.config;
        let Some(inbound) = floor.connections.inbound(token) else {
            return;
        };
        match inbound.advance(&mut floor.event_loop.world, answers, &config.portions) {
            Ok(false) => {}
            Ok(true) => return self.connection_lost(floor, token, "it ended"),
            Err(error) => {
                return self.connection_lost(floor, token, &error.to_string());
            }
        }
        match inbound.wants_again() {
            Some(Again::Soon) => {
                floor.event_loop.call_soon(Callback::Again(token));
            }
            Some(Again::Queued) => floor.shared.work.join(token),
            None => {}
        }
        let handshake = config.tls && floor.event_loop.world.is_handshaking(inbound.stream());
        let (now, held) = (floor.event_loop.time(), &mut floor.shared.held);
        inbound.set_deadlines(now, config.client_idle, handshake, held);
        arm(inbound, floor.event_loop);
        inbound.check_invariants(&config.portions);
    }

    /// [`Callback::Deadline`].
    pub fn deadline<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) {
        let now = floor.event_loop.time();
        let Some(inbound) = floor.connections.inbound(token) else {
            return;
        };
        // The poller says that there is room only once a good part of the kernel's buffer is free: a
        // client that reads slowly has made some long before. And after a stop, timers are due before
        // all sockets were looked at. So look, before giving it up.
        if inbound.timer_fired(now) {
            inbound.note(Readiness::READABLE | Readiness::WRITABLE);
            let (shared, event_loop) = (&mut *floor.shared, &mut *floor.event_loop);
            let served = self.serve(inbound, floor.scratch, shared, event_loop, false);
            self.lost_if(floor, token, served);
            self.settle(floor, token, &[]);
        }
        let Some(inbound) = floor.connections.inbound(token) else {
            return;
        };
        match inbound.overdue(now) {
            Some(why) => self.connection_lost(floor, token, why),
            None => arm(inbound, floor.event_loop),
        }
    }

    /// A client's answer from Places: its AT line, the JSON, the frame. If the client is gone,
    /// nobody's.
    pub fn answer<H: Host>(&mut self, floor: &mut Floor<H>, waiter: &Waiter, json: &[u8]) {
        let token = waiter.token;
        let Some(inbound) = floor.connections.inbound(token) else {
            return;
        };
        inbound.wait(false);
        let out = &mut floor.shared.answers.out;
        let start = out.len();
        out.extend_from_slice(&waiter.at);
        let body = out.len();
        out.extend_from_slice(json);
        frame(out, body);
        inbound.promise(out.len() - start);
        let shared = &mut floor.shared;
        shared.answer_goes(floor.event_loop, token, start);
        if shared.config.one_shot {
            inbound.eof_received();
        }
        shared.answers.touch(token, start);
    }

    /// The server stops: no more commands are read, and each connection is closed once its answers are
    /// sent, those of the lines that queue among them.
    pub fn stop<H: Host>(&mut self, floor: &mut Floor<H>) {
        for token in floor.connections.inbound_tokens() {
            if let Some(inbound) = floor.connections.inbound(token) {
                inbound.stop();
            }
            let start = floor.shared.answers.out.len();
            floor.shared.answers.touch(token, start);
        }
    }

    /// Closes an accepted connection at once: the only place where one ends.
    /// (asyncio: Protocol.connection_lost.)
    pub fn connection_lost<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, why: &str) {
        let Some(Connection::Inbound(inbound)) = floor.connections.remove(token) else {
            return;
        };
        floor.shared.held -= inbound.held();
        let (about, address) = (about(&inbound), inbound.address());
        if let Some(timer) = inbound.close(&mut floor.event_loop.world) {
            floor.event_loop.cancel(timer);
        }
        floor.notice(about, format_args!("dropped: {why}"));
        floor.shared.intend(Intent::Freed(Some(address)));
    }

    /// All clients together hold more than they may: those that hold most go, until there is room again
    /// for a sixteenth.
    #[cold]
    pub fn make_room<H: Host>(&mut self, floor: &mut Floor<H>) {
        let most = floor.shared.config.max_client_bytes;
        let held = |(token, connection): (Token, &Connection<H>)| match connection {
            Connection::Inbound(inbound) => Some((inbound.held(), token)),
            _ => None,
        };
        let mut greedy: Vec<_> = floor.connections.iter().filter_map(held).collect();
        greedy.sort_unstable_by_key(|(held, token)| (Reverse(*held), token.generation));
        for (held, token) in greedy {
            if floor.shared.held <= most - most / 16 {
                break;
            }
            let why =
                format!("it held {held} bytes, more than others, and there was no room for all");
            self.connection_lost(floor, token, &why);
        }
    }

    /// Says, once a minute, that new clients are refused.
    fn table_is_full<H: Host>(&mut self, shared: &mut Shared, event_loop: &mut Loop<H>) {
        let now = event_loop.time();
        if self.full_said.is_none_or(|said| now >= said + SAY_AGAIN) {
            self.full_said = Some(now);
            let records = shared.replica.store().len();
            let text =
                format_args!("the table is full ({records} records): new clients are refused");
            shared.notice(event_loop, About::Server, text);
        }
    }

    /// What bounds a client, and what it may make of a turn.
    #[rustfmt::skip]
    pub fn limits(config: &Config) -> Vec<Limit> {
        let (closed, waits) = ("closed", "the rest waits for the next turn");
        let (idle, ahead) = (config.client_idle, config.max_ahead);
        let (all, greedy) = (config.max_client_bytes, "those that hold most are closed");
        vec![
            Limit::of("CLIENT_BYTES_MAX", "input and answers of all clients", all, "bytes", greedy)
                .option("max-client-bytes"),
            limit!(LINE_MAX, "a line", "bytes", "answered with ? and its beginning, then closed"),
            limit!(TOO_LONG_ECHO, "of a longer one, the beginning", "bytes", closed),
            limit!(ID_MAX, "a client's id", "bytes", "the command is invalid"),
            limit!(UNSENT_HIGH, "unsent answers of a client", "bytes", "nothing is read from it"),
            limit!(UNSENT_LOW, "the same, when reading goes on", "bytes", "it is read again"),
            limit!(CLIENT_UNSENT_DEADLINE, "a client that takes no byte", "", closed),
            limit!(CLIENT_LINE_DEADLINE, "an unfinished line or handshake", "", closed),
            Limit::of("", "a silent client", idle, "", closed).option("client-idle"),
            limit!(LINGER_DEADLINE, "after our end, a silent client's own", "", closed),
            limit!(LINGER_MAX, "the same, of one that goes on talking", "", closed),
            Limit::of("", "a report from the future", ahead, "", "invalid").option("max-ahead"),
            limit!(WORK_A_TURN, "costly work a turn", "units of some 3 ns", waits),
            limit!(WORK_A_VISIT, "of this, one connection's", "units", "it queues behind the others"),
            limit!(VISITS_A_TURN, "of those that queue, served a turn", "", waits),
            limit!(LINES_A_TURN, "lines that a turn takes", "", "it becomes sparing"),
            limit!(LINES_A_VISIT, "of these, one connection's", "", waits),
            limit!(LINES_AT_LEAST, "the same in a sparing turn", "", waits),
        ]
    }
}

/// Reads once from what may be TLS. A step of its handshake is costly: it waits, unless it has `queued`
/// or nobody does.
fn read_tls<H: Host>(
    inbound: &mut Inbound<H::Stream>,
    scratch: &mut [u8],
    shared: &mut Shared,
    event_loop: &mut Loop<H>,
    queued: bool,
) -> io::Result<Option<usize>> {
    let handshake = event_loop.world.is_handshaking(inbound.stream());
    let may_work = queued || shared.work.is_free();
    if !may_work && (handshake || inbound.is_new()) {
        inbound.postpone();
        return Ok(None);
    }
    let read = inbound.read(&mut event_loop.world, scratch);
    if handshake || event_loop.world.is_handshaking(inbound.stream()) {
        shared.work.spend(HANDSHAKE_WORK);
        event_loop.world.spend(HANDSHAKE_WORK);
    }
    read
}

/// Sees to it that the connection's timer fires no later than its earliest deadline.
fn arm<H: Host>(inbound: &mut Inbound<H::Stream>, event_loop: &mut Loop<H>) {
    if let Some((when, before)) = inbound.timer_due() {
        if let Some(handle) = before {
            event_loop.cancel(handle);
        }
        let handle = event_loop.call_at(when, Callback::Deadline(inbound.token()));
        inbound.armed(when, handle);
    }
}
