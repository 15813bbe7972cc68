//! The journal: what came in, what went out, who came and went.
//!
//! One line an entry: time, connection, who, direction, text. Everything is formatted into a buffer
//! and given to the disk once a turn; a disk that takes nothing costs lines, never the service.
//!
//! ```text
//! 2026-11-22T22:05:03.123456Z #17 client < IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1621464827
//! ```

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::limits::{Limit, limit};
use crate::config::Config;
use crate::event_loop::Token;
use crate::herd::{write_integer, write_padded};
use crate::net::{Buffer, Host};

/// Bytes of journal that wait for the disk; beyond, lines are dropped and counted.
pub const JOURNAL_BUFFER_MAX: usize = 4 << 20;
/// What lines shorter than [`SHORT`] may cost at once, and again in each minute.
pub const JOURNAL_SHORT_MAX: usize = 64 << 10;
/// A line of so many bytes pays for its entry; a shorter one needs credit, [`COST`] for each byte that
/// it lacks.
const SHORT: usize = 16;
const COST: usize = 4;
/// With this many waiting, the journal is written without waiting for the end of the turn.
const JOURNAL_FLUSH_ABOVE: usize = JOURNAL_BUFFER_MAX / 4;

/// Whom an entry is about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// The server itself.
    Server,
    /// A client, or anyone who has not said who it is.
    Client(Token),
    /// A neighbour, by its place among this server's, on a connection or between two.
    Neighbour(Option<Token>, usize),
    /// Several, by their names.
    Neighbours(&'a str),
    /// Places, by the number of the question.
    Places(u64),
}

impl About<'_> {
    /// Appends it. By hand: two lines for each IAMAT went through `fmt`, for 300 instructions each.
    fn write(&self, names: &[String], out: &mut Vec<u8>) {
        if let About::Client(token) | About::Neighbour(Some(token), _) = self {
            // As a token prints itself.
            out.push(b'#');
            write_integer(out, token.generation.into());
        } else {
            out.push(b'-');
        }
        let (word, name) = match self {
            About::Server => (" server", ""),
            About::Client(_) => (" client", ""),
            About::Neighbour(_, index) => (" peer ", names[*index].as_str()),
            About::Neighbours(names) => (" peer ", *names),
            About::Places(_) => (" places ", ""),
        };
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(name.as_bytes());
        if let About::Places(number) = self {
            write_integer(out, *number);
        }
    }
}

/// The journal's buffer and its books.
pub struct Journal {
    enabled: bool,
    /// The neighbours' names.
    names: Vec<String>,
    buffer: Buffer,
    line: Vec<u8>,
    /// The second whose text stands in `stamp`.
    second: u64,
    stamp: Vec<u8>,
    /// Something is not in it, and that was not said yet: one of the next two.
    misses: bool,
    dropped: u64,
    /// Short lines that were not written, and how many bytes they had.
    short: (u64, u64),
    /// What short lines may still cost, and the second as of which.
    credit: usize,
    credit_second: u64,
}

impl Journal {
    /// An empty journal; `enabled` false: it ignores everything. It knows neighbours by these names.
    pub fn new(enabled: bool, names: Vec<String>) -> Journal {
        Journal {
            enabled,
            names,
            buffer: Buffer::default(),
            line: Vec::new(),
            second: u64::MAX,
            stamp: Vec::new(),
            misses: false,
            dropped: 0,
            short: (0, 0),
            credit: JOURNAL_SHORT_MAX,
            credit_second: 0,
        }
    }

    /// True if entries are kept: ask before making an expensive one.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Lines dropped since the last notice about it.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// For the view.
    pub fn row(&self) -> Value {
        json!({
            "enabled": self.enabled,
            "waiting": self.waiting(),
            "dropped": self.dropped,
        })
    }

    /// How much waits for the disk.
    pub fn usage(&self) -> (&'static str, usize, usize) {
        let what = "journal bytes that wait for the disk";
        (what, self.waiting(), JOURNAL_BUFFER_MAX)
    }

    /// What bounds a journal.
    #[rustfmt::skip]
    pub fn limits(config: &Config) -> Vec<Limit> {
        let (file, begins) = (config.max_log, "it becomes FILE.1, and a new one begins");
        vec![
            limit!(JOURNAL_BUFFER_MAX, "a journal that is not written", "bytes", "lines are dropped and counted"),
            limit!(JOURNAL_SHORT_MAX, "what lines below 16 bytes cost it", "bytes a minute", "they are counted"),
            Limit::of("MAX_LOG", "a journal's file", file, "bytes", begins).option("max-log"),
        ]
    }

