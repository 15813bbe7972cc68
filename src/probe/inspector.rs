//! The inspection listener: serves the page and the view to visitors, and takes their commands. It
//! cannot see the server: what a visitor wants is an [`Ask`] to its driver. It sends nothing within
//! the call that makes it: writing is a callback like reading, so that a look can end in between.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::http::{self, Refusal, Request};
use super::visitors::{Phase, VISITORS_MAX, Visitors};
use crate::event_loop::{self, Application, EventLoop, Readiness, Token};
use crate::net::{Accepted, Network, Read, Transport, accept};
use crate::worlds::os::{Listener, OsStream, OsWorld};

/// A request must be here within this time.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// An answer must be taken within this time, and a subscriber must go on taking.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Accepts of one turn. Few, so that in a storm of visitors each keeps its place for some turns: a
/// request comes a moment behind its connection.
pub const ACCEPTS_A_TURN: usize = VISITORS_MAX / 4;
/// Reads of one visitor in one turn: who never stops talking keeps nobody else waiting.
pub const READS_A_TURN: usize = 4;
/// Bytes behind its request after which a visitor is closed.
pub const NOISE_MAX: usize = 64 * 1024;
/// Subscribers are told this often, at most.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// A subscriber with this much unsent misses what is published.
pub const SUBSCRIBER_UNSENT_MAX: usize = 512 * 1024;

const PAGE: &str = include_str!("page.html");

const LISTENER: Token = Token::listener(0);

/// What the inspection's own loop has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InspectCallback {
    /// A socket became ready, or there is something to send.
    Ready(Token, Readiness),
    /// Nothing: the poll shall not sleep.
    Look,
    /// More may wait at the listener than one turn takes.
    Accept,
    /// Patience with a visitor ends.
    Deadline(Token),
    /// Subscribers want to be told.
    Tick,
    /// A line came from standard input.
    Line(String),
    /// Standard input has ended.
    InputEnded,
    /// A signal arrived.
    Signal(i32),
}

impl event_loop::Callback for InspectCallback {
    fn ready(token: Token, readiness: Readiness) -> InspectCallback {
        InspectCallback::Ready(token, readiness)
    }

    fn signal(number: i32) -> InspectCallback {
        InspectCallback::Signal(number)
    }

    fn done(_: u64) -> InspectCallback {
        InspectCallback::Look
    }
}

/// What somebody wants of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A line of standard input.
    Line(String),
    /// Standard input has ended.
    InputEnded,
    /// A signal arrived.
    Signal(i32),
    /// Visitors or subscribers want the view: one for all of them.
    View,
    /// A visitor gives a command.
    Command(Token, String),
}

/// The loop of the inspection.
pub type InspectLoop = EventLoop<OsWorld, InspectCallback>;

/// The application of that loop.
pub struct Inspector {
    listener: Option<Listener>,
    address: Option<SocketAddr>,
    visitors: Visitors,
    next: u32,
    asks: VecDeque<Ask>,
    ticking: bool,
    /// A callback to accept on is queued.
    accepting: bool,
    /// Subscribers get the next view.
    publishing: bool,
    /// The view that was made last, for all who are owed one.
    newest: String,
    request_deadline: Duration,
}

