//! What a connection to Places tells, and what follows from it: TLS, the answer, the end.

use super::asking::Questions;
use super::lookup::{State, UPSTREAM_IDLE, UPSTREAM_IDLE_MAX};
use super::upstream::Upstream;
use crate::event_loop::{Readiness, Token};
use crate::net::{Host, PlainEngine, TlsEngine, Trust};
use crate::places::Progress;
use crate::server::callback::Callback;
use crate::server::desk::Floor;
use crate::server::journal::About;

impl Questions {
    /// Something happened on the socket of a connection.
    pub fn ready<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, readiness: Readiness) {
        let Some(upstream) = floor.connections.upstream(token) else {
            return;
        };
        upstream.note(readiness);
        if upstream.is_connecting() {
            match floor.event_loop.world.connected(upstream.stream_mut()) {
                Ok(false) => return,
                Ok(true) => {
                    if let Err(why) = self.connection_made(floor, token) {
                        return self.connection_lost(floor, token, &why);
                    }
                }
                Err(error) => {
                    return self.attempt_failed(floor, token, &error.to_string());
                }
            }
        }
        let Some(upstream) = floor.connections.upstream(token) else {
            return;
        };
        let progress = upstream.data_received(&mut floor.event_loop.world, floor.scratch);
        let progress = progress.and_then(|progress| self.go_on(floor, token, progress));
        match progress {
            Ok(Progress::Complete) => self.complete(floor, token),
            Ok(_) => again_if_more(floor, token),
            Err(why) => self.connection_lost(floor, token, &why),
        }
    }

    /// The first attempt to succeed wins; the others are closed. TLS begins, or plain HTTP skips it.
    fn connection_made<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
    ) -> Result<(), String> {
        let endpoint = &self.all.upstream.endpoint;
        let (host, plain) = (endpoint.host().to_string(), endpoint.is_plain());
        let Some(upstream) = floor.connections.upstream(token) else {
            return Ok(());
        };
        let world = &mut floor.event_loop.world;
        let tls: Box<dyn TlsEngine> = match plain {
            true => Box::new(PlainEngine::new()),
            false => Box::new(world.tls(Trust::Places, &host, upstream.stream_mut())?),
        };
        upstream.connection_made(tls);
        let Some(number) = upstream.lookup() else {
            return Ok(());
        };
        let mut others = Vec::new();
        if let Some(lookup) = self.all.table.get_mut(&number) {
            others = std::mem::take(&mut lookup.attempts);
            lookup.connection = Some(token);
            if let Some(timer) = lookup.stagger.take() {
                floor.event_loop.cancel(timer);
            }
        }
        for other in others.into_iter().filter(|&other| other != token) {
            self.close(floor, other);
        }
        if plain {
            return self.send_request(floor, token, number, "plain HTTP");
        }
        self.enter(floor, number, State::Handshake, format_args!("{host}"));
        Ok(())
    }

    fn attempt_failed<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, why: &str) {
        let upstream = floor.connections.upstream(token);
        let Some(number) = upstream.and_then(|upstream| upstream.lookup()) else {
            return;
        };
        self.close(floor, token);
        if let Some(lookup) = self.all.table.get_mut(&number) {
            lookup.attempts.retain(|&other| other != token);
        }
        let text = format_args!("an address failed: {why}");
        floor.notice(About::Places(number), text);
        self.try_next_address(floor, number);
    }

    /// Goes on in TLS or in the lookup, as far as it has come.
    fn go_on<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
        progress: Progress,
    ) -> Result<Progress, String> {
        // A complete answer counts, even if close_notify can no longer be sent.
        let flushed = self.flush(floor, token);
        if progress != Progress::Complete {
            flushed?;
        }
        let Some(upstream) = floor.connections.upstream(token) else {
            return Ok(Progress::NeedMore);
        };
        let Some(number) = upstream.lookup() else {
            return Ok(progress);
        };
        match (self.state(number), upstream.handshake(), progress) {
            (Some(State::Handshake), Some(handshake), _) => {
                self.send_request(floor, token, number, &handshake)?;
            }
            (Some(State::Send | State::Head), _, Progress::HeadDone | Progress::Complete) => {
                let text = format_args!("the head has come");
                self.enter(floor, number, State::Body, text);
            }
            _ => {}
        }
        Ok(progress)
    }

    /// A response is complete: answers, and keeps the connection if it may.
    fn complete<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) {
        let upstream = floor.connections.upstream(token);
        let Some((number, response, sound)) = upstream.and_then(Upstream::take_answer) else {
            // It came for nobody: the connection is of no use.
            return self.close(floor, token);
        };
        if let Some(lookup) = self.all.table.get_mut(&number) {
            lookup.connection = None;
        }
        self.answered(floor, number, &response);
        let keep = sound && !floor.shared.stopping && self.all.idle.len() < UPSTREAM_IDLE_MAX;
        match floor.connections.upstream(token).filter(|_| keep) {
            Some(upstream) => {
                let timer = Callback::UpstreamIdle(token);
                upstream.rest(floor.event_loop.call_later(UPSTREAM_IDLE, timer));
                self.all.idle.push_back(token);
                again_if_more(floor, token);
            }
            None => self.close(floor, token),
        }
        self.start_soon(floor.event_loop);
    }

    /// [`Callback::UpstreamIdle`].
    pub fn idle_for_long<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) {
        if let Some(upstream) = floor.connections.upstream(token) {
            upstream.rested();
            self.close(floor, token);
        }
    }
}

fn again_if_more<H: Host>(floor: &mut Floor<H>, token: Token) {
    let upstream = floor.connections.upstream(token);
    if upstream.is_some_and(Upstream::wants_again) {
        floor.event_loop.call_soon(Callback::Again(token));
    }
}
