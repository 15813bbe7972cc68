//! The part for links: dials every neighbour, and keeps it told.
//!
//! ```text
//! Waiting ──(timer, or the neighbour greets us)──▶ Dialling ──▶ Up ──▶ Waiting …
//! ```
//!
//! When a link comes up it owes the neighbour the whole table. While it is up, the news of each turn
//! leave at its end; a link that is too slow for that keeps positions instead of bytes, so that a
//! frozen neighbour costs a bounded amount of memory and nobody's time. Links that end by themselves are
//! in `brief.rs`.

use std::io;
use std::time::Duration;

use super::link::Link;
use super::slot::{Course, Kind, Slot, State};
use crate::event_loop::{Readiness, Token};
use crate::herd::Backlog;
use crate::net::{BACKOFF_FORGIVEN, CONNECT_DEADLINE, GREETED_FLOOR, Host};
use crate::server::callback::Callback;
use crate::server::connections::Connection;
use crate::server::desk::{Desk, Floor, Shared};
use crate::server::intent::Intent;
use crate::server::journal::About;

/// Our links, one a neighbour, in the order of the neighbours.
pub struct Links {
    /// What `shown.rs` shows.
    pub(super) slots: Vec<Slot>,
    /// Lines for one link, if not all of the turn's news are for it.
    gathered: Vec<u8>,
}

impl Links {
    /// A link to each neighbour, none of them dialled.
    pub fn new(shared: &Shared) -> Links {
        let config = &shared.config;
        let kinds = shared
            .neighbours
            .iter()
            .map(|neighbour| match neighbour.course {
                true => Kind::Course(Course::default()),
                false if config.short_links => Kind::short(config.catch_up),
                false => Kind::Standing,
            });
        Links {
            slots: kinds.map(Slot::new).collect(),
            gathered: Vec::new(),
        }
    }

    /// Dials every neighbour that there is something to say to.
    pub fn start<H: Host>(&mut self, floor: &mut Floor<H>) {
        for index in 0..self.slots.len() {
            if self.slots[index].follows() {
                floor.shared.news.subscribe();
            }
            self.dial_if_owing(floor, index);
        }
    }

    /// Starts to connect to a neighbour that is not dialled yet. [`Callback::Redial`].
    pub fn dial<H: Host>(&mut self, floor: &mut Floor<H>, index: usize) {
        let (slot, neighbour) = (&mut self.slots[index], &floor.shared.neighbours[index]);
        let State::Waiting(timer) = slot.state else {
            return;
        };
        if let Some(timer) = timer {
            floor.event_loop.cancel(timer);
        }
        if !slot.kind.owes() {
            slot.state = State::Waiting(None);
            return;
        }
        let token = floor.connections.next_token();
        let connected = floor.event_loop.world.connect(neighbour.address, token);
        let secured = connected.and_then(|mut stream| {
            if floor.shared.config.secured && !neighbour.course {
                let secured = floor.event_loop.world.secure(&mut stream, &neighbour.name);
                if let Err(error) = secured {
                    floor.event_loop.world.close(stream);
                    return Err(error);
                }
            }
            Ok(stream)
        });
        match secured {
            Ok(stream) => {
                let deadline = Callback::LinkDeadline(token);
                let deadline = floor.event_loop.call_later(CONNECT_DEADLINE, deadline);
                slot.state = State::Dialling(token, deadline);
                let link = Box::new(Link::new(
                    stream,
                    token,
                    index,
                    floor.shared.config.portions,
                ));
                floor.connections.insert(Connection::Link(link));
            }
            Err(error) => self.dial_later(floor, index, &error.to_string()),
        }
    }

    /// A neighbour spoke to us, so it is worth dialling now, unless its last greeting was just
    /// before. Its failures are not forgotten: it may greet and hang up as often as it likes.
    pub fn greeted<H: Host>(&mut self, floor: &mut Floor<H>, index: usize, token: Token) {
        let slot = &mut self.slots[index];
        slot.heard = Some(token);
        // There is no timer while it is dialled or up, nor once the server stops.
        let State::Waiting(Some(timer)) = slot.state else {
            return;
        };
        let (now, pause) = (floor.event_loop.time(), slot.backoff.ceiling());
        let next = slot.greeted.map(|last| last + pause.min(GREETED_FLOOR));
        let when = next.map_or(now, |next| next.max(now));
        if when < slot.redial {
            slot.greeted = Some(when);
            floor.event_loop.cancel(timer);
            self.redial_at(floor, index, when);
        }
    }

    fn redial_at<H: Host>(&mut self, floor: &mut Floor<H>, index: usize, when: Duration) {
        let timer = floor.event_loop.call_at(when, Callback::Redial(index));
        self.slots[index].state = State::Waiting(Some(timer));
        self.slots[index].redial = when;
    }

