//! A connection to Places: connect, TLS, one request after the other.

use std::net::SocketAddr;

use super::callback::{Callback, Loop};
use super::connections::Connection;
use super::journal::Who;
use super::lookup::{Lookup, State, UPSTREAM_IDLE, UPSTREAM_IDLE_MAX};
use super::node::Node;
use crate::event_loop::{Handle, Token};
use crate::net::{Host, Read, TlsEngine, TlsState, Transport, Trust};
use crate::places::{Progress, Response};

/// A connection to Places.
pub struct Upstream<S, T> {
    /// The stream.
    pub transport: Transport<S>,
    /// TLS, once the stream is connected.
    pub(super) tls: Option<T>,
    /// The lookup it serves; idle without one.
    pub(super) lookup: Option<u64>,
    /// A request was given to TLS and its answer is not complete.
    asked: bool,
    /// The answer as far as it has come.
    response: Response,
    /// A [`Callback::Again`] is queued.
    again: bool,
    /// When its idleness ends.
    pub(super) idle: Option<Handle>,
}

/// What a turn with a connection came to.
enum Outcome {
    /// More will come.
    Waits,
    /// The response is complete.
    Complete,
}

impl<H: Host> Node<H> {
    /// A question under way.
    pub(super) fn lookup(&mut self, number: u64) -> Option<&mut Lookup> {
        self.lookups.as_mut()?.table.get_mut(&number)
    }

    /// Starts to connect for a lookup.
    pub(super) fn dial_upstream(
        &mut self,
        event_loop: &mut Loop<H>,
        number: u64,
        address: SocketAddr,
    ) {
        let token = self.connections.next_token();
        match event_loop.world.connect(address, token) {
            Ok(stream) => {
                self.connections
                    .insert(Connection::Upstream(Box::new(Upstream {
                        transport: Transport::connecting(stream, token),
                        tls: None,
                        lookup: Some(number),
                        asked: false,
                        response: Response::new(),
                        again: false,
                        idle: None,
                    })));
                if let Some(lookup) = self.lookup(number) {
                    lookup.attempts.push(token);
                }
            }
            Err(error) => {
                let who = Who::Places(number);
                self.notice(event_loop, who, format_args!("{address} failed: {error}"));
                self.try_next_address(event_loop, number);
            }
        }
    }

