//! What all parts of a server share: the connections, the one buffer for reading, and what stands on
//! the desk.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::callback::Loop;
use super::connections::Connections;
use super::intent::Intent;
use super::journal::{Journal, Who};
use super::neighbour::Neighbour;
use super::turn::{Answers, News};
use crate::config::Config;
use crate::event_loop::Token;
use crate::herd::{Replica, STORE_BYTES_MAX, Store};
use crate::net::{Host, LINE_MAX};

/// The one buffer that every connection reads into.
const READ_BUFFER: usize = 64 * 1024;

/// What a part gets beside the loop.
pub struct Desk<H: Host> {
    /// Every connection, of whatever part.
    pub connections: Connections<H>,
    /// Every read goes into this.
    pub scratch: Vec<u8>,
    /// All else. It stands apart from the connections, so that a part can hold one of them and use
    /// this at the same time.
    pub shared: Shared,
}

/// Whom an entry of the journal is about.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// The server itself.
    Server,
    /// A client, or anyone who has not said who it is.
    Client(Token),
    /// A neighbour, by its place among this server's, on a connection or between two.
    Neighbour(Option<Token>, usize),
    /// Places, by the number of the question.
    Places(u64),
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
    /// What parts want of each other.
    pub intents: VecDeque<Intent>,
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
        Desk {
            connections: Connections::new(),
            scratch: vec![0; READ_BUFFER],
            shared: Shared {
                neighbours: neighbours.collect(),
                replica,
                journal: Journal::new(config.journal, config.max_log),
                answers: Answers::default(),
                news: News::default(),
                intents: VecDeque::new(),
                stopping: false,
                wall: (Duration::ZERO, u64::MAX),
                config,
            },
        }
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
        about: About,
        text: fmt::Arguments<'_>,
    ) {
        if self.journal.is_enabled() {
            let wall = self.wall_clock(event_loop);
            let who = who(&self.neighbours, about);
            self.journal.notice(wall, who, text);
        }
    }

    /// Journals a notice of which nobody can say which turn it belongs to.
    pub fn notice_late(&mut self, text: fmt::Arguments<'_>) {
        self.journal.notice(self.wall.0, Who::Server, text);
    }

    /// Journals bytes that came in.
    pub fn came<H: Host>(&mut self, event_loop: &mut Loop<H>, about: About, bytes: &[u8]) {
        let wall = self.journal_time(event_loop);
        self.journal
            .input(wall, who(&self.neighbours, about), bytes);
    }

    /// Journals bytes that go out.
    pub fn goes<H: Host>(&mut self, event_loop: &mut Loop<H>, about: About, bytes: &[u8]) {
        let wall = self.journal_time(event_loop);
        self.journal
            .output(wall, who(&self.neighbours, about), bytes);
    }

    /// Journals an answer that stands among the turn's from `start` to `end`, and how many bytes of
    /// JSON follow it.
    pub fn answer_goes<H: Host>(
        &mut self,
        event_loop: &mut Loop<H>,
        token: Token,
        start: usize,
        end: usize,
        places: usize,
    ) {
        if !self.journal.is_enabled() {
            return;
        }
        let wall = self.wall_clock(event_loop);
        let who = Who::Client(token);
        self.journal
            .output(wall, who, &self.answers.out[start..end]);
        if places > 0 {
            let text = format_args!("and {places} bytes of places");
            self.journal.notice(wall, who, text);
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

/// Whom the journal names.
fn who(neighbours: &[Neighbour], about: About) -> Who<'_> {
    match about {
        About::Server => Who::Server,
        About::Client(token) => Who::Client(token),
        About::Neighbour(Some(token), index) => Who::Peer(token, &neighbours[index].name),
        About::Neighbour(None, index) => Who::NoLink(&neighbours[index].name),
        About::Places(number) => Who::Places(number),
    }
}
