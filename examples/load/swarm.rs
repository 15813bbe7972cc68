//! The connections and the one loop that serves them all: edge-triggered,
//! registered once, one write and (almost always) one read a batch.
//!
//! ```text
//! let mut swarm = Swarm::connect(plan)?;
//! swarm.run(Until::Requests(10_000))?;            // warm up
//! let measured = swarm.run(Until::Seconds(4.0))?;
//! ```

use crate::exchange::{Checker, LINE_LEN, Lines, Verdict};
use hdrhistogram::Histogram;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// A server that answers nothing for this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    pub addr: SocketAddr,
    pub connections: usize,
    /// Requests of a connection in one write; the next follow when all of
    /// these are answered.
    pub depth: usize,
    pub keys: u64,
    pub mode: Mode,
}

/// How long a connection lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// From before the clock starts to the end.
    Persistent,
    /// For one batch: its connect and its close are part of the work.
    ConnectAskClose,
}

/// When a run asks no more.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Requests(u64),
    Seconds(f64),
}

/// What a run saw.
pub struct Measured {
    pub requests: u64,
    pub elapsed: Duration,
    /// Nanoseconds from a request's write (its connect, if that is part of
    /// the work) to the read that brought its answer.
    pub latency: Histogram<u64>,
}

/// Why a run ended early.
#[derive(Debug)]
pub enum Fault {
    Io(io::Error),
    /// The server closed with requests unanswered.
    Closed {
        unanswered: usize,
    },
    /// No event for `PATIENCE`.
    Silent {
        unanswered: usize,
    },
    WrongAnswer {
        request: Vec<u8>,
        received: Vec<u8>,
    },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => write!(f, "{error}"),
            Fault::Closed { unanswered } => {
                write!(f, "the server closed with {unanswered} requests unanswered")
            }
            Fault::Silent { unanswered } => {
                write!(f, "no answer in {PATIENCE:?}, {unanswered} requests wait")
            }
            Fault::WrongAnswer { request, received } => write!(
                f,
                "wrong answer\n  asked    {}\n  received {}",
                request.escape_ascii(),
                received.escape_ascii()
            ),
        }
    }
}

/// One client.
struct Connection {
    /// None between two connections of `ConnectAskClose`.
    stream: Option<TcpStream>,
    /// The requests in flight, as sent.
    batch: Vec<u8>,
    /// Bytes of `batch` that the socket has taken.
    written: usize,
    /// Bytes of `batch` that have been answered.
    answered: usize,
    /// The answer that a read cut in two: almost always empty.
    carry: Vec<u8>,
    asked_at: Instant,
}

impl Connection {
    fn unanswered(&self) -> usize {
        (self.batch.len() - self.answered) / LINE_LEN
    }

