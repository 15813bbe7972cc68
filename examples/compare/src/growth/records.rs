//! A table of ever more records: what each takes in memory, what a report
//! costs, and a dump of all of them to a neighbour that comes up.

use super::curve::{Curve, Exponents};
use super::stream::{DEPTH, Stream, id};
use super::{names, spread};
use crate::bench::{Bench, part};
use crate::peers::Peer;
use crate::section::{Section, Table};
use lab::Result;
use lab::herd::Herd;
use lab::servers::{Server, Start};
use lab::talk::{Feeder, PATIENCE, record_number};
use lab::usage::{Memory, Usage};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

/// More than the table takes unless told: both are.
const TABLE: &str = "10000000";

/// Above this a table is filled once only: it takes half a minute.
const OFTEN_MAX: u32 = 1_000_000;

/// Reports of clients drawn at random, timed.
const UPDATES: u32 = 200_000;

struct Taken {
    record_bytes: f64,
    cpu_us: f64,
    dump_ms: f64,
    dump_cpu_us: f64,
}

pub fn measure(bench: &Bench, peers: &[&Peer], section: &mut Section, exponents: &mut Exponents) {
    let sizes: &[u32] = bench.sized(
        &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
        &[1_000, 10_000],
    );
    section.measured.push(format!(
        "Records: one server, filled by one client, {DEPTH} reports in a write; ids of eight bytes, so that the \
         table's 1 GiB holds 10,000,000. Bytes a record are RssAnon over that before the first. Then {UPDATES} \
         reports (at most twenty a record) of clients drawn at random: CPU of the server. Then a neighbour comes \
         up and reads until it has every record."
    ));
    let names = names(peers);
    let grown = "The table outgrows the caches: each look-up waits for memory.";
    let steps = "A small table is below the pages it grows by.";
    let mut cpu = Curve::new("CPU an IAMAT", "records", "µs", &names, grown);
    let mut bytes = Curve::new("Bytes a record", "records", "bytes", &names, steps);
    let mut dump = Curve::new(
        "A dump",
        "records",
        "ms",
        &names,
        "A short dump is mostly its connect.",
    );
    let columns = [
        "CPU µs an IAMAT",
        "bytes a record",
        "dump ms",
        "dump, CPU µs a record",
    ];
    let mut table = Table::new("Ever more records", &columns);
    for &size in sizes {
        let rounds = if size > OFTEN_MAX { (1, 1) } else { (3, 1) };
        let what = format!("{size} records");
        let rounds = bench.rounds(section, &what, rounds, &names, |index| {
            take(bench, peers[index], size)
        });
        for (index, name) in names.iter().enumerate() {
            let take =
                |take: fn(&Taken) -> f64| spread(part(&rounds[index], |taken| Some(take(taken))));
            let all = [
                take(|taken| taken.cpu_us),
                take(|taken| taken.record_bytes),
                take(|taken| taken.dump_ms),
                take(|taken| taken.dump_cpu_us),
            ];
            let size = f64::from(size);
            cpu.add(index, size, all[0].clone());
            bytes.add(index, size, all[1].clone());
            dump.add(index, size, all[2].clone());
            let label = format!("{name}, {} records", crate::stats::figure(size));
            table.row(label, all.map(Into::into).into());
        }
    }
    for curve in [cpu, bytes, dump] {
        exponents.take(curve, section);
    }
    section.table(table);
}

fn take(bench: &Bench, peer: &Peer, size: u32) -> Result<Taken> {
    let herd = Herd::new(&["Clark", "Jaquez"], &[("Clark", "Jaquez")])?;
    let start = Start::new("Clark").program(&peer.program).pinned();
    let server = start
        .args(&["--max-records", TABLE])
        .run(&bench.lab, &herd)?;
    let mut stream = Stream::connect(server.addr)?;
    stream.report([0].into_iter())?;
    let empty = Memory::of(server.pid())?.anonymous;
    stream.report(0..size)?;
    let full = Memory::of(server.pid())?.anonymous;
    let updates = UPDATES.min(20 * size);
    let before = Usage::of(server.pid())?;
    stream.report(drawn(size).take(updates as usize))?;
    let used = Usage::of(server.pid())?.since(&before);
    let (dump_ms, dump_cpu_us) = dump(&server, herd.addr("Jaquez"), size)?;
    Ok(Taken {
        record_bytes: full.saturating_sub(empty) as f64 / f64::from(size),
        cpu_us: used.cpu_ns as f64 / 1e3 / f64::from(updates),
        dump_ms,
        dump_cpu_us,
    })
}

/// Numbers below `size` that read as random, the same in each run.
fn drawn(size: u32) -> impl Iterator<Item = u32> {
    let mut bits = 0x5eed_5eed_u64;
    std::iter::repeat_with(move || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits % u64::from(size)) as u32
    })
}

/// Comes up as the neighbour that was down, and reads until each record has
/// arrived: milliseconds since the connection stands, CPU µs a record.
fn dump(server: &Server, ours: SocketAddr, size: u32) -> Result<(f64, f64)> {
    let door = TcpListener::bind(ours)?;
    let before = Usage::of(server.pid())?;
    // A greeting from a neighbour makes a server dial it now.
    let _greeting = Feeder::greet(server.addr, "Jaquez")?;
    let (stream, _) = door.accept()?;
    let begun = Instant::now();
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let mut arrived = vec![false; size as usize];
    let mut missing = size;
    let mut line = Vec::new();
    while missing > 0 {
        line.clear();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Err(format!("the dump ended with {missing} records missing").into());
        }
        let Some(number) = record_number(&line) else {
            continue;
        };
        let seen = arrived
            .get_mut(number as usize)
            .ok_or_else(|| format!("{} was never reported", id(number)))?;
        missing -= u32::from(!*seen);
        *seen = true;
    }
    let elapsed = begun.elapsed();
    let used = Usage::of(server.pid())?.since(&before);
    let cpu_us = used.cpu_ns as f64 / 1e3 / f64::from(size);
    Ok((elapsed.as_secs_f64() * 1e3, cpu_us))
}
