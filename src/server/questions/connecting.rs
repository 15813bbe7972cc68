//! How a request finds a connection to Places, and what it says there: addresses, connects, TLS.

use std::net::SocketAddr;
use std::time::Duration;

use super::asking::Questions;
use super::lookup::{
    ADDRESSES_MAX, CONNECT_STAGGER, LOOKUP_DEADLINE, RESOLVE_DEADLINE, State, UPSTREAM_MAX, request,
};
use super::upstream::Upstream;
use crate::event_loop::{Readiness, Token};
use crate::net::Host;
use crate::server::callback::{Callback, Part};
use crate::server::connections::Connection;
use crate::server::desk::Floor;
use crate::server::journal::About;

impl Questions {
    /// Gives connections to those that wait for one. [`Callback::StartLookups`].
    pub fn start_queued<H: Host>(&mut self, floor: &mut Floor<H>) {
        self.all.start_queued = false;
        while let Some(&number) = self.all.queue.front() {
            let lookup = self.all.table.get(&number);
            let retried = lookup.is_some_and(|lookup| lookup.retried);
            // A retry wants a fresh connection: another old one may be as dead.
            let idle = match retried {
                true => None,
                false => self.all.idle.pop_back(),
            };
            if idle.is_none() && self.all.connections() >= UPSTREAM_MAX {
                match self.all.idle.pop_front() {
                    Some(oldest) => self.close(floor, oldest),
                    None => return,
                }
                continue;
            }
            self.all.queue.pop_front();
            match idle {
                Some(token) => self.reuse(floor, number, token),
                None => self.resolve(floor, number),
            }
        }
    }

    fn resolve<H: Host>(&mut self, floor: &mut Floor<H>, number: u64) {
        let now = floor.event_loop.time();
        let endpoint = self.all.upstream.endpoint.clone();
        if let Some(ip) = endpoint.ip() {
            let address = (ip, endpoint.port()).into();
            return self.connect(floor, number, vec![address]);
        }
        let (host, port) = (endpoint.host(), endpoint.port());
        let asked = match self.all.resolving {
            // One job serves all who wait: a resolver that hangs shall not fill the executor.
            Some(_) => Ok(()),
            None => {
                self.all.resolving = Some((number, now));
                let job = Part::Questions.job(number);
                floor.event_loop.world.resolve(host, port, job)
            }
        };
        self.enter(floor, number, State::Resolve, format_args!("{host}"));
        if let Err(error) = asked {
            self.all.resolving = None;
            self.not_resolved(floor, number, &error.to_string());
        }
    }

    /// The resolver has answered.
    pub fn done<H: Host>(&mut self, floor: &mut Floor<H>, number: u64) {
        let Some(answer) = floor.event_loop.world.resolved(Part::Questions.job(number)) else {
            return;
        };
        let now = floor.event_loop.time();
        let resolving = &mut self.all.resolving;
        let current = resolving.take_if(|(job, _)| *job == number).is_some();
        if !current && answer.is_err() {
            // It was given up, and a younger job may do better. Addresses are good at any time.
            return;
        }
        if let Ok(addresses) = &answer {
            self.all.last_good = Some((now, addresses.clone()));
        }
        let table = self.all.table.iter();
        let waits = table.filter(|(_, lookup)| lookup.state == State::Resolve);
        let numbers: Vec<u64> = waits.map(|(&number, _)| number).collect();
        for number in numbers {
            match &answer {
                Ok(addresses) => self.connect(floor, number, addresses.clone()),
                Err(why) => self.not_resolved(floor, number, why),
            }
        }
    }

    fn not_resolved<H: Host>(&mut self, floor: &mut Floor<H>, number: u64, why: &str) {
        match self.all.kept_addresses(floor.event_loop.time()) {
            Some(addresses) => self.connect(floor, number, addresses),
            None => {
                self.failed(floor, number, format_args!("no address: {why}"));
            }
        }
    }

    fn connect<H: Host>(&mut self, floor: &mut Floor<H>, number: u64, addresses: Vec<SocketAddr>) {
        self.enter(floor, number, State::Connect, format_args!("{addresses:?}"));
        let endpoint = &self.all.upstream.endpoint;
        if let Some(lookup) = self.all.table.get_mut(&number) {
            let usable = addresses
                .into_iter()
                .filter(|address| endpoint.may_be_at(address.ip()));
            lookup.addresses = usable.take(ADDRESSES_MAX).collect();
        }
        self.try_next_address(floor, number);
    }

