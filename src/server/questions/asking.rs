//! The part for questions to Places: how a WHATSAT becomes a request, and its answer an answer. What a
//! request does with connections is in `connecting.rs`, which calls this file; never the reverse.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::breaker::{Admission, BREAKER_OPEN};
use super::lookup::{LOOKUP_DEADLINE, Lookup, Lookups, State, WAITING_MAX, request};
use crate::config;
use crate::event_loop::Token;
use crate::net::Host;
use crate::places::{Response, UNKNOWN_ERROR, is_failure, judge};
use crate::server::callback::{Callback, Loop};
use crate::server::connections::Connection;
use crate::server::desk::Floor;
use crate::server::intent::{Inquiry, Intent, Waiter};
use crate::server::journal::About;

/// The part: all requests in flight, and their connections.
pub struct Questions {
    /// The other files of this room go on where this one ends.
    pub(super) all: Lookups,
}

impl Questions {
    /// Nobody has asked.
    pub fn new(upstream: config::Upstream) -> Questions {
        Questions {
            all: Lookups::new(upstream),
        }
    }

    /// Asks Places for a client, which waits; or answers that it cannot.
    pub fn ask<H: Host>(&mut self, floor: &mut Floor<H>, waiter: Waiter, mut inquiry: Inquiry) {
        let now = floor.event_loop.time();
        inquiry.bound = self.all.asked_bound(waiter.bound);
        let why = if self.all.waiting() >= WAITING_MAX {
            "too many clients wait already"
        } else if let Some(number) = self.all.same(&inquiry) {
            let shared = self.all.table.entry(number);
            shared.and_modify(|lookup| lookup.waiters.push(waiter));
            return;
        } else {
            match self.all.breaker.admits(now) {
                Admission::Refused => "Places failed too often of late",
                admission => {
                    let probe = admission == Admission::Probe;
                    let shown = request(&inquiry, &self.all.upstream).shown();
                    let number = self.all.add(inquiry, waiter, probe, now);
                    self.enter(floor, number, State::Queued, format_args!("{shown}"));
                    return self.start_soon(floor.event_loop);
                }
            }
        };
        let text = format_args!("Places is not asked: {why}");
        floor.notice(About::Client(waiter.token), text);
        let answer = Intent::Answer(waiter, UNKNOWN_ERROR.into());
        floor.shared.intend(answer);
    }

    /// [`Questions::start_queued`] in a callback of its own, so that one lookup's end is not inside
    /// another's.
    pub fn start_soon<H: Host>(&mut self, event_loop: &mut Loop<H>) {
        if !self.all.queue.is_empty() && !std::mem::replace(&mut self.all.start_queued, true) {
            event_loop.call_soon(Callback::StartLookups);
        }
    }

