//! How the parts of a record become bytes and come back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::event_loop::{Event, Readiness, Token};
use crate::net::{TlsError, TlsState};

/// Puts values behind each other. Times are written as differences, so it remembers the last ones.
#[derive(Default)]
pub struct Encoder {
    /// What was written.
    pub bytes: Vec<u8>,
    last: Last,
}

/// The times before.
#[derive(Clone, Copy, Default)]
struct Last {
    loop_time: u64,
    wall: u64,
}

impl Encoder {
    /// A number, least significant seven bits first.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Yes or no.
    pub fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// A time of the loop or of its stopwatch.
    pub fn loop_time(&mut self, time: Duration) {
        let nanos = time.as_nanos() as u64;
        self.difference(nanos, self.last.loop_time);
        self.last.loop_time = nanos;
    }

    /// A time of the wall clock.
    pub fn wall_clock(&mut self, time: Duration) {
        let nanos = time.as_nanos() as u64;
        self.difference(nanos, self.last.wall);
        self.last.wall = nanos;
    }

    /// Small in either direction, since the wall clock may jump back.
    fn difference(&mut self, now: u64, before: u64) {
        let difference = now.wrapping_sub(before) as i64;
        self.number(((difference << 1) ^ (difference >> 63)) as u64);
    }

    /// An address, as text.
    pub fn address(&mut self, address: SocketAddr) {
        self.bytes(address.to_string().as_bytes());
    }

    /// What came out of a poll.
    pub fn events(&mut self, events: &[Event]) {
        self.number(events.len() as u64);
        for event in events {
            match *event {
                Event::Ready(token, readiness) => {
                    self.bytes.push(0);
                    self.number(token.index.into());
                    self.number(token.generation.into());
                    self.bytes.push(readiness.bits());
                }
                Event::Signal(number) => {
                    self.bytes.push(1);
                    self.number(number as u64);
                }
                Event::Woken => self.bytes.push(2),
                Event::Done(job) => {
                    self.bytes.push(3);
                    self.number(job);
                }
            }
        }
    }

    /// What an engine of TLS looks like after it was asked something.
    pub fn facts(&mut self, state: TlsState, at_end: bool, resumed: Option<bool>, protocol: &str) {
        let state = STATES.iter().position(|&other| other == state);
        self.number(state.unwrap_or_default() as u64);
        self.flag(at_end);
        self.number(resumed.map_or(2, u64::from));
        self.bytes(protocol.as_bytes());
    }

    /// An answer, or why there is none.
    pub fn result<T>(&mut self, result: &io::Result<T>, put: impl FnOnce(&mut Encoder, &T)) {
        match result {
            Ok(value) => {
                self.bytes.push(0);
                put(self, value);
            }
            Err(error) => self.error(error),
        }
    }

    fn error(&mut self, error: &io::Error) {
        if let Some(code) = error.raw_os_error() {
            self.bytes.push(1);
            self.number(code as u64);
            return;
        }
        let kind = KINDS.iter().position(|&kind| kind == error.kind());
        self.bytes
            .push(if error.get_ref().is_some() { 3 } else { 2 });
        self.number(kind.unwrap_or_default() as u64);
        if error.get_ref().is_some() {
            self.bytes(error.to_string().as_bytes());
        }
    }

    /// The same for TLS.
    pub fn tls_result(&mut self, result: &Result<(), TlsError>) {
        let Err(error) = result else {
            return self.bytes.push(0);
        };
        let plain = TLS_ERRORS.iter().position(|other| other == error);
        match (plain, error) {
            (Some(position), _) => self.bytes.push(position as u8 + 4),
            (None, TlsError::Alert(alert)) => self.bytes.extend([1, *alert]),
            (None, TlsError::Certificate(text)) => {
                self.bytes.push(2);
                self.bytes(text.as_bytes());
            }
            (None, other) => {
                let text = match other {
                    TlsError::Protocol(text) => text.clone(),
                    other => other.to_string(),
                };
                self.bytes.push(3);
                self.bytes(text.as_bytes());
            }
        }
    }
}

const STATES: [TlsState; 5] = [
    TlsState::Unwrapped,
    TlsState::DoHandshake,
    TlsState::Wrapped,
    TlsState::Flushing,
    TlsState::Shutdown,
];

const TLS_ERRORS: [TlsError; 13] = [
    TlsError::WrongHost,
    TlsError::NoNames,
    TlsError::Expired,
    TlsError::NotYetValid,
    TlsError::UnknownIssuer,
    TlsError::WrongKeyUsage,
    TlsError::BadSignature,
    TlsError::AuthorityAsServer,
    TlsError::Version,
    TlsError::Truncated,
    TlsError::NotTls,
    TlsError::TooLong,
    TlsError::Closed,
];

