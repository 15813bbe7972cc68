//! How a WHATSAT becomes a question to Places, and its answer an answer: everything about a lookup
//! but its connection.

use std::collections::BTreeMap;
use std::fmt;

use super::breaker::{Admission, BREAKER_OPEN};
use super::callback::{Callback, Loop};
use super::journal::Who;
use super::lookup::{
    ADDRESSES_MAX, CONNECT_STAGGER, Inquiry, LOOKUP_DEADLINE, Lookup, RESOLVE_DEADLINE, State,
    UPSTREAM_MAX, WAITING_MAX, Waiter,
};
use super::node::Node;
use crate::event_loop::Token;
use crate::net::Host;
use crate::places::{Response, UNKNOWN_ERROR, frame, is_failure, verdict};

impl<H: Host> Node<H> {
    /// Asks Places for a client, which waits; or answers at once that it cannot.
    pub(super) fn ask(&mut self, event_loop: &mut Loop<H>, waiter: Waiter, mut inquiry: Inquiry) {
        let now = event_loop.time();
        let Some(lookups) = &mut self.lookups else {
            return;
        };
        inquiry.bound = lookups.asked_bound(waiter.bound);
        let token = waiter.token;
        let mut probe = false;
        let refusal = if lookups.waiting() >= WAITING_MAX {
            Some("too many clients wait already")
        } else if let Some(number) = lookups.same(&inquiry) {
            lookups
                .table
                .entry(number)
                .and_modify(|lookup| lookup.waiters.push(waiter));
            return self.wait_for_places(token, true);
        } else {
            let admission = lookups.breaker.admits(now);
            probe = admission == Admission::Probe;
            (admission == Admission::Refused).then_some("Places failed too often of late")
        };
        if let Some(why) = refusal {
            self.notice(
                event_loop,
                Who::Client(token),
                format_args!("Places is not asked: {why}"),
            );
            return self.answer(event_loop, waiter, UNKNOWN_ERROR);
        }
        let shown = inquiry.request(&lookups.upstream).shown();
        let number = lookups.add(inquiry, waiter, probe, now);
        self.wait_for_places(token, true);
        self.enter(event_loop, number, State::Queued, format_args!("{shown}"));
        // Not here: a failure would answer in the middle of this client's other answers.
        self.start_lookups_soon(event_loop);
    }

    fn wait_for_places(&mut self, token: Token, waits: bool) {
        if let Some(inbound) = self.connections.inbound(token) {
            inbound.waits = waits;
        }
    }

    /// [`Node::start_lookups`] in a callback of its own, so that one lookup's end is not inside
    /// another's.
    pub(super) fn start_lookups_soon(&mut self, event_loop: &mut Loop<H>) {
        let Some(lookups) = &mut self.lookups else {
            return;
        };
        if !lookups.queue.is_empty() && !std::mem::replace(&mut lookups.start_queued, true) {
            event_loop.call_soon(Callback::StartLookups);
        }
    }

    /// Gives connections to those that wait for one. [`Callback::StartLookups`].
    pub(super) fn start_lookups(&mut self, event_loop: &mut Loop<H>) {
        if let Some(lookups) = &mut self.lookups {
            lookups.start_queued = false;
        }
        loop {
            let Some(lookups) = &mut self.lookups else {
                return;
            };
            let Some(&number) = lookups.queue.front() else {
                return;
            };
            let retried = lookups
                .table
                .get(&number)
                .is_some_and(|lookup| lookup.retried);
            // A retry wants a fresh connection: another old one may be as dead.
            let idle = if retried {
                None
            } else {
                lookups.idle.pop_back()
            };
            if idle.is_none() && lookups.connections() >= UPSTREAM_MAX {
                match lookups.idle.pop_front() {
                    Some(oldest) => self.close_upstream(event_loop, oldest),
                    None => return,
                }
                continue;
            }
            lookups.queue.pop_front();
            match idle {
                Some(token) => self.reuse_upstream(event_loop, number, token),
                None => self.resolve(event_loop, number),
            }
        }
    }

