//! A load generator: IAMAT on one server, every answer checked.
//!
//! ```text
//! cargo run --release --example load -- --addr 127.0.0.1:10003 \
//!     --connections 50 --depth 16 --seconds 4 --pid "$(pgrep -f 'herd Clark')"
//! ```
//!
//! One thread, one poll: `--connections` clients each write `--depth` requests
//! at once and write the next when all of those are answered (a closed loop).
//! Everybody is connected and `--warmup` requests are answered before the
//! clock starts. The exit code is 0 only if every answer was right: from the
//! first word to the line's end, the skew's digits apart, in order.
//!
//! Pin generator and server to different cores (`taskset -c 1 ...`). The
//! generator says how much of its own core it used: near 100 % it is what
//! limits the throughput, and only the CPU a request still tells something.

mod exchange;
mod swarm;

#[path = "../lab/usage.rs"]
mod usage;

use getopts::{Matches, Options};
use serde_json::json;
use std::io;
use std::net::ToSocketAddrs;
use std::process::ExitCode;
use std::str::FromStr;
use swarm::{Measured, Mode, Plan, Swarm, Until};
use usage::Usage;

/// What the command line asks for.
struct Job {
    plan: Plan,
    warmup: u64,
    until: Until,
    pid: Option<u32>,
    json: bool,
}

/// What a run cost.
struct Cost {
    server: Option<Usage>,
    generator: Usage,
}

fn main() -> ExitCode {
    let options = options();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let job = match options.parse(&arguments).map_err(|e| e.to_string()) {
        Ok(matches) if matches.opt_present("help") => {
            let brief = "Usage: load --addr HOST:PORT [options]\n\nIAMATs for one server, every answer checked.";
            print!("{}", options.usage(brief));
            return ExitCode::SUCCESS;
        }
        Ok(matches) => job(&matches),
        Err(error) => Err(error),
    };
    match job
        .map_err(|e| format!("{e} (see --help)"))
        .and_then(perform)
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optopt("a", "addr", "the server (needed)", "HOST:PORT")
        .optopt("c", "connections", "clients (50)", "N")
        .optopt("d", "depth", "requests in one write (1)", "P")
        .optopt("n", "requests", "requests to measure (100000)", "N")
        .optopt("s", "seconds", "measure this long instead", "S")
        .optopt(
            "w",
            "warmup",
            "requests before the clock starts (10000)",
            "N",
        )
        .optopt("k", "keys", "client ids taking turns (10000)", "K")
        .optopt(
            "m",
            "mode",
            "persistent (default) or connect-ask-close",
            "MODE",
        )
        .optopt(
            "p",
            "pid",
            "the server's process: its CPU is reported",
            "PID",
        )
        .optflag("j", "json", "report in JSON")
        .optflag("h", "help", "print this");
    options
}

fn job(matches: &Matches) -> Result<Job, String> {
    if let Some(word) = matches.free.first() {
        return Err(format!("unexpected {word:?}"));
    }
    let addr = matches.opt_str("addr").ok_or("--addr is missing")?;
    let addr = addr
        .to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next())
        .ok_or_else(|| format!("--addr {addr:?} is no HOST:PORT"))?;
    let mode = match matches.opt_str("mode").as_deref() {
        None | Some("persistent") => Mode::Persistent,
        Some("connect-ask-close") => Mode::ConnectAskClose,
        Some(other) => return Err(format!("--mode {other:?} is unknown")),
    };
    let until = match number(matches, "seconds", 0.0)? {
        0.0 => Until::Requests(number(matches, "requests", 100_000)?),
        seconds => Until::Seconds(seconds),
    };
    let plan = Plan {
        addr,
        connections: number(matches, "connections", 50)?,
        depth: number(matches, "depth", 1)?,
        keys: number(matches, "keys", 10_000)?,
        mode,
    };
    if plan.connections == 0 || plan.depth == 0 {
        return Err("--connections and --depth are at least 1".into());
    }
    if plan.keys == 0 || plan.keys > exchange::MAX_KEYS {
        return Err(format!("--keys is 1 to {}", exchange::MAX_KEYS));
    }
    Ok(Job {
        plan,
        warmup: number(matches, "warmup", 10_000)?,
        until,
        pid: matches.opt_get("pid").map_err(|e| format!("--pid: {e}"))?,
        json: matches.opt_present("json"),
    })
}

