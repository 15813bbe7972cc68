//! What a line makes the server do.

use super::callback::Loop;
use super::inbound::{Role, UNSENT_HIGH};
use super::journal::Who;
use super::lookup::{Inquiry, Waiter};
use super::node::Node;
use crate::event_loop::Token;
use crate::herd::{At, Command, Heard, Question, Report, Taken};
use crate::net::{Host, Next, next_line};
use crate::places;

/// Lines of one client that one turn answers; the rest wait behind everybody else's.
pub const CLIENT_LINES_A_TURN: usize = 20;
/// Lines of one neighbour that one turn takes: a dump must not hold up clients.
pub const PEER_LINES_A_TURN: usize = 256;
/// A line that is too long is answered with this many of its bytes.
pub const TOO_LONG_ECHO: usize = 128;

/// How far a turn got with a connection's input.
pub struct Progress {
    /// Bytes of input that are done with.
    pub used: usize,
    /// What is next.
    pub then: Then,
}

/// What is next for a connection's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// More bytes are needed.
    Read,
    /// There may be more lines, for the next turn.
    Later,
    /// No more commands are taken.
    Close,
}

impl<H: Host> Node<H> {
    /// Answers the lines in `input`, as many as one turn may. With `at_end`, what follows the last
    /// LF is a line too.
    pub(super) fn lines(
        &mut self,
        event_loop: &mut Loop<H>,
        token: Token,
        input: &[u8],
        at_end: bool,
    ) -> Progress {
        let mut used = 0;
        let start = self.turn.out.len();
        let unsent = match self.connections.inbound(token) {
            Some(inbound) => inbound.transport.unsent(),
            None => 0,
        };
        let mut count = 0;
        let then = loop {
            // Asked for anew at each line: a greeting in this very input changes the role, and a
            // WHATSAT may wait.
            let Some(inbound) = self.connections.inbound(token) else {
                break Then::Close;
            };
            let (role, waits) = (inbound.role, inbound.waits);
            let limit = match role {
                Role::Client => CLIENT_LINES_A_TURN,
                Role::Neighbour(_) => PEER_LINES_A_TURN,
            };
            let answers = self.turn.out.len() - start;
            let rest = &input[used..];
            if self.config.one_shot && role == Role::Client && answers > 0 {
                break Then::Close;
            }
            if waits || (!rest.is_empty() && (count >= limit || unsent + answers > UNSENT_HIGH)) {
                break Then::Later;
            }
            let line = match next_line(rest) {
                Next::Line(line) => line,
                // Not from a neighbour: one that died may have left half a line.
                Next::Partial if at_end && role == Role::Client && !rest.is_empty() => rest,
                Next::Partial => break Then::Read,
                Next::TooLong => {
                    self.invalid(event_loop, token, role, &rest[..TOO_LONG_ECHO]);
                    break Then::Close;
                }
            };
            used = (used + line.len() + 1).min(input.len());
            count += 1;
            self.line(event_loop, token, role, line);
        };
        Progress { used, then }
    }

    fn line(&mut self, event_loop: &mut Loop<H>, token: Token, role: Role, line: &[u8]) {
        if self.journal.is_enabled() {
            let wall = self.wall_clock(event_loop);
            let who = match role {
                Role::Client => Who::Client(token),
                Role::Neighbour(index) => Who::Peer(token, &self.neighbours[index].name),
            };
            self.journal.input(wall, who, line);
        }
        let done = match (role, Command::parse(line)) {
            (Role::Client, Some(Command::Iamat(report))) => self.iamat(event_loop, token, report),
            (Role::Client, Some(Command::Whatsat(question))) => {
                self.whatsat(event_loop, token, question)
            }
            (Role::Client, Some(Command::Peer(name))) => self.greeted(event_loop, token, name),
            (Role::Client, Some(Command::At(at))) if self.may_be_course(token) => {
                self.heard(event_loop, token, role, &at)
            }
            (Role::Neighbour(_), Some(Command::At(at))) => self.heard(event_loop, token, role, &at),
            _ => false,
        };
        if !done {
            self.invalid(event_loop, token, role, line);
        }
    }

    /// False: not a valid command after all.
    fn iamat(&mut self, event_loop: &mut Loop<H>, token: Token, report: Report<'_>) -> bool {
        let receipt = self.wall_clock(event_loop);
        let start = self.turn.out.len();
        match self.replica.iamat(report, receipt, &mut self.turn.out) {
            Taken::News(position) => self.flood(event_loop, position, None),
            Taken::Known => {}
            Taken::TooFarAhead | Taken::TooLong => return false,
            Taken::Full => {
                self.table_is_full(event_loop);
                return false;
            }
        }
        self.journal_answer(event_loop, token, start, self.turn.out.len() - 1, 0);
        true
    }

