//! A blocking client for the cases: it never waits for ever, and a failure is
//! a sentence that says what was due and what came.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Whoever has not answered within this does not.
const PATIENCE: Duration = Duration::from_secs(5);

const CHUNK: usize = 64 * 1024;

/// Why there was nothing more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// The deadline came first.
    Timeout,
    /// The server closed in good order.
    Closed,
    /// The connection failed.
    Reset,
}

/// A WHATSAT's answer: the AT line with its LF; the JSON without its end.
pub struct Whatsat {
    pub at: String,
    json: String,
}

impl Whatsat {
    /// The places found.
    pub fn results(&self) -> Result<Vec<serde_json::Value>, String> {
        let value: serde_json::Value = serde_json::from_str(&self.json)
            .map_err(|error| format!("not JSON: {error}: {:?}", short(&self.json)))?;
        let list = value["results"].as_array();
        Ok(list
            .ok_or_else(|| format!("no list of results in {}", short(&self.json)))?
            .clone())
    }
}

pub struct Client {
    stream: TcpStream,
    /// What has come and nobody has asked for.
    pending: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Client, String> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream =
            connect().map_err(|error: std::io::Error| format!("no connection: {error}"))?;
        Ok(Client {
            stream,
            pending: Vec::new(),
        })
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream
            .write_all(bytes)
            .map_err(|error| format!("cannot send: {error}"))
    }

    /// Nothing more will come from us; we still read.
    pub fn half_close(&mut self) -> Result<(), String> {
        let done = self.stream.shutdown(Shutdown::Write);
        done.map_err(|error| format!("cannot half-close: {error}"))
    }

    /// The next line with its LF, as Latin-1: one character is one byte.
    pub fn line(&mut self) -> Result<String, String> {
        let line = self
            .until(b"\n", PATIENCE)
            .map_err(|why| self.due("a line", why))?;
        Ok(latin1(&line))
    }

    /// A WHATSAT's answer; none if the server has no such record.
    pub fn whatsat(&mut self) -> Result<Option<Whatsat>, String> {
        let at = self.line()?;
        if at.starts_with('?') {
            return Ok(None);
        }
        if !at.starts_with("AT ") {
            return Err(format!("an AT line was due, not {:?}", short(&at)));
        }
        let json = self.until(b"\n\n", PATIENCE);
        let mut json = json.map_err(|why| self.due("JSON and an empty line", why))?;
        json.truncate(json.len() - 2);
        let json = String::from_utf8(json).map_err(|_| "the JSON is not UTF-8")?;
        Ok(Some(Whatsat { at, json }))
    }

    /// Nothing comes for so long, not even the end.
    pub fn silence(&mut self, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        let why = if self.pending.is_empty() {
            self.more(until).err()
        } else {
            None
        };
        match why {
            Some(Quiet::Timeout) => Ok(()),
            Some(why) => Err(self.due("silence", why)),
            None => Err(format!(
                "silence was due, not {:?}",
                short(&latin1(&self.pending))
            )),
        }
    }

    /// The server closes, in good order and without another byte.
    pub fn eof(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        let why = loop {
            if let Err(why) = self.more(until) {
                break why;
            }
        };
        match (why, self.pending.is_empty()) {
            (Quiet::Closed, true) => Ok(()),
            _ => Err(self.due("the end", why)),
        }
    }

    fn due(&self, what: &str, why: Quiet) -> String {
        format!(
            "{what} was due, but {why:?} after {:?}",
            short(&latin1(&self.pending))
        )
    }

    fn until(&mut self, mark: &[u8], within: Duration) -> Result<Vec<u8>, Quiet> {
        let until = Instant::now() + within;
        let mut searched = 0_usize;
        loop {
            // The mark may straddle what was searched and what came since.
            let from = searched.saturating_sub(mark.len() - 1);
            let found = self.pending[from..]
                .windows(mark.len())
                .position(|bytes| bytes == mark);
            if let Some(at) = found {
                return Ok(self.pending.drain(..from + at + mark.len()).collect());
            }
            searched = self.pending.len();
            self.more(until)?;
        }
    }

    /// Reads once, and looks at the socket at least once on a slow machine.
    fn more(&mut self, until: Instant) -> Result<(), Quiet> {
        let left = until.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        self.stream
            .set_read_timeout(Some(left))
            .map_err(|_| Quiet::Reset)?;
        let old = self.pending.len();
        self.pending.resize(old + CHUNK, 0);
        let read = self.stream.read(&mut self.pending[old..]);
        self.pending
            .truncate(old + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(Quiet::Closed),
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(Quiet::Timeout),
                _ => Err(Quiet::Reset),
            },
        }
    }
}

pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The bytes of a Latin-1 string; none for another.
pub fn to_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect()
}

/// So much of a text as a sentence needs.
pub fn short(text: &str) -> String {
    const ENOUGH: usize = 240;
    match text.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_string(),
    }
}