    /// Writes what the socket takes. A socket that is still connecting takes
    /// nothing yet, and says so with a writable event later.
    fn write(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while self.written < self.batch.len() {
            match stream.write(&self.batch[self.written..]) {
                Ok(len) => self.written += len,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Checks what has come, `received` (or the carry and then `received`),
    /// and keeps an unfinished answer. Returns how many were answered.
    fn check(&mut self, received: &[u8], checker: &mut Checker) -> Result<u64, Fault> {
        let carried = !self.carry.is_empty();
        let mut carry = std::mem::take(&mut self.carry);
        if carried {
            carry.extend_from_slice(received);
        }
        let mut rest = if carried { &carry[..] } else { received };
        let before = self.answered;
        while !rest.is_empty() {
            let request = &self.batch[self.answered..];
            let request = &request[..LINE_LEN.min(request.len())];
            let verdict = match request {
                [] => Verdict::Wrong,
                _ => checker.check(rest, request),
            };
            match verdict {
                Verdict::Right(len) => {
                    rest = &rest[len..];
                    self.answered += LINE_LEN;
                }
                Verdict::Partial => break,
                Verdict::Wrong => {
                    return Err(Fault::WrongAnswer {
                        request: request.to_vec(),
                        received: rest[..rest.len().min(256)].to_vec(),
                    });
                }
            }
        }
        self.carry = rest.to_vec();
        Ok(((self.answered - before) / LINE_LEN) as u64)
    }
}

/// All clients of one server, and the poll that they share.
pub struct Swarm {
    plan: Plan,
    poll: Poll,
    connections: Vec<Connection>,
    lines: Lines,
    checker: Checker,
    read_buffer: Vec<u8>,
    /// Connections made so far, for the choice of source addresses.
    connects: u32,
    run: Run,
}

/// The state of the current run.
struct Run {
    until: Until,
    started: Instant,
    asked: u64,
    answered: u64,
    /// Connections with requests in flight.
    busy: usize,
    latency: Histogram<u64>,
}

impl Run {
    fn new(until: Until) -> Run {
        Run {
            until,
            started: Instant::now(),
            asked: 0,
            answered: 0,
            busy: 0,
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"),
        }
    }

    /// The size of the next batch: 0 at the end.
    fn next_batch(&self, depth: usize, now: Instant) -> usize {
        match self.until {
            Until::Requests(limit) => depth.min((limit - self.asked) as usize),
            Until::Seconds(s) if (now - self.started).as_secs_f64() < s => depth,
            Until::Seconds(_) => 0,
        }
    }
}

impl Swarm {
    /// Connects everybody (in `Persistent` mode), before any clock starts.
    pub fn connect(plan: Plan) -> io::Result<Swarm> {
        let mut swarm = Swarm {
            poll: Poll::new()?,
            connections: Vec::with_capacity(plan.connections),
            lines: Lines::new(plan.keys),
            checker: Checker::default(),
            read_buffer: vec![0; 64 * 1024],
            connects: 0,
            run: Run::new(Until::Requests(0)),
            plan,
        };
        for index in 0..swarm.plan.connections {
            let stream = match swarm.plan.mode {
                Mode::Persistent => Some(swarm.connect_blocking(index)?),
                Mode::ConnectAskClose => None,
            };
            swarm.connections.push(Connection {
                stream,
                batch: Vec::with_capacity(swarm.plan.depth * LINE_LEN),
                written: 0,
                answered: 0,
                carry: Vec::new(),
                asked_at: Instant::now(),
            });
        }
        Ok(swarm)
    }

    /// The name that the server gives itself.
    pub fn server(&self) -> &[u8] {
        self.checker.server()
    }

    /// Asks until `until` and waits for the last answer.
    pub fn run(&mut self, until: Until) -> Result<Measured, Fault> {
        self.run = Run::new(until);
        let mut events = Events::with_capacity(1024);
        for index in 0..self.connections.len() {
            self.next_batch(index, Instant::now())?;
        }
        while self.run.busy > 0 {
            match self.poll.poll(&mut events, Some(PATIENCE)) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                let unanswered = self.connections.iter().map(Connection::unanswered).sum();
                return Err(Fault::Silent { unanswered });
            }
            for event in &events {
                self.ready(event)?;
            }
        }
        let finished = Run::new(until);
        let run = std::mem::replace(&mut self.run, finished);
        Ok(Measured {
            requests: run.answered,
            elapsed: run.started.elapsed(),
            latency: run.latency,
        })
    }

    fn ready(&mut self, event: &Event) -> Result<(), Fault> {
        let index = event.token().0;
        let connection = &mut self.connections[index];
        if event.is_writable() && connection.written < connection.batch.len() {
            connection.write()?;
        }
        if event.is_readable() {
            self.read(index, event.is_read_closed())?;
        }
        Ok(())
    }

    /// Reads until the socket is drained: a read shorter than the buffer says
    /// so by itself, unless a FIN hides behind it.
    fn read(&mut self, index: usize, closing: bool) -> Result<(), Fault> {
        loop {
            let connection = &mut self.connections[index];
            let Some(stream) = &mut connection.stream else {
                return Ok(());
            };
            let len = match stream.read(&mut self.read_buffer) {
                Ok(0) => {
                    let unanswered = connection.unanswered();
                    return Err(Fault::Closed { unanswered });
                }
                Ok(len) => len,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            let answered = connection.check(&self.read_buffer[..len], &mut self.checker)?;
            let now = Instant::now();
            let latency = (now - connection.asked_at).as_nanos() as u64;
            self.run.latency.saturating_record_n(latency, answered);
            self.run.answered += answered;
            if connection.answered == connection.batch.len() {
                self.run.busy -= 1;
                self.next_batch(index, now)?;
            }
            if len < self.read_buffer.len() && !closing {
                return Ok(());
            }
        }
    }

    /// Sends a connection's next batch, if the run wants one.
    fn next_batch(&mut self, index: usize, now: Instant) -> Result<(), Fault> {
        let one_batch = self.plan.mode == Mode::ConnectAskClose;
        if one_batch {
            self.connections[index].stream = None;
        }
        let count = self.run.next_batch(self.plan.depth, now);
        let connection = &mut self.connections[index];
        self.lines.write(count, &mut connection.batch);
        connection.written = 0;
        connection.answered = 0;
        if count == 0 {
            return Ok(());
        }
        connection.asked_at = now;
        self.run.asked += count as u64;
        self.run.busy += 1;
        if one_batch {
            let stream = self.connect_at_once(index)?;
            self.connections[index].stream = Some(stream);
        }
        self.connections[index].write()?;
        Ok(())
    }

    fn connect_blocking(&mut self, index: usize) -> io::Result<TcpStream> {
        let stream = std::net::TcpStream::connect(self.plan.addr)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        self.register(index, stream)
    }

    /// Begins to connect, for a single write: Nagle has nothing to hold back.
    ///
    /// Every closed connection keeps its port for a minute (TIME_WAIT), so
    /// that one source address would run out of ports: on loopback the
    /// connections take turns in 250 of them.
    fn connect_at_once(&mut self, index: usize) -> io::Result<TcpStream> {
        use socket2::{Domain, Socket, Type};
        let addr = self.plan.addr;
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), None)?;
        if matches!(addr.ip(), IpAddr::V4(ip) if ip.is_loopback()) {
            let host = 2 + (self.connects % 250) as u8;
            self.connects = self.connects.wrapping_add(1);
            let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
            socket.bind(&source.into())?;
        }
        match socket.connect(&addr.into()) {
            Err(e) if e.raw_os_error() != Some(EINPROGRESS) => Err(e),
            _ => self.register(index, socket.into()),
        }
    }

    fn register(&self, index: usize, stream: std::net::TcpStream) -> io::Result<TcpStream> {
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(index), interest)?;
        Ok(stream)
    }
}

/// "The connection is on its way", on Linux.
const EINPROGRESS: i32 = 115;
