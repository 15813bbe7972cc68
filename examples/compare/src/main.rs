//! The paper's claims, measured: the same herd on asyncio, uvloop, Node,
//! Java, tokio and our own loop, side by side on this machine.
//!
//! ```text
//! cargo run --release -p compare                  # everything: half an hour
//! cargo run --release -p compare -- --quick       # in miniature: two minutes
//! cargo run --release -p compare -- speed flood   # some experiments
//! cargo run --release -p compare -- --list
//! ```
//!
//! It finds the runtimes that the machine has and says how to get the others,
//! checks that every peer passes the cases of the protocol, measures in
//! interleaved rounds, and writes `compare.html`, which needs nothing else,
//! and `compare.json`. It exits with 1 if a peer fails a case or answers
//! wrongly; never because something is slow.

mod bench;
mod blocking;
mod chart;
mod claims;
mod collectors;
mod conformance;
mod flood;
mod gil;
mod growth;
mod html;
mod instead;
mod load;
mod machine;
mod memory;
mod mistakes;
mod node;
mod peers;
mod places;
mod report;
mod runtimes;
mod scale;
mod section;
mod seeded;
mod source;
mod speed;
mod stats;
mod threads;
mod throughput;
mod versions;
mod writing;

use bench::Bench;
use lab::servers::Lab;
use lab::{Result, guard, servers};
use machine::Machine;
use report::About;
use runtimes::Runtimes;
use section::Section;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Whatever hangs, it ends then.
const LIMIT: Duration = Duration::from_secs(3600);
const QUICK_LIMIT: Duration = Duration::from_secs(600);

type Experiment = fn(&Bench) -> Result<Section>;

/// In the order of the paper's sections.
const EXPERIMENTS: [(&str, &str, Experiment); 14] = [
    (
        "conformance",
        "does every peer do the same work?",
        conformance::measure,
    ),
    (
        "mistakes",
        "ten mistakes in each peer: who finds them?",
        mistakes::measure,
    ),
    (
        "memory",
        "a start, a silent connection, a record",
        memory::measure,
    ),
    (
        "collectors",
        "the slowest answers under churn",
        collectors::measure,
    ),
    (
        "threads",
        "a thread a connection, many cores, the GIL",
        threads::measure,
    ),
    (
        "node",
        "asyncio against Node; async functions",
        node::measure,
    ),
    (
        "speed",
        "throughput, CPU a request, latency",
        speed::measure,
    ),
    ("flood", "five servers and an update", flood::measure),
    (
        "growth",
        "exponents: records, connections, servers",
        growth::measure,
    ),
    (
        "instead",
        "the same positions into Redis, NATS",
        instead::measure,
    ),
    ("places", "WHATSAT at a slow Places", places::measure),
    ("blocking", "one request that computes", blocking::measure),
    (
        "versions",
        "asyncio on each CPython here",
        versions::measure,
    ),
    (
        "writing",
        "lines, dependencies, build, start, size",
        writing::measure,
    ),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> getopts::Options {
    let mut options = getopts::Options::new();
    options
        .optflag("", "quick", "everything in miniature: figures mean nothing")
        .optopt("", "out", "where the report goes (target/compare)", "DIR")
        .optopt("", "rounds", "instead of each experiment's own number", "N")
        .optopt("", "peers", "only these, by their keys", "A,B")
        .optopt("", "python", "prefer this Python, as of a venv", "PATH")
        .optflag("", "list", "print experiments, peers, what is missing")
        .optflag("h", "help", "print this");
    options
}

fn run() -> Result<bool> {
    let options = options();
    let matches = options.parse(std::env::args().skip(1))?;
    if matches.opt_present("help") {
        print!(
            "{}",
            options.usage("Usage: compare [options] [experiment ...]")
        );
        return Ok(true);
    }
    let runtimes = Runtimes::find(matches.opt_str("python").as_deref());
    if matches.opt_present("list") {
        list(&runtimes);
        return Ok(true);
    }
    let wanted = wanted_peers(&matches)?;
    let quick = matches.opt_present("quick");
    if quick {
        stats::round_to_one_digit();
    }
    let rounds = matches.opt_get::<usize>("rounds")?;
    let out = matches
        .opt_str("out")
        .map_or(peers::root().join("target/compare"), PathBuf::from);
    fs::create_dir_all(&out).map_err(|error| format!("--out {}: {error}", out.display()))?;
    build_others()?;
    let machine = Machine::describe();
    servers::raise_descriptor_limit();
    let lab = Lab::new("compare", None)?.on_own_core()?;
    guard::watch(&lab, if quick { QUICK_LIMIT } else { LIMIT })?;
    let (peers, absent) = peers::find(&lab, &runtimes, &wanted)?;
    let bench = Bench {
        lab,
        runtimes,
        peers,
        cores: machine.core_list.clone(),
        quick,
        rounds,
        begun: Instant::now(),
        dice: Cell::new(0x5eed_5eed),
    };
    let sections = measure(&bench, &matches.free);
    let about = About {
        machine: &machine,
        found: bench.runtimes.found(),
        missing: bench.runtimes.missing(),
        absent,
        quick,
        seconds: bench.begun.elapsed().as_secs_f64(),
        command: command(),
    };
    write(&out, &about, &sections)?;
    let failures: usize = sections.iter().map(|section| section.failures.len()).sum();
    if failures > 0 {
        eprintln!("compare: {failures} failures, see above");
    }
    Ok(failures == 0)
}

/// The peers that are asked for; an experiment or a peer that is none is an error.
fn wanted_peers(matches: &getopts::Matches) -> Result<Vec<String>> {
    let known = |name: &&String| !EXPERIMENTS.iter().any(|(key, ..)| key == name);
    if let Some(name) = matches.free.iter().find(known) {
        return Err(format!("no experiment is named {name:?} (see --list)").into());
    }
    let wanted: Vec<String> = matches
        .opt_str("peers")
        .map(|keys| keys.split(',').map(str::to_string).collect())
        .unwrap_or_default();
    if let Some(key) = wanted
        .iter()
        .find(|key| !peers::KEYS.contains(&key.as_str()))
    {
        return Err(format!("no peer is named {key:?} (see --list)").into());
    }
    Ok(wanted)
}

/// As a person would type it.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dashes = if arguments.is_empty() { "" } else { " -- " };
    format!(
        "cargo run --release -p compare{dashes}{}",
        arguments.join(" ")
    )
}

