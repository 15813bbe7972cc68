//! The inspection listener: serves the page and the view to visitors, and takes their commands. It
//! cannot see the server: what a visitor wants is an [`Ask`] to its driver.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::http::{self, Refusal, Request};
use crate::event_loop::{self, Application, EventLoop, Readiness, Token, World};
use crate::net::{Accepted, Network, Read, Transport, accept};
use crate::worlds::os::{Listener, OsStream, OsWorld};

/// Visitors at once; one more is closed.
pub const VISITORS_MAX: usize = 32;
/// A request must be here within this time.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// An answer must be taken within this time, and a subscriber must go on taking.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Reads of one visitor in one turn: who never stops talking keeps nobody else waiting.
pub const READS_A_TURN: usize = 4;
/// Bytes behind its request after which a visitor is closed.
pub const NOISE_MAX: usize = 64 * 1024;
/// Subscribers are told this often, at most.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// To tell them takes one part in so many of the server's time, at most: a view of a thousand
/// connections costs milliseconds.
pub const PUBLISH_SHARE: u32 = 10;
/// A subscriber with this much unsent misses what is published.
pub const SUBSCRIBER_UNSENT_MAX: usize = 512 * 1024;

const PAGE: &str = include_str!("page.html");

const LISTENER: Token = Token::listener(0);

/// What the inspection's own loop has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InspectCallback {
    /// A socket became ready.
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
    /// A visitor wants the view.
    View(Token),
    /// A visitor gives a command.
    Command(Token, String),
    /// Subscribers want the view.
    Publish,
}

/// The loop of the inspection.
pub type InspectLoop = EventLoop<OsWorld, InspectCallback>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its request is not complete.
    Asking,
    /// Its request is with the driver.
    Waiting,
    /// It gets every view.
    Subscribed,
    /// Its answer goes out, then the connection ends.
    Leaving,
}

struct Visitor {
    transport: Transport<OsStream>,
    input: Vec<u8>,
    /// Bytes that came behind its request.
    noise: usize,
    phase: Phase,
    /// A subscriber's unsent bytes when it was last looked after.
    stuck: Option<(usize, Duration)>,
}

/// The application of that loop.
pub struct Inspector {
    listener: Option<Listener>,
    address: Option<SocketAddr>,
    visitors: BTreeMap<Token, Visitor>,
    next: u32,
    asks: Vec<Ask>,
    ticking: bool,
    /// When the view was asked for that subscribers get next.
    asked: Option<Duration>,
    request_deadline: Duration,
}

