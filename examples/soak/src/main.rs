//! A server among clients who do everything wrong, all at once; and one who does not.
//!
//! ```text
//! cargo build --release --workspace --bins && cargo run --release -p soak -- [crowd] [readers] [asking] [slow] [storm]
//! ```
//!
//! `--seconds N`: how long the storm lasts (default 60), and the two before it (default 20 and 90).
//! `--binary PATH`: another server. Exits with 1 if a promise was broken: the well-behaved client is
//! always answered, memory and descriptors end as they began, nothing spins, nobody is forgotten.

mod asking;
mod good;
mod rude;
mod server;
mod slow;
mod steady;

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use lab::guard;
use lab::servers::{Lab, Server, raise_descriptor_limit};
use server::Usage;

/// What there is, in order.
const ALL: [&str; 5] = ["crowd", "readers", "asking", "slow", "storm"];
/// Clients of the crowd: idle ones and slow ones.
const CROWD: usize = 10_000;
/// Clients that never read, and what each would like to be told.
const READERS: usize = 1_000;
const READERS_BYTES: usize = 10 << 20;
/// The well-behaved client alone, before and after.
const CALM: Duration = Duration::from_secs(4);
/// How long the server may take to let go of what left, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(45);
/// Who reads nothing is closed after 30 s in which its kernel took no byte. A kernel may take a few late
/// ones by itself, and then the 30 s begin anew: once in some runs, for some of a thousand.
const DEAF: Duration = Duration::from_secs(80);
/// All but the storm take some three minutes.
const OTHERS_LIMIT: Duration = Duration::from_secs(600);

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome {
    let mut seconds = None;
    let mut binary = None;
    let mut names = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = Some(words.next().ok_or("--seconds N")?.parse()?),
            "--binary" => binary = Some(words.next().ok_or("--binary PATH")?.clone()),
            word if ALL.contains(&word) => names.push(word),
            other => {
                return Err(format!("{other}: expected one of {ALL:?}, or --seconds N").into());
            }
        }
    }
    if names.is_empty() {
        names = ALL.to_vec();
    }
    raise_descriptor_limit();
    let lab = Lab::new("soak", binary)?;
    let length = |default| Duration::from_secs(seconds.unwrap_or(default));
    guard::watch(&lab, OTHERS_LIMIT + 3 * length(60))?;
    for name in names {
        match name {
            "crowd" => crowd(&lab)?,
            "readers" => readers(&lab)?,
            "asking" => asking::asking(&lab, length(20))?,
            "slow" => slow::slow(&lab, length(90))?,
            _ => storm(&lab, length(60))?,
        }
    }
    Ok(())
}

/// The well-behaved client for a while; what else happens does so meanwhile.
fn beside(
    address: SocketAddr,
    during: impl FnOnce() -> Outcome,
) -> Result<Histogram<u64>, Box<dyn Error>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = scope.spawn(|| good::ask(address, &stop));
        let outcome = during();
        stop.store(true, Ordering::Relaxed);
        let times = client.join().map_err(|_| "the client panicked")?;
        outcome?;
        Ok(times.map_err(|why| format!("the well-behaved client: {why}"))?)
    })
}

fn calm(address: SocketAddr) -> Result<Histogram<u64>, Box<dyn Error>> {
    beside(address, || {
        thread::sleep(CALM);
        Ok(())
    })
}

fn report(what: &str, times: &Histogram<u64>) {
    let ms = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "  {what:<44} p50 {:>7.3} ms   p99 {:>7.3} ms   max {:>7.3} ms   {} answers",
        ms(0.5),
        ms(0.99),
        times.max() as f64 / 1000.0,
        times.len()
    );
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn holds(what: &str, condition: bool) -> Outcome {
    match condition {
        true => Ok(()),
        false => Err(what.into()),
    }
}

/// Waits until the server has let go of all but a few descriptors, and then uses no core.
fn settles(server: &mut Server, before: Usage) -> Outcome {
    let begun = Instant::now();
    while Usage::of(server)?.descriptors > before.descriptors + 2 {
        holds("descriptors stay open", begun.elapsed() < PATIENCE)?;
        thread::sleep(Duration::from_millis(100));
    }
    let quiet = Usage::of(server)?;
    thread::sleep(Duration::from_secs(1));
    let used = Usage::of(server)?.cpu - quiet.cpu;
    println!(
        "  let go of all after {:.1} s; {:.1} MB, {} descriptors; idle it uses {used:?} a second",
        begun.elapsed().as_secs_f64(),
        megabytes(quiet.memory),
        quiet.descriptors
    );
    holds("it spins", used < Duration::from_millis(20))?;
    holds("it lives", server.is_alive())
}

