//! The part for accepted connections: from their first byte to their last.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::conversation::{
    CLIENT_LINES_A_TURN, Conversation, PEER_LINES_A_TURN, TOO_LONG_ECHO, about,
};
use super::deadlines::{CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, LINGER_DEADLINE, LINGER_MAX};
use super::inbound::{Inbound, UNSENT_HIGH, UNSENT_LOW};
use crate::config::Config;
use crate::event_loop::{Readiness, Token};
use crate::herd::ID_MAX;
use crate::net::{Host, LINE_MAX};
use crate::places::frame;
use crate::server::callback::{Callback, Loop};
use crate::server::connections::Connection;
use crate::server::desk::{About, Desk, Shared};
use crate::server::intent::{Intent, Waiter};
use crate::server::limits::{Limit, limit};

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
        desk: &mut Desk<H>,
        event_loop: &mut Loop<H>,
        stream: H::Stream,
        address: SocketAddr,
    ) {
        let Desk {
            connections,
            scratch,
            shared,
        } = desk;
        let token = connections.next_token();
        let mut inbound = Inbound::new(stream, address, token);
        let text = format_args!("connected from {address}");
        shared.notice(event_loop, About::Client(token), text);
        let served = self.serve(&mut inbound, scratch, shared, event_loop, Readiness::EMPTY);
        connections.insert(Connection::Inbound(inbound));
        self.lost_if(desk, event_loop, token, served);
    }

    /// Closes a connection that has failed.
    pub fn lost_if<H: Host>(
        &mut self,
        desk: &mut Desk<H>,
        event_loop: &mut Loop<H>,
        token: Token,
        served: io::Result<()>,
    ) {
        if let Err(error) = served {
            self.connection_lost(desk, event_loop, token, &error.to_string());
        }
    }

    /// The poll told something of a connection: reads once and answers what came; the answers wait
    /// for the end of the turn.
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
        readiness: Readiness,
    ) -> io::Result<()> {
        inbound.note(readiness);
        let (token, start) = (inbound.token(), shared.answers.out.len());
        if let Some(count) = inbound.read(&mut event_loop.world, scratch)? {
            let at_end = inbound.at_end();
            let mut kept = inbound.take_kept();
            let mut conversation = Conversation {
                inbound,
                shared,
                event_loop,
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
            let full = conversation.table_was_full;
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
    pub fn settle<H: Host>(
        &mut self,
        desk: &mut Desk<H>,
        event_loop: &mut Loop<H>,
        token: Token,
        answers: &[u8],
    ) {
        let config = &desk.shared.config;
        let Some(inbound) = desk.connections.inbound(token) else {
            return;
        };
        match inbound.advance(&mut event_loop.world, answers) {
            Ok(false) => {}
            Ok(true) => return self.connection_lost(desk, event_loop, token, "it ended"),
            Err(error) => {
                return self.connection_lost(desk, event_loop, token, &error.to_string());
            }
        }
        if inbound.wants_again() {
            event_loop.call_soon(Callback::Again(token));
        }
        let handshake = config.tls && event_loop.world.is_handshaking(inbound.stream());
        inbound.set_deadlines(event_loop.time(), config.client_idle, handshake);
        arm(inbound, event_loop);
        inbound.check_invariants();
    }

    /// [`Callback::Deadline`].
    pub fn deadline<H: Host>(
        &mut self,
        desk: &mut Desk<H>,
        event_loop: &mut Loop<H>,
        token: Token,
    ) {
        let now = event_loop.time();
        let Some(inbound) = desk.connections.inbound(token) else {
            return;
        };
        // The poller says that there is room only once a good part of the kernel's buffer is free:
        // a client that reads slowly has made some long before. So look, before giving it up.
        if inbound.timer_fired(now) {
            inbound.note(Readiness::WRITABLE);
            self.settle(desk, event_loop, token, &[]);
        }
        let Some(inbound) = desk.connections.inbound(token) else {
            return;
        };
        match inbound.overdue(now) {
            Some(why) => self.connection_lost(desk, event_loop, token, why),
            None => arm(inbound, event_loop),
        }
    }

    /// A client's answer from Places: its AT line, the JSON, the frame. If the client is gone,
    /// nobody's.
    pub fn answer<H: Host>(
        &mut self,
        desk: &mut Desk<H>,
        event_loop: &mut Loop<H>,
        waiter: &Waiter,
        json: &[u8],
    ) {
        let token = waiter.token;
        let Some(inbound) = desk.connections.inbound(token) else {
            return;
        };
        inbound.wait(false);
        let out = &mut desk.shared.answers.out;
        let start = out.len();
        out.extend_from_slice(&waiter.at);
        let body = out.len();
        out.extend_from_slice(json);
        frame(out, body);
        let places = out.len() - body;
        inbound.promise(out.len() - start);
        let shared = &mut desk.shared;
        shared.answer_goes(event_loop, token, start, body - 1, places);
        if shared.config.one_shot {
            inbound.eof_received();
        }
        shared.answers.touch(token, start);
    }

    /// The server stops: no more commands are read, and each connection is closed once its answers
    /// are sent.
    pub fn stop<H: Host>(&mut self, desk: &mut Desk<H>) {
        for token in desk.connections.inbound_tokens() {
            if let Some(inbound) = desk.connections.inbound(token) {
                inbound.eof_received();
            }
            let start = desk.shared.answers.out.len();
            desk.shared.answers.touch(token, start);
        }
    }

    /// Closes an accepted connection at once: the only place where one ends.
    /// (asyncio: Protocol.connection_lost.)
    pub fn connection_lost<H: Host>(
        &mut self,
        desk: &mut Desk<H>,
        event_loop: &mut Loop<H>,
        token: Token,
        why: &str,
    ) {
        let Some(Connection::Inbound(inbound)) = desk.connections.remove(token) else {
            return;
        };
        let (about, address) = (about(&inbound), inbound.address());
        if let Some(timer) = inbound.close(&mut event_loop.world) {
            event_loop.cancel(timer);
        }
        let shared = &mut desk.shared;
        shared.notice(event_loop, about, format_args!("dropped: {why}"));
        shared.intend(Intent::Freed(Some(address)));
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
        vec![
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
            limit!(CLIENT_LINES_A_TURN, "lines of a client a turn", "", waits),
            limit!(PEER_LINES_A_TURN, "lines of a neighbour a turn", "", waits),
        ]
    }
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
