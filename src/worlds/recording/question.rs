//! What a server asks of its world, as data.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::codec::{Decoder, Encoder};
use super::digest::Digest;
use crate::event_loop::Token;
use crate::net::Trust;

/// Which call crossed the waist. The number is its first byte in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "each is a function of World, Network, Host or TlsEngine"
)]
pub enum Kind {
    End,
    Time,
    Stopwatch,
    Poll,
    /// A callback begins. Nothing is asked; it says which, so that a difference is found there.
    Begin,
    WallClock,
    Random,
    AppendJournal,
    ReopenJournal,
    Listen,
    Accept,
    Shed,
    CloseListener,
    Connect,
    Connected,
    Register,
    KeepAlive,
    Read,
    Write,
    /// A write of ciphertext, which is counted and not compared.
    WriteTls,
    ShutdownWrite,
    Close,
    Resolve,
    Resolved,
    Tls,
    Receive,
    Send,
    Output,
    CloseTls,
    EndOfStream,
    Secure,
    IsHandshaking,
    Proves,
    ReloadIdentity,
    LoadSnapshot,
    WriteSnapshot,
    EndSnapshot,
    SnapshotWritten,
    JournalReopened,
}

/// Every kind, what it does in words, and how many numbers its question has.
const KINDS: [(Kind, &str, usize); 39] = [
    (Kind::End, "ends", 0),
    (Kind::Time, "asks for the time", 0),
    (Kind::Stopwatch, "reads the stopwatch", 0),
    (Kind::Poll, "polls", 1),
    (Kind::Begin, "runs a callback", 1),
    (Kind::WallClock, "asks for the wall clock", 0),
    (Kind::Random, "asks for a random number", 0),
    (Kind::AppendJournal, "writes to the journal", 2),
    (Kind::ReopenJournal, "reopens the journal", 1),
    (Kind::Listen, "listens", 2),
    (Kind::Accept, "accepts", 2),
    (Kind::Shed, "sheds a connection", 1),
    (Kind::CloseListener, "closes a listener", 1),
    (Kind::Connect, "connects", 2),
    (Kind::Connected, "asks whether it is connected", 1),
    (Kind::Register, "registers", 1),
    (Kind::KeepAlive, "sets keep-alive", 1),
    (Kind::Read, "reads", 2),
    (Kind::Write, "writes", 3),
    (Kind::WriteTls, "writes ciphertext", 2),
    (Kind::ShutdownWrite, "ends its direction", 1),
    (Kind::Close, "closes", 1),
    (Kind::Resolve, "resolves a name", 2),
    (Kind::Resolved, "takes the answer of a resolver", 1),
    (Kind::Tls, "begins TLS", 3),
    (Kind::Receive, "gives ciphertext to TLS", 2),
    (Kind::Send, "gives plaintext to TLS", 1),
    (Kind::Output, "takes ciphertext from TLS", 1),
    (Kind::CloseTls, "closes TLS", 1),
    (Kind::EndOfStream, "tells TLS of the stream's end", 1),
    (Kind::Secure, "begins a secured link", 2),
    (Kind::IsHandshaking, "asks whether TLS is agreed on", 1),
    (Kind::Proves, "asks whether a name is proven", 2),
    (Kind::ReloadIdentity, "reads the certificates again", 0),
    (Kind::LoadSnapshot, "reads the snapshot", 0),
    (Kind::WriteSnapshot, "writes to the snapshot", 2),
    (Kind::EndSnapshot, "ends the snapshot", 1),
    (Kind::SnapshotWritten, "asks how the snapshot went", 0),
    (
        Kind::JournalReopened,
        "asks how the journal was reopened",
        0,
    ),
];

/// One question: its kind and its numbers. Two are equal if they ask the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub kind: Kind,
    numbers: [u64; 3],
}

impl Question {
    /// A question without numbers.
    pub fn new(kind: Kind) -> Question {
        Question {
            kind,
            numbers: [0; 3],
        }
    }

    /// About a connection.
    pub fn about(kind: Kind, token: Token) -> Question {
        Question::with(kind, token.to_bits(), 0)
    }

    /// About a connection, with a number.
    pub fn sized(kind: Kind, token: Token, number: usize) -> Question {
        Question::with(kind, token.to_bits(), number as u64)
    }

    /// With two numbers of any meaning.
    pub fn with(kind: Kind, first: u64, second: u64) -> Question {
        Question {
            kind,
            numbers: [first, second, 0],
        }
    }

