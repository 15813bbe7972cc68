//! The connections and the one loop that serves them all: edge-triggered,
//! registered once, one write and (almost always) one read a batch.
//!
//! ```text
//! let mut swarm = Swarm::connect(plan, dialler, Iamat::new(keys))?;
//! swarm.run(Until::Requests(10_000), Extras::default())?;      // warm up
//! let measured = swarm.run(Until::Seconds(4.0), extras)?;
//! ```

use crate::burn::Burner;
use crate::connection::Connection;
use crate::dial::Dialler;
use crate::exchange::Exchange;
use crate::fault::{Fault, PATIENCE};
use crate::progress::Progress;
use crate::schedule::Open;
use hdrhistogram::Histogram;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

/// The connections have the tokens from 0 on.
const ALARM: Token = Token(usize::MAX);
const BURNER: Token = Token(usize::MAX - 1);

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    pub connections: usize,
    /// Requests of a connection in one write; the next follow when all of
    /// these are answered.
    pub depth: usize,
    pub life: Life,
}

/// How long a connection lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Life {
    /// From before the clock starts to the end.
    Persistent,
    /// For one batch: its connect and its close are part of the work.
    ConnectAskClose,
}

/// When a run asks no more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    Requests(u64),
    Seconds(f64),
}

/// What a run does beside asking as fast as it is answered.
#[derive(Default)]
pub struct Extras {
    /// Requests a second, on a schedule.
    pub rate: Option<f64>,
    pub burner: Option<Burner>,
    pub progress: Option<Progress>,
}

/// What a run saw.
pub struct Measured {
    pub requests: u64,
    pub elapsed: Duration,
    /// Nanoseconds from a request's write (its connect, if that is part of
    /// the work; its time, if it has one) to the read that brought its answer.
    pub latency: Histogram<u64>,
    /// Nanoseconds from a request's time to its write, if it had one.
    pub late: Option<Histogram<u64>>,
    pub burner: Option<Burner>,
}

/// All clients of one server, and the poll that they share.
pub struct Swarm<E> {
    plan: Plan,
    poll: Poll,
    dialler: Dialler,
    connections: Vec<Connection>,
    exchange: E,
    read_buffer: Vec<u8>,
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
    open: Option<Open>,
    burner: Option<Burner>,
    progress: Option<Progress>,
    /// When the last answers were seen, and how many there were: kept only
    /// if the clock is looked at in each turn.
    heard: (Instant, u64),
}

impl Run {
    fn new(until: Until) -> Run {
        let now = Instant::now();
        Run {
            until,
            started: now,
            asked: 0,
            answered: 0,
            busy: 0,
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"),
            open: None,
            burner: None,
            progress: None,
            heard: (now, 0),
        }
    }

    /// The size of the next batch of a closed loop: 0 at the end.
    fn next_batch(&self, depth: usize, now: Instant) -> usize {
        match self.until {
            Until::Requests(limit) => depth.min((limit - self.asked) as usize),
            Until::Seconds(s) if (now - self.started).as_secs_f64() < s => depth,
            Until::Seconds(_) => 0,
        }
    }

    fn asks(&self) -> bool {
        let open = self.open.as_ref();
        self.busy > 0 || open.is_some_and(|open| self.asked < open.total)
    }

    fn burns(&self) -> bool {
        self.burner.as_ref().is_some_and(Burner::waits)
    }

    /// Whether anything goes by the clock.
    fn is_timed(&self) -> bool {
        self.open.is_some() || self.burner.is_some() || self.progress.is_some()
    }

    /// How long the poll may wait. An open loop has its alarm.
    fn timeout(&self, now: Instant) -> Duration {
        let burner = self.burner.as_ref().and_then(|burner| burner.left(now));
        let progress = self.progress.as_ref().map(|progress| progress.left(now));
        let second = Some(Duration::from_secs(1));
        let all = [burner, progress, second];
        all.into_iter().flatten().min().unwrap_or(PATIENCE)
    }

    /// How long the server may be silent: a burn may stop it.
    fn patience(&self) -> Duration {
        let burn = self.burner.as_ref().map_or(0, |burner| burner.burn.ms);
        PATIENCE + Duration::from_millis(burn.into())
    }
}

impl<E: Exchange> Swarm<E> {
    /// Connects everybody (who is persistent), before any clock starts.
    pub fn connect(plan: Plan, dialler: Dialler, exchange: E) -> io::Result<Swarm<E>> {
        let mut swarm = Swarm {
            poll: Poll::new()?,
            dialler,
            connections: Vec::with_capacity(plan.connections),
            exchange,
            read_buffer: vec![0; 64 * 1024],
            run: Run::new(Until::Requests(0)),
            plan,
        };
        let batch_len = swarm.plan.depth * swarm.exchange.request_len();
        for index in 0..swarm.plan.connections {
            let stream = match swarm.plan.life {
                Life::Persistent => {
                    let stream = swarm.dialler.connect()?;
                    stream.set_nonblocking(true)?;
                    Some(swarm.register(index, stream)?)
                }
                Life::ConnectAskClose => None,
            };
            swarm.connections.push(Connection::new(stream, batch_len));
        }
        Ok(swarm)
    }

    pub fn exchange(&mut self) -> &mut E {
        &mut self.exchange
    }

    pub fn dialler(&mut self) -> &mut Dialler {
        &mut self.dialler
    }

    /// Asks until `until` and waits for the last answer.
    pub fn run(&mut self, until: Until, extras: Extras) -> Result<Measured, Fault> {
        self.begin(until, extras)?;
        self.poll_while(Run::asks)?;
        let elapsed = self.run.started.elapsed();
        if let Some(burner) = &mut self.run.burner {
            burner.stop();
        }
        self.poll_while(Run::burns)?;
        let run = std::mem::replace(&mut self.run, Run::new(until));
        Ok(Measured {
            requests: run.answered,
            elapsed,
            latency: run.latency,
            late: run.open.map(|open| open.late),
            burner: run.burner,
        })
    }

