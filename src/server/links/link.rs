//! The connection of a link: what it owes its neighbour, and what waits to be sent.

use std::io;

use serde_json::{Value, json};

use super::slot::COURSE_ANSWER_MAX;
use crate::event_loop::{Readiness, Token};
use crate::herd::{Backlog, Store};
use crate::net::{Network, Read, Transport};
use crate::portions::Portions;
use crate::server::rows::row;
use crate::server::turn::{Item, News};

/// The connection of a link.
pub struct Link<S> {
    transport: Transport<S>,
    /// Whose link it is.
    neighbour: usize,
    /// What it owes.
    backlog: Backlog,
    portions: Portions,
    /// Where it begins in the turn's news: behind the first, if it came up in the middle of a turn.
    news_from: usize,
    /// A `Callback::Dump` or `Callback::Again` is queued.
    dump_queued: bool,
    again: bool,
    /// We have said all that we will say.
    ends: bool,
    /// What the neighbour has said since, up to [`COURSE_ANSWER_MAX`].
    answered: Vec<u8>,
}

impl<S> Link<S> {
    /// A link that connects.
    pub fn new(stream: S, token: Token, neighbour: usize, portions: Portions) -> Link<S> {
        Link {
            transport: Transport::connecting(stream, token),
            neighbour,
            backlog: Backlog::default(),
            portions,
            news_from: 0,
            dump_queued: false,
            again: false,
            ends: false,
            answered: Vec::new(),
        }
    }

    /// Whose link it is.
    pub fn neighbour(&self) -> usize {
        self.neighbour
    }

    /// The stream.
    pub fn stream_mut(&mut self) -> &mut S {
        self.transport.stream_mut()
    }

    /// Bytes that the system has not taken.
    pub fn unsent(&self) -> usize {
        self.transport.unsent()
    }

    /// Records that it has yet to send.
    pub fn owed(&self) -> usize {
        self.backlog.len()
    }

    /// True if nothing waits on it.
    pub fn is_flushed(&self) -> bool {
        self.unsent() == 0 && self.backlog.is_empty()
    }

    /// What the poll told.
    pub fn note(&mut self, readiness: Readiness) {
        self.transport.note(readiness);
    }

    /// The queued callback to read on runs.
    pub fn again_comes(&mut self) {
        self.again = false;
    }

    /// It is connected: says this first, owes this, and reads the turn's news from there.
    pub fn connection_made(&mut self, greeting: &[u8], owed: Backlog, news_from: usize) {
        self.transport.queue(greeting);
        self.backlog = owed;
        self.news_from = news_from;
    }

    /// It owes this, and nothing else.
    pub fn owe(&mut self, owed: Backlog) {
        self.backlog = owed;
    }

    /// Nothing follows but this.
    pub fn end(&mut self, last: &[u8]) {
        self.ends = true;
        self.transport.queue(last);
    }