    /// Moves a lookup to a state: its deadline, and its line in the journal.
    pub fn enter<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        number: u64,
        state: State,
        text: fmt::Arguments<'_>,
    ) {
        let now = floor.event_loop.time();
        let Some(lookup) = self.all.table.get_mut(&number) else {
            return;
        };
        lookup.state = state;
        if let Some(deadline) = lookup.deadline.take() {
            floor.event_loop.cancel(deadline);
        }
        if state != State::Done {
            let when = (now + state.patience()).min(lookup.began + LOOKUP_DEADLINE);
            let deadline = Callback::LookupDeadline(number);
            lookup.deadline = Some(floor.event_loop.call_at(when, deadline));
        }
        floor.notice(About::Places(number), format_args!("{state:?}: {text}"));
    }

    /// Where a lookup is.
    pub fn state(&self, number: u64) -> Option<State> {
        Some(self.all.table.get(&number)?.state)
    }

    /// A lookup has no usable answer.
    pub fn failed<H: Host>(&mut self, floor: &mut Floor<H>, number: u64, why: fmt::Arguments<'_>) {
        let sent = self.state(number) != Some(State::Queued);
        self.enter(floor, number, State::Done, format_args!("failed: {why}"));
        let Some(lookup) = self.forget(floor, number) else {
            return;
        };
        let unknown: Rc<[u8]> = UNKNOWN_ERROR.into();
        for waiter in lookup.waiters {
            let answer = Intent::Answer(waiter, Rc::clone(&unknown));
            floor.shared.intend(answer);
        }
        match sent {
            true => self.places_failed(floor, number, lookup.probe),
            // It waited in our own queue: nothing was learned about Places.
            false => self.all.breaker.cancelled(lookup.probe),
        }
        self.start_soon(floor.event_loop);
    }

    /// Counts a failure. If it opens the breaker, those that queue are not sent after it.
    fn places_failed<H: Host>(&mut self, floor: &mut Floor<H>, number: u64, probe: bool) {
        if !self.all.breaker.failed(floor.event_loop.time(), probe) {
            return;
        }
        let queued = std::mem::take(&mut self.all.queue);
        let pause = BREAKER_OPEN.as_secs();
        let text = format_args!("too many failures in a row: asking again in {pause} s");
        floor.notice(About::Places(number), text);
        for other in queued {
            let why = format_args!("Places failed too often of late");
            self.failed(floor, other, why);
        }
    }

    /// A lookup has a complete response.
    pub fn answered<H: Host>(&mut self, floor: &mut Floor<H>, number: u64, response: &Response) {
        let (api, key) = (self.all.upstream.api, self.all.upstream.key.clone());
        let (status, body) = (response.status().unwrap_or_default(), response.body());
        let lookup = self.all.table.get(&number);
        let judged = judge(api, status, body);
        // Written once for each bound that was asked for: a popular answer has many waiters.
        let mut texts = BTreeMap::new();
        for waiter in lookup.iter().flat_map(|lookup| &lookup.waiters) {
            texts.entry(waiter.bound).or_insert_with(|| match &judged {
                Ok(judged) => {
                    let mut json = Vec::new();
                    judged.write(waiter.bound, key.as_ref(), &mut json);
                    Rc::<[u8]>::from(json)
                }
                Err(_) => UNKNOWN_ERROR.into(),
            });
        }
        let outcome = judged.map(|judged| judged.word);
        let failed = is_failure(&outcome);
        if !failed {
            self.all.breaker.succeeded();
        }
        let length = body.len();
        let text = match outcome {
            Ok(word) => format!("{status} {word}, {length} bytes"),
            Err(why) => format!("not usable: {why}, {length} bytes"),
        };
        self.enter(floor, number, State::Done, format_args!("{text}"));
        let Some(lookup) = self.forget(floor, number) else {
            return;
        };
        for waiter in lookup.waiters {
            if let Some(json) = texts.get(&waiter.bound) {
                let json = Rc::clone(json);
                floor.shared.intend(Intent::Answer(waiter, json));
            }
        }
        if failed {
            self.places_failed(floor, number, lookup.probe);
        }
    }

    /// Takes a lookup out of the table, with all its timers and connections.
    fn forget<H: Host>(&mut self, floor: &mut Floor<H>, number: u64) -> Option<Lookup> {
        self.all.queue.retain(|&queued| queued != number);
        let mut lookup = self.all.table.remove(&number)?;
        let timers = [lookup.deadline.take(), lookup.stagger.take()];
        for timer in timers.into_iter().flatten() {
            floor.event_loop.cancel(timer);
        }
        let attempts = std::mem::take(&mut lookup.attempts);
        for token in attempts.into_iter().chain(lookup.connection) {
            self.close(floor, token);
        }
        Some(lookup)
    }

    /// Closes a connection, with TLS's farewell: the only place where one ends.
    pub fn close<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) {
        if let Some(Connection::Upstream(upstream)) = floor.connections.remove(token) {
            if let Some(idle) = upstream.close(&mut floor.event_loop.world) {
                floor.event_loop.cancel(idle);
            }
            self.all.idle.retain(|&other| other != token);
            floor.shared.intend(Intent::Freed(None));
            self.start_soon(floor.event_loop);
        }
    }

    /// At the end of a server's life: nobody is left without an answer.
    pub fn fail_all<H: Host>(&mut self, floor: &mut Floor<H>) {
        let numbers: Vec<u64> = self.all.table.keys().copied().collect();
        for number in numbers {
            self.failed(floor, number, format_args!("the server stops"));
        }
    }
}
