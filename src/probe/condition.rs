//! What a breakpoint waits for. Pure.

use std::fmt;
use std::time::Duration;

use super::driver::Driver;
use super::view::Phase;
use super::words::{Misunderstood, duration, number};
use crate::event_loop::Origin;
use crate::herd::Command as Line;
use crate::server::CALLBACK_KINDS;
use crate::worlds::Stage;

/// `help break`, the second part.
pub const HELP: &str = "\
  break callback Ready          before a callback of this kind (info ready shows the kinds)
  break connection 3            before a callback of connection #3
  break peer Bona               before a callback that concerns this neighbour
  break timer                   before a callback that a timer queued
  break client kiwi.cs.ucla.edu after a callback that read a command about this client
  break slow 5ms                after a callback that ran at least this long
  break turn 40                 before the first callback of this turn, or its finish if it runs none
  break time 2.5s               the same of the first turn at or after this loop time
A turn or a time that is behind does not come again; in a replay, until goes back to it.
";

/// What a breakpoint waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A callback of this kind.
    Callback(&'static str),
    /// A callback of this connection, by the number of its token.
    Connection(u32),
    /// A callback that concerns this neighbour.
    Peer(String),
    /// A callback that a timer queued.
    Timer,
    /// A command about this client was read.
    Client(String),
    /// A callback ran this long.
    Slow(Duration),
    /// This turn has begun.
    Turn(u64),
    /// This loop time has come.
    Time(Duration),
}

/// A turn, and its loop time.
pub type Place = (u64, Duration);

/// A callback that is about to run, or the finish.
#[derive(Clone, Copy, Debug)]
pub struct Coming<'a> {
    /// Its kind: the variant's name; empty for the finish.
    pub kind: &'a str,
    /// The connection that it concerns.
    pub connection: Option<u32>,
    /// The neighbour that it concerns.
    pub peer: Option<&'a str>,
    /// A timer queued it.
    pub timer: bool,
    /// The turn, and the loop time.
    pub place: Place,
    /// Those of the last callback or finish that ran, if one did.
    pub passed: Option<Place>,
}

impl<'a> Coming<'a> {
    /// What `driver` runs next, unless that is a poll.
    pub fn of<H: Stage>(driver: &'a Driver<H>) -> Option<Coming<'a>> {
        let finish = Coming {
            kind: "",
            connection: None,
            peer: None,
            timer: false,
            place: driver.place(),
            passed: driver.passed(),
        };
        let Some((_, pending)) = driver.coming() else {
            return (driver.phase() != Phase::BeforePoll).then_some(finish);
        };
        Some(Coming {
            kind: pending.callback.kind(),
            connection: pending.callback.subject().map(|token| token.generation),
            peer: driver.node().neighbour_of(&pending.callback),
            timer: pending.origin == Origin::Timer,
            ..finish
        })
    }
}

impl Condition {
    /// Reads what stands behind `break` or `until`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Condition, Misunderstood> {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        let number = |what: &str| {
            let digits = rest.trim_start_matches('#');
            number(digits).ok_or_else(|| Misunderstood(format!("{rest:?}: expected {what}")))
        };
        match word {
            "timer" if rest.is_empty() => Ok(Condition::Timer),
            "callback" => {
                let kind = CALLBACK_KINDS
                    .iter()
                    .find(|kind| kind.eq_ignore_ascii_case(rest));
                let expected =
                    || format!("{rest:?}: expected one of {}", CALLBACK_KINDS.join(", "));
                kind.map(|kind| Condition::Callback(kind))
                    .ok_or_else(|| Misunderstood(expected()))
            }
            "connection" => {
                let number = number("the number of a connection")?;
                let number = u32::try_from(number);
                let expected =
                    |_| Misunderstood(format!("{rest:?}: no connection has that number"));
                number.map(Condition::Connection).map_err(expected)
            }
            "turn" | "iteration" => number("the number of a turn").map(Condition::Turn),
            "peer" if !rest.is_empty() => Ok(Condition::Peer(rest.to_string())),
            "client" if !rest.is_empty() => Ok(Condition::Client(rest.to_string())),
            "slow" => duration(rest).map(Condition::Slow),
            "time" => duration(rest).map(Condition::Time),
            _ => Err(Misunderstood(format!(
                "{text:?}: expected callback KIND, connection N, peer NAME, timer, client ID, \
                 slow TIME, turn N or time TIME"
            ))),
        }
    }

    /// True if it holds before `coming` runs.
    pub fn holds_before(&self, coming: &Coming<'_>) -> bool {
        match self {
            Condition::Callback(kind) => coming.kind == *kind,
            Condition::Connection(number) => coming.connection == Some(*number),
            Condition::Peer(name) => coming.peer == Some(name),
            Condition::Timer => coming.timer,
            Condition::Turn(_) | Condition::Time(_) => {
                self.is_reached(coming.place)
                    && !coming.passed.is_some_and(|at| self.is_reached(at))
            }
            Condition::Client(_) | Condition::Slow(_) => false,
        }
    }

    /// True if it holds after a callback that ran for `took` and read `input`.
    pub fn holds_after(&self, took: Duration, input: &[&[u8]]) -> bool {
        match self {
            Condition::Slow(patience) => took >= *patience,
            Condition::Client(id) => {
                let mut lines = input
                    .iter()
                    .flat_map(|bytes| bytes.split(|&byte| byte == b'\n'));
                lines.any(|line| client(line) == Some(id.as_bytes()))
            }
            _ => false,
        }
    }

    /// True of a turn and of a time that is `at` that place or before it.
    pub fn is_reached(&self, (now, time): Place) -> bool {
        match self {
            Condition::Turn(turn) => now >= *turn,
            Condition::Time(due) => time >= *due,
            _ => false,
        }
    }
}