impl Inspector {
    /// Nobody listens yet. A request must be here within `request_deadline`.
    pub fn new(request_deadline: Duration) -> Inspector {
        Inspector {
            listener: None,
            address: None,
            visitors: Visitors::default(),
            next: 1,
            asks: VecDeque::new(),
            ticking: false,
            accepting: false,
            publishing: false,
            newest: String::new(),
            request_deadline,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// It is not loopback, or cannot be had.
    pub fn listen(&mut self, event_loop: &mut InspectLoop, address: SocketAddr) -> io::Result<()> {
        if !address.ip().is_loopback() {
            let why = "expected a loopback address: whoever reaches it can stop the server";
            return Err(io::Error::other(why));
        }
        let listener = event_loop.world.listen(address, LISTENER)?;
        self.address = Some(listener.address()?);
        self.listener = Some(listener);
        Ok(())
    }

    /// The next thing that was asked.
    pub fn take_ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// True if something was asked that nobody has taken.
    pub fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    /// How many visitors there are.
    pub fn visitors(&self) -> usize {
        self.visitors.len()
    }

    /// True while somebody wants every view.
    pub fn has_subscribers(&self) -> bool {
        self.visitors.any(Phase::Subscribed)
    }

    /// Answers a command with JSON.
    pub fn answer(&mut self, event_loop: &mut InspectLoop, to: Token, json: &str) {
        self.respond(event_loop, to, 200, "application/json", json);
    }

    /// The view that was asked for: all who wait for it get this one.
    pub fn show(&mut self, event_loop: &mut InspectLoop, json: String) {
        self.owe(event_loop, Phase::Curious);
        match self.publishing {
            true => self.publish(event_loop, json),
            false => self.newest = json,
        }
    }

    /// Tells every subscriber. One that takes too little misses this one: the next is newer.
    pub fn publish(&mut self, event_loop: &mut InspectLoop, json: String) {
        self.publishing = false;
        self.newest = json;
        self.owe(event_loop, Phase::Subscribed);
        if self.has_subscribers() && !std::mem::replace(&mut self.ticking, true) {
            event_loop.call_later(PUBLISH_EVERY, InspectCallback::Tick);
        }
    }

    /// Each of these gets the newest view in a callback of its own: it is large, and they are many.
    fn owe(&mut self, event_loop: &mut InspectLoop, phase: Phase) {
        for (token, visitor) in self.visitors.iter_mut() {
            if visitor.phase == phase && !std::mem::replace(&mut visitor.owed, true) {
                event_loop.call_soon(InspectCallback::Ready(token, Readiness::EMPTY));
            }
        }
    }

    /// Gives a visitor the view that it is owed.
    fn hand_out(&mut self, event_loop: &mut InspectLoop, token: Token) {
        let Some(visitor) = self.visitors.get_mut(token) else {
            return;
        };
        if !std::mem::take(&mut visitor.owed) {
            return;
        }
        if visitor.phase == Phase::Curious {
            let view = std::mem::take(&mut self.newest);
            self.respond(event_loop, token, 200, "application/json", &view);
            self.newest = view;
        } else if visitor.transport.unsent() < SUBSCRIBER_UNSENT_MAX {
            for piece in ["data: ", &self.newest, "\n\n"] {
                visitor.transport.queue(piece.as_bytes());
            }
        }
    }

    /// Asks for the view that subscribers get, unless they get one soon.
    fn ask_to_publish(&mut self) {
        if !self.ticking {
            self.publishing = true;
            self.ask_for_view();
        }
    }

    fn ask_for_view(&mut self) {
        if !self.asks.contains(&Ask::View) {
            self.asks.push_back(Ask::View);
        }
    }

    fn accept_some(&mut self, event_loop: &mut InspectLoop) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        let mut more = true;
        for _ in 0..ACCEPTS_A_TURN {
            let token = Token {
                index: self.next,
                generation: self.next,
            };
            match accept(&mut event_loop.world, &mut listener, token) {
                Accepted::Stream(stream, _) => self.admit(event_loop, stream, token),
                Accepted::Nothing | Accepted::OutOfDescriptors(None) => {
                    more = false;
                    break;
                }
                Accepted::Failed(_) | Accepted::OutOfDescriptors(Some(_)) => {}
            }
        }
        self.accepting = more;
        if more {
            event_loop.call_soon(InspectCallback::Accept);
        }
        self.listener = Some(listener);
    }

    fn admit(&mut self, event_loop: &mut InspectLoop, stream: OsStream, token: Token) {
        if self.visitors.len() >= VISITORS_MAX {
            let Some(stalest) = self.visitors.stalest() else {
                return event_loop.world.close(stream);
            };
            self.close(event_loop, stalest);
        }
        self.next = self.next.checked_add(1).unwrap_or(1);
        let mut transport = Transport::accepted(stream, token);
        if transport.register(&mut event_loop.world).is_err() {
            return transport.close(&mut event_loop.world);
        }
        let deadline = InspectCallback::Deadline(token);
        let deadline = event_loop.call_later(self.request_deadline, deadline);
        self.visitors.insert(transport, deadline);
        self.visitor_ready(event_loop, token);
    }

    /// Reads what a visitor says, and sends what it is owed.
    fn visitor_ready(&mut self, event_loop: &mut InspectLoop, token: Token) {
        let mut buffer = [0; 4096];
        for _ in 0..READS_A_TURN {
            let Some(visitor) = self.visitors.get_mut(token) else {
                return;
            };
            match visitor.transport.read(&mut event_loop.world, &mut buffer) {
                Ok(Read::Bytes(count)) if visitor.phase == Phase::Asking => {
                    visitor.input.extend_from_slice(&buffer[..count]);
                    self.request(event_loop, token);
                }
                // Nothing more is wanted of it, and not much borne.
                Ok(Read::Bytes(count)) => {
                    visitor.noise += count;
                    if visitor.noise > NOISE_MAX {
                        return self.close(event_loop, token);
                    }
                }
                Ok(Read::Nothing) => break,
                Ok(Read::End) | Err(_) => return self.close(event_loop, token),
            }
        }
        self.hand_out(event_loop, token);
        let Some(visitor) = self.visitors.get_mut(token) else {
            return;
        };
        if visitor.transport.may_read() {
            event_loop.call_soon(InspectCallback::Ready(token, Readiness::EMPTY));
        }
        if visitor.transport.flush(&mut event_loop.world).is_err() {
            self.close(event_loop, token);
        }
    }

    fn request(&mut self, event_loop: &mut InspectLoop, token: Token) {
        let (Some(visitor), Some(own)) = (self.visitors.get_mut(token), self.address) else {
            return;
        };
        match http::parse(&visitor.input, own) {
            Ok(None) => {}
            Err(refusal) => self.refuse(event_loop, token, refusal),
            Ok(Some(Request::Page)) => {
                self.respond(event_loop, token, 200, "text/html; charset=utf-8", PAGE);
            }
            Ok(Some(Request::View)) => {
                self.visitors.turn_to(token, Phase::Curious);
                self.ask_for_view();
            }
            Ok(Some(Request::Command(command))) => {
                self.visitors.turn_to(token, Phase::Waiting);
                self.asks.push_back(Ask::Command(token, command));
            }
            Ok(Some(Request::Events)) => {
                let head = http::head(200, "text/event-stream", None);
                visitor.transport.queue(head.as_bytes());
                self.visitors.turn_to(token, Phase::Subscribed);
                self.ask_to_publish();
            }
        }
    }

    fn refuse(&mut self, event_loop: &mut InspectLoop, token: Token, refusal: Refusal) {
        let Refusal { status, why } = refusal;
        let text = format!("expected {why}\n");
        let plain = "text/plain; charset=utf-8";
        self.respond(event_loop, token, status, plain, &text);
    }

    /// The one answer that a visitor gets.
    fn respond(
        &mut self,
        event_loop: &mut InspectLoop,
        token: Token,
        status: u16,
        content_type: &str,
        body: &str,
    ) {
        self.visitors.turn_to(token, Phase::Leaving);
        let Some(visitor) = self.visitors.get_mut(token) else {
            return;
        };
        let head = http::head(status, content_type, Some(body.len()));
        visitor.transport.queue(head.as_bytes());
        visitor.transport.queue(body.as_bytes());
        visitor.transport.write_eof();
        event_loop.cancel(visitor.deadline);
        let deadline = InspectCallback::Deadline(token);
        visitor.deadline = event_loop.call_later(ANSWER_DEADLINE, deadline);
        event_loop.call_soon(InspectCallback::Ready(token, Readiness::EMPTY));
    }

    fn close(&mut self, event_loop: &mut InspectLoop, token: Token) {
        if let Some(visitor) = self.visitors.remove(token) {
            event_loop.cancel(visitor.deadline);
            visitor.transport.close(&mut event_loop.world);
        }
    }

    fn deadline(&mut self, event_loop: &mut InspectLoop, token: Token) {
        match self.visitors.get_mut(token).map(|visitor| visitor.phase) {
            Some(Phase::Asking) => {
                let refusal = Refusal {
                    status: 408,
                    why: "the whole request in time",
                };
                self.refuse(event_loop, token, refusal);
            }
            Some(Phase::Leaving) => self.close(event_loop, token),
            Some(Phase::Waiting | Phase::Curious | Phase::Subscribed) | None => {}
        }
    }

    fn tick(&mut self, event_loop: &mut InspectLoop) {
        self.ticking = false;
        let now = event_loop.time();
        let mut given_up = Vec::new();
        for (token, visitor) in self.visitors.iter_mut() {
            let unsent = visitor.transport.unsent();
            visitor.stuck = match visitor.stuck {
                _ if unsent == 0 => None,
                Some((before, since)) if before == unsent => Some((before, since)),
                _ => Some((unsent, now)),
            };
            let is_late = |(_, since)| now >= since + ANSWER_DEADLINE;
            if visitor.phase == Phase::Subscribed && visitor.stuck.is_some_and(is_late) {
                given_up.push(token);
            }
        }
        for token in given_up {
            self.close(event_loop, token);
        }
        if self.has_subscribers() {
            self.ask_to_publish();
        }
    }
}

impl Application<OsWorld> for Inspector {
    type Callback = InspectCallback;

    fn call(
        &mut self,
        event_loop: &mut InspectLoop,
        callback: InspectCallback,
    ) -> Result<(), Box<dyn Error>> {
        match callback {
            InspectCallback::Ready(LISTENER, _) if self.accepting => {}
            InspectCallback::Ready(LISTENER, _) | InspectCallback::Accept => {
                self.accept_some(event_loop);
            }
            InspectCallback::Ready(token, readiness) => {
                if let Some(visitor) = self.visitors.get_mut(token) {
                    visitor.transport.note(readiness);
                    self.visitor_ready(event_loop, token);
                }
            }
            InspectCallback::Look => {}
            InspectCallback::Deadline(token) => self.deadline(event_loop, token),
            InspectCallback::Tick => self.tick(event_loop),
            InspectCallback::Line(line) => self.asks.push_back(Ask::Line(line)),
            InspectCallback::InputEnded => self.asks.push_back(Ask::InputEnded),
            InspectCallback::Signal(number) => self.asks.push_back(Ask::Signal(number)),
        }
        Ok(())
    }

    fn before_poll(&mut self, _: &mut InspectLoop) {}
}
