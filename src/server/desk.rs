//! What all parts of a server share: the connections, the one buffer for reading, and what stands on
//! the desk.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::callback::Loop;
use super::connections::{Connection, Connections};
use super::intent::Intent;
use super::journal::{About, Journal};
use super::neighbour::Neighbour;
use super::turn::{Answers, News};
use super::work::Work;
use crate::config::Config;
use crate::event_loop::Token;
use crate::herd::{Replica, STORE_BYTES_MAX, Store};
use crate::net::{Host, LINE_MAX};

/// The one buffer that every connection reads into.
const READ_BUFFER: usize = 64 * 1024;

/// What all parts share.
pub struct Desk<H: Host> {
    /// Every connection, of whatever part.
    pub connections: Connections<H>,
    /// Every read goes into this.
    pub scratch: Vec<u8>,
    /// All else. It stands apart from the connections, so that a part can hold one of them and use
    /// this at the same time.
    pub shared: Shared,
}

/// What a part works on: the desk, open, and the loop.
pub struct Floor<'a, H: Host> {
    /// See [`Desk::connections`].
    pub connections: &'a mut Connections<H>,
    /// See [`Desk::scratch`].
    pub scratch: &'a mut [u8],
    /// See [`Desk::shared`].
    pub shared: &'a mut Shared,
    /// The loop.
    pub event_loop: &'a mut Loop<H>,
}

/// What stands on the desk.
pub struct Shared {
    /// What the server was told at start.
    pub config: Config,
    /// The servers that it is linked with.
    pub neighbours: Vec<Neighbour>,
    /// The server's copy of the table.
    pub replica: Replica,
    /// What is written down of all that happens.
    pub journal: Journal,
    /// What the turn has for clients.
    pub answers: Answers,
    /// What the turn has for those who follow the table.
    pub news: News,
    /// What the turn may spend, and who waits to spend more.
    pub work: Work,
    /// Lines taken in this turn.
    pub lines: usize,
    /// What parts want of each other.
    pub intents: VecDeque<Intent>,
    /// Bytes of input and answers that are held for all accepted connections.
    pub held: usize,
    /// A first signal to stop came.
    pub stopping: bool,
    /// The wall clock, and the turn in which it was read.
    wall: (Duration, u64),
}

impl<H: Host> Desk<H> {
    /// A desk with an empty table.
    pub fn new(config: Config) -> Desk<H> {
        let roster = &config.roster;
        let store = Store::new(config.max_records, STORE_BYTES_MAX, config.ties);
        let (name, names) = (config.name(), roster.names());
        let replica = Replica::new(name, &names, config.max_ahead, LINE_MAX, store);
        let neighbours = roster.neighbours(config.me).into_iter().map(|index| {
            let server = &roster.servers[index];
            Neighbour {
                name: server.name.clone(),
                address: server.address,
                course: server.course,
            }
        });
        let neighbours: Vec<_> = neighbours.collect();
        let known = neighbours.iter().map(|neighbour| neighbour.name.clone());
        Desk {
            connections: Connections::new(),
            scratch: vec![0; READ_BUFFER],
            shared: Shared {
                replica,
                journal: Journal::new(config.journal, known.collect()),
                neighbours,
                answers: Answers::default(),
                news: News::default(),
                work: Work::new(config.portions.work_a_turn),
                lines: 0,
                intents: VecDeque::new(),
                held: 0,
                stopping: false,
                wall: (Duration::ZERO, u64::MAX),
                config,
            },
        }
    }

    /// What must hold between two callbacks. Checked in debug builds, while there are few connections.
    pub fn check_invariants(&self) {
        const FEW: usize = 64;
        if cfg!(debug_assertions) && self.connections.len() <= FEW {
            let held = self
                .connections
                .iter()
                .map(|(_, connection)| match connection {
                    Connection::Inbound(inbound) => inbound.held(),
                    _ => 0,
                });
            let (held, counted) = (held.sum::<usize>(), self.shared.held);
            debug_assert!(
                held == counted,
                "{counted} bytes are counted, {held} are held"
            );
        }
    }

