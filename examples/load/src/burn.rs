//! The client that makes the server compute: `BURN <ms>` now and then on a
//! connection of its own, while everybody else's latency is measured. The
//! server must have been started with `--burn`.
//!
//! ```text
//! let burn: Burn = "200:away".parse()?;
//! let burner = Burner::connect(&dialler, burn, Duration::from_secs(1))?;
//! ```

use crate::dial::Dialler;
use crate::fault::Fault;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// What the server is asked to compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burn {
    pub ms: u32,
    pub place: Place,
}

/// Where it computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// Right there, on its loop or in the thread that serves the connection.
    Here,
    /// On its platform's executor.
    Away,
    /// In another process (Python).
    Process,
}

/// The most that a server takes.
const MS_MAX: u32 = 10_000;

impl FromStr for Burn {
    type Err = String;

    fn from_str(text: &str) -> Result<Burn, String> {
        let (ms, place) = match text.split_once(':') {
            None => (text, Place::Here),
            Some((ms, "away")) => (ms, Place::Away),
            Some((ms, "process")) => (ms, Place::Process),
            Some((_, other)) => return Err(format!("{other:?} is neither away nor process")),
        };
        match ms.parse() {
            Ok(ms @ 1..=MS_MAX) => Ok(Burn { ms, place }),
            _ => Err(format!("{ms:?} is not 1 to {MS_MAX} milliseconds")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Here => "here",
            Place::Away => "away",
            Place::Process => "process",
        })
    }
}

impl Burn {
    fn request(&self) -> String {
        match self.place {
            Place::Here => format!("BURN {}\n", self.ms),
            place => format!("BURN {} {place}\n", self.ms),
        }
    }

    fn answer(&self) -> String {
        format!("BURNT {}\n", self.ms)
    }
}

/// The connection that says so.
pub struct Burner {
    pub stream: TcpStream,
    pub burn: Burn,
    every: Duration,
    /// When the next is due; none when there shall be no more.
    next: Option<Instant>,
    /// Since when one has been unanswered.
    asked_at: Option<Instant>,
    received: Vec<u8>,
    /// Nanoseconds from question to answer.
    pub latency: Histogram<u64>,
}

impl Burner {
    pub fn connect(dialler: &Dialler, burn: Burn, every: Duration) -> io::Result<Burner> {
        let stream = dialler.connect()?;
        stream.set_nonblocking(true)?;
        Ok(Burner {
            stream: TcpStream::from_std(stream),
            burn,
            every,
            next: None,
            asked_at: None,
            received: Vec::new(),
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"),
        })
    }

    /// The first is due after one interval.
    pub fn start(&mut self, now: Instant) {
        self.next = Some(now + self.every);
    }

    /// Asks no more.
    pub fn stop(&mut self) {
        self.next = None;
    }

    pub fn waits(&self) -> bool {
        self.asked_at.is_some()
    }

    /// How long until it has to ask.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.next
            .filter(|_| !self.waits())
            .map(|next| next.saturating_duration_since(now))
    }

    /// Asks if it is time. One at a time: what falls due meanwhile is left
    /// out.
    pub fn tick(&mut self, now: Instant) -> Result<(), Fault> {
        let Some(next) = self.next.filter(|&next| next <= now && !self.waits()) else {
            return Ok(());
        };
        // A few bytes, and nothing before them is unread.
        self.stream.write_all(self.burn.request().as_bytes())?;
        self.asked_at = Some(now);
        self.next = Some(first_after(next, self.every, now));
        Ok(())
    }

    /// Reads what there is, and checks it.
    pub fn ready(&mut self) -> Result<(), Fault> {
        let mut buffer = [0; 256];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Fault::Closed { unanswered: 1 }),
                Ok(len) => self.received.extend_from_slice(&buffer[..len]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e.into()),
            }
        }
        let now = Instant::now();
        let answer = self.burn.answer();
        if !answer.as_bytes().starts_with(&self.received) {
            let request = self.burn.request();
            return Err(Fault::wrong(request.as_bytes(), &self.received));
        }
        if self.received.len() == answer.len() {
            self.received.clear();
            let Some(asked_at) = self.asked_at.take() else {
                return Err(Fault::wrong(b"", answer.as_bytes()));
            };
            let latency = (now - asked_at).as_nanos() as u64;
            self.latency.saturating_record(latency);
            let every = self.every;
            self.next = self.next.map(|next| first_after(next, every, now));
        }
        Ok(())
    }
}

/// The first of `next`, `next + every`, ... that lies after `now`.
fn first_after(next: Instant, every: Duration, now: Instant) -> Instant {
    let mut next = next;
    while next <= now {
        next += every;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_and_a_place_are_read() {
        for (text, request) in [
            ("200", "BURN 200\n"),
            ("1:away", "BURN 1 away\n"),
            ("10000:process", "BURN 10000 process\n"),
        ] {
            let burn: Burn = text.parse().unwrap();
            assert_eq!(burn.request(), request);
        }
        let burn: Burn = "20:away".parse().unwrap();
        assert_eq!(burn.answer(), "BURNT 20\n");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", "0", "10001", "-1", "1.5", "away", "5:", "5:there", "5:away:",
        ] {
            assert!(text.parse::<Burn>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_falls_due_meanwhile_is_left_out() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let every = Duration::from_millis(100);
        assert_eq!(first_after(at(100), every, at(99)), at(100));
        assert_eq!(first_after(at(100), every, at(100)), at(200));
        assert_eq!(first_after(at(100), every, at(350)), at(400));
    }
}
