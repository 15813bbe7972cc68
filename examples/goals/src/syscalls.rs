//! Goal 1: system calls a request.
//!
//! Each load runs twice against a server under `strace --summary-only`, with
//! few requests and with many; the difference of the two counts, by the
//! difference of the two numbers of requests, is free of start, connects and
//! end. strace makes the server the slow side, so at C50 nearly all clients
//! are ready in each poll: what these bounds catch is a call too many, not a
//! batch too small.

use lab::herd::Herd;
use lab::servers::{Lab, Start};
use lab::table::Table;
use lab::{Result, guard};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

struct Load {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Requests of the long run above those of the short one.
    requests: u64,
    bound: f64,
}

const LOADS: [Load; 4] = [
    Load {
        name: "C1 P1",
        arguments: &["--connections", "1"],
        requests: 5_000,
        bound: 3.05,
    },
    Load {
        name: "C50 P1",
        arguments: &["--connections", "50"],
        requests: 20_000,
        bound: 2.1,
    },
    Load {
        name: "C50 P16",
        arguments: &["--connections", "50", "--depth", "16"],
        requests: 80_000,
        bound: 0.15,
    },
    Load {
        name: "connect-ask-close",
        arguments: &["--connections", "50", "--mode", "connect-ask-close"],
        requests: 10_000,
        bound: 10.0,
    },
];

/// Requests of the short run: a few full batches of every load.
const SHORT: u64 = 3_200;

/// Calls by name: in total, or for each request.
type Counts<N> = BTreeMap<String, N>;

/// Measures each load without and with a journal.
pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    strace_works()?;
    for load in &LOADS {
        for journal in [false, true] {
            let calls = calls_per_request(lab, load, journal)?;
            let total: f64 = calls.values().sum();
            let polls: f64 = calls
                .iter()
                .filter(|(name, _)| name.starts_with("epoll_") && name.contains("wait"))
                .map(|(_, count)| count)
                .sum();
            let (log, bound) = match journal {
                false => ("--log none", load.bound),
                // One write a turn, and a turn has one poll.
                true => ("a journal", load.bound + polls),
            };
            let goal = format!("system calls a request, {}, {log}", load.name);
            table.at_most(&goal, bound, total);
            table.remark(&breakdown(&calls));
        }
    }
    Ok(())
}

fn strace_works() -> Result<()> {
    Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .map_err(|e| format!("strace is needed and cannot be run: {e}"))?;
    Ok(())
}

fn calls_per_request(lab: &Lab, load: &Load, journal: bool) -> Result<Counts<f64>> {
    let short = counts(lab, load, journal, SHORT)?;
    let long = counts(lab, load, journal, SHORT + load.requests)?;
    let more = |(name, count): (String, u64)| {
        let before = short.get(&name).copied().unwrap_or(0);
        let calls = (count as f64 - before as f64) / load.requests as f64;
        (name, calls)
    };
    Ok(long.into_iter().map(more).collect())
}

fn counts(lab: &Lab, load: &Load, journal: bool, requests: u64) -> Result<Counts<u64>> {
    let herd = Herd::alone("Clark")?;
    let server = Start::new("Clark")
        .journal(journal)
        .straced()
        .run(lab, &herd)?;
    let mut command = lab.load(server.addr)?;
    command
        .args(load.arguments)
        .args(["--warmup", "0", "--requests", &requests.to_string()])
        .stdout(Stdio::null());
    let mut generator = command.spawn()?;
    guard::enter(generator.id());
    let status = generator.wait()?;
    guard::leave(generator.id());
    if !status.success() {
        return Err(format!("the load generator failed at {}", load.name).into());
    }
    parse(&server.traced()?)
}

/// Reads strace's table: `% time  seconds  usecs/call  calls  [errors]  syscall`.
fn parse(summary: &str) -> Result<Counts<u64>> {
    let mut counts = Counts::new();
    for line in summary.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, _, _, calls, .., name] = words[..] else {
            continue;
        };
        // Heading, rules and the sum are no calls.
        if let (Ok(calls), true) = (calls.parse(), name != "total") {
            counts.insert(name.to_string(), calls);
        }
    }
    if counts.is_empty() {
        return Err(format!("strace counted nothing: {summary:?}").into());
    }
    Ok(counts)
}

fn breakdown(calls: &Counts<f64>) -> String {
    let mut shown: Vec<_> = calls
        .iter()
        .filter(|(_, count)| **count >= 0.0005)
        .collect();
    shown.sort_by(|a, b| b.1.total_cmp(a.1));
    let words: Vec<_> = shown
        .iter()
        .map(|(name, count)| format!("{name} {count:.3}"))
        .collect();
    words.join(", ")
}
