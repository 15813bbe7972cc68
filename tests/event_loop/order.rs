//! Who runs when: our loop against asyncio's.
//!
//! `tests/data/loop_order.txt` holds scenarios, `loop_order.py` beside it plays them on asyncio's
//! loop, and `loop_order.golden` is what it printed (CPython 3.13.0; 3.8 to 3.12 print the same).
//! Here the same scenarios are played on our loop, and must give the same lines.
//!
//! Equal deadlines occur in no scenario: asyncio's heap leaves their order open. Ours is first in,
//! first out; `tests/event_loop.rs` checks that.

mod player;

use std::collections::BTreeMap;

use player::{parse, play};

const SCENARIOS: &str = include_str!("../data/loop_order.txt");
const GOLDEN: &str = include_str!("../data/loop_order.golden");

/// Where ours differs from asyncio: the scenario, why, and our lines. Each must really differ.
const OURS: [(&str, &str, &[&str]); 3] = [
    (
        "differs-thread-among-ready",
        "asyncio appends to the ready queue from the other thread; ours has a mailbox, emptied \
         when the poll tells of it: behind what was ready before",
        &["1 a", "1 b", "1 x"],
    ),
    (
        "differs-signal-among-others",
        "asyncio reads its self-pipe in one iteration and runs the handler in the next; ours makes \
         the callback in the turn whose poll told of the signal",
        &["1 a", "2 b", "2 hup", "3 c"],
    ),
    (
        "differs-time-within-a-callback",
        "asyncio reads the clock at each call_later; ours stands still within a turn",
        &["1 a", "1 time=0", "2 b", "2 time=10"],
    ),
];

/// Lines by scenario, in the order of the text.
fn by_scenario(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let (name, rest) = line.split_once(' ').expect("SCENARIO ITERATION CALLBACK");
        groups.entry(name).or_default().push(rest);
    }
    groups
}

#[test]
fn scenarios_run_as_on_asyncio() {
    let golden = by_scenario(GOLDEN);
    let scenarios = parse(SCENARIOS);
    assert!(scenarios.len() >= 20, "only {} scenarios", scenarios.len());
    assert_eq!(golden.len(), scenarios.len(), "golden and scenarios");
    for scenario in &scenarios {
        let name = scenario.name.as_str();
        let played = play(scenario);
        assert!(!played.ties, "{name}: equal deadlines prove nothing");
        let text = played.lines.join("\n");
        let lines = by_scenario(&text).remove(name).unwrap_or_default();
        let asyncio = &golden[name];
        match OURS.iter().find(|(differs, ..)| *differs == name) {
            None => assert_eq!(&lines, asyncio, "{name}: ours, then asyncio's"),
            Some((_, why, ours)) => {
                assert_eq!(&lines, ours, "{name}: {why}");
                assert_ne!(
                    &lines, asyncio,
                    "{name} differs no more: strike it from OURS"
                );
            }
        }
    }
    for (name, ..) in OURS {
        assert!(golden.contains_key(name), "{name} is no scenario");
    }
}

/// Against a live CPython: the tests of `loop_order.rs` that need one.
#[cfg(feature = "outside")]
mod outside {
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/loop_order.py");

    /// Random scenarios that are compared.
    const RANDOM_SCENARIOS: u64 = 400;

    /// Runs python3, which must be there.
    fn python(arguments: &[&str], input: &str) -> String {
        let mut child = Command::new("python3")
            .args(arguments)
            .env_remove("PYTHONASYNCIODEBUG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed by the tests of feature `outside`");
        // It reads all of its input before it prints, so neither side waits for the other.
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin
            .write_all(input.as_bytes())
            .expect("python3 reads its input");
        drop(stdin);
        let output = child.wait_with_output().expect("python3 ends");
        assert!(output.status.success(), "python3: {}", output.status);
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    }

