//! Measures the release binary against the goals it is held to, and exits
//! with 1 if one is missed.
//!
//! ```text
//! cargo build --release --workspace --bins --examples
//! target/release/goals                   # all of them, a minute
//! target/release/goals syscalls memory   # some
//! ```
//!
//! - `syscalls`: system calls a request, counted by strace (see `syscalls.rs`);
//! - `memory`: of a start, an idle connection, a million records; the first
//!   reply after exec; wakeups of an idle herd (`memory.rs`);
//! - `flood`: messages between five servers for one update, converged updates
//!   a second, time to the farthest server (`lab/flood.rs`);
//! - `dump`: what clients feel of a million records coming in or going out
//!   (`dump.rs`).
//!
//! - `probes`: throughput with a recording, a trace, an inspection listener, as
//!   a share of that without (`probes.rs`);
//! - `instructions`: of an IAMAT, by callgrind, beside those of a loop that
//!   tells nobody anything (`instructions.rs`).
//!
//! Each prints rows `goal | bound | measured | ok`; a row without a bound is
//! told for people to judge. Servers are pinned to one core and everything
//! here to another. `--binary PATH` measures another herd.

mod dump;
mod flood;
mod instructions;
mod memory;
mod probes;
mod syscalls;

use lab::servers::Lab;
use lab::table::Table;
use lab::{Result, guard, servers};
use std::process::ExitCode;
use std::time::Duration;

/// All measurements together take about a minute.
const LIMIT: Duration = Duration::from_secs(300);

type Measurement = fn(&Lab, &mut Table) -> Result<()>;

const GOALS: [(&str, Measurement); 6] = [
    ("syscalls", syscalls::measure),
    ("memory", memory::measure),
    ("flood", flood::measure),
    ("dump", dump::measure),
    ("probes", probes::measure),
    ("instructions", instructions::measure),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("goals: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let names = GOALS.map(|(name, _)| name).join(" ");
    let mut options = getopts::Options::new();
    options
        .optopt("", "binary", "measure this herd", "PATH")
        .optopt(
            "",
            "serve",
            "serve, to be counted: plain or quiet",
            "OBSERVER",
        )
        .optopt("", "addr", "where to serve", "ADDR")
        .optflag("h", "help", "print this");
    let matches = options.parse(std::env::args().skip(1))?;
    if matches.opt_present("help") {
        let brief = format!("Usage: goals [options] [{names}]");
        print!("{}", options.usage(&brief));
        return Ok(true);
    }
    if let Some(observer) = matches.opt_str("serve") {
        let addr = matches.opt_get("addr")?.ok_or("--serve needs --addr")?;
        return instructions::serve(&observer, addr).map(|()| true);
    }
    let known = |name: &String| GOALS.iter().any(|(goal, _)| goal == name);
    if let Some(name) = matches.free.iter().find(|name| !known(name)) {
        return Err(format!("no goal is named {name:?}; there are: {names}").into());
    }
    servers::raise_descriptor_limit();
    let lab = Lab::new("goals", matches.opt_str("binary"))?.on_own_core()?;
    guard::watch(&lab, LIMIT)?;
    let mut table = Table::default();
    warn_if_busy()?;
    table.head();
    for (name, measure) in GOALS {
        if matches.free.is_empty() || matches.free.iter().any(|wanted| wanted == name) {
            measure(&lab, &mut table).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(table.all_met())
}

/// Times are those of the machine: say so when others are using it. The
/// bounds stay what they are.
fn warn_if_busy() -> Result<()> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let load: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    if load > 1.0 {
        eprintln!("goals: the load average is {load}: a time over its bound says little");
    }
    Ok(())
}
