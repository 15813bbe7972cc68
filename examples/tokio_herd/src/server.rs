//! What all tasks share: the table, the links, and what a line does.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use herd::herd::{Command, Heard, Question, Replica, STORE_BYTES_MAX, Store, Taken, Ties};
use herd::net::LINE_MAX;

use crate::burn::Burn;
use crate::journal::Journal;
use crate::link::Link;
use crate::options::Options;
use crate::places::{Inquiry, Places};

/// What of a line that is too long comes back.
const TOO_LONG_ECHO: usize = 128;

/// One server.
pub struct Server {
    pub name: String,
    /// One for each neighbour.
    pub links: Vec<Link>,
    pub journal: Journal,
    places: Places,
    burn: bool,
    replica: Mutex<Replica>,
}

/// What lines have brought forth.
#[derive(Default)]
pub struct Output {
    /// For whoever sent them.
    pub answers: Vec<u8>,
    /// For the neighbours.
    pub news: Vec<u8>,
}

/// What a line leaves to do: something that takes its time.
pub enum Todo {
    Nothing,
    Ask(Inquiry),
    Burn(Burn),
}

impl Server {
    /// A server that nobody talks to yet.
    pub fn new(options: &Options) -> io::Result<Server> {
        let roster = &options.roster;
        let link = |index: usize| Link::new(&roster.servers[index]);
        let neighbours = roster.neighbours(options.me);
        let store = Store::new(options.max_records, STORE_BYTES_MAX, Ties::TotalOrder);
        let (name, names) = (options.name(), roster.names());
        let replica = Replica::new(name, &names, Duration::ZERO, LINE_MAX, store);
        Ok(Server {
            name: name.to_string(),
            links: neighbours.into_iter().map(link).collect(),
            journal: Journal::open(options.log.as_deref())?,
            places: Places::new(options)?,
            burn: options.burn,
            replica: Mutex::new(replica),
        })
    }

    /// The table. Who holds it awaits nothing meanwhile, so the standard library's mutex is the
    /// right one, and on one thread it never waits.
    pub fn replica(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line that came at `receipt` from a client, or from the neighbour that `peer` says
    /// once it has greeted.
    pub fn take(
        &self,
        replica: &mut Replica,
        receipt: Duration,
        peer: &mut Option<usize>,
        (line, command): (&[u8], Option<Command<'_>>),
        output: &mut Output,
    ) -> Todo {
        let who = peer.map_or("client", |index| &self.links[index].name);
        self.journal.note(who, '<', line);
        if peer.is_some() {
            // A neighbour is never answered.
            if let Some(Command::At(at)) = command
                && let Heard::News(position) = replica.at(&at)
            {
                let line = replica.store().line(position).unwrap_or_default();
                output.news.extend_from_slice(line);
            }
            return Todo::Nothing;
        }
        let start = output.answers.len();
        match command {
            Some(Command::Iamat(report)) => {
                match replica.iamat(report, receipt, &mut output.answers) {
                    Taken::News(_) => output.news.extend_from_slice(&output.answers[start..]),
                    Taken::Known => {}
                    Taken::TooFarAhead | Taken::TooLong | Taken::Full => invalid(line, output),
                }
            }
            Some(Command::Whatsat(question)) => match inquiry(replica, &question) {
                Some(inquiry) => return Todo::Ask(inquiry),
                None => invalid(line, output),
            },
            Some(Command::Peer(name)) => match self.neighbour(name) {
                Some(index) => {
                    *peer = Some(index);
                    self.links[index].greeted();
                    return Todo::Nothing;
                }
                None => invalid(line, output),
            },
            _ => match Burn::parse(line).filter(|_| self.burn) {
                Some(burn) => return Todo::Burn(burn),
                None => invalid(line, output),
            },
        }
        self.journal.note("client", '>', &output.answers[start..]);
        Todo::Nothing
    }

    /// Answers a line that is too long, the last of its connection.
    pub fn refuse(&self, line: &[u8], output: &mut Output) {
        let start = output.answers.len();
        invalid(&line[..line.len().min(TOO_LONG_ECHO)], output);
        self.journal.note("client", '>', &output.answers[start..]);
    }

    /// Does what takes its time, and appends the answer.
    pub async fn perform(&self, todo: Todo, answers: &mut Vec<u8>) {
        let start = answers.len();
        match todo {
            Todo::Nothing => return,
            Todo::Ask(inquiry) => {
                answers.extend_from_slice(&inquiry.line);
                self.places.near(&inquiry, answers).await;
            }
            Todo::Burn(burn) if burn.away => {
                // It could fail only by panicking.
                let _ = tokio::task::spawn_blocking(move || burn.compute()).await;
                answers.extend(burn.answer());
            }
            // No `block_in_place` around it: what is to be seen here is what happens when somebody
            // forgets it. On one thread everybody waits. So they may on many: if the worker that
            // computes is the one that polled last, the others sleep until it polls again.
            Todo::Burn(burn) => {
                burn.compute();
                answers.extend(burn.answer());
            }
        }
        self.journal.note("client", '>', &answers[start..]);
    }

    /// Passes news on, to all neighbours but the one they came from. They leave when the tasks of
    /// the links get their turn: soon after the answer, where our own loop sends them before it.
    pub fn flood(&self, news: &[u8], origin: Option<usize>) {
        if news.is_empty() {
            return;
        }
        // One copy for all links, and none if no link is up.
        let mut copy = None;
        let mut lines = || {
            copy.get_or_insert_with(|| Bytes::copy_from_slice(news))
                .clone()
        };
        for (index, link) in self.links.iter().enumerate() {
            if Some(index) != origin && link.push(&mut lines) && self.journal.is_kept() {
                for line in news.split_inclusive(|&byte| byte == b'\n') {
                    self.journal.note(&link.name, '>', line);
                }
            }
        }
    }

    fn neighbour(&self, name: &[u8]) -> Option<usize> {
        self.links
            .iter()
            .position(|link| link.name.as_bytes() == name)
    }
}

/// The time of day.
pub fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn invalid(line: &[u8], output: &mut Output) {
    for part in [b"? ", line, b"\n"] {
        output.answers.extend_from_slice(part);
    }
}

fn inquiry(replica: &Replica, question: &Question<'_>) -> Option<Inquiry> {
    let position = replica.store().find(question.id)?;
    let (latitude, longitude) = replica.store().at(position)?.report.position.degrees();
    Some(Inquiry {
        line: replica.store().line(position)?.to_vec(),
        latitude,
        longitude,
        radius_metres: question.radius_metres,
        bound: question.bound,
    })
}