    /// A line that came in.
    pub fn input(&mut self, wall: Duration, about: About<'_>, bytes: &[u8]) {
        if self.enabled && self.pays(wall, bytes) {
            self.entry(wall, about, b" < ", bytes);
        }
    }

    /// A line that goes out.
    pub fn output(&mut self, wall: Duration, about: About<'_>, bytes: &[u8]) {
        if self.enabled && self.pays(wall, bytes) {
            self.entry(wall, about, b" > ", bytes);
        }
    }

    /// Something happened.
    pub fn notice(&mut self, wall: Duration, about: About<'_>, text: fmt::Arguments<'_>) {
        if self.enabled {
            self.entry(wall, about, b" * ", text.to_string().as_bytes());
        }
    }

    /// Something about a line that came in, which pays for it.
    pub fn remark(&mut self, wall: Duration, about: About<'_>, text: &str, line: &[u8]) {
        if self.enabled && self.pays(wall, line) {
            self.entry(wall, about, b" * ", text.as_bytes());
        }
    }

    #[inline]
    fn pays(&mut self, wall: Duration, line: &[u8]) -> bool {
        line.len() >= SHORT || self.can_pay(wall, line.len())
    }

    fn entry(&mut self, wall: Duration, about: About<'_>, direction: &[u8], bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > JOURNAL_BUFFER_MAX {
            self.dropped += 1;
            self.misses = true;
            return;
        }
        if self.misses {
            self.tell_missing(wall);
        }
        self.format(wall, about, direction, bytes);
    }

    /// A line costs its own bytes, four times if they are odd ones, and those of time and name. Only
    /// what a short line costs is out of proportion: whoever sends nothing but LFs would fill a disk. One
    /// that cannot pay is counted.
    #[cold]
    fn can_pay(&mut self, wall: Duration, length: usize) -> bool {
        let passed = wall.as_secs().saturating_sub(self.credit_second);
        self.credit_second = wall.as_secs();
        let more = usize::try_from(passed)
            .unwrap_or(usize::MAX)
            .saturating_mul(JOURNAL_SHORT_MAX / 60);
        self.credit = self.credit.saturating_add(more).min(JOURNAL_SHORT_MAX);
        let cost = COST * (SHORT - length);
        let left = self.credit.checked_sub(cost);
        self.credit = left.unwrap_or(self.credit);
        if left.is_none() {
            self.short = (self.short.0 + 1, self.short.1 + length as u64);
            self.misses = true;
        }
        left.is_some()
    }

    /// What is not in the journal is counted in it.
    #[cold]
    fn tell_missing(&mut self, wall: Duration) {
        if self.dropped > 0 {
            let notice = format!("{} lines were dropped", self.dropped);
            self.dropped = 0;
            self.format(wall, About::Server, b" * ", notice.as_bytes());
        }
        // Once a second: between two long lines each there may be short ones.
        if self.short.0 > 0 && wall.as_secs() != self.second {
            self.tell_short(wall);
        }
        self.misses = self.short.0 > 0;
    }

    fn tell_short(&mut self, wall: Duration) {
        let (lines, bytes) = std::mem::take(&mut self.short);
        let notice = format!("{lines} short lines of {bytes} bytes are not written here");
        self.format(wall, About::Server, b" * ", notice.as_bytes());
    }

    fn format(&mut self, wall: Duration, about: About<'_>, direction: &[u8], bytes: &[u8]) {
        if self.second != wall.as_secs() {
            self.second = wall.as_secs();
            self.stamp.clear();
            write_second(&mut self.stamp, self.second);
        }
        self.line.clear();
        self.line.extend_from_slice(&self.stamp);
        write_padded(&mut self.line, u64::from(wall.subsec_micros()), 6);
        self.line.extend_from_slice(b"Z ");
        about.write(&self.names, &mut self.line);
        self.line.extend_from_slice(direction);
        escape(&mut self.line, bytes);
        self.line.push(b'\n');
        self.buffer.extend(&self.line);
    }

    /// The end of a turn: gives the writer what there is. What it does not take waits for the next turn;
    /// the `last` it takes.
    pub fn flush<H: Host>(&mut self, host: &mut H, last: bool) {
        if last && self.short.0 > 0 {
            self.tell_short(Duration::from_secs(self.credit_second));
        }
        if self.buffer.is_empty() {
            return;
        }
        // A failure needs no answer: the lines wait, and if it lasts they are dropped and counted.
        if let Ok(taken) = host.append_journal(self.buffer.as_slice(), last) {
            self.buffer.consume(taken);
        }
    }

    /// True if so much waits that a busy turn should not be waited for.
    pub fn is_filling(&self) -> bool {
        self.buffer.len() > JOURNAL_FLUSH_ABOVE
    }
}

