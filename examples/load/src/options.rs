//! The command line: what a run shall do.

use crate::burn::Burn;
use crate::exchange::MAX_KEYS;
use crate::iamat::Keys;
use crate::swarm::{Life, Plan, Until};
use crate::whatsat::Question;
use getopts::{Matches, Options};
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

/// What the command line asks for.
#[derive(Debug)]
pub struct Job {
    pub addr: SocketAddr,
    pub plan: Plan,
    pub kind: Kind,
    pub keys: Keys,
    pub warmup: u64,
    pub until: Until,
    /// Requests a second, on a schedule.
    pub rate: Option<f64>,
    pub idle: Option<IdleCrowd>,
    /// What is burnt, and how often.
    pub burn: Option<(Burn, Duration)>,
    pub pid: Option<u32>,
    pub json: bool,
    pub progress: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Iamat,
    Echo,
    Whatsat(Question),
}

/// More connections, without requests.
#[derive(Clone, Copy, Debug)]
pub struct IdleCrowd {
    pub count: usize,
    /// Each asks once before it falls silent.
    pub asks: bool,
}

/// Clients that WHATSAT is asked about: the answer to each one's IAMAT is
/// kept.
const WHATSAT_KEYS_MAX: u64 = 100_000;

const BRIEF: &str = "\
Usage: load --addr HOST:PORT [options]

Requests for one server, every answer checked. IAMATs, if nothing else is said,
as fast as they are answered.";

const AFTERWORD: &str = "
Modes: persistent        IAMATs on connections that stay open
       connect-ask-close a new connection for each batch of IAMATs
       whatsat           IAMATs for all keys first, then WHATSATs of them; the
                         server needs a stand-in for Places (example places)

Latency is told in microseconds: from a request's write to its answer or, with
--rate, from the time that the schedule has for it. Memory is RssAnon of the
server and its child processes, CPU that of all their threads.
";

/// The text of `--help`.
pub fn help() -> String {
    options().usage(BRIEF) + AFTERWORD
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optopt("a", "addr", "the server (needed)", "HOST:PORT")
        .optopt("c", "connections", "clients (50)", "N")
        .optopt("d", "depth", "requests in one write (1)", "P")
        .optopt("n", "requests", "requests to measure (100000)", "N")
        .optopt("s", "seconds", "measure this long instead", "S");
    let warmup = "requests before the clock starts (10000; whatsat: 100)";
    let rate =
        "requests a second on a schedule (an open loop); late ones wait for a free connection";
    let keys = "client ids taking turns (10000; whatsat: 1000)";
    options
        .optopt("w", "warmup", warmup, "N")
        .optopt("r", "rate", rate, "R")
        .optopt("k", "keys", keys, "K")
        .optflag("", "grow", "a new client id for each request");
    let mode = "persistent (default), connect-ask-close or whatsat";
    options
        .optopt("m", "mode", mode, "MODE")
        .optopt("", "radius", "of a WHATSAT, in km (10)", "KM")
        .optopt("", "bound", "places of a WHATSAT, at most (5)", "N")
        .optflag("", "echo", "the answer is the request (example floor)");
    let idle = "open so many silent connections first";
    let burn = "a client beside them says BURN MS (the server needs --burn)";
    options
        .optopt("i", "idle", idle, "N")
        .optflag("", "idle-ask", "they ask once before they fall silent")
        .optopt("b", "burn", burn, "MS[:away|:process]")
        .optopt("", "burn-every", "so often (1)", "S");
    let pid = "the server's process: its CPU and memory are reported";
    let progress = "a line a second on stderr, even if that is no terminal";
    options
        .optopt("p", "pid", pid, "PID")
        .optflag("j", "json", "report in JSON")
        .optflag("", "progress", progress)
        .optflag("h", "help", "print this");
    options
}

/// Reads the command line; none for `--help`.
pub fn parse(arguments: &[String]) -> Result<Option<Job>, String> {
    let matches = options().parse(arguments).map_err(|e| e.to_string())?;
    if matches.opt_present("help") {
        return Ok(None);
    }
    if let Some(word) = matches.free.first() {
        return Err(format!("unexpected {word:?}"));
    }
    let (life, kind) = mode(&matches)?;
    let whatsat = matches!(kind, Kind::Whatsat(_));
    let plan = Plan {
        connections: at_least_one(&matches, "connections", 50)?,
        depth: at_least_one(&matches, "depth", 1)?,
        life,
    };
    Ok(Some(Job {
        addr: addr(&matches)?,
        plan,
        kind,
        keys: keys(&matches, whatsat)?,
        warmup: number(&matches, "warmup", if whatsat { 100 } else { 10_000 })?,
        until: until(&matches)?,
        rate: positive(&matches, "rate")?,
        idle: idle(&matches)?,
        burn: burn(&matches)?,
        pid: optional(&matches, "pid")?,
        json: matches.opt_present("json"),
        progress: matches.opt_present("progress"),
    }))
}

fn addr(matches: &Matches) -> Result<SocketAddr, String> {
    let addr = matches.opt_str("addr").ok_or("--addr is missing")?;
    addr.to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next())
        .ok_or_else(|| format!("--addr {addr:?} is no HOST:PORT"))
}

