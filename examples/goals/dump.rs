//! Goal 6, second half: a million records come in from a neighbour, then go
//! out to another, and the server's clients must not notice.
//!
//! The server has one core for itself; feeder, listener and client share
//! another. A client reports positions one after another; no turn longer
//! than 5 ms means no answer much later than that. The largest times hold
//! what the scheduler does to the client, so the bound is on p99.9.

use crate::Result;
use crate::servers::{Herd, Lab, Start};
use crate::table::Table;
use crate::talk::{Client, Feeder, PATIENCE, record_id, record_number};
use hdrhistogram::Histogram;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const RECORDS: u32 = 1_000_000;
const BOUND_MS: f64 = 5.0;

pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    let herd = Herd::new(
        &["Clark", "Jaquez", "Feeder"],
        &[("Clark", "Jaquez"), ("Clark", "Feeder")],
    )?;
    let server = Start::new("Clark").pinned().run(lab, &herd)?;
    let (clark, jaquez) = (herd.addr("Clark"), herd.addr("Jaquez"));
    let (came, felt) = while_a_client_asks(clark, || feed(clark))?;
    report(table, "receiving", came, &felt)?;
    let (went, felt) = while_a_client_asks(clark, || receive(clark, jaquez))?;
    report(table, "sending", went, &felt)?;
    drop(server);
    Ok(())
}

fn report(table: &mut Table, side: &str, elapsed: Duration, felt: &Histogram<u64>) -> Result<()> {
    let ms = |quantile| felt.value_at_quantile(quantile) as f64 / 1e6;
    if felt.is_empty() {
        return Err("no client was answered meanwhile".into());
    }
    let goal = format!("a client while {side} 1,000,000 records, ms, p99.9");
    table.at_most(&goal, BOUND_MS, ms(0.999));
    table.remark(&format!(
        "p50 {:.3}, p99 {:.3}, max {:.3} of {} answers; {:.2} s, {:.0} records/s",
        ms(0.5),
        ms(0.99),
        ms(1.0),
        felt.len(),
        elapsed.as_secs_f64(),
        f64::from(RECORDS) / elapsed.as_secs_f64(),
    ));
    Ok(())
}

/// Runs `work` on another thread, and one client here until that is done.
/// Returns how long the work took and how long the client's answers did.
fn while_a_client_asks(
    addr: SocketAddr,
    work: impl FnOnce() -> Result<()> + Send,
) -> Result<(Duration, Histogram<u64>)> {
    let mut client = Client::connect(addr)?;
    let mut felt = Histogram::<u64>::new(3)?;
    let done = AtomicBool::new(false);
    let elapsed = thread::scope(|scope| -> Result<Duration> {
        let worker = scope.spawn(|| {
            let begun = Instant::now();
            let result = work().map_err(|e| e.to_string());
            done.store(true, Ordering::Relaxed);
            result.map(|()| begun.elapsed())
        });
        while !done.load(Ordering::Relaxed) {
            felt.record(client.report(&record_id(0))?.as_nanos() as u64)?;
        }
        Ok(worker.join().expect("the worker does not panic")?)
    })?;
    Ok((elapsed, felt))
}

/// Passes a million records to the server, as a dumping neighbour does.
fn feed(clark: SocketAddr) -> Result<()> {
    Feeder::greet(clark, "Feeder")?.feed(0..RECORDS)?;
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
