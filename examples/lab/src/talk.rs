//! Blocking conversations with servers: a client that asks and waits, a
//! neighbour that feeds records.
//!
//! ```text
//! let mut client = Client::connect(server.addr)?;
//! client.report("kiwi")?;                           // IAMAT, checked
//! Feeder::greet(server.addr, "Jaquez")?.feed(&records("Jaquez", 1_000_000))?;
//! client.wait_until_known(&record_id(999_999))?;    // WHATSAT
//! ```

use super::Result;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Whoever does not answer within this has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where everybody is.
const POSITION: &str = "+34.068930-118.445127";

/// The time of day as an IAMAT writes it: later calls give later times.
pub fn stamp() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// An IAMAT of now, with its LF.
pub fn iamat(id: &str) -> String {
    format!("IAMAT {id} {POSITION} {}\n", stamp())
}

/// A client that asks one thing after another.
pub struct Client {
    stream: BufReader<TcpStream>,
    line: String,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client {
            stream: BufReader::with_capacity(4096, stream),
            line: String::new(),
        })
    }

    /// Sends lines without waiting for their answers.
    pub fn send(&mut self, lines: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(lines)?)
    }

    /// Reads one line of an answer, without its LF.
    pub fn line(&mut self) -> Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(self.line.trim_end_matches('\n'))
    }

    /// Reads the answer to an IAMAT of `id`.
    pub fn accepted(&mut self, id: &str) -> Result<()> {
        let answer = self.line()?;
        if answer.starts_with("AT ") && answer.split(' ').nth(3) == Some(id) {
            Ok(())
        } else {
            Err(format!("wrong answer to an IAMAT of {id}: {answer:?}").into())
        }
    }

    /// Reports a position and returns how long the answer took.
    pub fn report(&mut self, id: &str) -> Result<Duration> {
        let question = iamat(id);
        let asked = Instant::now();
        self.send(question.as_bytes())?;
        self.accepted(id)?;
        Ok(asked.elapsed())
    }

    /// Asks with a WHATSAT whether the server has a record of `id`.
    pub fn knows(&mut self, id: &str) -> Result<bool> {
        self.send(format!("WHATSAT {id} 1 0\n").as_bytes())?;
        if self.line()?.starts_with("? ") {
            return Ok(false);
        }
        // Then come the places, and an empty line.
        while !self.line()?.is_empty() {}
        Ok(true)
    }

    /// Asks until the server has a record of `id`.
    pub fn wait_until_known(&mut self, id: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.knows(id)? {
            if Instant::now() > deadline {
                return Err(format!("{id} has not arrived within {PATIENCE:?}").into());
            }
        }
        Ok(())
    }
}

/// The id of a record that was fed.
pub fn record_id(number: u32) -> String {
    format!("c{number:07}.cs.ucla.edu")
}

/// The number in the id of a line `AT <server> <skew> <id> ...`, if a feeder
/// made it.
pub fn record_number(line: &[u8]) -> Option<u32> {
    let id = line.split(|&byte| byte == b' ').nth(3)?;
    let digits = id.strip_prefix(b"c")?.get(..7)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A neighbour as far as the server can tell, which passes records on.
pub struct Feeder {
    stream: TcpStream,
}

impl Feeder {
    /// Dials a server and greets it as its neighbour `name`.
    pub fn greet(addr: SocketAddr, name: &str) -> Result<Feeder> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("PEER {name}\n").as_bytes())?;
        Ok(Feeder { stream })
    }

    /// Passes lines on, as fast as they are taken.
    pub fn feed(&mut self, lines: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(lines)?)
    }
}

/// The AT lines of `count` records made at the server `name`. They are made
/// before any clock starts: so the server is what limits the feeding.
pub fn records(name: &str, count: u32) -> Vec<u8> {
    let time = stamp();
    let mut lines = Vec::new();
    for number in 0..count {
        let id = record_id(number);
        writeln!(lines, "AT {name} +0.012345678 {id} {POSITION} {time}")
            .expect("a vector takes everything");
    }
    lines
}
