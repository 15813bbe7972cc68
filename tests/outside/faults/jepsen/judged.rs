//! Made-up histories: the oracle finds what is wrong with each, and nothing in its innocent twin.

use std::time::{Duration, Instant};

use super::oracle::{Oracle, SEEN_MAX};
use super::report::wall;
use super::service::{REDIAL, Service};
use crate::common::NAMES;
use herd::herd::SnapshotWriter;

/// A phone.
const KIWI: u16 = 7;
/// Two servers that are no neighbours, and the two between them.
const CLARK: usize = 3;
const BAILEY: usize = 0;

/// What became of one history.
struct Story {
    oracle: Oracle,
    time: i64,
}

impl Story {
    fn new() -> Story {
        let (oracle, time) = (Oracle::new(), wall());
        Story { oracle, time }
    }

    /// KIWI reports at a server; gives back the serial number and the true answer.
    fn report(&mut self, server: usize) -> (u32, String) {
        self.time += 1_000;
        let (serial, command) = self.oracle.say(KIWI, server, self.time);
        let fields = command.strip_prefix("IAMAT ").expect("a command");
        (
            serial,
            format!("AT {} +0.000000001 {fields}", NAMES[server]),
        )
    }

    /// The same, and the answer comes.
    fn answered(&mut self, server: usize) -> String {
        let (serial, line) = self.report(server);
        self.oracle.answered(serial, 0, &line);
        line
    }

    /// A server shows this, so much later.
    fn shown(&mut self, server: usize, later: Duration, line: Option<&str>) {
        let asked = Instant::now() + later;
        let question = self.oracle.ask_at(server, KIWI, asked);
        let incarnation = self.oracle.incarnation(server);
        self.oracle.shown(server, incarnation, question, line);
    }

    /// How much is wrong.
    fn wrong(self) -> usize {
        println!("{:?}", self.oracle.violations);
        self.oracle.violations.len()
    }
}

fn snapshot(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = SnapshotWriter::begin(&mut bytes);
    for line in lines {
        writer.record(line.as_bytes(), &mut bytes);
    }
    writer.end(&mut bytes);
    bytes
}

#[test]
fn a_line_is_of_a_report_that_was_sent() {
    let told = |change: &dyn Fn(&str) -> String| {
        let mut story = Story::new();
        let (serial, line) = story.report(CLARK);
        story.oracle.answered(serial, 0, &change(&line));
        story.wrong()
    };
    assert_eq!(told(&|line| line.to_string()), 0);
    for (old, new) in [
        ("AT Clark", "AT Bona"),
        ("+0.000000001", "+0.1"),
        ("+0.000000001", "-3600.000000000"),
        ("+0.000000001", "+3600.000000000"),
        ("phone-7", "phone-8"),
        ("+34.000000000", "+34.000000001"),
        ("+34.000000000", "+35.000000000"),
        ("\n", "0\n"),
        ("\n", ""),
        ("AT ", "? AT "),
    ] {
        let changed = |line: &str| line.replace(old, new);
        assert_eq!(told(&changed), 1, "{old:?} as {new:?}");
    }
}

#[test]
fn an_answer_is_not_mixed_nor_anothers() {
    let mut story = Story::new();
    let (first, line) = story.report(CLARK);
    let (_, other) = story.report(CLARK);
    story.oracle.answered(first, 0, &other);
    // The position of one, the time of the other.
    let (fields, time) = (line.rsplit_once(' '), other.rsplit_once(' '));
    let mixed = format!("{} {}", fields.expect("fields").0, time.expect("a time").1);
    story.shown(CLARK, Duration::ZERO, Some(&mixed));
    // Its skew was one, and is another now.
    story.shown(CLARK, Duration::ZERO, Some(&other.replace("001 ", "002 ")));
    assert_eq!(story.wrong(), 3);
}

#[test]
fn a_server_never_goes_back() {
    let mut story = Story::new();
    let old = story.answered(CLARK);
    let new = story.answered(CLARK);
    story.shown(CLARK, Duration::ZERO, Some(&new));
    story.shown(BAILEY, Duration::ZERO, None);
    story.shown(BAILEY, Duration::ZERO, Some(&old));
    assert_eq!(story.oracle.violations.len(), 0);
    story.shown(CLARK, Duration::ZERO, Some(&old));
    story.shown(BAILEY, Duration::ZERO, None);
    assert_eq!(story.wrong(), 2);
}

#[test]
fn a_report_comes_to_whom_a_path_leads() {
    let enough = REDIAL + SEEN_MAX + Duration::from_secs(1);
    let asked = |later, cut: &[(usize, usize)]| {
        let mut story = Story::new();
        story.answered(CLARK);
        for (from, to) in cut.iter().copied() {
            let change = |service: &mut Service, now| {
                service.change_road(from, to, |road| road.hold(now));
            };
            story.oracle.change(change);
        }
        story.shown(BAILEY, later, None);
        story.wrong()
    };
    assert_eq!(asked(REDIAL, &[]), 0, "too early");
    assert_eq!(asked(enough, &[]), 1);
    assert_eq!(asked(enough, &[(1, 0)]), 1, "by Campbell");
    assert_eq!(asked(enough, &[(0, 1), (0, 2)]), 1, "the other way");
    assert_eq!(
        asked(enough, &[(1, 0), (2, 0)]),
        0,
        "neither by Bona nor by Campbell"
    );
}

#[test]
fn a_snapshot_holds_what_it_must_and_is_taken_up() {
    let born = |held: bool, shown: bool| {
        let mut story = Story::new();
        let line = story.answered(CLARK);
        let must = story.oracle.everything(CLARK);
        let bytes = match held {
            true => snapshot(&[&line]),
            false => snapshot(&[]),
        };
        story.oracle.reborn(CLARK, &bytes, &must);
        story.shown(CLARK, Duration::ZERO, shown.then_some(line.as_str()));
        story.wrong()
    };
    assert_eq!(born(true, true), 0);
    assert_eq!(born(true, false), 1, "it forgot");
    assert_eq!(born(false, false), 1, "it was not safe");
    let mut story = Story::new();
    let line = story.answered(CLARK);
    let bytes = snapshot(&[&line]);
    story.oracle.reborn(CLARK, &bytes[..bytes.len() - 1], &[]);
    let invented = line.replace("+34.000000000", "+34.000000009");
    story.oracle.reborn(CLARK, &snapshot(&[&invented]), &[]);
    assert_eq!(story.wrong(), 2, "a cut one, and one with another's record");
}

#[test]
fn only_what_nobody_is_known_to_hold_is_lost() {
    let agreed = |dies: bool| {
        let mut story = Story::new();
        story.answered(CLARK);
        if dies {
            let must = story.oracle.dies(CLARK);
            story.oracle.reborn(CLARK, &snapshot(&[]), &must);
        }
        let known = story.oracle.known();
        story.oracle.agreed(&vec![None; known.len()], &known);
        (story.oracle.counts.lost, story.wrong())
    };
    assert_eq!(agreed(false), (1, 1));
    assert_eq!(agreed(true), (1, 0));
}