    /// Behind what waits, the neighbour shall read our end.
    pub fn write_eof(&mut self) {
        self.transport.write_eof();
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn flush<N: Network<Stream = S>>(&mut self, network: &mut N) -> io::Result<()> {
        self.transport.flush(network).map(drop)
    }

    /// True once the neighbour's end was read.
    pub fn at_end(&self) -> bool {
        self.transport.at_end()
    }

    /// What the neighbour has said since.
    pub fn answered(&self) -> &[u8] {
        &self.answered
    }

    /// The neighbour has said something.
    pub fn keep_answer(&mut self, bytes: &[u8]) {
        if self.ends {
            let room = COURSE_ANSWER_MAX - self.answered.len();
            self.answered
                .extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Reads once into `scratch`; true if there may be more and the caller shall queue a callback.
    ///
    /// # Errors
    /// The connection is lost, or the neighbour has ended it.
    pub fn read<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        scratch: &mut [u8],
    ) -> io::Result<(usize, bool)> {
        match self.transport.read(network, scratch)? {
            Read::End => Err(io::Error::other("the neighbour closed it")),
            Read::Nothing => Ok((0, false)),
            Read::Bytes(count) => {
                let more = self.transport.may_read() && !std::mem::replace(&mut self.again, true);
                Ok((count, more))
            }
        }
    }

    /// Queues a piece of what it owes; calls `each` with every line.
    pub fn queue_owed(&mut self, store: &Store, mut each: impl FnMut(&[u8])) {
        self.dump_queued = false;
        while self.transport.unsent() < self.portions.link_unsent_low {
            let Some(position) = self.backlog.pop() else {
                break;
            };
            if let Some(line) = store.line(position) {
                self.transport.queue(line);
                each(line);
            }
        }
    }

    /// Sends what waits and the turn's news. What the system does not take is kept, up to
    /// [`LINK_UNSENT_MAX`](crate::portions::LINK_UNSENT_MAX) bytes, and beyond them as positions.
    /// Returns how many items of the news, from the one of the returned number on, went out or wait as
    /// bytes. `gathered` is scratch.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn send_news<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        news: &News,
        gathered: &mut Vec<u8>,
    ) -> io::Result<(usize, usize)> {
        let from = std::mem::take(&mut self.news_from);
        let items = news.since(from);
        let mut taken = items.len();
        let bytes = if items.iter().all(|item| item.from != Some(self.neighbour)) {
            // The usual case: all of it, from where it stands.
            news.lines(items)
        } else {
            gathered.clear();
            for item in items.iter().filter(|item| self.wants(item)) {
                gathered.extend_from_slice(news.line(item));
            }
            gathered
        };
        let room = self.unsent() + bytes.len() <= self.portions.link_unsent_max;
        if room && self.backlog.is_empty() {
            if self.unsent() == 0 {
                self.transport.write(network, bytes)?;
                return Ok((from, taken));
            }
            self.transport.queue(bytes);
        } else {
            taken = self.queue_or_mark(news, items);
        }
        self.transport.flush(network)?;
        Ok((from, taken))
    }

    /// Queues lines as long as there is room, and keeps the positions of all that follow: of all, if
    /// anything is owed, since a record that changes often would keep others away for ever if its
    /// lines overtook them. Returns how many were queued.
    fn queue_or_mark(&mut self, news: &News, items: &[Item]) -> usize {
        let mut taken = (!self.backlog.is_empty()).then_some(0);
        for (number, item) in items.iter().enumerate() {
            if !self.wants(item) {
                continue;
            }
            let line = news.line(item);
            if taken.is_none() && self.unsent() + line.len() <= self.portions.link_unsent_max {
                self.transport.queue(line);
            } else {
                taken.get_or_insert(number);
                self.backlog.mark(item.position);
            }
        }
        taken.unwrap_or(items.len())
    }

    fn wants(&self, item: &Item) -> bool {
        item.from != Some(self.neighbour)
    }

    /// True if it has room for more of what it owes, and no callback for that is queued: then the
    /// caller queues one.
    pub fn wants_dump(&mut self) -> bool {
        let room = self.unsent() < self.portions.link_unsent_low && !self.backlog.is_empty();
        room && !std::mem::replace(&mut self.dump_queued, true)
    }

    /// Closes the stream.
    pub fn close<N: Network<Stream = S>>(self, network: &mut N) {
        self.transport.close(network);
    }

    /// What must hold between two calls. Checked in debug builds.
    pub fn check_invariants(&self) {
        debug_assert!(
            self.unsent() <= self.portions.link_unsent_max,
            "{} bytes wait on a link",
            self.unsent()
        );
        debug_assert!(
            self.backlog.is_empty()
                || self.dump_queued
                || self.unsent() >= self.portions.link_unsent_low,
            "it owes records, and nothing will send them"
        );
    }

    /// For the view.
    pub fn row(&self, state: &str, name: &str, address: &str) -> Value {
        let mut row = row(&self.transport, "link", state);
        row["who"] = address.into();
        row["neighbour"] = name.into();
        if !self.backlog.is_empty() {
            row["flags"] = json!([format!("owes {} records", self.owed())]);
        }
        row
    }
}