    /// Connects to the next address beside those under way. [`Callback::NextAddress`], or the one
    /// before has failed. (asyncio: `happy_eyeballs_delay`.)
    pub fn try_next_address<H: Host>(&mut self, floor: &mut Floor<H>, number: u64) {
        loop {
            let full = self.all.connections() >= UPSTREAM_MAX;
            let Some(lookup) = self.all.table.get_mut(&number) else {
                return;
            };
            if lookup.state != State::Connect {
                return;
            }
            if let Some(timer) = lookup.stagger.take() {
                floor.event_loop.cancel(timer);
            }
            let Some(address) = lookup.addresses.pop_front() else {
                if lookup.attempts.is_empty() {
                    self.failed(floor, number, format_args!("no address answers"));
                }
                return;
            };
            if !lookup.addresses.is_empty() {
                let next = Callback::NextAddress(number);
                lookup.stagger = Some(floor.event_loop.call_later(CONNECT_STAGGER, next));
            }
            // At UPSTREAM_MAX a new attempt replaces the oldest.
            if full && !lookup.attempts.is_empty() {
                let oldest = lookup.attempts.remove(0);
                self.close(floor, oldest);
            }
            let token = floor.connections.next_token();
            match floor.event_loop.world.connect(address, token) {
                Ok(stream) => {
                    let upstream = Box::new(Upstream::new(stream, token, number));
                    floor.connections.insert(Connection::Upstream(upstream));
                    if let Some(lookup) = self.all.table.get_mut(&number) {
                        lookup.attempts.push(token);
                    }
                    return;
                }
                Err(error) => {
                    let text = format_args!("{address} failed: {error}");
                    floor.notice(About::Places(number), text);
                }
            }
        }
    }

    /// [`Callback::LookupDeadline`].
    pub fn deadline<H: Host>(&mut self, floor: &mut Floor<H>, number: u64) {
        // What it waits for may have come, and only its event not yet.
        let before = self.state(number);
        let lookup = self.all.table.get(&number).into_iter();
        let tokens = lookup.flat_map(|lookup| lookup.attempts.iter().chain(&lookup.connection));
        for token in tokens.copied().collect::<Vec<_>>() {
            self.ready(floor, token, Readiness::READABLE | Readiness::WRITABLE);
            // All of a long body may be here.
            while floor
                .connections
                .upstream(token)
                .is_some_and(|upstream| upstream.may_read())
            {
                self.ready(floor, token, Readiness::EMPTY);
            }
        }
        if self.state(number) != before {
            return;
        }
        let Some(lookup) = self.all.table.get_mut(&number) else {
            return;
        };
        lookup.deadline = None;
        let now = floor.event_loop.time();
        let (state, spent) = (lookup.state, now - lookup.began);
        // The next lookup asks anew: a job that is so old may never answer.
        let old = |(_, since): &mut (u64, Duration)| now >= *since + RESOLVE_DEADLINE;
        self.all.resolving.take_if(old);
        if state == State::Resolve && spent < LOOKUP_DEADLINE {
            return self.not_resolved(floor, number, "the resolver took too long");
        }
        let why = format_args!("{state:?} took too long, {} ms in all", spent.as_millis());
        self.failed(floor, number, why);
    }

    /// Gives a kept-alive connection to a lookup.
    fn reuse<H: Host>(&mut self, floor: &mut Floor<H>, number: u64, token: Token) {
        if let Some(lookup) = self.all.table.get_mut(&number) {
            lookup.connection = Some(token);
            lookup.reused = true;
        }
        if let Some(upstream) = floor.connections.upstream(token)
            && let Some(idle) = upstream.serve(number)
        {
            floor.event_loop.cancel(idle);
        }
        let sent = self.send_request(floor, token, number, "a kept connection");
        if let Err(why) = sent {
            self.connection_lost(floor, token, &why);
        }
    }

    /// Asks on a connection whose TLS is agreed on.
    pub fn send_request<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
        number: u64,
        how: &str,
    ) -> Result<(), String> {
        let mut bytes = Vec::new();
        if let Some(lookup) = self.all.table.get(&number) {
            request(&lookup.inquiry, &self.all.upstream).write(&mut bytes);
        }
        self.enter(floor, number, State::Send, format_args!("on {how}"));
        if let Some(upstream) = floor.connections.upstream(token) {
            upstream.ask(&bytes)?;
        }
        self.flush(floor, token)
    }

    /// Sends what TLS has to say; a request that is out waits for its answer.
    pub fn flush<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) -> Result<(), String> {
        let Some(upstream) = floor.connections.upstream(token) else {
            return Ok(());
        };
        let sent = upstream.flush(&mut floor.event_loop.world)?;
        let Some(number) = upstream.lookup().filter(|_| sent) else {
            return Ok(());
        };
        if self.state(number) == Some(State::Send) {
            let text = format_args!("the request is out");
            self.enter(floor, number, State::Head, text);
        }
        Ok(())
    }

    /// The connection died. Its lookup is tried once more on another, if this one was used before
    /// and not a byte of the answer had come: then the server closed it as idle while our request
    /// was under way. (asyncio: Protocol.connection_lost.)
    pub fn connection_lost<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, why: &str) {
        let Some(upstream) = floor.connections.upstream(token) else {
            return;
        };
        let (number, begun) = (upstream.lookup(), upstream.has_begun());
        self.close(floor, token);
        let Some(number) = number else {
            let text = format_args!("an idle connection to Places ended: {why}");
            return floor.notice(About::Server, text);
        };
        let Some(lookup) = self.all.table.get_mut(&number) else {
            return;
        };
        lookup.connection = None;
        if !lookup.reused || lookup.retried || begun {
            return self.failed(floor, number, format_args!("{why}"));
        }
        lookup.retried = true;
        self.all.queue.push_front(number);
        let text = format_args!("the kept connection had died ({why}), once more");
        self.enter(floor, number, State::Queued, text);
        self.start_soon(floor.event_loop);
    }
}