/// Appends `bytes` with everything outside 0x20 to 0x7E, and backslash, as `\n`, `\\` or `\x1f`:
/// one line stays one line, whatever a client sends.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'\\';
    // Nearly every line is plain throughout. Without a way out in its middle the loop looks at sixteen
    // bytes at a time.
    let odd = |odd: bool, &byte: &u8| odd | !(0x20..0x7f).contains(&byte) | (byte == b'\\');
    if !bytes.iter().fold(false, odd) {
        return out.extend_from_slice(bytes);
    }
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte if plain(byte) => out.push(byte),
            byte => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
                out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte)]);
            }
        }
    }
}

/// Appends `2026-11-22T22:05:03.` for a second since the Unix epoch, in UTC.
fn write_second(out: &mut Vec<u8>, second: u64) {
    let (days, second) = (second / 86_400, second % 86_400);
    // Days since 0000-03-01: years that begin in March end with the leap day.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    for (value, digits, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3_600, 2, b':'),
        (second / 60 % 60, 2, b':'),
        (second % 60, 2, b'.'),
    ] {
        write_padded(out, value, digits);
        out.push(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_as_dates() {
        for (second, wanted) in [
            (0, "1970-01-01T00:00:00."),
            (951_782_400, "2000-02-29T00:00:00."),
            (1_621_464_827, "2021-05-19T22:53:47."),
            (4_107_542_399, "2100-02-28T23:59:59."),
            (4_107_542_400, "2100-03-01T00:00:00."),
        ] {
            let mut out = Vec::new();
            write_second(&mut out, second);
            assert_eq!(String::from_utf8_lossy(&out), wanted);
        }
    }

    #[test]
    fn escaped_text_is_one_printable_line() {
        let mut out = Vec::new();
        escape(&mut out, b"a\\b\n\r\t\x00\x7f\xff ~");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "a\\\\b\\n\\r\\t\\x00\\x7f\\xff ~"
        );
    }

    #[test]
    fn lines_beyond_the_buffer_are_dropped_and_counted() {
        let mut journal = Journal::new(true, Vec::new());
        let line = vec![b'x'; 1000];
        for _ in 0..JOURNAL_BUFFER_MAX / 500 {
            journal.input(Duration::ZERO, About::Server, &line);
        }
        assert!(journal.buffer.len() <= JOURNAL_BUFFER_MAX + 100);
        let dropped = journal.dropped();
        assert!(dropped > 900, "{dropped}");
        journal.buffer.consume(JOURNAL_BUFFER_MAX);
        journal.input(Duration::ZERO, About::Server, b"again");
        let text = String::from_utf8_lossy(journal.buffer.as_slice()).into_owned();
        assert!(
            text.contains(&format!("* {dropped} lines were dropped\n")),
            "{text:.200}"
        );
    }

    /// Nothing but LFs: each cost 110 bytes of journal.
    #[test]
    fn lines_cost_the_journal_in_proportion_to_their_bytes() {
        for line in [
            &b""[..],
            b"x",
            b"\xff\xff",
            b"123456789012345",
            b"1234567890123456",
        ] {
            let mut journal = Journal::new(true, Vec::new());
            let (mut came, mut cost) = (0, 0);
            for number in 0..200_000 {
                let wall = Duration::from_millis(number / 20);
                journal.input(wall, About::Server, line);
                came += line.len() + 1;
                cost += journal.buffer.len();
                journal.buffer.consume(journal.buffer.len());
            }
            assert!(
                cost < 8 * came + 2 * JOURNAL_SHORT_MAX,
                "{line:?}: {cost} for {came}"
            );
            assert_eq!(journal.dropped(), 0);
        }
    }

    #[test]
    fn short_lines_that_are_not_written_are_counted() {
        let mut journal = Journal::new(true, Vec::new());
        for _ in 0..10_000 {
            journal.input(Duration::from_secs(7), About::Server, b"x");
        }
        let written = journal
            .buffer
            .as_slice()
            .split(|&byte| byte == b'\n')
            .count() as u64
            - 1;
        assert!(written > 900, "{written}");
        journal.buffer.consume(journal.buffer.len());
        journal.input(
            Duration::from_secs(8),
            About::Server,
            b"a line as they should be",
        );
        let text = String::from_utf8_lossy(journal.buffer.as_slice()).into_owned();
        let left = 10_000 - written;
        let said = format!("- server * {left} short lines of {left} bytes are not written here\n");
        assert!(text.contains(&said), "{text}");
        // The next minute they are written again.
        journal.input(Duration::from_secs(68), About::Server, b"x");
        assert!(journal.buffer.as_slice().ends_with(b" < x\n"));
    }
}