fn number<T: FromStr<Err: ToString>>(
    matches: &Matches,
    name: &str,
    default: T,
) -> Result<T, String> {
    matches
        .opt_get_default(name, default)
        .map_err(|e| format!("--{name}: {}", e.to_string()))
}

fn perform(job: Job) -> Result<(), String> {
    raise_descriptor_limit();
    let usage = || -> io::Result<Cost> {
        Ok(Cost {
            server: job.pid.map(Usage::of).transpose()?,
            generator: Usage::of(std::process::id())?,
        })
    };
    let mut swarm = Swarm::connect(job.plan.clone())
        .map_err(|e| format!("cannot connect to {}: {e}", job.plan.addr))?;
    swarm
        .run(Until::Requests(job.warmup))
        .map_err(|fault| format!("while warming up: {fault}"))?;
    let before = usage().map_err(|e| e.to_string())?;
    let measured = swarm.run(job.until).map_err(|fault| fault.to_string())?;
    let after = usage().map_err(|e| e.to_string())?;
    let cost = Cost {
        server: after.server.zip(before.server).map(|(a, b)| a.since(&b)),
        generator: after.generator.since(&before.generator),
    };
    let server = String::from_utf8_lossy(swarm.server()).into_owned();
    if job.json {
        print_json(&job, &server, &measured, &cost);
    } else {
        print_text(&job, &server, &measured, &cost);
    }
    Ok(())
}

/// Each connection takes a descriptor: use as many as this process may.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Too low a limit shows when connecting, with a better message.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The quantiles that are reported; the last is the maximum.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

fn microseconds(measured: &Measured, quantile: f64) -> f64 {
    measured.latency.value_at_quantile(quantile) as f64 / 1000.0
}

fn per_second(measured: &Measured) -> f64 {
    measured.requests as f64 / measured.elapsed.as_secs_f64()
}

fn print_text(job: &Job, server: &str, measured: &Measured, cost: &Cost) {
    println!(
        "{} right answers of {server} in {:.3} s, {} connections, depth {}, {}",
        measured.requests,
        measured.elapsed.as_secs_f64(),
        job.plan.connections,
        job.plan.depth,
        mode_name(job.plan.mode),
    );
    println!("throughput  {:.0} requests/s", per_second(measured));
    let quantiles = QUANTILES.map(|(name, q)| format!("{name} {:.1}", microseconds(measured, q)));
    println!("latency     {} us", quantiles.join(", "));
    for (who, usage) in [("server", cost.server), ("generator", Some(cost.generator))] {
        if let Some(usage) = usage {
            println!(
                "{who:<10}  {:.3} us of CPU a request, {:.0} % of a core, {} voluntary and {} involuntary context switches",
                usage.cpu_ns as f64 / 1000.0 / measured.requests as f64,
                usage.cpu_ns as f64 / 1e7 / measured.elapsed.as_secs_f64(),
                usage.voluntary,
                usage.involuntary,
            );
        }
    }
}

fn print_json(job: &Job, server: &str, measured: &Measured, cost: &Cost) {
    let usage = |usage: Usage| {
        json!({
            "cpu_us_per_request": usage.cpu_ns as f64 / 1000.0 / measured.requests as f64,
            "voluntary_switches": usage.voluntary,
            "involuntary_switches": usage.involuntary,
        })
    };
    let latency: serde_json::Map<_, _> = QUANTILES
        .iter()
        .map(|&(name, q)| (name.to_string(), json!(microseconds(measured, q))))
        .collect();
    let report = json!({
        "server_name": server,
        "connections": job.plan.connections,
        "depth": job.plan.depth,
        "mode": mode_name(job.plan.mode),
        "requests": measured.requests,
        "seconds": measured.elapsed.as_secs_f64(),
        "per_second": per_second(measured),
        "latency_us": latency,
        "server": cost.server.map(usage),
        "generator": usage(cost.generator),
    });
    println!("{report}");
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Persistent => "persistent",
        Mode::ConnectAskClose => "connect-ask-close",
    }
}
