//! What a connection says and must hear: a kind of request, and the check of
//! its answers. The swarm is compiled for each kind, so that the choice costs
//! nothing while it runs.
//!
//! ```text
//! exchange.write(16, &mut batch);                  // sixteen requests, one write
//! match exchange.check(&received, request) {       // in place, no copy
//!     Verdict::Right(len) => received = &received[len..],
//!     ...
//! }
//! ```

use std::ops::Range;

/// One kind of request and answer.
pub trait Exchange {
    /// The length of every request, its LF included.
    fn request_len(&self) -> usize;

    /// Replaces `batch` by the next `count` requests.
    fn write(&mut self, count: usize, batch: &mut Vec<u8>);

    /// Compares the beginning of `received` with the answer to `request`.
    fn check(&mut self, received: &[u8], request: &[u8]) -> Verdict;

    /// How many requests can still be written.
    fn left(&self) -> u64;

    /// The name that the server gives itself, once it has answered.
    fn server(&self) -> &[u8];
}

/// What the first bytes received are.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// The right answer, this many bytes long.
    Right(usize),
    /// The beginning of an answer.
    Partial,
    /// Not the answer to this request.
    Wrong,
}

/// As many clients as the seven digits of an id can name.
pub const MAX_KEYS: u64 = 10_000_000;

pub const fn field(start: usize, width: usize) -> Range<usize> {
    start..start + width
}

pub fn write_digits(field: &mut [u8], mut number: u32) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