/// The client that a line is about.
fn client(line: &[u8]) -> Option<&[u8]> {
    match Line::parse(line.strip_suffix(b"\r").unwrap_or(line))? {
        Line::Iamat(report) => Some(report.id),
        Line::Whatsat(question) => Some(question.id),
        Line::At(at) => Some(at.report.id),
        _ => None,
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Callback(kind) => write!(f, "callback {kind}"),
            Condition::Connection(number) => write!(f, "connection #{number}"),
            Condition::Peer(name) => write!(f, "peer {name}"),
            Condition::Timer => f.write_str("timer"),
            Condition::Client(id) => write!(f, "client {id}"),
            Condition::Slow(patience) => write!(f, "slow {patience:?}"),
            Condition::Turn(turn) => write!(f, "turn {turn}"),
            Condition::Time(time) => write!(f, "time {time:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_is_read_and_printed() {
        for text in [
            "callback Ready",
            "connection #3",
            "peer Bona",
            "timer",
            "client kiwi",
            "slow 5ms",
            "turn 40",
            "time 2.5s",
        ] {
            let condition = Condition::parse(text).expect(text);
            assert_eq!(condition.to_string(), text);
        }
        assert_eq!(
            Condition::parse("callback ready"),
            Ok(Condition::Callback("Ready"))
        );
        for wrong in [
            "",
            "callback",
            "callback Jump",
            "connection x",
            "connection 4294967299",
            "connection +3",
            "connection #+3",
            "turn +40",
            "time +2s",
            "slow +5ms",
            "peer",
            "timer 3",
            "slow",
        ] {
            assert!(Condition::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_comes_is_compared() {
        let coming = Coming {
            kind: "Ready",
            connection: Some(3),
            peer: Some("Bona"),
            timer: false,
            place: (7, Duration::from_secs(2)),
            passed: Some((5, Duration::from_secs(1))),
        };
        for (text, wanted) in [
            ("callback Ready", true),
            ("callback Again", false),
            ("connection 3", true),
            ("connection 4", false),
            ("peer Bona", true),
            ("peer Clark", false),
            ("timer", false),
            ("turn 7", true),
            ("turn 8", false),
            ("turn 6", true),
            ("turn 5", false),
            ("time 2s", true),
            ("time 2.1s", false),
            ("time 1.1s", true),
            ("time 1s", false),
            ("slow 0s", false),
        ] {
            let condition = Condition::parse(text).expect(text);
            assert_eq!(condition.holds_before(&coming), wanted, "{text}");
        }
    }

    #[test]
    fn what_was_read_is_searched_for_the_client() {
        let condition = Condition::parse("client kiwi").expect("good");
        let took = Duration::ZERO;
        for (input, wanted) in [
            (&b"IAMAT kiwi +1-1 5\n"[..], true),
            (b"IAMAT kiwi.cs +1-1 5\n", false),
            (b"IAMAT x +1-1 5\r\nWHATSAT kiwi 10 5\r\n", true),
            (b"AT Bona +0.1 kiwi +1-1 5\n", true),
            (b"kiwi\n", false),
        ] {
            assert_eq!(condition.holds_after(took, &[input]), wanted, "{input:?}");
        }
        let slow = Condition::parse("slow 2ms").expect("good");
        assert!(slow.holds_after(Duration::from_millis(2), &[]));
        assert!(!slow.holds_after(Duration::from_micros(1999), &[]));
    }
}
