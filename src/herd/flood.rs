//! One server's copy of the table and what it does with a report. Pure: bytes and time in, bytes
//! and intents out.

use std::time::Duration;

use super::roster::is_name;
use super::store::{Offer, Source, Store};
use super::wire::{At, Report};

/// What follows from a client's IAMAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Answered, and news: forward the record at this position to every neighbour.
    News(u32),
    /// Answered; the table knew as much or better.
    Known,
    /// Not answered: its time is further ahead of ours than this server allows.
    TooFarAhead,
    /// Not answered: its AT line would be longer than a line may be, and no neighbour would take it.
    TooLong,
    /// Not answered: the table is full.
    Full,
}

/// What follows from an AT line of another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// News: forward the record at this position to every neighbour but the one it came from.
    News(u32),
    /// The table knew as much or better; here the flood stops.
    Known,
    /// The line names a server that is not of the herd, or (out of a bucket) none at all.
    Stranger,
    /// The table is full.
    Full,
}

/// One server's part in the herd.
pub struct Replica {
    /// What its AT lines begin with: `AT`, its name, and a space behind each.
    front: Vec<u8>,
    herd: Vec<Vec<u8>>,
    /// How far ahead of our clock a client's time may be; zero: as far as it likes.
    max_ahead: Duration,
    /// The longest line that a server takes, its LF not counted.
    line_max: usize,
    store: Store,
    line: Vec<u8>,
}

impl Replica {
    /// The replica of the server `name` in a herd of servers with the names `herd`.
    pub fn new(
        name: &str,
        herd: &[&str],
        max_ahead: Duration,
        line_max: usize,
        store: Store,
    ) -> Replica {
        Replica {
            front: format!("AT {name} ").into_bytes(),
            herd: herd.iter().map(|name| Vec::from(*name)).collect(),
            max_ahead,
            line_max,
            store,
            line: Vec::new(),
        }
    }

    /// The table.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes a client's report at wall-clock time `receipt` and appends the answer, one AT line.
    /// The answer bears the report's own data, also when the table knows better.
    pub fn iamat(&mut self, report: Report<'_>, receipt: Duration, out: &mut Vec<u8>) -> Taken {
        if !self.max_ahead.is_zero() && is_ahead(&report, receipt.saturating_add(self.max_ahead)) {
            return Taken::TooFarAhead;
        }
        let start = out.len();
        out.extend_from_slice(&self.front);
        super::time::write_skew(out, receipt, report.time);
        out.push(b' ');
        report.write(out);
        if out.len() - start > self.line_max {
            out.truncate(start);
            return Taken::TooLong;
        }
        out.push(b'\n');
        match self.store.offer(&report, &out[start..], Source::Client) {
            Offer::Kept(position) => Taken::News(position),
            Offer::Known(_) => Taken::Known,
            Offer::Full => {
                out.truncate(start);
                Taken::Full
            }
        }
    }

    /// Takes a report that another server passed on.
    pub fn at(&mut self, at: &At<'_>) -> Heard {
        match self.herd.iter().any(|name| name == at.server) {
            true => self.join(at),
            false => Heard::Stranger,
        }
    }

    /// Takes a report out of a bucket that herds share: it may name a server of any of them, so any name
    /// that a herd file could hold.
    pub fn at_of_any_herd(&mut self, at: &At<'_>) -> Heard {
        match str::from_utf8(at.server).is_ok_and(is_name) {
            true => self.join(at),
            false => Heard::Stranger,
        }
    }

    fn join(&mut self, at: &At<'_>) -> Heard {
        self.line.clear();
        at.write(&mut self.line);
        match self.store.offer(&at.report, &self.line, Source::Server) {
            Offer::Kept(position) => Heard::News(position),
            Offer::Known(_) => Heard::Known,
            Offer::Full => Heard::Full,
        }
    }
}

fn is_ahead(report: &Report<'_>, limit: Duration) -> bool {
    let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    report.time.billionths() > limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::herd::{Command, Ties};

    const RECEIPT: Duration = Duration::from_secs(100);

    fn replica(max_ahead: Duration, line_max: usize) -> Replica {
        let store = Store::new(10, 1000, Ties::TotalOrder);
        Replica::new("Bona", &["Bona", "Clark"], max_ahead, line_max, store)
    }

    fn iamat(replica: &mut Replica, line: &str) -> (Taken, String) {
        let Some(Command::Iamat(report)) = Command::parse(line.as_bytes()) else {
            panic!("{line} is no IAMAT");
        };
        let mut out = Vec::from("before\n");
        let taken = replica.iamat(report, RECEIPT, &mut out);
        (taken, String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn a_report_may_be_so_far_ahead_and_no_further() {
        let mut strict = replica(Duration::from_secs(5), 1000);
        let (taken, _) = iamat(&mut strict, "IAMAT a +1-1 105");
        assert_eq!(taken, Taken::News(0));
        let refused = iamat(&mut strict, "IAMAT a +1-1 105.000000001");
        assert_eq!(refused, (Taken::TooFarAhead, String::from("before\n")));
        let (taken, _) = iamat(
            &mut replica(Duration::ZERO, 1000),
            "IAMAT a +1-1 999999999999",
        );
        assert_eq!(taken, Taken::News(0));
    }

    #[test]
    fn an_answer_may_be_as_long_as_a_line_and_no_longer() {
        let answer = "AT Bona +1.000000000 a +1-1 99";
        let mut narrow = replica(Duration::ZERO, answer.len());
        let taken = iamat(&mut narrow, "IAMAT a +1-1 99");
        assert_eq!(taken, (Taken::News(0), format!("before\n{answer}\n")));
        let refused = iamat(&mut narrow, "IAMAT aa +1-1 99");
        assert_eq!(refused, (Taken::TooLong, String::from("before\n")));
    }
}
