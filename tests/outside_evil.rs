//! An upstream that breaks every rule: `tests/data/evil_upstream.py`, Python's ssl.
//!
//! Each case is played in three pacings, each to a server of its own, which must find the right
//! words for its journal, give the client an answer in its frame and in time, close the evil
//! connection, and answer the next question from a good one. No callback of its loop may take
//! 50 ms.
#![cfg(feature = "outside")]

#[path = "outside_evil/cases.rs"]
mod cases;
mod common;
mod outside;
#[path = "outside_evil/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cases::{CASES, Expect};
use common::{TempDir, UCLA, latin1, wait_until};
use outside::{
    Authority, LONGEST, Running, UNKNOWN_ERROR, as_read, framed, known, outcome, program, whatsat,
};
use server::{Longest, Server};

const PACINGS: [&str; 3] = ["burst", "records", "trickle"];
const QUESTION: &str = "WHATSAT phone 10 20\n";
/// So many cases that end soon are played at the same time; those that wait for a deadline, all.
const WORKERS: usize = 4;
/// No callback may take so long.
const CALLBACK_MAX: Duration = Duration::from_millis(50);
/// What needs no deadline is over by then, also on a busy machine.
const SOON: Duration = Duration::from_secs(4);

/// The evil upstream, running.
struct Evil {
    directory: TempDir,
    ca: String,
    body: String,
    ports: BTreeMap<String, u16>,
    /// The cases whose connection our side has closed.
    closed: Arc<Mutex<BTreeSet<String>>>,
    _process: Running,
}

impl Evil {
    fn start() -> Evil {
        let directory = TempDir::new();
        let authority = Authority::new("An authority", directory.path());
        let identity = authority.localhost();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/evil_upstream.py");
        let mut command = program("python3", "python3");
        command
            .arg(script)
            .args([&identity.certificate, &identity.key]);
        let mut process = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let output = process.0.stdout.take().expect("its output");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let first = lines
            .next()
            .expect("evil_upstream.py says where it listens");
        let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
        let closed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let seen = Arc::clone(&closed);
        thread::spawn(move || lines.for_each(|name| _ = seen.lock().expect("a set").insert(name)));
        Evil {
            directory,
            ca: authority.pem,
            body: first["body"].as_str().expect("a body").to_string(),
            ports: serde_json::from_value(first["ports"].clone()).expect("ports"),
            closed,
            _process: process,
        }
    }

    fn wait_closed(&self, name: &str) {
        wait_until(
            LONGEST,
            &format!("{name}: the connection is closed"),
            || self.closed.lock().expect("a set").contains(name),
        );
    }

    /// Plays one case and returns the longest callback.
    fn play(&self, name: &str, expect: &'static Expect) -> Longest {
        let journal = self.directory.path().join(name.replace('/', "."));
        let server = Server::start(self.ports[name], &self.ca, &journal);
        let read = || latin1(&fs::read(&journal).unwrap_or_default());
        let (mut client, at) = known(server.address, "phone");
        assert!(at.contains(UCLA), "{at:?}");

        let (answer, took) = whatsat(&mut client, QUESTION);
        let said = outcome(read, 1);
        let json = self.judge(expect, &said, took);
        let json = json.unwrap_or_else(|why| panic!("{name}: {why}"));
        let wanted = format!("{at}{}", as_read(&framed(&json)));
        assert_eq!(answer, wanted, "{name}");
        if !is_served(name, expect) {
            self.wait_closed(name);
        }
        // What came of it must not be felt by the next.
        {
            let (answer, took) = whatsat(&mut client, QUESTION);
            let wanted = format!("{at}{}", as_read(&framed(&self.body)));
            assert_eq!(
                (answer, took < SOON),
                (wanted, true),
                "{name}: the next question"
            );
            let said = outcome(read, 2);
            assert_eq!(said, format!("200 OK, {} bytes", self.body.len()), "{name}");
        }
        server.stop()
    }

