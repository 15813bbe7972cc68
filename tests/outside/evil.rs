//! An upstream that breaks every rule: `tests/data/evil_upstream.py`, Python's ssl.
//!
//! Each case is played in three pacings, each to a server of its own, which must find the right
//! words for its journal, give the client an answer in its frame and in time, close the evil
//! connection, and answer the next question from a good one. No callback of its loop may take
//! 50 ms.

mod cases;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{TempDir, UCLA, latin1, wait_until};
use crate::others::{
    Authority, LONGEST, Running, UNKNOWN_ERROR, as_read, framed, known, outcome, program, whatsat,
};
use cases::{CASES, Expect};
use server::{Longest, Server};

const PACINGS: [&str; 3] = ["burst", "records", "trickle"];
const QUESTION: &str = "WHATSAT phone 10 20\n";
/// So many cases that end soon are played at the same time; those that wait for a deadline, all.
const WORKERS: usize = 10;
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
        let (answer, took) = whatsat(&mut client, QUESTION);
        let wanted = format!("{at}{}", as_read(&framed(&self.body)));
        assert_eq!(
            (answer, took < SOON),
            (wanted, true),
            "{name}: the next question"
        );
        let said = outcome(read, 2);
        assert_eq!(said, format!("200 OK, {} bytes", self.body.len()), "{name}");
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
    const SERVED: [&str; 11] = [
        "answer_before_the_question_tls12",
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

/// A case in a pacing, and what must come of it.
type Job = (String, &'static Expect);

/// Plays these, those with a deadline all at once and the others in a few threads, and returns the
/// longest callback of each, the longest first.
fn play_all(evil: &Evil, jobs: Vec<Job>, workers: usize) -> Vec<(Longest, Job)> {
    let failures = Mutex::new(Vec::new());
    let seen = Mutex::new(Vec::new());
    let play = |job: Job| {
        let played = catch_unwind(AssertUnwindSafe(|| evil.play(&job.0, job.1)));
        match played {
            Ok(longest) => seen.lock().expect("a list").push((longest, job)),
            Err(why) => {
                let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
                failures
                    .lock()
                    .expect("a list")
                    .push(format!("{}: {why}", job.0));
            }
        }
    };
    let (slow, soon) = (jobs.into_iter()).partition(|(_, end)| matches!(end, Expect::Slow(_)));
    let (slow, soon): (Vec<Job>, Mutex<Vec<Job>>) = (slow, Mutex::new(soon));
    let play = &play;
    thread::scope(|scope| {
        for job in slow {
            scope.spawn(move || play(job));
        }
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(job) = { soon.lock().expect("a list").pop() } {
                    play(job);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("a list");
    let text = failures.join("\n");
    assert!(failures.is_empty(), "{} failed:\n{text}", failures.len());
    let mut seen = seen.into_inner().expect("a list");
    seen.sort_by_key(|(longest, _)| std::cmp::Reverse(longest.took));
    seen
}

#[test]
fn every_case_ends_as_it_must() {
    let evil = Evil::start();
    let mut jobs = Vec::new();
    for (case, expect) in CASES {
        jobs.extend(PACINGS.map(|pacing| (format!("{case}/{pacing}"), expect.of(pacing))));
    }
    let ours: BTreeSet<&String> = jobs.iter().map(|(name, _)| name).collect();
    assert_eq!(
        ours,
        evil.ports.keys().collect(),
        "the cases here and there"
    );

    let begun = Instant::now();
    let seen = play_all(&evil, jobs, WORKERS);
    let (took, spent) = (seen[0].0.took, begun.elapsed());
    let (callback, name) = (seen[0].0.callback, &seen[0].1.0);
    println!(
        "{} runs in {spent:?}; longest: {took:?}, {callback:?}, {name}",
        seen.len()
    );

    // Among so many threads some wait for one another in the kernel. By itself none may be slow.
    let again: Vec<Job> = seen
        .into_iter()
        .filter(|(longest, _)| longest.took >= CALLBACK_MAX)
        .map(|(_, job)| job)
        .collect();
    if again.is_empty() {
        return;
    }
    for (longest, (name, _)) in play_all(&Evil::start(), again, 1) {
        let Longest { took, callback } = longest;
        println!("{name} by itself: {took:?}, {callback:?}");
        assert!(took < CALLBACK_MAX, "{name}: {callback:?} took {took:?}");
    }
}
