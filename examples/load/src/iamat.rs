//! IAMAT: fixed-width lines, and the check of their answers, byte for byte
//! apart from the skew.
//!
//! ```text
//! let mut iamat = Iamat::new(Keys::Turns(1000));
//! iamat.write(16, &mut batch);
//! iamat.check(b"AT Clark +0.000000345 c0000000...", &batch[..LINE_LEN]);
//! ```

use crate::exchange::{Exchange, MAX_KEYS, Verdict, field, write_digits};
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// Reports of positions.
pub struct Iamat {
    lines: Lines,
    checker: Checker,
}

impl Iamat {
    pub fn new(keys: Keys) -> Iamat {
        Iamat {
            lines: Lines::new(keys),
            checker: Checker::default(),
        }
    }
}

impl Exchange for Iamat {
    fn request_len(&self) -> usize {
        LINE_LEN
    }

    fn write(&mut self, count: usize, batch: &mut Vec<u8>) {
        self.lines.write(count, batch);
    }

    fn check(&mut self, received: &[u8], request: &[u8]) -> Verdict {
        self.checker.check(received, request)
    }

    fn left(&self) -> u64 {
        self.lines.left()
    }

    fn server(&self) -> &[u8] {
        self.checker.server()
    }
}

/// Whose position a request reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys {
    /// So many clients take turns.
    Turns(u64),
    /// A client that none has been before.
    New,
}

/// Where a request holds its client's number, seconds and nanoseconds.
const KEY: Range<usize> = field("IAMAT c".len(), 7);
const SECOND: Range<usize> = field(KEY.end + ".cs.ucla.edu +34.068930-118.445127 ".len(), 10);
const FRACTION: Range<usize> = field(SECOND.end + ".".len(), 9);

/// Every request is this long, its LF included.
pub const LINE_LEN: usize = FRACTION.end + "\n".len();

/// The answer repeats a request from here on: all but the command.
const COPIED_AT: usize = "IAMAT ".len();

/// A skew has exactly nine decimals.
const DECIMALS: usize = 9;

/// Writes request after request, each one nanosecond newer than the one
/// before, so that every one of them is an update and none a duplicate.
pub struct Lines {
    template: [u8; LINE_LEN],
    /// After so many clients it is the first one's turn again.
    keys: u64,
    written: u64,
    /// The most that may ever be written.
    limit: u64,
    /// The time of the next request, without the nanoseconds ...
    second: u64,
    /// ... and these.
    nanosecond: u32,
}

impl Lines {
    /// Requests dated from now on: newer than what an earlier run left in the
    /// server, never ahead of its clock.
    pub fn new(keys: Keys) -> Lines {
        let (initial, keys, limit) = match keys {
            Keys::Turns(keys) => ('c', keys, u64::MAX),
            Keys::New => ('n', MAX_KEYS, MAX_KEYS),
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("the clock is past 1970");
        let text = format!(
            "IAMAT {initial}{:07}.cs.ucla.edu +34.068930-118.445127 {}.000000000\n",
            0,
            now.as_secs()
        );
        Lines {
            template: text.into_bytes().try_into().expect("fixed widths"),
            keys,
            written: 0,
            limit,
            second: now.as_secs(),
            nanosecond: now.subsec_nanos(),
        }
    }

    pub fn left(&self) -> u64 {
        self.limit - self.written
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
        let mut lines = Lines::new(Keys::Turns(3));
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
    fn new_clients_are_counted_and_come_to_an_end() {
        let mut lines = Lines::new(Keys::New);
        let mut batch = Vec::new();
        lines.write(3, &mut batch);
        assert!(batch[2 * LINE_LEN..].starts_with(b"IAMAT n0000002."));
        assert_eq!(lines.left(), MAX_KEYS - 3);
    }

    #[test]
    fn nanoseconds_carry_into_seconds() {
        let mut lines = Lines::new(Keys::Turns(1));
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