    fn whatsat(&mut self, event_loop: &mut Loop<H>, token: Token, question: Question<'_>) -> bool {
        let store = self.replica.store();
        let Some(position) = store.find(question.id) else {
            return false;
        };
        let (Some(line), Some(at)) = (store.line(position), store.at(position)) else {
            return false;
        };
        if self.lookups.is_some() {
            let (latitude, longitude) = at.report.position.halves();
            let inquiry = Inquiry {
                latitude: latitude.to_vec(),
                longitude: longitude.to_vec(),
                radius_metres: question.radius_metres,
                bound: question.bound,
            };
            let (at, bound) = (line.to_vec(), question.bound);
            self.ask(event_loop, Waiter { token, at, bound }, inquiry);
            return true;
        }
        let (latitude, longitude) = at.report.position.degrees();
        let start = self.turn.out.len();
        self.turn.out.extend_from_slice(line);
        let body = self.turn.out.len();
        places::gazetteer::nearby(
            latitude,
            longitude,
            f64::from(question.radius_metres),
            usize::from(question.bound),
            &mut self.turn.out,
        );
        places::frame(&mut self.turn.out, body);
        let places = self.turn.out.len() - body;
        self.journal_answer(event_loop, token, start, body - 1, places);
        true
    }

    /// An AT line from a neighbour, or from what may be a course server.
    fn heard(&mut self, event_loop: &mut Loop<H>, token: Token, role: Role, at: &At<'_>) -> bool {
        let from = match role {
            Role::Client => None,
            Role::Neighbour(index) => Some(index),
        };
        match self.replica.at(at) {
            Heard::News(position) => self.flood(event_loop, position, from),
            Heard::Known => {}
            Heard::Stranger if role == Role::Client => return false,
            Heard::Stranger => {
                let text = format_args!("ignored: its AT names no server of the herd");
                self.notice_inbound(event_loop, token, role, text);
            }
            Heard::Full => self.table_is_full(event_loop),
        }
        true
    }

    /// `PEER name`: from now on this connection speaks for that neighbour.
    fn greeted(&mut self, event_loop: &mut Loop<H>, token: Token, name: &[u8]) -> bool {
        // A course server greets nobody: whoever does so in its name is not it.
        let known = |neighbour: &super::link::Neighbour| {
            neighbour.name.as_bytes() == name && !neighbour.course
        };
        let Some(index) = self.neighbours.iter().position(known) else {
            return false;
        };
        let secured = self.config.secured;
        let Some(inbound) = self.connections.inbound(token) else {
            return false;
        };
        if secured {
            let (stream, name) = (inbound.transport.stream(), &self.neighbours[index].name);
            if !event_loop.world.proves(stream, name) {
                let text = format!("it has not proven to be {name}");
                self.notice_inbound(event_loop, token, Role::Client, format_args!("{text}"));
                return false;
            }
        }
        inbound.role = Role::Neighbour(index);
        let kept_alive = event_loop.world.keep_alive(inbound.transport.stream());
        self.notice_inbound(
            event_loop,
            token,
            Role::Neighbour(index),
            format_args!("greeted"),
        );
        if let Err(error) = kept_alive {
            let text = format_args!("no keepalive: {error}");
            self.notice_inbound(event_loop, token, Role::Neighbour(index), text);
        }
        self.neighbour_is_there(event_loop, index);
        true
    }

    /// `? ` and the line, to a client. A neighbour is never answered; its journal entry says it.
    fn invalid(&mut self, event_loop: &mut Loop<H>, token: Token, role: Role, line: &[u8]) {
        if let Role::Neighbour(_) = role {
            let text = format_args!("ignored: expected AT, {} bytes came", line.len());
            return self.notice_inbound(event_loop, token, role, text);
        }
        let start = self.turn.out.len();
        self.turn.out.extend_from_slice(b"? ");
        self.turn.out.extend_from_slice(line);
        self.turn.out.push(b'\n');
        self.journal_answer(event_loop, token, start, self.turn.out.len() - 1, 0);
    }

    /// Journals an answer that stands in the turn's buffer, and how much JSON follows it.
    pub(super) fn journal_answer(
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
        self.journal
            .output(wall, Who::Client(token), &self.turn.out[start..end]);
        if places > 0 {
            let text = format_args!("and {places} bytes of places");
            self.journal.notice(wall, Who::Client(token), text);
        }
    }

    /// True if an ungreeted connection may be that of a course server: one is our neighbour, and
    /// lives at the address that this connection comes from.
    fn may_be_course(&mut self, token: Token) -> bool {
        let Some(address) = self
            .connections
            .inbound(token)
            .map(|inbound| inbound.address)
        else {
            return false;
        };
        self.neighbours.iter().any(|neighbour| {
            let (host, from) = (neighbour.address.ip(), address.ip().to_canonical());
            neighbour.course && (host == from || (host.is_loopback() && from.is_loopback()))
        })
    }

    /// Says, once a minute, that new clients are refused.
    fn table_is_full(&mut self, event_loop: &mut Loop<H>) {
        let now = event_loop.time();
        if self
            .full_said
            .is_none_or(|said| now >= said + super::node::SAY_AGAIN)
        {
            self.full_said = Some(now);
            let records = self.replica.store().len();
            let text =
                format_args!("the table is full ({records} records): new clients are refused");
            self.notice(event_loop, Who::Server, text);
        }
    }
}
