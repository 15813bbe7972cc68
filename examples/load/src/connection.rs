//! One client of the swarm: a batch of requests in flight, and what of their
//! answers has come.

use crate::exchange::{Exchange, Verdict};
use crate::fault::Fault;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Write};
use std::time::Instant;

pub struct Connection {
    /// None between two connections of `ConnectAskClose`.
    pub stream: Option<TcpStream>,
    /// The requests in flight, as sent.
    pub batch: Vec<u8>,
    /// Bytes of `batch` that the socket has taken.
    written: usize,
    /// Bytes of `batch` that have been answered.
    answered: usize,
    /// The answer that a read cut in two: almost always empty.
    carry: Vec<u8>,
    pub asked_at: Instant,
    /// The number in the run of the first request without an answer, in an
    /// open loop.
    pub first: u64,
}

impl Connection {
    /// With room for batches of so many bytes.
    pub fn new(stream: Option<TcpStream>, batch_len: usize) -> Connection {
        Connection {
            stream,
            batch: Vec::with_capacity(batch_len),
            written: 0,
            answered: 0,
            carry: Vec::new(),
            asked_at: Instant::now(),
            first: 0,
        }
    }

    pub fn is_written(&self) -> bool {
        self.written == self.batch.len()
    }

    pub fn is_answered(&self) -> bool {
        self.answered == self.batch.len()
    }

    /// Bytes of requests.
    pub fn unanswered(&self) -> usize {
        self.batch.len() - self.answered
    }

    /// `batch` is a new one.
    pub fn begin(&mut self) {
        self.written = 0;
        self.answered = 0;
    }

    /// Writes what the socket takes. A socket that is still connecting takes
    /// nothing yet, and says so with a writable event later.
    pub fn write(&mut self) -> io::Result<()> {
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
    #[inline]
    pub fn check<E: Exchange>(&mut self, received: &[u8], exchange: &mut E) -> Result<u64, Fault> {
        let request_len = exchange.request_len();
        let carried = !self.carry.is_empty();
        let mut carry = std::mem::take(&mut self.carry);
        if carried {
            carry.extend_from_slice(received);
        }
        let mut rest = if carried { &carry[..] } else { received };
        let mut count = 0;
        while !rest.is_empty() {
            let request = &self.batch[self.answered..];
            let request = &request[..request_len.min(request.len())];
            let verdict = match request {
                [] => Verdict::Wrong,
                _ => exchange.check(rest, request),
            };
            match verdict {
                Verdict::Right(len) => {
                    rest = &rest[len..];
                    self.answered += request_len;
                    count += 1;
                }
                Verdict::Partial => break,
                Verdict::Wrong => return Err(Fault::wrong(request, rest)),
            }
        }
        self.carry = rest.to_vec();
        Ok(count)
    }
}