    fn begin(&mut self, until: Until, extras: Extras) -> Result<(), Fault> {
        self.run = Run::new(until);
        self.run.progress = extras.progress;
        let now = Instant::now();
        if let Some(mut burner) = extras.burner {
            let registry = self.poll.registry();
            registry.register(&mut burner.stream, BURNER, Interest::READABLE)?;
            burner.start(now);
            self.run.burner = Some(burner);
        }
        if let Some(rate) = extras.rate {
            let mut open = Open::new(rate, until, self.plan.connections)?;
            open.alarm().register(self.poll.registry(), ALARM)?;
            self.run.open = Some(open);
            return self.ask_what_is_due();
        }
        for index in 0..self.connections.len() {
            self.ask_again(index, Instant::now())?;
        }
        Ok(())
    }

    fn poll_while(&mut self, goes_on: fn(&Run) -> bool) -> Result<(), Fault> {
        let mut events = Events::with_capacity(1024);
        // Who asks as fast as he is answered needs no clock here.
        let timed = self.run.is_timed();
        while goes_on(&self.run) {
            let timeout = match timed {
                true => self.run.timeout(Instant::now()),
                false => PATIENCE,
            };
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() && !timed {
                return Err(self.silence());
            }
            for event in &events {
                self.ready(event)?;
            }
            if timed {
                self.tick()?;
            }
        }
        Ok(())
    }

    fn silence(&self) -> Fault {
        let bytes: usize = self.connections.iter().map(Connection::unanswered).sum();
        Fault::Silent {
            unanswered: bytes / self.exchange.request_len(),
        }
    }

    /// What goes by the clock.
    fn tick(&mut self) -> Result<(), Fault> {
        self.ask_what_is_due()?;
        let now = Instant::now();
        let run = &mut self.run;
        if run.heard.1 != run.answered || (run.busy == 0 && !run.burns()) {
            run.heard = (now, run.answered);
        } else if now - run.heard.0 > run.patience() {
            return Err(self.silence());
        }
        if let Some(open) = &run.open {
            open.is_possible(run.asked, now)?;
        }
        if let Some(burner) = &mut run.burner {
            burner.tick(now)?;
        }
        if let Some(progress) = &mut run.progress {
            progress.tick(now, run.answered, run.busy);
        }
        Ok(())
    }

    fn ready(&mut self, event: &Event) -> Result<(), Fault> {
        let index = match event.token() {
            ALARM => return Ok(()),
            BURNER => return self.run.burner.as_mut().map_or(Ok(()), Burner::ready),
            Token(index) => index,
        };
        let connection = &mut self.connections[index];
        // With each answer the kernel says once more that we may write.
        if event.is_writable() && !connection.is_written() {
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
                    let unanswered = connection.unanswered() / self.exchange.request_len();
                    return Err(Fault::Closed { unanswered });
                }
                Ok(len) => len,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            let answered = connection.check(&self.read_buffer[..len], &mut self.exchange)?;
            let now = Instant::now();
            self.record(index, answered, now);
            if self.connections[index].is_answered() {
                self.run.busy -= 1;
                self.ask_again(index, now)?;
            }
            if len < self.read_buffer.len() && !closing {
                return Ok(());
            }
        }
    }

    /// Notes how long the next `count` answers of a connection took.
    fn record(&mut self, index: usize, count: u64, now: Instant) {
        let (run, connection) = (&mut self.run, &mut self.connections[index]);
        run.answered += count;
        let Some(open) = &run.open else {
            let latency = (now - connection.asked_at).as_nanos() as u64;
            return run.latency.saturating_record_n(latency, count);
        };
        for number in connection.first..connection.first + count {
            let latency = (now - open.schedule.at(number)).as_nanos() as u64;
            run.latency.saturating_record(latency);
        }
        connection.first += count;
    }

    /// A connection without unanswered requests asks the next, or is free
    /// until some are due.
    fn ask_again(&mut self, index: usize, now: Instant) -> Result<(), Fault> {
        if self.plan.life == Life::ConnectAskClose {
            self.connections[index].stream = None;
        }
        match &mut self.run.open {
            Some(open) => {
                open.is_free(index);
                Ok(())
            }
            None => {
                let count = self.run.next_batch(self.plan.depth, now);
                self.ask(index, count, now)
            }
        }
    }

    /// An open loop's requests whose time has come.
    fn ask_what_is_due(&mut self) -> Result<(), Fault> {
        while let Some(open) = &mut self.run.open {
            let now = Instant::now();
            let next = open.next(self.run.asked, self.plan.depth, now)?;
            let Some((index, count)) = next else {
                break;
            };
            self.connections[index].first = self.run.asked;
            self.ask(index, count, now)?;
        }
        Ok(())
    }

    /// Sends the next `count` requests on a connection.
    #[inline]
    fn ask(&mut self, index: usize, count: usize, now: Instant) -> Result<(), Fault> {
        if count as u64 > self.exchange.left() {
            return Err(Fault::NoNewKeys);
        }
        let connection = &mut self.connections[index];
        self.exchange.write(count, &mut connection.batch);
        connection.begin();
        if count == 0 {
            return Ok(());
        }
        connection.asked_at = now;
        self.run.asked += count as u64;
        self.run.busy += 1;
        if self.plan.life == Life::ConnectAskClose {
            let stream = self.dialler.begin()?;
            self.connections[index].stream = Some(self.register(index, stream)?);
        }
        self.connections[index].write()?;
        Ok(())
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