    /// A poll that may sleep for so long.
    pub fn poll(timeout: Option<Duration>) -> Question {
        let nanos = timeout.map_or(0, |timeout| timeout.as_nanos() as u64 + 1);
        Question::with(Kind::Poll, nanos, 0)
    }

    /// Bytes for the journal or the snapshot.
    pub fn digest(kind: Kind, bytes: &[u8]) -> Question {
        let digest = Digest::of(bytes);
        Question::with(kind, digest.length, digest.hash.into())
    }

    /// Bytes for a connection.
    pub fn write(token: Token, bytes: &[u8]) -> Question {
        let digest = Digest::of(bytes);
        Question {
            kind: Kind::Write,
            numbers: [token.to_bits(), digest.length, digest.hash.into()],
        }
    }

    /// About an address.
    pub fn connect(token: Token, address: SocketAddr) -> Question {
        Question::with(Kind::Connect, token.to_bits(), address_hash(address))
    }

    /// About a door, and its address.
    pub fn listen(door: Token, address: SocketAddr) -> Question {
        Question::with(Kind::Listen, door.to_bits(), address_hash(address))
    }

    /// About a connection that waits at a door, and what its name will be.
    pub fn accept(door: Token, token: Token) -> Question {
        Question::with(Kind::Accept, token.to_bits(), door.to_bits())
    }

    /// About a connection to a host that somebody must vouch for.
    pub fn tls(token: Token, trust: Trust, host: &str) -> Question {
        let host = Digest::of(host.as_bytes()).hash.into();
        Question {
            kind: Kind::Tls,
            numbers: [token.to_bits(), host, trust as u64],
        }
    }

    /// About a host, by its name.
    pub fn host(kind: Kind, number: u64, host: &str) -> Question {
        Question::with(kind, number, Digest::of(host.as_bytes()).hash.into())
    }

    /// Writes it.
    pub fn put(&self, out: &mut Encoder) {
        out.bytes.push(self.kind as u8);
        for &number in &self.numbers[..arity(self.kind)] {
            out.number(number);
        }
    }

    /// Reads one.
    pub fn take(from: &mut Decoder<'_>) -> Option<Question> {
        let (kind, _, arity) = *KINDS.get(usize::from(from.byte()?))?;
        let mut numbers = [0; 3];
        for number in &mut numbers[..arity] {
            *number = from.number()?;
        }
        Some(Question { kind, numbers })
    }
}

fn arity(kind: Kind) -> usize {
    KINDS[kind as usize].2
}

fn address_hash(address: SocketAddr) -> u64 {
    Digest::of(address.to_string().as_bytes()).hash.into()
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, words, arity) = KINDS[self.kind as usize];
        let [first, second, third] = self.numbers;
        f.write_str(words)?;
        let token = Token::from_bits(first);
        match self.kind {
            Kind::Poll if first == 0 => f.write_str(" without a timeout"),
            Kind::Poll => write!(f, " for at most {:?}", Duration::from_nanos(first - 1)),
            Kind::Begin => write!(f, " (digest {first:08x})"),
            Kind::AppendJournal | Kind::WriteSnapshot => {
                write!(f, ": {first} bytes (digest {second:08x})")
            }
            Kind::Write => write!(f, " {second} bytes to {token:?} (digest {third:08x})"),
            Kind::WriteTls => write!(f, ": {second} bytes to {token:?}"),
            Kind::Read => write!(f, " from {token:?}, up to {second} bytes"),
            Kind::Listen => write!(f, " at door {first} (address digest {second:08x})"),
            Kind::Accept => write!(f, " {token:?} at door {second}"),
            Kind::Shed | Kind::CloseListener => write!(f, " at door {first}"),
            Kind::Connect => write!(f, " {token:?} (address digest {second:08x})"),
            Kind::Resolve | Kind::Resolved | Kind::EndSnapshot => write!(f, ", job {first}"),
            Kind::Receive => write!(f, " of {token:?}: {second} bytes"),
            _ if arity > 0 => write!(f, " ({token:?})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_numbers() {
        for (position, (kind, _, arity)) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, position);
            let mut numbers = [0; 3];
            numbers[..arity].fill(300);
            let question = Question { kind, numbers };
            let mut out = Encoder::default();
            question.put(&mut out);
            let mut decoder = Decoder::new(&out.bytes, 0);
            assert_eq!(Question::take(&mut decoder), Some(question));
            assert_eq!(decoder.position, out.bytes.len());
        }
    }
}