    /// The JSON that the client must get, or what is wrong with what the journal said.
    fn judge(&self, expect: &Expect, said: &str, took: Duration) -> Result<String, String> {
        let bytes = |text: &str| {
            let count = said.strip_prefix(text)?.strip_suffix(" bytes")?;
            count
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(())
        };
        let slow = |state: &str| {
            let said = said.strip_prefix(&format!("failed: {state} took too long, "))?;
            let spent: u128 = said.strip_suffix(" ms in all")?.parse().ok()?;
            let due = if state == "Handshake" { 5_000 } else { 10_000 };
            let in_time = (due..due + 1_000).contains(&spent) && took.as_millis() < due + 2_000;
            in_time.then_some(())
        };
        let soon = took < SOON;
        let fits = match expect {
            Expect::Good => bytes("200 OK, ").is_some() && soon,
            Expect::Word(word, _) => bytes(&format!("200 {word}, ")).is_some() && soon,
            Expect::Failed(why) => said == format!("failed: {why}") && soon,
            Expect::Unusable(why) => bytes(&format!("not usable: {why}, ")).is_some() && soon,
            Expect::Slow(state) => slow(state).is_some(),
            Expect::Burst(..) => unreachable!("resolved before"),
            Expect::OneOf(several) => {
                let mut found = several.iter().map(|one| self.judge(one, said, took));
                return found.find(Result::is_ok).unwrap_or_else(|| {
                    Err(format!("{said:?} after {took:?}, not one of {several:?}"))
                });
            }
        };
        match expect {
            _ if !fits => Err(format!("{said:?} after {took:?}, not {expect:?}")),
            Expect::Good => Ok(self.body.clone()),
            Expect::Word(_, json) => Ok(json.to_string()),
            _ => Ok(UNKNOWN_ERROR.to_string()),
        }
    }
}

/// The upstream serves on on the connection of this case, which is good and stays open.
fn is_served(name: &str, expect: &Expect) -> bool {
    const SERVED: [&str; 10] = [
        "good",
        "good_tls12",
        "good_chunked",
        "good_chunks_of_a_byte",
        "good_cl_equal",
        "good_eight_interim",
        "good_64_headers",
        "good_no_reason",
        "refusal",
        "its_own_unknown_error",
    ];
    matches!(expect, Expect::Unusable(_))
        || SERVED.contains(&name.split('/').next().unwrap_or_default())
}

#[test]
fn every_case_ends_as_it_must() {
    let evil = Evil::start();
    let mut soon = Vec::new();
    let mut slow = Vec::new();
    let mut names = BTreeSet::new();
    for (case, expect) in CASES {
        for pacing in PACINGS {
            let (name, expect) = (format!("{case}/{pacing}"), expect.of(pacing));
            names.insert(name.clone());
            match expect {
                Expect::Slow(_) => slow.push((name, expect)),
                _ => soon.push((name, expect)),
            }
        }
    }
    let theirs: BTreeSet<String> = evil.ports.keys().cloned().collect();
    assert_eq!(names, theirs, "the cases here and there");
    assert!(CASES.len() >= 40);

    let begun = Instant::now();
    let failures = Mutex::new(Vec::new());
    let longest = Mutex::new((Longest::default(), String::new()));
    let play =
        |(name, expect): (String, &'static Expect)| match catch_unwind(AssertUnwindSafe(|| {
            evil.play(&name, expect)
        })) {
            Ok(seen) => {
                let mut longest = longest.lock().expect("a duration");
                if seen.took > longest.0.took {
                    *longest = (seen, name);
                }
            }
            Err(why) => {
                let why = why.downcast_ref::<String>().cloned();
                let text = format!("{name}: {}", why.unwrap_or_default());
                failures.lock().expect("a list").push(text);
            }
        };
    let (played, queue) = (names.len(), Mutex::new(soon));
    thread::scope(|scope| {
        for job in slow {
            scope.spawn(|| play(job));
        }
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(job) = { queue.lock().expect("a queue").pop() } {
                    play(job);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("a list");
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    let (longest, name) = longest.into_inner().expect("a duration");
    println!(
        "{played} runs in {:?}; the longest callback: {longest:?}, {name}",
        begun.elapsed()
    );
    assert!(longest.took < CALLBACK_MAX, "{name}: {longest:?}");
}