    /// Something happened on the socket.
    pub(super) fn upstream_ready(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let Some(upstream) = self.connections.upstream(token) else {
            return;
        };
        let result = match upstream.tls {
            None => match event_loop.world.connected(upstream.transport.stream_mut()) {
                Ok(false) => return,
                Ok(true) => self.upstream_connected(event_loop, token),
                Err(error) => return self.attempt_failed(event_loop, token, &error.to_string()),
            },
            Some(_) => Ok(()),
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = result.and_then(|()| self.upstream_turn(event_loop, token, &mut scratch));
        self.scratch = scratch;
        match result {
            Ok(Outcome::Waits) => self.upstream_again_if_more(event_loop, token),
            Ok(Outcome::Complete) => self.upstream_complete(event_loop, token),
            Err(why) => self.upstream_failed(event_loop, token, &why),
        }
    }

    /// [`Callback::Again`].
    pub(super) fn upstream_again(&mut self, event_loop: &mut Loop<H>, token: Token) {
        if let Some(upstream) = self.connections.upstream(token) {
            upstream.again = false;
            self.upstream_ready(event_loop, token);
        }
    }

    fn upstream_again_if_more(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let Some(upstream) = self.connections.upstream(token) else {
            return;
        };
        if upstream.transport.may_read() && !std::mem::replace(&mut upstream.again, true) {
            event_loop.call_soon(Callback::Again(token));
        }
    }

    /// The first attempt to succeed wins; the others are closed.
    fn upstream_connected(&mut self, event_loop: &mut Loop<H>, token: Token) -> Result<(), String> {
        let host = match &self.lookups {
            Some(lookups) => lookups.upstream.endpoint.host().to_string(),
            None => String::new(),
        };
        let Some(upstream) = self.connections.upstream(token) else {
            return Ok(());
        };
        upstream.tls = Some(event_loop.world.tls(
            Trust::Places,
            &host,
            upstream.transport.stream(),
        )?);
        let Some(number) = upstream.lookup else {
            return Ok(());
        };
        let mut others = Vec::new();
        if let Some(lookup) = self.lookup(number) {
            others = std::mem::take(&mut lookup.attempts);
            lookup.connection = Some(token);
            if let Some(timer) = lookup.stagger.take() {
                event_loop.cancel(timer);
            }
        }
        for other in others.into_iter().filter(|&other| other != token) {
            self.close_upstream(event_loop, other);
        }
        self.enter(event_loop, number, State::Handshake, format_args!("{host}"));
        Ok(())
    }

    fn attempt_failed(&mut self, event_loop: &mut Loop<H>, token: Token, why: &str) {
        let Some(number) = self
            .connections
            .upstream(token)
            .and_then(|upstream| upstream.lookup)
        else {
            return;
        };
        self.close_upstream(event_loop, token);
        if let Some(lookup) = self.lookup(number) {
            lookup.attempts.retain(|&other| other != token);
        }
        let who = Who::Places(number);
        self.notice(event_loop, who, format_args!("an address failed: {why}"));
        self.try_next_address(event_loop, number);
    }

    /// Gives a kept-alive connection to a lookup.
    pub(super) fn reuse_upstream(&mut self, event_loop: &mut Loop<H>, number: u64, token: Token) {
        if let Some(lookup) = self.lookup(number) {
            lookup.connection = Some(token);
            lookup.reused = true;
        }
        if let Some(upstream) = self.connections.upstream(token) {
            upstream.lookup = Some(number);
            if let Some(idle) = upstream.idle.take() {
                event_loop.cancel(idle);
            }
        }
        if let Err(why) = self.send_request(event_loop, token, number, "a kept connection") {
            self.upstream_failed(event_loop, token, &why);
        }
    }

    fn send_request(
        &mut self,
        event_loop: &mut Loop<H>,
        token: Token,
        number: u64,
        how: &str,
    ) -> Result<(), String> {
        let mut request = Vec::new();
        if let (Some(lookups), Some(lookup)) = (
            &self.lookups,
            self.lookups.as_ref().and_then(|all| all.table.get(&number)),
        ) {
            lookup
                .inquiry
                .request(&lookups.upstream)
                .write(&mut request);
        }
        self.enter(event_loop, number, State::Send, format_args!("on {how}"));
        let Some(upstream) = self.connections.upstream(token) else {
            return Ok(());
        };
        if let Some(tls) = &mut upstream.tls {
            tls.send(&request).map_err(|error| error.to_string())?;
        }
        upstream.asked = true;
        self.flush_upstream(event_loop, token)
    }

    /// Sends what TLS has to say; a request that is out waits for its answer.
    fn flush_upstream(&mut self, event_loop: &mut Loop<H>, token: Token) -> Result<(), String> {
        let Some(upstream) = self.connections.upstream(token) else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        if let Some(tls) = &mut upstream.tls {
            tls.output(&mut bytes);
        }
        let written = upstream.transport.write(&mut event_loop.world, &bytes);
        let flushed = written.and_then(|()| upstream.transport.flush(&mut event_loop.world));
        flushed.map_err(|error| error.to_string())?;
        let (number, sent) = (upstream.lookup, upstream.transport.unsent() == 0);
        let Some(number) = number.filter(|_| sent) else {
            return Ok(());
        };
        let sending = |lookup: &mut Lookup| lookup.state == State::Send;
        if self.lookup(number).is_some_and(sending) {
            self.enter(
                event_loop,
                number,
                State::Head,
                format_args!("the request is out"),
            );
        }
        Ok(())
    }

    /// Reads once, and lets TLS and the response take what came.
    fn upstream_turn(
        &mut self,
        event_loop: &mut Loop<H>,
        token: Token,
        scratch: &mut [u8],
    ) -> Result<Outcome, String> {
        let Some(upstream) = self.connections.upstream(token) else {
            return Ok(Outcome::Waits);
        };
        let Some(tls) = &mut upstream.tls else {
            return Ok(Outcome::Waits);
        };
        let read = upstream
            .transport
            .read(&mut event_loop.world, scratch)
            .map_err(|error| error.to_string())?;
        let mut plaintext = Vec::new();
        let received = match read {
            Read::Bytes(count) => tls.receive(&scratch[..count], &mut plaintext),
            _ => Ok(()),
        };
        // What came before a fault is authentic, and may be all that was wanted.
        let mut progress = Progress::NeedMore;
        if !plaintext.is_empty() {
            if !upstream.asked {
                return Err(String::from("bytes came before they were asked for"));
            }
            progress = upstream
                .response
                .feed(&plaintext)
                .map_err(|error| error.to_string())?;
        }
        if progress != Progress::Complete {
            let ended = match (read, tls.at_end()) {
                (Read::End, _) => Some(tls.end_of_stream()),
                (_, true) => Some(Ok(())),
                _ => None,
            };
            if let Some(end) = ended {
                let complete = upstream.response.end_of_stream(end.is_ok());
                return complete
                    .map(|()| Outcome::Complete)
                    .map_err(|error| match end {
                        Ok(()) => error.to_string(),
                        Err(tls) => format!("{error}; {tls}"),
                    });
            }
            // Closing the connection sends the alert that tells the other side.
            received.map_err(|error| error.to_string())?;
        }
        self.upstream_progress(event_loop, token, progress)
    }

    /// Goes on in TLS or in the lookup, as far as it has come.
    fn upstream_progress(
        &mut self,
        event_loop: &mut Loop<H>,
        token: Token,
        progress: Progress,
    ) -> Result<Outcome, String> {
        // A complete answer counts, even if our farewell cannot be sent any more.
        let flushed = self.flush_upstream(event_loop, token);
        if progress != Progress::Complete {
            flushed?;
        }
        let Some(upstream) = self.connections.upstream(token) else {
            return Ok(Outcome::Waits);
        };
        let Some((number, tls)) = upstream.lookup.zip(upstream.tls.as_ref()) else {
            return Ok(Outcome::Waits);
        };
        let wrapped = tls.state() == TlsState::Wrapped;
        let protocol = tls.protocol().unwrap_or("plaintext");
        let resumed = tls.resumed() == Some(true);
        let state = self.lookup(number).map(|lookup| lookup.state);
        match (state, progress) {
            (Some(State::Handshake), _) if wrapped => {
                let kind = if resumed { "resumed" } else { "full" };
                let handshake = format!("{protocol}, {kind} handshake");
                self.send_request(event_loop, token, number, &handshake)?;
            }
            (Some(State::Send | State::Head), Progress::HeadDone | Progress::Complete) => {
                self.enter(
                    event_loop,
                    number,
                    State::Body,
                    format_args!("the head has come"),
                );
            }
            _ => {}
        }
        match progress {
            Progress::Complete => Ok(Outcome::Complete),
            _ => Ok(Outcome::Waits),
        }
    }

    /// A response is complete: answers, and keeps the connection if it may.
    fn upstream_complete(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let Some(upstream) = self.connections.upstream(token) else {
            return;
        };
        let response = std::mem::take(&mut upstream.response);
        upstream.asked = false;
        let tls = upstream.tls.as_ref().map(TlsEngine::state);
        let sound = tls == Some(TlsState::Wrapped) && !upstream.transport.at_end();
        let keep = response.keep_alive() && sound && !self.stopping;
        let Some(number) = upstream.lookup.take() else {
            return;
        };
        if let Some(lookup) = self.lookup(number) {
            lookup.connection = None;
        }
        self.lookup_answered(event_loop, number, &response);
        let idle = self
            .lookups
            .as_ref()
            .map_or(0, |lookups| lookups.idle.len());
        if keep && idle < UPSTREAM_IDLE_MAX {
            let timer = event_loop.call_later(UPSTREAM_IDLE, Callback::UpstreamIdle(token));
            if let Some(upstream) = self.connections.upstream(token) {
                upstream.idle = Some(timer);
            }
            if let Some(lookups) = &mut self.lookups {
                lookups.idle.push_back(token);
            }
            self.upstream_again_if_more(event_loop, token);
        } else {
            self.close_upstream(event_loop, token);
        }
        self.start_lookups_soon(event_loop);
    }

    /// [`Callback::UpstreamIdle`].
    pub(super) fn upstream_idle(&mut self, event_loop: &mut Loop<H>, token: Token) {
        if let Some(upstream) = self.connections.upstream(token) {
            upstream.idle = None;
            self.close_upstream(event_loop, token);
        }
    }

    /// The connection died. Its lookup is tried once more on another, if this one was used before
    /// and not a byte of the answer had come: then the server closed it as idle while our request
    /// was under way.
    fn upstream_failed(&mut self, event_loop: &mut Loop<H>, token: Token, why: &str) {
        let Some(upstream) = self.connections.upstream(token) else {
            return;
        };
        let (number, begun) = (upstream.lookup, upstream.response.has_begun());
        self.close_upstream(event_loop, token);
        let Some(number) = number else {
            let text = format_args!("an idle connection to Places ended: {why}");
            return self.notice(event_loop, Who::Server, text);
        };
        let Some(lookup) = self.lookup(number) else {
            return;
        };
        lookup.connection = None;
        if !lookup.reused || lookup.retried || begun {
            return self.lookup_failed(event_loop, number, format_args!("{why}"));
        }
        lookup.retried = true;
        if let Some(lookups) = &mut self.lookups {
            lookups.queue.push_front(number);
        }
        let text = format_args!("the kept connection had died ({why}), once more");
        self.enter(event_loop, number, State::Queued, text);
        self.start_lookups_soon(event_loop);
    }

    /// Closes a connection to Places, with TLS's farewell: the only place where one ends.
    pub(super) fn close_upstream(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let Some(upstream) = self.connections.upstream(token) else {
            return;
        };
        upstream.lookup = None;
        if let Some(tls) = &mut upstream.tls {
            tls.close();
            // What cannot be sent now is not worth waiting for.
            let _ = self.flush_upstream(event_loop, token);
        }
        if let Some(Connection::Upstream(upstream)) = self.connections.remove(token) {
            if let Some(idle) = upstream.idle {
                event_loop.cancel(idle);
            }
            upstream.transport.close(&mut event_loop.world);
        }
        if let Some(lookups) = &mut self.lookups {
            lookups.idle.retain(|&other| other != token);
        }
        self.start_lookups_soon(event_loop);
        self.descriptor_freed(event_loop);
    }
}