    /// Moves a lookup to a state: its deadline, and its line in the journal.
    pub(super) fn enter(
        &mut self,
        event_loop: &mut Loop<H>,
        number: u64,
        state: State,
        text: fmt::Arguments<'_>,
    ) {
        let now = event_loop.time();
        let Some(lookup) = self.lookup(number) else {
            return;
        };
        lookup.state = state;
        if let Some(deadline) = lookup.deadline.take() {
            event_loop.cancel(deadline);
        }
        if state != State::Done {
            let when = (now + state.patience()).min(lookup.began + LOOKUP_DEADLINE);
            lookup.deadline = Some(event_loop.call_at(when, Callback::LookupDeadline(number)));
        }
        self.notice(
            event_loop,
            Who::Places(number),
            format_args!("{state:?}: {text}"),
        );
    }

    fn resolve(&mut self, event_loop: &mut Loop<H>, number: u64) {
        let now = event_loop.time();
        let Some(lookups) = &mut self.lookups else {
            return;
        };
        let endpoint = lookups.upstream.endpoint.clone();
        if let Some(ip) = endpoint.ip() {
            let address = (ip, endpoint.port()).into();
            return self.connect(event_loop, number, vec![address]);
        }
        let asked = match lookups.resolving {
            // One job serves all who wait: a resolver that hangs shall not fill the executor.
            Some(_) => Ok(()),
            None => {
                lookups.resolving = Some((number, now));
                let host = endpoint.host();
                event_loop.world.resolve(host, endpoint.port(), number)
            }
        };
        self.enter(
            event_loop,
            number,
            State::Resolve,
            format_args!("{}", endpoint.host()),
        );
        if let Err(error) = asked {
            if let Some(lookups) = &mut self.lookups {
                lookups.resolving = None;
            }
            self.not_resolved(event_loop, number, &error.to_string());
        }
    }

    /// [`Callback::Resolved`].
    pub(super) fn resolved(&mut self, event_loop: &mut Loop<H>, job: u64) {
        let Some(answer) = event_loop.world.resolved(job) else {
            return;
        };
        let now = event_loop.time();
        let Some(lookups) = &mut self.lookups else {
            return;
        };
        let current = lookups
            .resolving
            .take_if(|(resolving, _)| *resolving == job)
            .is_some();
        if !current && answer.is_err() {
            // It was given up, and a younger job may do better. Addresses are good at any time.
            return;
        }
        if let Ok(addresses) = &answer {
            lookups.last_good = Some((now, addresses.clone()));
        }
        let waits = lookups
            .table
            .iter()
            .filter(|(_, lookup)| lookup.state == State::Resolve);
        let numbers: Vec<u64> = waits.map(|(&number, _)| number).collect();
        for number in numbers {
            match &answer {
                Ok(addresses) => self.connect(event_loop, number, addresses.clone()),
                Err(why) => self.not_resolved(event_loop, number, why),
            }
        }
    }

    fn not_resolved(&mut self, event_loop: &mut Loop<H>, number: u64, why: &str) {
        let kept = self
            .lookups
            .as_ref()
            .and_then(|all| all.kept_addresses(event_loop.time()));
        match kept {
            Some(addresses) => self.connect(event_loop, number, addresses),
            None => self.lookup_failed(event_loop, number, format_args!("no address: {why}")),
        }
    }

    fn connect(
        &mut self,
        event_loop: &mut Loop<H>,
        number: u64,
        addresses: Vec<std::net::SocketAddr>,
    ) {
        let text = format_args!("{addresses:?}");
        self.enter(event_loop, number, State::Connect, text);
        if let Some(lookup) = self.lookup(number) {
            lookup.addresses = addresses.into_iter().take(ADDRESSES_MAX).collect();
        }
        self.try_next_address(event_loop, number);
    }