impl Inspector {
    /// Nobody listens yet. A request must be here within `request_deadline`.
    pub fn new(request_deadline: Duration) -> Inspector {
        Inspector {
            listener: None,
            address: None,
            visitors: BTreeMap::new(),
            next: 1,
            asks: Vec::new(),
            ticking: false,
            asked: None,
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

    /// What was asked since the last call.
    pub fn take_asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// True while somebody wants every view.
    pub fn has_subscribers(&self) -> bool {
        let mut all = self.visitors.values();
        all.any(|visitor| visitor.phase == Phase::Subscribed)
    }

    /// Answers a visitor with JSON.
    pub fn answer(&mut self, event_loop: &mut InspectLoop, to: Token, json: &str) {
        self.respond(event_loop, to, 200, "application/json", json);
    }

    /// Tells every subscriber. One that takes too little misses this one: the next is newer.
    pub fn publish(&mut self, event_loop: &mut InspectLoop, json: &str) {
        let subscribed = self.visitors.iter().filter(|(_, visitor)| {
            visitor.phase == Phase::Subscribed && visitor.transport.unsent() < SUBSCRIBER_UNSENT_MAX
        });
        let tokens: Vec<Token> = subscribed.map(|(token, _)| *token).collect();
        let event = format!("data: {json}\n\n");
        for token in tokens {
            self.send(event_loop, token, event.as_bytes());
        }
        let now = event_loop.world.time();
        let cost = self
            .asked
            .take()
            .map_or(Duration::ZERO, |asked| now.saturating_sub(asked));
        if self.has_subscribers() && !std::mem::replace(&mut self.ticking, true) {
            let pause = PUBLISH_EVERY.max(cost * PUBLISH_SHARE);
            event_loop.call_later(pause, InspectCallback::Tick);
        }
    }

    /// Asks for the view that subscribers get, unless they get one soon.
    fn ask_to_publish(&mut self, event_loop: &mut InspectLoop) {
        if self.ticking || self.asks.contains(&Ask::Publish) {
            return;
        }
        self.asked = Some(event_loop.world.time());
        self.asks.push(Ask::Publish);
    }

    fn accept_all(&mut self, event_loop: &mut InspectLoop) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        for turn in 0..=VISITORS_MAX {
            let token = Token {
                index: self.next,
                generation: self.next,
            };
            match accept(&mut event_loop.world, &mut listener, token) {
                Accepted::Stream(stream, _) => self.admit(event_loop, stream, token),
                Accepted::Nothing | Accepted::OutOfDescriptors(None) => break,
                Accepted::Failed(_) | Accepted::OutOfDescriptors(Some(_)) => {}
            }
            if turn == VISITORS_MAX {
                event_loop.call_soon(InspectCallback::Accept);
            }
        }
        self.listener = Some(listener);
    }

    fn admit(&mut self, event_loop: &mut InspectLoop, stream: OsStream, token: Token) {
        if self.visitors.len() >= VISITORS_MAX {
            return event_loop.world.close(stream);
        }
        self.next = self.next.checked_add(1).unwrap_or(1);
        let mut transport = Transport::accepted(stream, token);
        if transport.register(&mut event_loop.world).is_err() {
            return transport.close(&mut event_loop.world);
        }
        let visitor = Visitor {
            transport,
            input: Vec::new(),
            noise: 0,
            phase: Phase::Asking,
            stuck: None,
        };
        self.visitors.insert(token, visitor);
        event_loop.call_later(self.request_deadline, InspectCallback::Deadline(token));
        self.visitor_ready(event_loop, token);
    }

    /// Reads what a visitor says, and sends what it is owed.
    fn visitor_ready(&mut self, event_loop: &mut InspectLoop, token: Token) {
        let mut buffer = [0; 4096];
        for _ in 0..READS_A_TURN {
            let Some(visitor) = self.visitors.get_mut(&token) else {
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
        if self
            .visitors
            .get(&token)
            .is_some_and(|visitor| visitor.transport.may_read())
        {
            event_loop.call_soon(InspectCallback::Ready(token, Readiness::EMPTY));
        }
        self.send(event_loop, token, b"");
    }

    fn request(&mut self, event_loop: &mut InspectLoop, token: Token) {
        let (Some(visitor), Some(own)) = (self.visitors.get_mut(&token), self.address) else {
            return;
        };
        match http::parse(&visitor.input, own) {
            Ok(None) => {}
            Err(refusal) => self.refuse(event_loop, token, refusal),
            Ok(Some(Request::Page)) => {
                self.respond(event_loop, token, 200, "text/html; charset=utf-8", PAGE);
            }
            Ok(Some(Request::View)) => {
                visitor.phase = Phase::Waiting;
                self.asks.push(Ask::View(token));
            }
            Ok(Some(Request::Command(command))) => {
                visitor.phase = Phase::Waiting;
                self.asks.push(Ask::Command(token, command));
            }
            Ok(Some(Request::Events)) => {
                visitor.phase = Phase::Subscribed;
                visitor.input = Vec::new();
                let head = http::head(200, "text/event-stream", None);
                self.send(event_loop, token, head.as_bytes());
                self.ask_to_publish(event_loop);
            }
        }
    }

    fn refuse(&mut self, event_loop: &mut InspectLoop, token: Token, refusal: Refusal) {
        let Refusal { status, why } = refusal;
        let text = format!("expected {why}\n");
        self.respond(
            event_loop,
            token,
            status,
            "text/plain; charset=utf-8",
            &text,
        );
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
        let Some(visitor) = self.visitors.get_mut(&token) else {
            return;
        };
        visitor.phase = Phase::Leaving;
        visitor.input = Vec::new();
        visitor
            .transport
            .queue(http::head(status, content_type, Some(body.len())).as_bytes());
        visitor.transport.queue(body.as_bytes());
        visitor.transport.write_eof();
        event_loop.call_later(ANSWER_DEADLINE, InspectCallback::Deadline(token));
        self.send(event_loop, token, b"");
    }

    fn send(&mut self, event_loop: &mut InspectLoop, token: Token, bytes: &[u8]) {
        let Some(visitor) = self.visitors.get_mut(&token) else {
            return;
        };
        visitor.transport.queue(bytes);
        if visitor.transport.flush(&mut event_loop.world).is_err() {
            self.close(event_loop, token);
        }
    }

    fn close(&mut self, event_loop: &mut InspectLoop, token: Token) {
        if let Some(visitor) = self.visitors.remove(&token) {
            visitor.transport.close(&mut event_loop.world);
        }
    }

    fn deadline(&mut self, event_loop: &mut InspectLoop, token: Token) {
        match self.visitors.get(&token).map(|visitor| visitor.phase) {
            Some(Phase::Asking) => {
                let refusal = Refusal {
                    status: 408,
                    why: "the whole request in time",
                };
                self.refuse(event_loop, token, refusal);
            }
            Some(Phase::Leaving) => self.close(event_loop, token),
            Some(Phase::Waiting | Phase::Subscribed) | None => {}
        }
    }

    fn tick(&mut self, event_loop: &mut InspectLoop) {
        self.ticking = false;
        let now = event_loop.time();
        let mut given_up = Vec::new();
        for (token, visitor) in &mut self.visitors {
            let unsent = visitor.transport.unsent();
            visitor.stuck = match visitor.stuck {
                _ if unsent == 0 => None,
                Some((before, since)) if before == unsent => Some((before, since)),
                _ => Some((unsent, now)),
            };
            let is_late = |(_, since)| now >= since + ANSWER_DEADLINE;
            if visitor.phase == Phase::Subscribed && visitor.stuck.is_some_and(is_late) {
                given_up.push(*token);
            }
        }
        for token in given_up {
            self.close(event_loop, token);
        }
        if self.has_subscribers() {
            self.ask_to_publish(event_loop);
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
            InspectCallback::Ready(LISTENER, _) | InspectCallback::Accept => {
                self.accept_all(event_loop);
            }
            InspectCallback::Ready(token, readiness) => {
                if let Some(visitor) = self.visitors.get_mut(&token) {
                    visitor.transport.note(readiness);
                    self.visitor_ready(event_loop, token);
                }
            }
            InspectCallback::Look => {}
            InspectCallback::Deadline(token) => self.deadline(event_loop, token),
            InspectCallback::Tick => self.tick(event_loop),
            InspectCallback::Line(line) => self.asks.push(Ask::Line(line)),
            InspectCallback::InputEnded => self.asks.push(Ask::InputEnded),
            InspectCallback::Signal(number) => self.asks.push(Ask::Signal(number)),
        }
        Ok(())
    }

    fn before_poll(&mut self, _: &mut InspectLoop) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpStream;

    /// Views that are costly to make come rarely, however many want them.
    #[test]
    fn subscribers_share_a_view_and_take_a_tenth_of_the_time() {
        let mut event_loop = EventLoop::new(OsWorld::new().expect("a poller"));
        let mut inspector = Inspector::new(REQUEST_DEADLINE);
        let any = "127.0.0.1:0".parse().expect("an address");
        inspector.listen(&mut event_loop, any).expect("it listens");
        let address = inspector.address().expect("an address");
        let request = format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let subscribe = || {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            stream
        };
        let _first = [subscribe(), subscribe(), subscribe()];
        while inspector.visitors.len() < 3
            || inspector
                .visitors
                .values()
                .any(|one| one.phase != Phase::Subscribed)
        {
            event_loop.run_once(&mut inspector).expect("it polls");
        }
        assert_eq!(inspector.take_asks(), [Ask::Publish]);
        // To make this view takes long.
        let cost = Duration::from_millis(100);
        std::thread::sleep(cost);
        let before = event_loop.world.time();
        inspector.publish(&mut event_loop, "{}");
        let ticks = event_loop
            .timers()
            .filter(|(_, _, one)| one.callback == InspectCallback::Tick);
        let next: Vec<Duration> = ticks.map(|(when, _, _)| when).collect();
        assert_eq!(next.len(), 1);
        assert!(
            next[0] + cost >= before + cost * PUBLISH_SHARE - cost,
            "{next:?} {before:?}"
        );
        // Who comes meanwhile waits for that one.
        let _late = subscribe();
        while inspector.visitors.len() < 4
            || inspector
                .visitors
                .values()
                .any(|one| one.phase != Phase::Subscribed)
        {
            event_loop.run_once(&mut inspector).expect("it polls");
        }
        assert_eq!(inspector.take_asks(), []);
    }
}
