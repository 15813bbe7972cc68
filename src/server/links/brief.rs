//! Links that end by themselves: those to course servers, and with `--short-links` all.
//!
//! ```text
//! Waiting ──(news)──▶ Dialling ──▶ Up ──(all is said)──▶ Ending ──(their end)──▶ Waiting
//! ```
//!
//! A course server gets one line a connection: a line, our end, then what it says until its own end is
//! thrown away. Many of them read once and close.
//!
//! A short link carries whatever there is, until nothing was said for a moment. Then it says `PEER` and the
//! neighbour's name, and once the neighbour has said the same, which tells that all was taken, it is closed.
//! After any other end the whole table is owed. (Our end of the stream would not do for a question: behind a
//! `close_notify` rustls hears nothing any more.) And a server that has started greets twice, which asks for
//! the neighbour's whole table: nobody has seen it die.

use std::io;
use std::time::Duration;

use super::part::Links;
use super::slot::{COURSE_ANSWER_MAX, Kind, State};
use crate::event_loop::{Readiness, Token};
use crate::herd::Backlog;
use crate::net::Host;
use crate::server::callback::Callback;
use crate::server::connections::Connection;
use crate::server::desk::Floor;
use crate::server::intent::Intent;
use crate::server::journal::About;

/// A short link that has said nothing for so long ends.
pub const SHORT_LINK_QUIET: Duration = Duration::from_millis(50);
/// A short link's neighbour may take so long to say that it took everything.
pub const SHORT_LINK_END: Duration = Duration::from_secs(3);
/// A course server may take so long to end a connection; the next line waits for that.
pub const COURSE_END: Duration = Duration::from_secs(1);

impl Links {
    /// The news of a turn, for a link that has no connection to say them on.
    pub(super) fn keep_news<H: Host>(&mut self, floor: &mut Floor<H>, index: usize) {
        let slot = &mut self.slots[index];
        let backs_off = matches!(slot.state, State::Waiting(Some(_)));
        // A partition shall leave its mark.
        if floor.shared.config.catch_up || !backs_off {
            let items = floor.shared.news.since(0).iter();
            for item in items.filter(|item| item.from != Some(index)) {
                slot.kind.mark(item.position);
            }
        }
        self.dial_if_owing(floor, index);
    }

    /// Dials a link at rest, if it owes something.
    pub(super) fn dial_if_owing<H: Host>(&mut self, floor: &mut Floor<H>, index: usize) {
        let slot = &self.slots[index];
        if matches!(slot.state, State::Waiting(None)) && slot.kind.owes() {
            self.dial(floor, index);
        }
    }