    /// Connects to the next address beside those under way. [`Callback::NextAddress`], or the one
    /// before has failed. (asyncio: `happy_eyeballs_delay`.)
    pub(super) fn try_next_address(&mut self, event_loop: &mut Loop<H>, number: u64) {
        let full = self
            .lookups
            .as_ref()
            .is_some_and(|all| all.connections() >= UPSTREAM_MAX);
        let Some(lookup) = self.lookup(number) else {
            return;
        };
        if lookup.state != State::Connect {
            return;
        }
        if let Some(timer) = lookup.stagger.take() {
            event_loop.cancel(timer);
        }
        let Some(address) = lookup.addresses.pop_front() else {
            if lookup.attempts.is_empty() {
                self.lookup_failed(event_loop, number, format_args!("no address answers"));
            }
            return;
        };
        // In a full house the next attempt takes the place of the one before.
        let replaced = (full && !lookup.attempts.is_empty()).then(|| lookup.attempts.remove(0));
        if !lookup.addresses.is_empty() {
            let timer = event_loop.call_later(CONNECT_STAGGER, Callback::NextAddress(number));
            lookup.stagger = Some(timer);
        }
        if let Some(token) = replaced {
            self.close_upstream(event_loop, token);
        }
        self.dial_upstream(event_loop, number, address);
    }

    /// [`Callback::LookupDeadline`].
    pub(super) fn lookup_deadline(&mut self, event_loop: &mut Loop<H>, number: u64) {
        let Some(lookup) = self.lookup(number) else {
            return;
        };
        lookup.deadline = None;
        let now = event_loop.time();
        let (state, spent) = (lookup.state, now - lookup.began);
        if let Some(lookups) = &mut self.lookups {
            // The next lookup asks anew: a job that is so old may never answer.
            let old = |(_, since): &mut (u64, _)| now >= *since + RESOLVE_DEADLINE;
            lookups.resolving.take_if(old);
        }
        if state == State::Resolve && spent < LOOKUP_DEADLINE {
            return self.not_resolved(event_loop, number, "the resolver took too long");
        }
        let text = format_args!("{state:?} took too long, {} ms in all", spent.as_millis());
        self.lookup_failed(event_loop, number, text);
    }

    /// A lookup has no usable answer.
    pub(super) fn lookup_failed(
        &mut self,
        event_loop: &mut Loop<H>,
        number: u64,
        why: fmt::Arguments<'_>,
    ) {
        let left = |lookup: &mut Lookup| lookup.state != State::Queued;
        let sent = self.lookup(number).is_some_and(left);
        self.enter(
            event_loop,
            number,
            State::Done,
            format_args!("failed: {why}"),
        );
        let probe = self.lookup(number).is_some_and(|lookup| lookup.probe);
        let Some(waiters) = self.forget(event_loop, number) else {
            return;
        };
        for waiter in waiters {
            self.deliver(event_loop, waiter, UNKNOWN_ERROR);
        }
        match &mut self.lookups {
            // It waited in our own queue: nothing was learned about Places.
            Some(lookups) if !sent => lookups.breaker.withdrawn(probe),
            _ => self.places_failed(event_loop, number, probe),
        }
        self.start_lookups_soon(event_loop);
    }

    /// Counts a failure. If it opens the breaker, those that queue are not sent after it.
    fn places_failed(&mut self, event_loop: &mut Loop<H>, number: u64, probe: bool) {
        let now = event_loop.time();
        let Some(lookups) = &mut self.lookups else {
            return;
        };
        if !lookups.breaker.failed(now, probe) {
            return;
        }
        let queued = std::mem::take(&mut lookups.queue);
        let pause = BREAKER_OPEN.as_secs();
        let text = format_args!("too many failures in a row: asking again in {pause} s");
        self.notice(event_loop, Who::Places(number), text);
        for other in queued {
            self.lookup_failed(
                event_loop,
                other,
                format_args!("Places failed too often of late"),
            );
        }
    }