fn measure(bench: &Bench, wanted: &[String]) -> Vec<Section> {
    let mut sections = Vec::new();
    for (name, about, measure) in EXPERIMENTS {
        if !wanted.is_empty() && !wanted.iter().any(|key| key == name) {
            continue;
        }
        bench.tell(&format!("== {name}: {about}"));
        let section = measure(bench).unwrap_or_else(|error| {
            let mut section = Section::new(name, about, "");
            bench::fail(&mut section, name, "the experiment", &error.to_string());
            section
        });
        section.tables().for_each(|table| table.print());
        for words in &section.follows {
            println!("  → {words}");
        }
        sections.push(section);
    }
    sections
}

/// `cargo run` builds this program alone: the servers that it starts have to
/// be as new.
fn build_others() -> Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(());
    };
    let release: &[&str] = if cfg!(debug_assertions) {
        &[]
    } else {
        &["--release"]
    };
    let tools = ["herd", "load", "floor", "tokio_herd"];
    let examples = ["places", "burner"];
    let built = Command::new(cargo)
        .arg("build")
        .args(release)
        .args(["--quiet", "--locked"])
        .args(tools.iter().flat_map(|tool| ["-p", tool, "--bin", tool]))
        .args(examples.iter().flat_map(|example| ["--example", example]))
        .current_dir(peers::root())
        .stdin(Stdio::null())
        .status()?;
    match built.success() {
        true => Ok(()),
        false => Err("cargo cannot build what is compared".into()),
    }
}

fn list(runtimes: &Runtimes) {
    println!("experiments:");
    for (name, about, _) in EXPERIMENTS {
        println!("  {name:<12} {about}");
    }
    println!("peers:\n  {}", peers::KEYS.join(" "));
    println!("found:");
    for (name, version) in runtimes.found() {
        println!("  {name:<12} {version}");
    }
    println!("missing:");
    for (name, how) in runtimes.missing() {
        println!("  {name:<12} {how}");
    }
}

fn write(out: &Path, about: &About, sections: &[Section]) -> Result<()> {
    let page = report::page(about, sections);
    html::check(&page).map_err(|wrong| format!("the report is not well-formed: {wrong}"))?;
    let json = serde_json::to_string_pretty(&report::json(about, sections))?;
    let (html, data) = (out.join("compare.html"), out.join("compare.json"));
    fs::write(&html, page)?;
    fs::write(&data, json)?;
    println!("\n{}\n{}", html.display(), data.display());
    Ok(())
}
