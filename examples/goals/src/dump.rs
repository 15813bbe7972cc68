//! Goal 6, second half: a million records come in from a neighbour, then go
//! out to another, and the server's clients must not notice.
//!
//! The server has one core for itself; feeder, listener and client share
//! another. A client reports positions one after another. An answer can wait
//! for the rest of one turn and the whole of the next, so 5 ms for an answer
//! is a stricter bound than 5 ms for a turn. What server or client waited
//! for a core that another process had is subtracted (the kernel counts it in
//! `schedstat`), and the bound is on p99.9: a shared machine has more ways to
//! be late than these.

use hdrhistogram::Histogram;
use lab::herd::Herd;
use lab::servers::{Lab, Server, Start};
use lab::table::Table;
use lab::talk::{Client, Feeder, PATIENCE, record_id, record_number};
use lab::{Result, talk};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const RECORDS: u32 = 1_000_000;
const BOUND_MS: f64 = 5.0;

/// The median round counts, and each is told.
const ROUNDS: usize = 3;

pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    let mut received = Vec::new();
    let mut sent = Vec::new();
    for _ in 0..ROUNDS {
        let herd = Herd::new(
            &["Clark", "Jaquez", "Feeder"],
            &[("Clark", "Jaquez"), ("Clark", "Feeder")],
        )?;
        let server = Start::new("Clark").pinned().run(lab, &herd)?;
        let (clark, jaquez) = (server.addr, herd.addr("Jaquez"));
        let lines = talk::records("Feeder", RECORDS);
        received.push(while_a_client_asks(&server, || feed(clark, &lines))?);
        sent.push(while_a_client_asks(&server, || receive(clark, jaquez))?);
    }
    report(table, "receiving", received);
    report(table, "sending", sent);
    Ok(())
}

/// What a client felt.
struct Felt {
    /// Nanoseconds from question to answer ...
    answers: Histogram<u64>,
    /// ... and without the waits for a core.
    on_core: Histogram<u64>,
    /// How long all of it took.
    elapsed: Duration,
}

fn report(table: &mut Table, side: &str, mut rounds: Vec<Felt>) {
    rounds.sort_by_key(|felt| felt.on_core.value_at_quantile(0.999));
    let ms = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1e6;
    let felt = &rounds[ROUNDS / 2];
    let goal = format!("a client while {side} 1,000,000 records, ms, p99.9");
    table.at_most(&goal, BOUND_MS, ms(&felt.on_core, 0.999));
    for (how, times) in [("on core", &felt.on_core), ("in all", &felt.answers)] {
        table.remark(&format!(
            "{how}: p50 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3} of {} answers",
            ms(times, 0.5),
            ms(times, 0.99),
            ms(times, 0.999),
            ms(times, 1.0),
            times.len(),
        ));
    }
    let each: Vec<String> = rounds
        .iter()
        .map(|felt| format!("{:.3}", ms(&felt.on_core, 0.999)))
        .collect();
    table.remark(&format!("p99.9 on core of each round: {}", each.join(", ")));
    let rate = f64::from(RECORDS) / felt.elapsed.as_secs_f64();
    table.told(&format!("records a second while {side} them"), rate);
}

/// Runs `work` on another thread, and one client here until that is done.
fn while_a_client_asks(server: &Server, work: impl FnOnce() -> Result<()> + Send) -> Result<Felt> {
    let mut client = Client::connect(server.addr)?;
    let mut answers = Histogram::<u64>::new(3)?;
    let mut on_core = Histogram::<u64>::new(3)?;
    let done = AtomicBool::new(false);
    let elapsed = thread::scope(|scope| -> Result<Duration> {
        let worker = scope.spawn(|| {
            let begun = Instant::now();
            step_back();
            let result = work().map_err(|e| e.to_string());
            done.store(true, Ordering::Relaxed);
            result.map(|()| begun.elapsed())
        });
        while !done.load(Ordering::Relaxed) {
            let before = waited_ns(server)?;
            let answer = client.report(&record_id(0))?.as_nanos() as u64;
            let waited = waited_ns(server)? - before;
            answers.record(answer)?;
            on_core.record(answer.saturating_sub(waited))?;
        }
        Ok(worker.join().expect("the worker does not panic")?)
    })?;
    Ok(Felt {
        answers,
        on_core,
        elapsed,
    })
}

/// How long the server and this thread have waited for a core so far: the
/// second number of `schedstat`.
fn waited_ns(server: &Server) -> Result<u64> {
    let mut sum = 0;
    for task in [server.pid().to_string(), "thread-self".to_string()] {
        let text = fs::read_to_string(format!("/proc/{task}/schedstat"))?;
        let waited = text.split_ascii_whitespace().nth(1);
        sum += waited
            .ok_or("no second number in schedstat")?
            .parse::<u64>()?;
    }
    Ok(sum)
}

/// Gives this thread the lowest priority: the client shares its core, and
/// what it feels shall be the server.
fn step_back() {
    use rustix::process::{Pid, setpriority_process};
    let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
    let id = thread
        .file_name()
        .and_then(|name| name.to_str()?.parse().ok());
    // Without it the figures are only noisier.
    let _ = setpriority_process(id.and_then(Pid::from_raw), 19);
}

/// Passes a million records to the server, as a dumping neighbour does.
fn feed(clark: SocketAddr, lines: &[u8]) -> Result<()> {
    Feeder::greet(clark, "Feeder")?.feed(lines)?;
    Client::connect(clark)?.wait_until_known(&record_id(RECORDS - 1))
}

/// Comes up as the neighbour that was down, and reads until each of the
/// million records has arrived.
fn receive(clark: SocketAddr, jaquez: SocketAddr) -> Result<()> {
    let door = TcpListener::bind(jaquez)?;
    // A greeting from a neighbour makes a server dial it now.
    let _greeting = Feeder::greet(clark, "Jaquez")?;
    let (stream, _) = door.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let mut arrived = vec![false; RECORDS as usize];
    let mut missing = RECORDS;
    let mut line = Vec::new();
    while missing > 0 {
        line.clear();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Err(format!("the dump ended with {missing} records missing").into());
        }
        if let Some(number) = record_number(&line) {
            let seen = &mut arrived[number as usize];
            missing -= u32::from(!*seen);
            *seen = true;
        }
    }
    Ok(())
}