    /// A lookup has a complete response.
    pub(super) fn lookup_answered(
        &mut self,
        event_loop: &mut Loop<H>,
        number: u64,
        response: &Response,
    ) {
        let Some(lookups) = &mut self.lookups else {
            return;
        };
        let (api, key) = (lookups.upstream.api, lookups.upstream.key.clone());
        let (status, body) = (response.status().unwrap_or_default(), response.body());
        // Judged once for each bound that somebody asked for: a popular answer has many waiters.
        let mut judged = BTreeMap::new();
        for waiter in lookups
            .table
            .get(&number)
            .iter()
            .flat_map(|lookup| &lookup.waiters)
        {
            judged.entry(waiter.bound).or_insert_with(|| {
                let mut json = Vec::new();
                let word = verdict(api, status, body, waiter.bound, key.as_ref(), &mut json);
                (word, json)
            });
        }
        let Some((outcome, _)) = judged.values().next() else {
            return;
        };
        let failed = is_failure(outcome);
        if !failed {
            lookups.breaker.succeeded();
        }
        let length = body.len();
        match outcome {
            Ok(word) => {
                let text = format_args!("{status} {word}, {length} bytes");
                self.enter(event_loop, number, State::Done, text);
            }
            Err(why) => {
                let text = format_args!("not usable: {why}, {length} bytes");
                self.enter(event_loop, number, State::Done, text);
            }
        }
        let probe = self.lookup(number).is_some_and(|lookup| lookup.probe);
        for waiter in self.forget(event_loop, number).unwrap_or_default() {
            let json = match judged.get(&waiter.bound) {
                Some((Ok(_), json)) => json,
                _ => UNKNOWN_ERROR,
            };
            self.deliver(event_loop, waiter, json);
        }
        if failed {
            self.places_failed(event_loop, number, probe);
        }
    }

    /// Takes a lookup off the books, with all its timers and connects; its waiters remain.
    fn forget(&mut self, event_loop: &mut Loop<H>, number: u64) -> Option<Vec<Waiter>> {
        let lookups = self.lookups.as_mut()?;
        lookups.queue.retain(|&queued| queued != number);
        let lookup = lookups.table.remove(&number)?;
        for timer in lookup.deadline.into_iter().chain(lookup.stagger) {
            event_loop.cancel(timer);
        }
        for token in lookup.attempts.into_iter().chain(lookup.connection) {
            self.close_upstream(event_loop, token);
        }
        Some(lookup.waiters)
    }

    /// A client's answer: its AT line, the JSON, the frame. If the client is gone, nobody's.
    fn answer(&mut self, event_loop: &mut Loop<H>, waiter: Waiter, json: &[u8]) {
        let Waiter { token, at, .. } = waiter;
        let Some(inbound) = self.connections.inbound(token) else {
            return;
        };
        inbound.waits = false;
        let start = self.turn.out.len();
        self.turn.out.extend_from_slice(&at);
        let body = self.turn.out.len();
        self.turn.out.extend_from_slice(json);
        frame(&mut self.turn.out, body);
        let places = self.turn.out.len() - body;
        self.journal_answer(event_loop, token, start, body - 1, places);
        if self.config.one_shot {
            self.close_after_answer(token);
        }
    }

    /// The same, to a client whose turn it is not.
    fn deliver(&mut self, event_loop: &mut Loop<H>, waiter: Waiter, json: &[u8]) {
        let (token, start) = (waiter.token, self.turn.out.len());
        self.answer(event_loop, waiter, json);
        self.turn.touch(token, start);
        if self.turn.is_full() {
            self.flush(event_loop);
        }
    }

    /// At the end of a server's life: nobody is left without an answer.
    pub(super) fn fail_all_lookups(&mut self, event_loop: &mut Loop<H>) {
        let numbers: Vec<u64> = match &self.lookups {
            Some(lookups) => lookups.table.keys().copied().collect(),
            None => return,
        };
        for number in numbers {
            self.lookup_failed(event_loop, number, format_args!("the server stops"));
        }
    }
}
