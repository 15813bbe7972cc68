//! What one connection says and must hear: fixed-width IAMAT lines, and the
//! check of their answers, byte for byte apart from the skew.
//!
//! ```text
//! let mut lines = Lines::new(1000);
//! lines.write(16, &mut batch);                    // sixteen requests, one write
//! match checker.check(&received, request) {       // in place, no copy
//!     Verdict::Right(len) => received = &received[len..],
//!     ...
//! }
//! ```

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a request holds its client's number, seconds and nanoseconds.
const KEY: Range<usize> = field("IAMAT c".len(), 7);
const SECOND: Range<usize> = field(KEY.end + ".cs.ucla.edu +34.068930-118.445127 ".len(), 10);
const FRACTION: Range<usize> = field(SECOND.end + ".".len(), 9);

const fn field(start: usize, width: usize) -> Range<usize> {
    start..start + width
}

/// Every request is this long, its LF included.
pub const LINE_LEN: usize = FRACTION.end + "\n".len();

/// The answer repeats a request from here on: all but the command.
const COPIED_AT: usize = "IAMAT ".len();

/// A skew has exactly nine decimals.
const DECIMALS: usize = 9;

/// As many clients as the key's digits can name.
pub const MAX_KEYS: u64 = 10_000_000;

/// Writes request after request: the clients take turns, and each request is
/// one nanosecond newer than the one before, so that every one of them is an
/// update and none a duplicate.
pub struct Lines {
    template: [u8; LINE_LEN],
    keys: u64,
    written: u64,
    /// The time of the next request, without the nanoseconds ...
    second: u64,
    /// ... and these.
    nanosecond: u32,
}

impl Lines {
    /// Requests of `keys` clients, dated from now on: newer than what an
    /// earlier run left in the server, never ahead of its clock.
    pub fn new(keys: u64) -> Lines {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("the clock is past 1970");
        let text = format!(
            "IAMAT c{:07}.cs.ucla.edu +34.068930-118.445127 {}.000000000\n",
            0,
            now.as_secs()
        );
        Lines {
            template: text.into_bytes().try_into().expect("fixed widths"),
            keys,
            written: 0,
            second: now.as_secs(),
            nanosecond: now.subsec_nanos(),
        }
    }

    /// Replaces `batch` by the next `count` requests.
    pub fn write(&mut self, count: usize, batch: &mut Vec<u8>) {
        batch.clear();
        for _ in 0..count {
            let key = (self.written % self.keys) as u32;
            write_digits(&mut self.template[KEY], key);
            write_digits(&mut self.template[FRACTION], self.nanosecond);
            batch.extend_from_slice(&self.template);
            self.written += 1;
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.nanosecond += 1;
        if self.nanosecond == 1_000_000_000 {
            self.nanosecond = 0;
            self.second += 1;
            write_digits(&mut self.template[SECOND], self.second as u32);
        }
    }
}

fn write_digits(field: &mut [u8], mut number: u32) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
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

/// Knows the server's name from its first answer and demands it of the rest.
#[derive(Default)]
pub struct Checker {
    /// `AT Clark `, empty before the first answer.
    prefix: Vec<u8>,
}

impl Checker {
    /// The server's name, once it has answered.
    pub fn server(&self) -> &[u8] {
        match self.prefix.as_slice() {
            [] => b"?",
            prefix => &prefix[3..prefix.len() - 1],
        }
    }

    /// Compares the beginning of `received` with the answer to `request`:
    /// `AT <server> <skew> <the request's three fields>` and LF.
    pub fn check(&mut self, received: &[u8], request: &[u8]) -> Verdict {
        if self.prefix.is_empty() && !self.learn(received) {
            return unfinished(received);
        }
        let Some(skew) = received.strip_prefix(self.prefix.as_slice()) else {
            return unfinished(received);
        };
        let Some(skew_len) = skew_len(skew) else {
            return unfinished(received);
        };
        let copied = &request[COPIED_AT..];
        if skew[skew_len..].starts_with(copied) {
            Verdict::Right(self.prefix.len() + skew_len + copied.len())
        } else {
            unfinished(received)
        }
    }