fn mode(matches: &Matches) -> Result<(Life, Kind), String> {
    let echo = matches.opt_present("echo");
    let kind = if echo { Kind::Echo } else { Kind::Iamat };
    let question = Question {
        radius: number(matches, "radius", 10)?,
        bound: number(matches, "bound", 5)?,
    };
    if question.radius > 50 || question.bound > 20 {
        return Err("--radius is at most 50, --bound at most 20".into());
    }
    match matches.opt_str("mode").as_deref() {
        None | Some("persistent") => Ok((Life::Persistent, kind)),
        Some("connect-ask-close") => Ok((Life::ConnectAskClose, kind)),
        Some("whatsat") if echo => Err("--echo is for IAMATs".into()),
        Some("whatsat") => Ok((Life::Persistent, Kind::Whatsat(question))),
        Some(other) => Err(format!("--mode {other:?} is unknown")),
    }
}

fn keys(matches: &Matches, whatsat: bool) -> Result<Keys, String> {
    let (default, most) = match whatsat {
        true => (1_000, WHATSAT_KEYS_MAX),
        false => (10_000, MAX_KEYS),
    };
    if matches.opt_present("grow") {
        return match whatsat || matches.opt_present("keys") {
            true => Err("--grow is for IAMATs, without --keys".into()),
            false => Ok(Keys::New),
        };
    }
    match number(matches, "keys", default)? {
        keys if (1..=most).contains(&keys) => Ok(Keys::Turns(keys)),
        _ => Err(format!("--keys is 1 to {most}")),
    }
}

fn until(matches: &Matches) -> Result<Until, String> {
    match positive(matches, "seconds")? {
        Some(_) if matches.opt_present("requests") => {
            Err("--requests and --seconds exclude each other".into())
        }
        Some(seconds) => Ok(Until::Seconds(seconds)),
        None => Ok(Until::Requests(number(matches, "requests", 100_000)?)),
    }
}

fn idle(matches: &Matches) -> Result<Option<IdleCrowd>, String> {
    let asks = matches.opt_present("idle-ask");
    match number(matches, "idle", 0)? {
        0 if asks => Err("--idle-ask needs --idle".into()),
        0 => Ok(None),
        count => Ok(Some(IdleCrowd { count, asks })),
    }
}

fn burn(matches: &Matches) -> Result<Option<(Burn, Duration)>, String> {
    let every = positive(matches, "burn-every")?;
    match optional(matches, "burn")? {
        None if every.is_some() => Err("--burn-every needs --burn".into()),
        None => Ok(None),
        Some(burn) => Ok(Some((burn, Duration::from_secs_f64(every.unwrap_or(1.0))))),
    }
}

fn at_least_one(matches: &Matches, name: &str, default: usize) -> Result<usize, String> {
    match number(matches, name, default)? {
        0 => Err(format!("--{name} is at least 1")),
        count => Ok(count),
    }
}

/// A number that a schedule or a duration can be made of.
fn positive(matches: &Matches, name: &str) -> Result<Option<f64>, String> {
    match optional::<f64>(matches, name)? {
        Some(value) if !(1e-3..=1e9).contains(&value) => {
            Err(format!("--{name} is 0.001 to 1000000000"))
        }
        other => Ok(other),
    }
}

fn number<T: FromStr<Err: ToString>>(
    matches: &Matches,
    name: &str,
    default: T,
) -> Result<T, String> {
    Ok(optional(matches, name)?.unwrap_or(default))
}

fn optional<T>(matches: &Matches, name: &str) -> Result<Option<T>, String>
where
    T: FromStr,
    T::Err: ToString,
{
    let read = matches.opt_get::<T>(name);
    read.map_err(|e| format!("--{name}: {}", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(line: &str) -> Result<Job, String> {
        let words: Vec<String> = line.split(' ').map(str::to_string).collect();
        parse(&words).map(|job| job.expect("no --help"))
    }

    #[test]
    fn the_defaults_are_a_closed_loop_of_iamats() {
        let job = job("--addr 127.0.0.1:1").unwrap();
        assert_eq!(job.until, Until::Requests(100_000));
        assert_eq!(job.keys, Keys::Turns(10_000));
        assert_eq!((job.plan.connections, job.plan.depth), (50, 1));
        assert!(matches!(job.kind, Kind::Iamat));
        assert!(job.rate.is_none() && job.idle.is_none() && job.burn.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "-c 1",
            "-a nowhere",
            "-a 127.0.0.1:1 -c 0",
            "-a 127.0.0.1:1 -d 0",
            "-a 127.0.0.1:1 -k 0",
            "-a 127.0.0.1:1 -k 10000001",
            "-a 127.0.0.1:1 --grow -k 5",
            "-a 127.0.0.1:1 --grow -m whatsat",
            "-a 127.0.0.1:1 --echo -m whatsat",
            "-a 127.0.0.1:1 -m whatsat --bound 21",
            "-a 127.0.0.1:1 -m other",
            "-a 127.0.0.1:1 -r 0",
            "-a 127.0.0.1:1 -r NaN",
            "-a 127.0.0.1:1 -s 1 -n 1",
            "-a 127.0.0.1:1 -b 5:there",
            "-a 127.0.0.1:1 --burn-every 2",
            "-a 127.0.0.1:1 --idle-ask",
            "-a 127.0.0.1:1 more",
        ] {
            assert!(job(line).is_err(), "{line}");
        }
    }
}
