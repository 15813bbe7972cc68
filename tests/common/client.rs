//! A blocking client that never waits for ever: every read has a deadline and
//! every failure says what was expected and what came instead.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::short;

/// How long a test waits for an answer before it calls it missing.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// Why there was nothing more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// The deadline came first.
    Timeout,
    /// The server closed in good order.
    Closed,
    /// The connection was reset.
    Reset,
}

/// A WHATSAT's answer, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Whatsat {
    /// The AT line, with its LF.
    pub at: String,
    /// The JSON, without the two newlines that end it.
    pub json: String,
}

impl Whatsat {
    /// The JSON, parsed.
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.json)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {:?}", self.json))
    }

    /// The places found.
    pub fn results(&self) -> Vec<serde_json::Value> {
        let value = self.value();
        let list = value["results"].as_array();
        list.unwrap_or_else(|| panic!("no list of results in {value}"))
            .clone()
    }
}

/// One connection to a server.
pub struct Client {
    stream: TcpStream,
    address: SocketAddr,
    /// What has come and has not been asked for yet: from `start` on.
    buffer: Vec<u8>,
    start: usize,
}

impl Client {
    /// Connects, or panics.
    pub fn connect(address: SocketAddr) -> Client {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => Client::on(stream),
            Err(error) => panic!("no connection to {address}: {error}"),
        }
    }

    /// A client on a connection that exists already.
    pub fn on(stream: TcpStream) -> Client {
        let address = stream.peer_addr().expect("a connection has another end");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a write timeout");
        Client {
            stream,
            address,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// The socket itself, for the few tests that treat it badly.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends these bytes, all of them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        if let Err(error) = self.stream.write_all(bytes.as_ref()) {
            panic!("cannot send to {}: {error}", self.address);
        }
        self
    }

    /// Says that nothing more will come from us; we still read.
    pub fn half_close(&mut self) -> &mut Client {
        self.stream.shutdown(Shutdown::Write).expect("a half-close");
        self
    }

    /// The next line, with its LF, as Latin-1: one character is one byte.
    pub fn line(&mut self) -> String {
        match self.try_line(PATIENCE) {
            Ok(line) => line,
            Err(why) => panic!(
                "{}: a line was due, but {why:?} after {:?}",
                self.address,
                short(&latin1(self.pending()))
            ),
        }
    }

    /// The next line, or why there is none within that time.
    pub fn try_line(&mut self, within: Duration) -> Result<String, Quiet> {
        self.try_until(b"\n", within).map(|bytes| latin1(&bytes))
    }

    /// Sends one command and reads one line.
    pub fn ask(&mut self, command: impl AsRef<[u8]>) -> String {
        self.send(command).line()
    }

    /// A WHATSAT's answer: an AT line, then JSON up to the blank line.
    pub fn whatsat(&mut self) -> Whatsat {
        let at = self.line();
        assert!(
            at.starts_with("AT "),
            "{}: no AT line but {:?}",
            self.address,
            short(&at)
        );
        match self.try_until(b"\n\n", PATIENCE) {
            Ok(mut json) => {
                json.truncate(json.len() - 2);
                let json = String::from_utf8(json).expect("JSON is UTF-8");
                Whatsat { at, json }
            }
            Err(why) => panic!(
                "{}: JSON and a blank line were due after {at:?}, but {why:?} after {:?}",
                self.address,
                short(&latin1(self.pending()))
            ),
        }
    }

    /// A WHATSAT's answer, or nothing if the server has no such record.
    pub fn whatsat_or_refusal(&mut self) -> Option<Whatsat> {
        while self.pending().is_empty() {
            if let Err(why) = self.more(Instant::now() + PATIENCE) {
                panic!("{}: an answer was due, but {why:?}", self.address);
            }
        }
        if self.pending()[0] == b'?' {
            self.line();
            return None;
        }
        Some(self.whatsat())
    }

    /// Whatever one read gives, as a client would have it that reads once.
    pub fn read_once(&mut self) -> Vec<u8> {
        if self.pending().is_empty()
            && let Err(why) = self.more(Instant::now() + PATIENCE)
        {
            panic!("{}: bytes were due, but {why:?}", self.address);
        }
        let bytes = self.pending().to_vec();
        self.start = self.buffer.len();
        bytes
    }

    /// All bytes up to the end of the stream, and how it ended.
    pub fn rest(&mut self) -> (Vec<u8>, Quiet) {
        let why = loop {
            if let Err(why) = self.more(Instant::now() + PATIENCE) {
                break why;
            }
        };
        let bytes = self.pending().to_vec();
        self.start = self.buffer.len();
        (bytes, why)
    }

    /// The server closes, in good order and without another byte.
    pub fn eof(&mut self) {
        let ended = self.rest();
        let ended = (latin1(&ended.0), ended.1);
        assert_eq!(
            ended,
            (String::new(), Quiet::Closed),
            "{}: an end was due",
            self.address
        );
    }

    /// Nothing comes for so long, not even the end.
    pub fn silence(&mut self, milliseconds: u64) {
        let until = Instant::now() + Duration::from_millis(milliseconds);
        let why = if self.pending().is_empty() {
            self.more(until).err()
        } else {
            None
        };
        assert_eq!(
            why,
            Some(Quiet::Timeout),
            "{}: silence was due, not {:?}",
            self.address,
            short(&latin1(self.pending()))
        );
    }

    /// Bytes that have come and that nobody has asked for.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn try_until(&mut self, mark: &[u8], within: Duration) -> Result<Vec<u8>, Quiet> {
        let until = Instant::now() + within;
        let mut searched: usize = 0;
        loop {
            // The mark may straddle what was searched and what came since.
            let from = searched.saturating_sub(mark.len() - 1);
            let found = self.pending()[from..]
                .windows(mark.len())
                .position(|bytes| bytes == mark);
            if let Some(at) = found {
                let end = from + at + mark.len();
                let bytes = self.pending()[..end].to_vec();
                self.start += end;
                return Ok(bytes);
            }
            searched = self.pending().len();
            self.more(until)?;
        }
    }

    /// Reads once. A moment's patience is left even after the deadline, so that
    /// a slow machine looks at the socket at least once.
    fn more(&mut self, until: Instant) -> Result<(), Quiet> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let left = until
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        self.stream
            .set_read_timeout(Some(left))
            .expect("a read timeout");
        let old = self.buffer.len();
        self.buffer.resize(old + CHUNK, 0);
        let read = self.stream.read(&mut self.buffer[old..]);
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(Quiet::Closed),
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(Quiet::Timeout),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Err(Quiet::Reset),
                // The system cut the read short; whoever waits looks again.
                ErrorKind::Interrupted => Ok(()),
                _ => panic!("cannot read from {}: {error}", self.address),
            },
        }
    }
}

/// Bytes as Latin-1: one character is one byte.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The way back.
pub fn to_latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or_else(|_| panic!("{c:?} is no Latin-1")))
        .collect()
}