    fn learn(&mut self, received: &[u8]) -> bool {
        let name = received.strip_prefix(b"AT ").unwrap_or_default();
        match name.iter().position(|&byte| byte == b' ') {
            None | Some(0) => false,
            Some(len) => {
                self.prefix = received[..3 + len + 1].to_vec();
                true
            }
        }
    }
}

/// The length of a skew and the space after it: a sign, digits, a point,
/// exactly nine digits.
fn skew_len(bytes: &[u8]) -> Option<usize> {
    let (b'+' | b'-', digits) = bytes.split_first()? else {
        return None;
    };
    let seconds = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = digits.get(seconds..seconds + ".".len() + DECIMALS + " ".len())?;
    let right = seconds > 0
        && rest[0] == b'.'
        && rest[1..=DECIMALS].iter().all(u8::is_ascii_digit)
        && rest[DECIMALS + 1] == b' ';
    right.then_some(1 + seconds + rest.len())
}

/// What does not match yet can still do so until its line is whole.
fn unfinished(received: &[u8]) -> Verdict {
    if received.contains(&b'\n') {
        Verdict::Wrong
    } else {
        Verdict::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: usize) -> Vec<u8> {
        let mut lines = Lines::new(3);
        (lines.second, lines.nanosecond) = (1_621_464_827, 5);
        let mut batch = Vec::new();
        lines.write(number + 1, &mut batch);
        batch[number * LINE_LEN..].to_vec()
    }

    fn answer(server: &str, skew: &str, request: &[u8]) -> Vec<u8> {
        let mut line = format!("AT {server} {skew} ").into_bytes();
        line.extend_from_slice(&request[COPIED_AT..]);
        line
    }

    #[test]
    fn requests_take_turns_and_grow_newer() {
        let (third, fourth) = (request(2), request(3));
        assert!(third.starts_with(b"IAMAT c0000002.cs.ucla.edu +34"));
        assert!(fourth.starts_with(b"IAMAT c0000000."));
        assert!(third[SECOND.start..] < fourth[SECOND.start..]);
        assert!(third.len() == LINE_LEN && third.ends_with(b"\n"));
    }

    #[test]
    fn nanoseconds_carry_into_seconds() {
        let mut lines = Lines::new(1);
        (lines.second, lines.nanosecond) = (1_621_464_827, 999_999_999);
        let mut batch = Vec::new();
        lines.write(2, &mut batch);
        assert!(batch.ends_with(b" 1621464828.000000000\n"));
    }

    #[test]
    fn a_right_answer_is_taken_at_every_cut() {
        let request = request(0);
        let line = answer("Clark", "-12.000000345", &request);
        for cut in 0..line.len() {
            let mut checker = Checker::default();
            assert_eq!(checker.check(&line[..cut], &request), Verdict::Partial);
            assert_eq!(checker.check(&line, &request), Verdict::Right(line.len()));
            assert_eq!(checker.server(), b"Clark");
        }
    }

    #[test]
    fn another_server_number_of_decimals_or_request_is_wrong() {
        let (first, second) = (request(0), request(1));
        let mut checker = Checker::default();
        let right = answer("Clark", "+0.000000345", &first);
        assert_eq!(checker.check(&right, &first), Verdict::Right(right.len()));
        assert_eq!(checker.check(&right, &second), Verdict::Wrong);
        for line in [
            answer("Bona", "+0.000000345", &first),
            answer("Clark", "+0.00000034", &first),
            answer("Clark", "+0.0000003456", &first),
            answer("Clark", "0.000000345", &first),
            answer("Clark", "+.000000345", &first),
            b"? what\n".to_vec(),
        ] {
            assert_eq!(checker.check(&line, &first), Verdict::Wrong);
        }
    }
}