    fn check_python() {
        let program = "import sys; print(sys.implementation.name, *sys.version_info[:2])";
        let answer = python(&["-c", program], "");
        let words: Vec<&str> = answer.split_whitespace().collect();
        let [name, major, minor] = words[..] else {
            panic!("python3 says {answer:?}");
        };
        let version: (u32, u32) = (major.parse().unwrap(), minor.parse().unwrap());
        assert_eq!(name, "cpython", "python3 must be CPython");
        assert!(version >= (3, 8), "python3 must be 3.8 or later: {answer}");
    }

    #[test]
    fn asyncio_still_prints_the_golden() {
        check_python();
        let printed = python(&[SCRIPT], "");
        for (number, (printed, golden)) in printed.lines().zip(GOLDEN.lines()).enumerate() {
            assert_eq!(printed, golden, "line {}: asyncio, golden", number + 1);
        }
        assert_eq!(printed.lines().count(), GOLDEN.lines().count());
    }

    /// Scenarios that nobody thought of. They leave out what is known to differ (see `OURS`).
    #[test]
    fn random_scenarios_run_as_on_asyncio() {
        check_python();
        let text: String = (0..RANDOM_SCENARIOS).map(random_scenario).collect();
        let printed = python(&[SCRIPT, "-"], &text);
        let asyncio = by_scenario(&printed);
        let mut compared = 0;
        for scenario in parse(&text) {
            let played = play(&scenario);
            if played.ties {
                continue;
            }
            compared += 1;
            let name = scenario.name.as_str();
            let ours = played.lines.join("\n");
            let ours = by_scenario(&ours).remove(name).unwrap_or_default();
            let asyncio = asyncio.get(name).cloned().unwrap_or_default();
            let source = || text.split("\n\n").find(|part| part.contains(name));
            assert_eq!(ours, asyncio, "ours, then asyncio's, of {:?}", source());
        }
        assert!(
            compared > RANDOM_SCENARIOS / 2,
            "only {compared} without equal deadlines"
        );
    }

    const BLOCKS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const SOCKETS: [&str; 3] = ["s", "t", "u"];

    /// Knuth's MMIX generator: enough to pick steps.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }

        fn one_of(&mut self, names: &[&'static str]) -> &'static str {
            names[self.below(names.len() as u64) as usize]
        }
    }

    /// Blocks a..h do random things twice each; blocks read-s.. read their socket first.
    fn random_scenario(seed: u64) -> String {
        let mut random = Random(seed);
        let mut text = format!("scenario random-{seed}-\nstart:");
        for _ in 0..8 + random.below(8) {
            let step = random_step(&mut random);
            // The start is no callback: nobody would handle its failure.
            if !step.starts_with("fail") {
                write!(text, " {step};").unwrap();
            }
        }
        for _ in 0..random.below(4) {
            let (when, socket) = (random.below(90_000), random.one_of(&SOCKETS));
            write!(text, " arrive {when} {socket};").unwrap();
        }
        text.push_str(" run; time; run; time; run; time; run; time; heap\n");
        let readers = SOCKETS.map(|socket| (format!("read-{socket}"), format!(" read {socket}")));
        let blocks = BLOCKS.map(|block| (String::from(block), String::from(" heap")));
        for (name, first) in readers.into_iter().chain(blocks) {
            write!(text, "{name}:{first}").unwrap();
            for _ in 0..random.below(5) {
                let step = random_step(&mut random);
                // A second `at` would be a deadline equal to the first.
                let bound = if step.starts_with("at") { 1 } else { 2 };
                write!(text, "; {bound}* {step}").unwrap();
            }
            text.push('\n');
        }
        text.push('\n');
        text
    }

    fn random_step(random: &mut Random) -> String {
        let block = random.one_of(&BLOCKS);
        let socket = random.one_of(&SOCKETS);
        match random.below(20) {
            0..5 => format!("soon {block}"),
            5..8 => format!("later {} {block}", random.below(90_000)),
            8..10 => format!("at {} {block}", random.below(90_000)),
            10..13 => format!("cancel {block}"),
            13..15 => format!("write {socket}"),
            15..17 => format!("reader {socket} read-{socket}"),
            17 => format!("noreader {socket}"),
            18 => String::from("stop"),
            _ => format!("fail {block}"),
        }
    }
}