    /// A short link is up: what it says first, and what it owes.
    pub(super) fn short_made<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
        index: usize,
    ) -> Option<(String, Backlog)> {
        let now = floor.event_loop.time();
        let Kind::Short(short) = &mut self.slots[index].kind else {
            return None;
        };
        let timer = Callback::LinkDeadline(token);
        short.timer = Some(floor.event_loop.call_later(SHORT_LINK_QUIET, timer));
        short.spoke = now;
        let owed = std::mem::take(&mut short.owed);
        let records = floor.shared.replica.store().len();
        let owed = match std::mem::take(&mut short.owes_all) {
            true => Backlog::dump(records),
            false => owed,
        };
        let name = floor.shared.config.name();
        let greeting = format!("PEER {name}\n");
        Some((greeting.repeat(1 + usize::from(short.asks)), owed))
    }

    /// A short link has something to say at the end of this turn.
    pub(super) fn speaks(&mut self, index: usize, now: Duration) {
        if let Kind::Short(short) = &mut self.slots[index].kind {
            short.spoke = now;
        }
    }

    /// The neighbour has started, and wants to hear everything.
    pub fn asked<H: Host>(&mut self, floor: &mut Floor<H>, index: usize) {
        let records = floor.shared.replica.store().len();
        let slot = &mut self.slots[index];
        let Kind::Short(short) = &mut slot.kind else {
            return;
        };
        if !floor.shared.config.catch_up {
            return;
        }
        match slot.state {
            State::Up(token) => {
                if let Some(link) = floor.connections.link(token) {
                    link.owe(Backlog::dump(records));
                }
            }
            _ => short.owes_all = true,
        }
        if !floor.shared.stopping {
            self.dial_if_owing(floor, index);
        }
    }

    /// The timer of a short link that is up: ends it, if all was said a while ago.
    pub(super) fn quiet<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, index: usize) {
        let now = floor.event_loop.time();
        let Kind::Short(short) = &mut self.slots[index].kind else {
            return;
        };
        let link = floor.connections.link(token);
        let flushed = link.is_some_and(|link| link.is_flushed());
        let when = short.spoke + SHORT_LINK_QUIET;
        if flushed && now >= when {
            short.timer = None;
            let name = &floor.shared.neighbours[index].name;
            let question = format!("PEER {name}\n");
            let about = About::Neighbour(Some(token), index);
            floor
                .shared
                .goes(floor.event_loop, about, question.trim_end().as_bytes());
            return self.end(floor, token, index, question.as_bytes());
        }
        let when = match flushed {
            true => when,
            false => now + SHORT_LINK_QUIET,
        };
        let timer = Callback::LinkDeadline(token);
        short.timer = Some(floor.event_loop.call_at(when, timer));
    }

    /// Says the last of it, and waits for the neighbour.
    fn end<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, index: usize, last: &[u8]) {
        let is_course = matches!(self.slots[index].kind, Kind::Course(_));
        let patience = if is_course {
            COURSE_END
        } else {
            SHORT_LINK_END
        };
        let deadline = Callback::LinkDeadline(token);
        let deadline = floor.event_loop.call_later(patience, deadline);
        self.slots[index].state = State::Ending(token, deadline);
        let Some(link) = floor.connections.link(token) else {
            return;
        };
        link.end(last);
        if is_course {
            link.write_eof();
        }
        if let Err(error) = link.flush(&mut floor.event_loop.world) {
            self.connection_lost(floor, token, &error.to_string());
        }
    }

    /// A connection to a course server is made: it carries the newest line.
    pub(super) fn carry<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, index: usize) {
        let shared = &mut floor.shared;
        let wall = shared.journal_time(floor.event_loop);
        let Kind::Course(course) = &mut self.slots[index].kind else {
            return;
        };
        course.carries = course.owed.pop();
        let given_up = std::mem::take(&mut course.given_up);
        let about = About::Neighbour(Some(token), index);
        let store = shared.replica.store();
        let line = course.carries.and_then(|position| store.line(position));
        let line = line.unwrap_or_default().to_vec();
        shared.journal.output(wall, about, line.trim_ascii_end());
        if given_up > 0 {
            let text = format_args!("it will not hear of {given_up} changes: too many were owed");
            floor.notice(about, text);
        }
        self.end(floor, token, index, &line);
    }

    /// Something happened on a link that ends: sends what is left, and reads what the neighbour says.
    pub(super) fn ending<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
        index: usize,
    ) -> io::Result<()> {
        if let Some(link) = floor.connections.link(token) {
            link.flush(&mut floor.event_loop.world)?;
        }
        let read = self.data_received(floor, token);
        let Some(link) = floor.connections.link(token) else {
            return read;
        };
        let ended = match &self.slots[index].kind {
            Kind::Course(_) => link.at_end() || link.answered().len() >= COURSE_ANSWER_MAX,
            _ => {
                let name = floor.shared.neighbours[index].name.as_bytes();
                link.answered() == [b"PEER ", name, b"\n"].concat()
            }
        };
        if ended && link.is_flushed() {
            self.ended(floor, token, "all is said");
            return Ok(());
        }
        read
    }

    /// The time of a link that ends is over.
    pub(super) fn end_is_late<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
        index: usize,
    ) {
        let flushed = (floor.connections.link(token)).is_some_and(|link| link.is_flushed());
        match self.slots[index].kind {
            // It has the line, and keeps its connections: others may wait for theirs no longer.
            Kind::Course(_) if flushed => self.ended(floor, token, "its end takes too long"),
            _ => self.connection_lost(floor, token, "its end took too long"),
        }
    }

    /// A link has ended in order; another connection follows, if something is owed by now.
    fn ended<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, how: &str) {
        let Some(Connection::Link(link)) = floor.connections.remove(token) else {
            return;
        };
        let index = link.neighbour();
        link.close(&mut floor.event_loop.world);
        let slot = &mut self.slots[index];
        if let State::Ending(_, deadline) = slot.state {
            floor.event_loop.cancel(deadline);
        }
        slot.state = State::Waiting(None);
        slot.backoff.reset();
        match &mut slot.kind {
            Kind::Short(short) => short.asks = false,
            Kind::Course(course) => (course.carries, course.again) = (None, None),
            Kind::Standing => {}
        }
        let text = format_args!("link at rest: {how}");
        floor.notice(About::Neighbour(Some(token), index), text);
        floor.shared.intend(Intent::Freed(None));
        self.dial_if_owing(floor, index);
    }

    /// [`Callback::LinkDeadline`].
    pub fn deadline<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) {
        let slots = self.slots.iter();
        let Some(index) = slots
            .map(|slot| slot.token())
            .position(|it| it == Some(token))
        else {
            return;
        };
        // What it waits for may have come, and only its event not yet.
        let before = self.slots[index].state;
        let told = match before {
            State::Ending(..) => Readiness::READABLE | Readiness::WRITABLE,
            _ => Readiness::EMPTY,
        };
        self.ready(floor, token, told);
        if self.slots[index].state != before {
            return;
        }
        match before {
            State::Dialling(..) => {
                self.connection_lost(floor, token, "the connect took too long");
            }
            State::Up(_) => self.quiet(floor, token, index),
            State::Ending(..) => self.end_is_late(floor, token, index),
            State::Waiting(_) => {}
        }
    }
}