    /// Something happened on a link's socket.
    pub fn ready<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, readiness: Readiness) {
        let Some(link) = floor.connections.link(token) else {
            return;
        };
        link.note(readiness);
        let index = link.neighbour();
        let result = match self.slots[index].state {
            State::Dialling(..) => match floor.event_loop.world.connected(link.stream_mut()) {
                // The same event may tell of bytes, or of the end.
                Ok(true) => self
                    .connection_made(floor, token)
                    .and_then(|()| self.go_on(floor, token, index)),
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            },
            _ => self.go_on(floor, token, index),
        };
        if let Err(error) = result {
            self.connection_lost(floor, token, &error.to_string());
        }
    }

    fn go_on<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
        index: usize,
    ) -> io::Result<()> {
        match self.slots[index].state {
            State::Ending(..) => self.ending(floor, token, index),
            _ => self.data_received(floor, token),
        }
    }

    /// A link is up: it greets, and owes the whole table. (asyncio: Protocol.connection_made.)
    fn connection_made<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) -> io::Result<()> {
        let Some(link) = floor.connections.link(token) else {
            return Ok(());
        };
        let index = link.neighbour();
        let slot = &mut self.slots[index];
        if let State::Dialling(_, deadline) = slot.state {
            floor.event_loop.cancel(deadline);
        }
        slot.state = State::Up(token);
        slot.up_since = floor.event_loop.time();
        if let Kind::Course(_) = slot.kind {
            self.carry(floor, token, index);
            return Ok(());
        }
        let alive = floor.event_loop.world.keep_alive(link.stream_mut());
        // A short link has marked no news of this turn yet: it takes all of them.
        let (greeting, owed, news_from) = match self.short_made(floor, token, index) {
            Some((greeting, owed)) => (greeting, owed, 0),
            None => {
                let shared = &mut floor.shared;
                let records = match shared.config.catch_up {
                    true => shared.replica.store().len(),
                    false => 0,
                };
                let greeting = format!("PEER {}\n", shared.config.name());
                (greeting, Backlog::dump(records), shared.news.subscribe())
            }
        };
        // Behind the subscription, which the end of a link that is up takes back.
        alive?;
        let about = About::Neighbour(Some(token), index);
        for line in greeting.lines() {
            floor.shared.goes(floor.event_loop, about, line.as_bytes());
        }
        let records = owed.len();
        if let Some(link) = floor.connections.link(token) {
            link.connection_made(greeting.as_bytes(), owed, news_from);
        }
        self.dump(floor, token);
        floor.notice(about, format_args!("link up, sending {records} records"));
        Ok(())
    }

    /// Reads what a neighbour says on our link, and throws it away: a course server answers there.
    /// (asyncio: Protocol.data_received.)
    pub(super) fn data_received<H: Host>(
        &mut self,
        floor: &mut Floor<H>,
        token: Token,
    ) -> io::Result<()> {
        let Some(link) = floor.connections.link(token) else {
            return Ok(());
        };
        let (count, more) = link.read(&mut floor.event_loop.world, floor.scratch)?;
        let about = About::Neighbour(Some(token), link.neighbour());
        if count > 0 {
            let bytes = &floor.scratch[..count];
            link.keep_answer(bytes);
            floor.shared.came(floor.event_loop, about, bytes);
        }
        if more {
            floor.event_loop.call_soon(Callback::Again(token));
        }
        Ok(())
    }

    /// [`Callback::Dump`]: queues a piece of what the link owes.
    pub fn dump<H: Host>(&mut self, floor: &mut Floor<H>, token: Token) {
        let shared = &mut floor.shared;
        let wall = shared.journal_time(floor.event_loop);
        let Some(link) = floor.connections.link(token) else {
            return;
        };
        let about = About::Neighbour(Some(token), link.neighbour());
        let journal = &mut shared.journal;
        link.queue_owed(shared.replica.store(), |line| {
            journal.output(wall, about, line.trim_ascii_end());
        });
    }

    /// The end of a turn, before any client's answer leaves: sends the turn's news and what waits,
    /// and goes on with what links owe.
    pub fn flush<H: Host>(&mut self, floor: &mut Floor<H>) {
        let mut went = false;
        for index in 0..self.slots.len() {
            let Some(token) = self.slots[index].up() else {
                if self.slots[index].follows() {
                    self.keep_news(floor, index);
                }
                continue;
            };
            let Some(link) = floor.connections.link(token) else {
                continue;
            };
            let (world, news) = (&mut floor.event_loop.world, &floor.shared.news);
            match link.send_news(world, news, &mut self.gathered) {
                Ok((from, taken)) => {
                    self.slots[index].took = from..from + taken;
                    went |= taken > 0;
                    if taken > 0 || !link.is_flushed() {
                        self.speaks(index, floor.event_loop.time());
                    }
                }
                Err(error) => {
                    self.connection_lost(floor, token, &error.to_string());
                    continue;
                }
            }
            if link.wants_dump() {
                floor.event_loop.call_soon(Callback::Dump(token));
            }
            link.check_invariants();
        }
        if went && floor.shared.journal.is_enabled() {
            self.journal_news(floor);
        }
        for slot in &mut self.slots {
            slot.took = 0..0;
        }
        floor.shared.news.clear();
    }

    /// One line of the journal for each line of news, with all to whom it went.
    fn journal_news<H: Host>(&self, floor: &mut Floor<H>) {
        let wall = floor.shared.wall_clock(floor.event_loop);
        let mut to = String::new();
        for (number, item) in floor.shared.news.since(0).iter().enumerate() {
            to.clear();
            for (index, slot) in self.slots.iter().enumerate() {
                if slot.took.contains(&number) && item.from != Some(index) {
                    to.push_str(if to.is_empty() { "" } else { "," });
                    to.push_str(&floor.shared.neighbours[index].name);
                }
            }
            if !to.is_empty() {
                let line = floor.shared.news.line(item);
                let line = &line[..line.len() - 1];
                floor
                    .shared
                    .journal
                    .output(wall, About::Neighbours(&to), line);
            }
            if floor.shared.journal.is_filling() {
                floor
                    .shared
                    .journal
                    .flush(&mut floor.event_loop.world, false);
            }
        }
    }

    /// The server stops: no dial goes on.
    pub fn stop<H: Host>(&mut self, floor: &mut Floor<H>) {
        for index in 0..self.slots.len() {
            match self.slots[index].state {
                // What a link that ends by itself owes is on its way.
                State::Dialling(token, _) if !self.slots[index].follows() => {
                    self.connection_lost(floor, token, "stopping");
                }
                State::Waiting(Some(timer)) => {
                    floor.event_loop.cancel(timer);
                    self.slots[index].state = State::Waiting(None);
                }
                _ => {}
            }
        }
    }

    /// Stopping took too long: no link stays.
    pub fn close_all<H: Host>(&mut self, floor: &mut Floor<H>, why: &str) {
        for index in 0..self.slots.len() {
            if let Some(token) = self.slots[index].token() {
                self.connection_lost(floor, token, why);
            }
        }
    }

    /// True once nothing waits on any link.
    pub fn are_flushed<H: Host>(&self, desk: &Desk<H>) -> bool {
        self.slots.iter().all(|slot| {
            let Some(token) = slot.token() else {
                return true;
            };
            let link = desk.connections.get_link(token);
            let flushed = link.is_none_or(Link::is_flushed);
            flushed && (slot.up().is_some() || !slot.kind.owes())
        })
    }

    /// A link's connection ended: the only place where one does. (asyncio: Protocol.connection_lost.)
    pub fn connection_lost<H: Host>(&mut self, floor: &mut Floor<H>, token: Token, why: &str) {
        let Some(Connection::Link(link)) = floor.connections.remove(token) else {
            return;
        };
        let index = link.neighbour();
        link.close(&mut floor.event_loop.world);
        let (slot, shared) = (&mut self.slots[index], &mut floor.shared);
        match slot.state {
            State::Dialling(_, deadline) | State::Ending(_, deadline) => {
                floor.event_loop.cancel(deadline);
            }
            State::Up(_) => {
                match &mut slot.kind {
                    Kind::Standing => shared.news.unsubscribe(),
                    Kind::Short(short) => {
                        let timer = short.timer.take();
                        timer.map(|timer| floor.event_loop.cancel(timer));
                    }
                    Kind::Course(_) => {}
                }
                match floor.event_loop.time() >= slot.up_since + BACKOFF_FORGIVEN {
                    true => slot.backoff.reset(),
                    // It lives: whatever befell the link, a long wait would help nobody.
                    false => slot.backoff.cap(GREETED_FLOOR),
                }
            }
            State::Waiting(_) => {}
        }
        let made = !matches!(slot.state, State::Dialling(..));
        slot.kind.lost(made, shared.config.catch_up);
        shared.intend(Intent::Freed(None));
        self.dial_later(floor, index, why);
    }

    fn dial_later<H: Host>(&mut self, floor: &mut Floor<H>, index: usize, why: &str) {
        let slot = &mut self.slots[index];
        let was_up = slot
            .token()
            .filter(|_| !matches!(slot.state, State::Dialling(..)));
        if floor.shared.stopping {
            slot.state = State::Waiting(None);
            slot.kind.give_up();
            return;
        }
        let random = floor.event_loop.world.random();
        let delay = slot.backoff.next(random);
        self.redial_at(floor, index, floor.event_loop.time() + delay);
        let outcome = match was_up {
            Some(_) => "link lost",
            None => "no link",
        };
        let text = format_args!(
            "{outcome}: {why}; dialling again in {} ms",
            delay.as_millis()
        );
        floor.notice(About::Neighbour(was_up, index), text);
    }
}
