//! A load generator: requests for one server, every answer checked.
//!
//! ```text
//! cargo run --release -p load -- --addr 127.0.0.1:10003 \
//!     --connections 50 --depth 16 --seconds 4 --pid "$(pgrep -f 'herd Clark')"
//! ```
//!
//! One thread, one poll: `--connections` clients each write `--depth` requests
//! at once and write the next when all of those are answered (a closed loop),
//! or at `--rate` on a schedule (an open one). Everybody is connected and
//! `--warmup` requests are answered before the clock starts. The exit code is
//! 0 only if every answer was right: from the first word to the line's end,
//! the skew's digits apart, in order.
//!
//! Beside them others can be silent (`--idle`) or make the server compute
//! (`--burn`); `--grow` leaves a new record with each request; `--mode whatsat`
//! asks for places.
//!
//! Pin generator and server to different cores (`taskset -c 1 ...`). The
//! generator says how much of its own core it used: near 100 % it is what
//! limits the throughput, and only the CPU a request still tells something.

mod ask;
mod burn;
mod connection;
mod dial;
mod echo;
mod exchange;
mod fault;
mod iamat;
mod idle;
mod options;
mod progress;
mod report;
mod schedule;
mod swarm;
mod whatsat;

use ask::ask;
use burn::Burner;
use dial::Dialler;
use echo::Echo;
use exchange::Exchange;
use fault::{Fault, PATIENCE};
use iamat::Iamat;
use idle::Idle;
use lab::usage::{Memory, Usage};
use options::{IdleCrowd, Job, Kind};
use progress::Progress;
use report::{Cost, Report};
use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use swarm::{Extras, Swarm, Until};
use whatsat::Whatsat;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match options::parse(&arguments) {
        Ok(None) => {
            print!("{}", options::help());
            Ok(())
        }
        Ok(Some(job)) => perform(&job),
        Err(error) => Err(format!("{error} (see --help)")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(job: &Job) -> Result<(), String> {
    raise_descriptor_limit();
    let report = match job.kind {
        Kind::Iamat => measure(job, Iamat::new(job.keys)),
        Kind::Echo => measure(job, Echo::new(job.keys)),
        Kind::Whatsat(question) => {
            let keys = match job.keys {
                iamat::Keys::Turns(keys) => keys,
                iamat::Keys::New => return Err("whatsat needs keys that it knows".into()),
            };
            let whatsat = connected(&Dialler::new(job.addr))
                .and_then(|mut stream| Whatsat::introduce(&mut stream, keys, question));
            measure(job, whatsat.map_err(told("introducing clients"))?)
        }
    }?;
    match job.json {
        true => println!("{}", report.json()),
        false => report.print(),
    }
    Ok(())
}

fn told<E: Display>(when: &str) -> impl Fn(E) -> String {
    move |error| format!("while {when}: {error}")
}

/// A connection for what comes before the clock starts.
fn connected(dialler: &Dialler) -> Result<std::net::TcpStream, Fault> {
    let stream = dialler.connect()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn measure<E: Exchange>(job: &Job, exchange: E) -> Result<Report<'_>, String> {
    let mut swarm = Swarm::connect(job.plan.clone(), Dialler::new(job.addr), exchange)
        .map_err(|e| format!("cannot connect to {}: {e}", job.addr))?;
    let warm_up = Extras {
        progress: Progress::new("warming up", job.progress),
        ..Extras::default()
    };
    swarm
        .run(Until::Requests(job.warmup), warm_up)
        .map_err(told("warming up"))?;
    let mut idle_bytes = None;
    let mut idle = match job.idle {
        None => None,
        Some(crowd) => {
            let (idle, bytes) = be_idle(job, crowd, &mut swarm)?;
            idle_bytes = bytes;
            Some(idle)
        }
    };
    let burner = job
        .burn
        .map(|(burn, every)| Burner::connect(swarm.dialler(), burn, every))
        .transpose()
        .map_err(told("connecting the one who burns"))?;
    let extras = Extras {
        rate: job.rate,
        burner,
        progress: Progress::new("measuring", job.progress),
    };
    let before = readings(job)?;
    let measured = swarm.run(job.until, extras).map_err(|e| e.to_string())?;
    let after = readings(job)?;
    if let Some(idle) = &mut idle {
        idle.are_open().map_err(told("looking at the idle"))?;
    }
    Ok(Report {
        job,
        server: report::name_of(&mut swarm),
        measured,
        cost: after.server.zip(before.server).map(|(after, before)| Cost {
            usage: after.0.since(&before.0),
            before: before.1,
            after: after.1,
        }),
        generator: after.generator.since(&before.generator),
        idle_bytes,
    })
}

/// What server and generator have used and hold.
struct Readings {
    server: Option<(Usage, Memory)>,
    generator: Usage,
}

fn readings(job: &Job) -> Result<Readings, String> {
    let server = |pid| io::Result::Ok((Usage::of(pid)?, Memory::of(pid)?));
    let read = || {
        io::Result::Ok(Readings {
            server: job.pid.map(server).transpose()?,
            generator: Usage::of(std::process::id())?,
        })
    };
    read().map_err(told("reading what the server uses"))
}

/// Opens the idle connections, and says what one costs in memory.
fn be_idle<E: Exchange>(
    job: &Job,
    crowd: IdleCrowd,
    swarm: &mut Swarm<E>,
) -> Result<(Idle, Option<f64>), String> {
    let anonymous = || -> Result<Option<f64>, String> {
        let memory = job.pid.map(Memory::of).transpose();
        let memory = memory.map_err(told("reading what the server uses"))?;
        Ok(memory.map(|memory| memory.anonymous as f64))
    };
    let before = anonymous()?;
    let mut open = || {
        // Of its own, so that the swarm's can lend what they ask with.
        let mut dialler = Dialler::new(job.addr);
        let idle = Idle::open(&mut dialler, crowd.count, |stream| {
            let count = usize::from(crowd.asks);
            ask(stream, swarm.exchange(), count).map(drop)
        })?;
        // Accepted after them: then so are they.
        ask(&mut connected(&dialler)?, swarm.exchange(), 1)?;
        Ok(idle)
    };
    let idle = open().map_err(|fault: Fault| told("opening idle connections")(fault))?;
    thread::sleep(SETTLED);
    let grown = anonymous()?
        .zip(before)
        .map(|(after, before)| after - before);
    Ok((idle, grown.map(|bytes| bytes / crowd.count as f64)))
}

/// What a runtime does behind its connections is done by then.
const SETTLED: Duration = Duration::from_millis(300);

/// Each connection takes a descriptor: use as many as this process may.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Too low a limit shows when connecting, with a better message.
    let _ = setrlimit(Resource::Nofile, limit);
}
