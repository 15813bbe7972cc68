//! Many connections driven by one thread: each writes its requests, then each
//! reads its answers. All programs are asked by the same hand.
//!
//! ```text
//! let mut crowd = Crowd::connect(&guest, &kind, 50, 100_000)?;
//! crowd.fill(16)?;
//! let cost = crowd.report(16, 1.0)?;      // cost.cpu_us
//! ```

use super::guest::{Guest, Kind};
use super::position::Positions;
use super::wire::{Asked, Head, Wire};
use lab::Result;
use lab::talk::PATIENCE;
use lab::usage::Usage;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What a request came to.
pub struct Cost {
    pub cpu_us: f64,
    pub per_second: f64,
}

pub struct Crowd {
    wire: Wire,
    pid: u32,
    lines: Vec<Line>,
    positions: Positions,
    clients: u32,
}

/// One connection.
struct Line {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Crowd {
    pub fn connect(guest: &Guest, kind: &Kind, connections: usize, clients: u32) -> Result<Crowd> {
        let wire = kind.wire();
        let mut lines = Vec::new();
        for number in 0..connections {
            let mut line = Line::connect(guest.addr())?;
            if let Some(greeting) = wire.greeting(number) {
                line.stream.write_all(greeting.as_bytes())?;
            }
            if let Some(creation) = wire.creation(number).filter(|_| number == 0) {
                line.stream.write_all(creation.as_bytes())?;
                line.read(wire, Asked::Report, 1)?;
            }
            lines.push(line);
        }
        Ok(Crowd {
            wire,
            pid: guest.pid(),
            lines,
            positions: Positions::of(clients),
            clients,
        })
    }

    /// Everybody reports once.
    pub fn fill(&mut self, depth: usize) -> Result<()> {
        let mut left = self.clients as usize;
        while left > 0 {
            let count = left.min(depth * self.lines.len());
            self.exchange(Asked::Report, depth, count)?;
            left -= count;
        }
        Ok(())
    }

    pub fn report(&mut self, depth: usize, seconds: f64) -> Result<Cost> {
        self.timed(Asked::Report, depth, seconds)
    }

    /// None where there is no such question.
    pub fn ask_near(&mut self, seconds: f64) -> Result<Option<Cost>> {
        match self.wire.near("", &mut Vec::new()) {
            true => self.timed(Asked::Near, 1, seconds).map(Some),
            false => Ok(None),
        }
    }

    fn timed(&mut self, asked: Asked, depth: usize, seconds: f64) -> Result<Cost> {
        let each = depth * self.lines.len();
        self.exchange(asked, depth, each)?;
        let (before, begun) = (Usage::of(self.pid)?, Instant::now());
        let mut requests = 0;
        while begun.elapsed() < Duration::from_secs_f64(seconds) {
            self.exchange(asked, depth, each)?;
            requests += each;
        }
        let elapsed = begun.elapsed().as_secs_f64();
        let used = Usage::of(self.pid)?.since(&before);
        Ok(Cost {
            cpu_us: used.cpu_ns as f64 / 1e3 / requests as f64,
            per_second: requests as f64 / elapsed,
        })
    }

    /// `count` requests in all, `depth` on each connection as long as they last.
    fn exchange(&mut self, asked: Asked, depth: usize, count: usize) -> Result<()> {
        let mut batch = Vec::new();
        let mut left = count;
        let mut due = Vec::with_capacity(self.lines.len());
        for (number, line) in self.lines.iter_mut().enumerate() {
            let here = left.min(depth);
            left -= here;
            due.push(here);
            batch.clear();
            for _ in 0..here {
                let position = self.positions.next();
                match asked {
                    Asked::Report => self.wire.report(&position, number, &mut batch),
                    Asked::Near => {
                        self.wire.near(&position.id, &mut batch);
                    }
                }
            }
            line.stream.write_all(&batch)?;
        }
        for (line, due) in self.lines.iter_mut().zip(due) {
            line.read(self.wire, asked, due)?;
        }
        Ok(())
    }
}

impl Line {
    fn connect(addr: SocketAddr) -> Result<Line> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Line {
            stream,
            heard: Vec::new(),
        })
    }

    /// Reads until so many answers have come.
    fn read(&mut self, wire: Wire, asked: Asked, mut due: usize) -> Result<()> {
        let mut buffer = [0; 64 * 1024];
        let mut taken = 0;
        while due > 0 {
            match wire.answer(asked, &self.heard[taken..])? {
                Head::Answer(len) => {
                    taken += len;
                    due -= 1;
                }
                Head::Other(len) => taken += len,
                Head::Part => {
                    self.heard.drain(..taken);
                    taken = 0;
                    match self.stream.read(&mut buffer)? {
                        0 => return Err("the server closed the connection".into()),
                        len => self.heard.extend_from_slice(&buffer[..len]),
                    }
                }
            }
        }
        self.heard.drain(..taken);
        Ok(())
    }
}