/// Errors that have no number of the system. The first stands for all others.
const KINDS: [io::ErrorKind; 8] = [
    io::ErrorKind::Other,
    io::ErrorKind::WouldBlock,
    io::ErrorKind::Interrupted,
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::NotConnected,
    io::ErrorKind::WriteZero,
];

/// Takes values out again, from the front. `None`: the bytes end early, or are none of ours.
#[derive(Clone, Copy)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    /// How many were taken.
    pub position: usize,
    /// The bytes ended before a value did.
    pub starved: bool,
    last: Last,
}

impl<'a> Decoder<'a> {
    /// Reads `bytes` from `position` on.
    pub fn new(bytes: &'a [u8], position: usize) -> Decoder<'a> {
        Decoder {
            bytes,
            position,
            starved: false,
            last: Last::default(),
        }
    }

    /// The same place in the same bytes, held elsewhere.
    pub fn moved<'b>(&self, bytes: &'b [u8]) -> Decoder<'b> {
        Decoder {
            bytes,
            position: self.position,
            starved: false,
            last: self.last,
        }
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.position).copied();
        self.starved |= byte.is_none();
        self.position += 1;
        byte
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Yes or no.
    pub fn flag(&mut self) -> Option<bool> {
        self.byte().map(|byte| byte != 0)
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let end = self.position.checked_add(length)?;
        let bytes = self.bytes.get(self.position..end);
        self.starved |= bytes.is_none();
        self.position = end;
        bytes
    }

    /// Text behind its length.
    pub fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    /// A time of the loop or of its stopwatch.
    pub fn loop_time(&mut self) -> Option<Duration> {
        let nanos = self.difference(self.last.loop_time)?;
        self.last.loop_time = nanos;
        Some(Duration::from_nanos(nanos))
    }

    /// A time of the wall clock.
    pub fn wall_clock(&mut self) -> Option<Duration> {
        let nanos = self.difference(self.last.wall)?;
        self.last.wall = nanos;
        Some(Duration::from_nanos(nanos))
    }

    fn difference(&mut self, before: u64) -> Option<u64> {
        let folded = self.number()?;
        let difference = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        Some(before.wrapping_add(difference as u64))
    }

    /// An address.
    pub fn address(&mut self) -> Option<SocketAddr> {
        self.text()?.parse().ok()
    }

    /// What came out of a poll.
    pub fn events(&mut self, events: &mut Vec<Event>) -> Option<()> {
        for _ in 0..self.number()? {
            events.push(match self.byte()? {
                0 => {
                    let token = Token {
                        index: self.number()? as u32,
                        generation: self.number()? as u32,
                    };
                    Event::Ready(token, Readiness::from_bits(self.byte()?))
                }
                1 => Event::Signal(self.number()? as i32),
                2 => Event::Woken,
                3 => Event::Done(self.number()?),
                _ => return None,
            });
        }
        Some(())
    }

    /// What an engine of TLS looks like: state, whether the other side ended, whether the session
    /// was resumed, the protocol.
    pub fn facts(&mut self) -> Option<(TlsState, bool, Option<bool>, &'a str)> {
        let state = *STATES.get(self.number()? as usize)?;
        let at_end = self.flag()?;
        let resumed = match self.number()? {
            2 => None,
            flag => Some(flag == 1),
        };
        Some((state, at_end, resumed, self.text()?))
    }

    /// An answer, or the error that stood in its place.
    pub fn result<T>(
        &mut self,
        take: impl FnOnce(&mut Decoder<'a>) -> Option<T>,
    ) -> Option<io::Result<T>> {
        let form = self.byte()?;
        if form == 0 {
            return take(self).map(Ok);
        }
        let number = self.number()?;
        let kind = KINDS.get(number as usize).copied();
        let kind = kind.unwrap_or(io::ErrorKind::Other);
        Some(Err(match form {
            1 => io::Error::from_raw_os_error(number as i32),
            2 => kind.into(),
            _ => io::Error::new(kind, self.text()?.to_string()),
        }))
    }

    /// The same for TLS.
    pub fn tls_result(&mut self) -> Option<Result<(), TlsError>> {
        Some(Err(match self.byte()? {
            0 => return Some(Ok(())),
            1 => TlsError::Alert(self.byte()?),
            2 => TlsError::Certificate(self.text()?.to_string()),
            3 => TlsError::Protocol(self.text()?.to_string()),
            plain => TLS_ERRORS.get(usize::from(plain - 4))?.clone(),
        }))
    }
}