/// Row 11: ten thousand clients of whom most say nothing, and some very slowly.
fn crowd(lab: &Lab) -> Outcome {
    println!("crowd: {CROWD} clients, one in ten dripping a byte now and then");
    let mut server = server::start(lab)?;
    let before = Usage::of(&server)?;
    report("alone", &calm(server.addr)?);
    let mut clients = Vec::new();
    for _ in 0..CROWD {
        clients.push(TcpStream::connect(server.addr)?);
    }
    thread::sleep(Duration::from_millis(500));
    let idle = Usage::of(&server)?;
    let each = (idle.memory - before.memory) as f64 / CROWD as f64;
    println!("  memory of ours: {each:.0} bytes an idle client");
    let line = b"IAMAT drip +1-1 5\n";
    let times = beside(server.addr, || {
        let begun = Instant::now();
        for &byte in line.iter().cycle() {
            for client in clients.iter_mut().step_by(10) {
                client.write_all(&[byte])?;
            }
            thread::sleep(Duration::from_millis(100));
            if begun.elapsed() > CALM {
                break;
            }
        }
        Ok(())
    })?;
    report("among them", &times);
    drop(clients);
    settles(&mut server, before)
}

/// Row 12: a thousand who ask for ten megabytes each and read nothing.
fn readers(lab: &Lab) -> Outcome {
    println!(
        "readers: {READERS} clients that ask for {} MB each and read nothing",
        READERS_BYTES >> 20
    );
    let mut server = server::start(lab)?;
    let before = Usage::of(&server)?;
    report("alone", &calm(server.addr)?);
    let question = "IAMAT deaf +34.068930-118.445127 1621464827.959498503\n".repeat(100);
    let mut clients = Vec::new();
    for _ in 0..READERS {
        let client = TcpStream::connect(server.addr)?;
        client.set_nonblocking(true)?;
        clients.push((client, 0));
    }
    let (mut peak, mut closed) = (before.memory, 0);
    let times = beside(server.addr, || {
        let begun = Instant::now();
        while !clients.is_empty() {
            clients.retain_mut(|(client, sent)| match client.write(question.as_bytes()) {
                Ok(count) => {
                    *sent += count;
                    *sent < READERS_BYTES
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => true,
                Err(_) => {
                    closed += 1;
                    false
                }
            });
            peak = peak.max(Usage::of(&server)?.memory);
            holds("some are never closed", begun.elapsed() < DEAF)?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    })?;
    report("among them", &times);
    let each = (peak - before.memory) as f64 / READERS as f64;
    println!("  {closed} closed by the server; at most {each:.0} bytes of ours for each");
    holds("each was closed by the server", closed == READERS)?;
    // 64 KiB unsent, an answer more, and as much of its own input.
    holds("memory is bounded", each < 256.0 * 1024.0)?;
    settles(&mut server, before)
}

/// Row 24: everything at once.
fn storm(lab: &Lab, length: Duration) -> Outcome {
    println!(
        "storm: {} kinds of rudeness for {} s",
        rude::ALL.len(),
        length.as_secs()
    );
    let mut server = server::start(lab)?;
    let address = server.addr;
    let before = Usage::of(&server)?;
    report("alone", &calm(address)?);
    let stop = AtomicBool::new(false);
    let mut samples: Vec<Usage> = Vec::new();
    let times = thread::scope(|scope| {
        for (_, rudeness) in rude::ALL {
            let stop = &stop;
            scope.spawn(move || rudeness(address, stop));
        }
        let times = beside(address, || {
            let begun = Instant::now();
            while begun.elapsed() < length {
                thread::sleep(Duration::from_secs(1));
                samples.push(Usage::of(&server)?);
            }
            Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        times
    })?;
    report("in the storm", &times);
    // The first third is for growing to its size; from then on both are flat.
    let (first, rest) = samples.split_at(samples.len() / 3);
    let (middle, last) = rest.split_at(rest.len() / 2);
    let memory = |samples: &[Usage]| samples.iter().map(|usage| usage.memory).max().unwrap_or(0);
    let descriptors = |samples: &[Usage]| {
        samples
            .iter()
            .map(|usage| usage.descriptors)
            .max()
            .unwrap_or(0)
    };
    for (what, samples) in [("first", first), ("second", middle), ("last", last)] {
        println!(
            "  {what:<6} third: at most {:.1} MB, {} descriptors",
            megabytes(memory(samples)),
            descriptors(samples)
        );
    }
    let flat = memory(last) <= memory(middle) + memory(middle) / 5 + (2 << 20);
    holds("memory grows", flat)?;
    holds(
        "descriptors grow",
        descriptors(last) <= descriptors(middle) + 100,
    )?;
    settles(&mut server, before)
}