    /// What parts work on.
    #[inline]
    pub fn floor<'a>(&'a mut self, event_loop: &'a mut Loop<H>) -> Floor<'a, H> {
        Floor {
            connections: &mut self.connections,
            scratch: &mut self.scratch,
            shared: &mut self.shared,
            event_loop,
        }
    }
}

impl<H: Host> Floor<'_, H> {
    /// Journals a notice.
    pub fn notice(&mut self, about: About<'_>, text: fmt::Arguments<'_>) {
        self.shared.notice(self.event_loop, about, text);
    }
}

impl Shared {
    /// The wall clock of this turn: read at most once in it.
    pub fn wall_clock<H: Host>(&mut self, event_loop: &mut Loop<H>) -> Duration {
        if self.wall.1 != event_loop.iteration() {
            self.wall = (event_loop.world.wall_clock(), event_loop.iteration());
        }
        self.wall.0
    }

    /// The wall clock of this turn for a journal that is kept; any time for one that is not.
    pub fn journal_time<H: Host>(&mut self, event_loop: &mut Loop<H>) -> Duration {
        match self.journal.is_enabled() {
            true => self.wall_clock(event_loop),
            false => Duration::ZERO,
        }
    }

    /// Journals a notice.
    pub fn notice<H: Host>(
        &mut self,
        event_loop: &mut Loop<H>,
        about: About<'_>,
        text: fmt::Arguments<'_>,
    ) {
        if self.journal.is_enabled() {
            let wall = self.wall_clock(event_loop);
            self.journal.notice(wall, about, text);
        }
    }

    /// Journals a notice of which nobody can say which turn it belongs to.
    pub fn notice_late(&mut self, text: fmt::Arguments<'_>) {
        self.journal.notice(self.wall.0, About::Server, text);
    }

    /// So many lines may a connection have in this turn, from now on.
    #[inline]
    pub fn lines_a_visit(&self) -> usize {
        let portions = &self.config.portions;
        match self.lines < portions.lines_a_turn {
            true => portions.lines_a_visit,
            false => portions.lines_at_least,
        }
    }

    /// Journals bytes that came in.
    #[inline]
    pub fn came<H: Host>(&mut self, event_loop: &mut Loop<H>, about: About<'_>, bytes: &[u8]) {
        if self.journal.is_enabled() {
            let wall = self.wall_clock(event_loop);
            self.journal.input(wall, about, bytes);
        }
    }

    /// Journals bytes that go out.
    pub fn goes<H: Host>(&mut self, event_loop: &mut Loop<H>, about: About<'_>, bytes: &[u8]) {
        let wall = self.journal_time(event_loop);
        self.journal.output(wall, about, bytes);
    }

    /// Journals the last answer among the turn's, which begins at `start`: its line, and how many
    /// bytes of places follow.
    #[inline]
    pub fn answer_goes<H: Host>(&mut self, event_loop: &mut Loop<H>, token: Token, start: usize) {
        if self.journal.is_enabled() {
            self.journal_answer(event_loop, token, start);
        }
    }

    fn journal_answer<H: Host>(&mut self, event_loop: &mut Loop<H>, token: Token, start: usize) {
        let wall = self.wall_clock(event_loop);
        let (about, answer) = (About::Client(token), &self.answers.out[start..]);
        let end = memchr::memchr(b'\n', answer).unwrap_or(answer.len());
        self.journal.output(wall, about, &answer[..end]);
        let places = answer.len() - end - 1;
        if places > 0 {
            let text = format_args!("and {places} bytes of places");
            self.journal.notice(wall, about, text);
        }
    }

    /// Asks the node for something.
    pub fn intend(&mut self, intent: Intent) {
        self.intents.push_back(intent);
    }

    /// The news of a record, for those who follow the table.
    pub fn tell(&mut self, position: u32, from: Option<usize>) {
        if let Some(line) = self.replica.store().line(position) {
            self.news.add(position, line, from);
        }
    }
}
