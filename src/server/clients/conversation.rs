//! What a line makes the server do.

use std::net::IpAddr;

use super::inbound::{Inbound, Role};
use super::progress::{Progress, Then};
use crate::herd::{At, Command, Heard, Question, Report, Taken};
use crate::net::{Host, LINE_MAX, Next, next_line};
use crate::places;
use crate::server::callback::Loop;
use crate::server::desk::Shared;
use crate::server::intent::{Inquiry, Intent, Waiter};
use crate::server::journal::About;

/// A line that is too long is answered with this many of its bytes.
pub const TOO_LONG_ECHO: usize = 128;

/// One connection whose lines are being answered, and what that takes.
pub struct Conversation<'a, H: Host> {
    /// Who speaks.
    pub inbound: &'a mut Inbound<H::Stream>,
    /// Where answers, news and intents go.
    pub shared: &'a mut Shared,
    /// The loop.
    pub event_loop: &'a mut Loop<H>,
    /// It has queued for its share of costly work.
    pub queued: bool,
    /// What it has cost so far: see [`WORK_A_VISIT`](crate::portions::WORK_A_VISIT).
    pub spent: usize,
    /// A line was refused because the table is full.
    pub table_was_full: bool,
}

impl<H: Host> Conversation<'_, H> {
    /// Answers the lines in `input`, as many as one turn may. With `at_end`, what follows the last
    /// LF is a line too. (asyncio: Protocol.data_received.)
    #[inline]
    pub fn data_received(&mut self, input: &[u8], at_end: bool) -> Progress {
        let mut used = 0;
        let start = self.shared.answers.out.len();
        let unsent = self.inbound.unsent();
        let unsent_high = self.shared.config.portions.unsent_high;
        let mut lines = self.shared.lines_a_visit();
        let then = loop {
            // Asked for anew at each line: a greeting in this very input changes the role, and a
            // WHATSAT may wait.
            let role = self.inbound.role();
            let answers = self.shared.answers.out.len() - start;
            let rest = &input[used..];
            if self.shared.config.one_shot && role == Role::Client && answers > 0 {
                break Then::Close;
            }
            let full = lines == 0 || unsent + answers > unsent_high;
            if self.inbound.waits() {
                break Then::Later;
            }
            if rest.is_empty() {
                break Then::Read;
            }
            if full {
                break Then::Later;
            }
            let (line, command) = match Command::in_front(rest) {
                Some((command, length)) if length <= LINE_MAX => (&rest[..length], Some(command)),
                _ => {
                    let line = match next_line(rest) {
                        Next::Line(line) => line,
                        // Not from a neighbour: one that died may have left half a line.
                        Next::Partial if at_end && role == Role::Client => rest,
                        Next::Partial => break Then::Read,
                        Next::TooLong => {
                            self.invalid(&rest[..TOO_LONG_ECHO]);
                            break Then::Close;
                        }
                    };
                    (line, Command::parse(line))
                }
            };
            let asks = role == Role::Client && matches!(command, Some(Command::Whatsat(_)));
            if asks && !self.may_search() {
                break Then::Queue;
            }
            used = (used + line.len() + 1).min(input.len());
            lines -= 1;
            self.shared.lines += 1;
            self.line(role, line, command);
        };
        Progress { used, then }
    }

    /// True unless a WHATSAT would search the gazetteer, and this connection has had its share or
    /// has to queue for it.
    fn may_search(&self) -> bool {
        let share = self.spent < self.shared.config.portions.work_a_visit;
        let may_work = self.queued || self.shared.work.is_free();
        (may_work && share) || self.shared.config.upstream.is_some()
    }

    #[inline]
    fn line(&mut self, role: Role, line: &[u8], command: Option<Command<'_>>) {
        self.shared.came(self.event_loop, about(self.inbound), line);
        let done = match (role, command) {
            (Role::Client, Some(Command::Iamat(report))) => self.iamat(report),
            (Role::Client, Some(Command::Whatsat(question))) => self.whatsat(question),
            (Role::Client, Some(Command::Peer(name))) => self.greeted(name),
            (Role::Client, Some(Command::At(at))) if self.may_be_course() => self.heard(&at, None),
            (Role::Client, None) if self.may_be_course() => self.heard_from_course(line),
            (Role::Neighbour(index), Some(Command::At(at))) => self.heard(&at, Some(index)),
            (Role::Neighbour(index), Some(Command::Peer(name))) => {
                self.heard_on_short_link(index, name)
            }
            _ => false,
        };
        if !done {
            self.invalid(line);
        }
    }

    /// False: not a valid command after all.
    #[inline]
    fn iamat(&mut self, report: Report<'_>) -> bool {
        let shared = &mut *self.shared;
        let receipt = shared.wall_clock(self.event_loop);
        let start = shared.answers.out.len();
        let taken = shared
            .replica
            .iamat(report, receipt, &mut shared.answers.out);
        match taken {
            Taken::News(position) => {
                let line = &shared.answers.out[start..];
                shared.news.add(position, line, None);
            }
            Taken::Known => {}
            Taken::TooFarAhead | Taken::TooLong => return false,
            Taken::Full => {
                self.table_was_full = true;
                return false;
            }
        }
        shared.answer_goes(self.event_loop, self.inbound.token(), start);
        true
    }

    fn whatsat(&mut self, question: Question<'_>) -> bool {
        let shared = &mut *self.shared;
        let store = shared.replica.store();
        let Some(position) = store.find(question.id) else {
            return false;
        };
        let (Some(line), Some(at)) = (store.line(position), store.at(position)) else {
            return false;
        };
        let (token, bound) = (self.inbound.token(), question.bound);
        if shared.config.upstream.is_some() {
            let (latitude, longitude) = at.report.position.halves();
            let inquiry = Inquiry {
                latitude: latitude.to_vec(),
                longitude: longitude.to_vec(),
                radius_metres: question.radius_metres,
                bound,
            };
            let at = line.to_vec();
            self.inbound.wait(true);
            shared.intend(Intent::Ask(Waiter { token, at, bound }, inquiry));
            return true;
        }
        let (latitude, longitude) = at.report.position.degrees();
        let out = &mut shared.answers.out;
        let start = out.len();
        out.extend_from_slice(line);
        let body = out.len();
        let (radius, bound) = (f64::from(question.radius_metres), usize::from(bound));
        let cost = places::gazetteer::nearby(latitude, longitude, radius, bound, out);
        self.spent += cost;
        self.event_loop.world.spend(cost);
        places::frame(out, body);
        shared.answer_goes(self.event_loop, token, start);
        true
    }

    /// An AT line from a neighbour, or from what may be a course server.
    pub(super) fn heard(&mut self, at: &At<'_>, from: Option<usize>) -> bool {
        match self.shared.replica.at(at) {
            Heard::News(position) => self.shared.tell(position, from),
            Heard::Known => {}
            Heard::Stranger if from.is_none() => return false,
            Heard::Stranger => {
                let text = format_args!("ignored: its AT names no server of the herd");
                self.notice(text);
            }
            Heard::Full => self.table_was_full = true,
        }
        true
    }

    /// `PEER name`: from now on this connection speaks for that neighbour.
    fn greeted(&mut self, name: &[u8]) -> bool {
        // A course server greets nobody: a greeting in its name is forged.
        let mut neighbours = self.shared.neighbours.iter();
        let known = neighbours.position(|other| other.name.as_bytes() == name && !other.course);
        let Some(index) = known else {
            return false;
        };
        let world = &mut self.event_loop.world;
        if self.shared.config.secured {
            let name = &self.shared.neighbours[index].name;
            if !world.proves(self.inbound.stream(), name) {
                let text = format!("it has not proven to be {name}");
                self.notice(format_args!("{text}"));
                return false;
            }
        }
        self.inbound.greet(index);
        let kept_alive = world.keep_alive(self.inbound.stream());
        self.notice(format_args!("greeted"));
        if let Err(error) = kept_alive {
            self.notice(format_args!("no keepalive: {error}"));
        }
        self.shared
            .intend(Intent::Greeted(index, self.inbound.token()));
        true
    }

    /// `? ` and the line, to a client. A neighbour is never answered; its journal entry says it.
    fn invalid(&mut self, line: &[u8]) {
        if let Role::Neighbour(_) = self.inbound.role() {
            let wall = self.shared.journal_time(self.event_loop);
            let about = about(self.inbound);
            let journal = &mut self.shared.journal;
            return journal.remark(wall, about, "ignored: expected AT", line);
        }
        let out = &mut self.shared.answers.out;
        let start = out.len();
        out.extend_from_slice(b"? ");
        out.extend_from_slice(line);
        out.push(b'\n');
        let token = self.inbound.token();
        self.shared.answer_goes(self.event_loop, token, start);
    }

    /// True if an ungreeted connection may be that of a course server: one is our neighbour, and
    /// lives at the address that this connection comes from.
    fn may_be_course(&self) -> bool {
        let from: IpAddr = self.inbound.address().ip().to_canonical();
        self.shared.neighbours.iter().any(|neighbour| {
            let host = neighbour.address.ip();
            neighbour.course && (host == from || (host.is_loopback() && from.is_loopback()))
        })
    }

    fn notice(&mut self, text: std::fmt::Arguments<'_>) {
        self.shared
            .notice(self.event_loop, about(self.inbound), text);
    }
}

/// An accepted connection, for the journal.
pub fn about<S>(inbound: &Inbound<S>) -> About<'static> {
    match inbound.role() {
        Role::Client => About::Client(inbound.token()),
        Role::Neighbour(index) => About::Neighbour(Some(inbound.token()), index),
    }
}
