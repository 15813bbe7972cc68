//! A crowd that asks much: what it leaves to others, and what it gets itself.
//!
//! ```text
//! 1,000 askers ─▶ Clark ◀── 3,000 updates a second ── Jaquez
//!                   └── a dump of 100,000 records ──▶ Bona, which comes up in the middle
//! ```

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::herd::Herd;
use lab::servers::{Lab, Start};
use lab::talk::{Client, Feeder, record_id, records};

use crate::{Outcome, beside, holds, report, steady};

const ASKERS: usize = 1_000;
/// Threads that speak for them.
const THREADS: usize = 4;
/// WHATSATs that each has under way.
const DEPTH: usize = 20;
const RECORDS: u32 = 100_000;
/// Updates a second at the neighbour, a few each millisecond.
const UPDATES: f64 = 3_000.0;
/// The well-behaved client waits so long in the median, and never longer than this.
const MEDIAN: Duration = Duration::from_millis(15);
const WORST: Duration = Duration::from_millis(100);
/// An update of the neighbour's is known after this.
const NEWS: Duration = Duration::from_secs(1);
const DUMP: Duration = Duration::from_secs(10);

/// A crowd near a dense place, a busy neighbour, a dump, and a client that wants little.
pub fn asking(lab: &Lab, length: Duration) -> Outcome {
    println!("asking: {ASKERS} clients pipeline WHATSAT dense 50 20");
    let links = [("Clark", "Jaquez"), ("Clark", "Bona")];
    let herd = Herd::new(&["Clark", "Jaquez", "Bona"], &links)?;
    let quiet = ["--max-log", "1000000"];
    let start = |name| Start::new(name).journal(true).args(&quiet).run(lab, &herd);
    let (clark, jaquez) = (start("Clark")?, start("Jaquez")?);
    let mut phone = Client::connect(clark.addr)?;
    phone.report("dense")?;
    Feeder::greet(clark.addr, "Bona")?.feed(&records("Bona", RECORDS))?;
    phone.wait_until_known(&record_id(RECORDS - 1))?;
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let served = Barrier::new(THREADS + 1);
    let times = thread::scope(|scope| -> Result<_, Box<dyn std::error::Error>> {
        for _ in 0..THREADS {
            scope.spawn(|| ask_much(clark.addr, &served, &stop, &answers));
        }
        // Nothing is measured before each of them was answered.
        served.wait();
        let phone = |number: u64| format!("phone{}", number % 1000);
        let (address, end) = (jaquez.addr, &stop);
        scope.spawn(move || steady::report(address, UPDATES, end, phone));
        let measured = beside(clark.addr, || {
            let (begun, before) = (Instant::now(), answers.load(Ordering::Relaxed));
            thread::sleep(length / 4);
            let count = (answers.load(Ordering::Relaxed) - before) as f64;
            let rate = count / begun.elapsed().as_secs_f64();
            println!("  the askers get {rate:.0} answers a second");
            let begun = Instant::now();
            let bona = start("Bona")?;
            let mut there = Client::connect(bona.addr)?;
            while !there.knows(&record_id(RECORDS - 1))? {
                let soon = begun.elapsed() < 3 * DUMP;
                holds("a dump of 100,000 records is there after 30 s", soon)?;
            }
            let dump = begun.elapsed();
            let mut stale = Duration::ZERO;
            let mut near = Client::connect(jaquez.addr)?;
            for number in 0.. {
                let id = format!("news{number}");
                let told = Instant::now();
                near.report(&id)?;
                there.wait_until_known(&id)?;
                stale = stale.max(told.elapsed());
                if begun.elapsed() > length {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
            println!(
                "  a dump of {RECORDS} records after {:.2} s; news after {:.0} ms at most",
                dump.as_secs_f64(),
                stale.as_secs_f64() * 1e3,
            );
            holds("the dump is late", dump <= DUMP)?;
            holds("news are late", stale <= NEWS)
        });
        stop.store(true, Ordering::Relaxed);
        measured
    })?;
    report("a client that wants little", &times);
    let (median, worst) = (times.value_at_quantile(0.5), times.max());
    holds("it waits", median <= MEDIAN.as_micros() as u64)?;
    holds("it waits now and then", worst <= WORST.as_micros() as u64)
}

/// A part of the askers: each of theirs has [`DEPTH`] questions under way.
fn ask_much(address: SocketAddr, served: &Barrier, stop: &AtomicBool, answers: &AtomicU64) {
    let questions = "WHATSAT dense 50 20\n".repeat(DEPTH);
    let connect = || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(questions.as_bytes()).expect("it reads");
        stream
    };
    let mut askers: Vec<TcpStream> = (0..ASKERS / THREADS).map(|_| connect()).collect();
    let mut bytes = vec![0; 256 * 1024];
    let last = askers.len() - 1;
    let mut first_pass = true;
    for asker in (0..=last).cycle() {
        let stream = &mut askers[asker];
        let mut ended = 0;
        let mut newline = false;
        while ended < DEPTH {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let Ok(count @ 1..) = stream.read(&mut bytes) else {
                return;
            };
            // An answer ends with an empty line, and has no other.
            let before = ended;
            for &byte in &bytes[..count] {
                ended += usize::from(newline && byte == b'\n');
                newline = byte == b'\n';
            }
            answers.fetch_add((ended - before) as u64, Ordering::Relaxed);
        }
        if stream.write_all(questions.as_bytes()).is_err() {
            return;
        }
        if asker == last && std::mem::take(&mut first_pass) {
            served.wait();
        }
    }
}
