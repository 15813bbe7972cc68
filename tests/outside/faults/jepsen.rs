//! A storm over five real servers, and an oracle that judges every answer while it lasts, as Jepsen does
//! with databases. (The faults' row 33.)
//!
//! `HERD_SECONDS=1200 cargo test --release --features outside --test outside jepsen -- --nocapture`
//! runs it for twenty minutes; `HERD_SEED` repeats what was done, though not what the machine made of it.

mod clients;
mod disks;
mod enclosure;
mod judged;
mod nemesis;
mod oracle;
mod report;
mod service;

use std::path::Path;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{NAMES, Plan, TempDir, nanos, wait_for};
use clients::{Dice, Stage, WRITERS};
use disks::Disk;
use nemesis::Nemesis;
use report::{PHONES, Report, name};
use service::{FIVE, REDIAL};

/// A storm's length, unless `HERD_SECONDS` says otherwise.
const SECONDS: u64 = 60;
/// One storm; then everything heals and all must agree before the next.
const ROUND: Duration = Duration::from_secs(20);
/// By then all servers agree: a link may have to wait ten seconds for its next dial.
const AGREED_MAX: Duration = REDIAL;

#[test]
fn every_answer_is_true_in_a_storm() {
    enclosure::inside("faults::jepsen::every_answer_is_true_in_a_storm", || {
        let seconds = std::env::var("HERD_SECONDS").ok();
        let seconds = seconds.map_or(SECONDS, |text| {
            text.parse().expect("HERD_SECONDS is a number")
        });
        match run(Duration::from_secs(seconds), &[]) {
            Ok(summary) => println!("{summary}"),
            Err(violations) => panic!("{violations}"),
        }
    });
}

/// The oracle can fail: with `--no-catch-up` a fault leaves gaps, and it must see them.
#[test]
fn the_oracle_misses_the_catch_up() {
    enclosure::inside("faults::jepsen::the_oracle_misses_the_catch_up", || {
        let found = run(Duration::from_secs(SECONDS), &["--no-catch-up"]);
        let violations = found.expect_err("gaps that nobody saw");
        println!("without catch-up, as expected: {violations}");
    });
}

/// Servers with a disk each.
fn disks(directory: &Path) -> Vec<Disk> {
    let disk = |server: usize| {
        let folder = directory.join(NAMES[server]);
        let freezable = (server >= 3).then(|| Disk::freezable(&folder)).flatten();
        freezable.unwrap_or_else(|| Disk::small(&folder))
    };
    let disks: Vec<Disk> = (0..FIVE).map(disk).collect();
    if disks.iter().all(|disk| matches!(disk, Disk::Small(_))) {
        println!(
            "\n*** NO DISK FREEZES: this machine lets us mount and freeze no file system ***\n"
        );
    }
    disks
}

/// Runs a herd with these options through storms for so long. Gives back what was seen, or what was wrong.
fn run(length: Duration, options: &[&str]) -> Result<String, String> {
    let seed = match std::env::var("HERD_SEED") {
        Ok(text) => text.parse().expect("HERD_SEED is a number"),
        Err(_) => nanos() as u64,
    };
    println!("HERD_SEED={seed}");
    let directory = TempDir::new();
    let disks = disks(directory.path());
    let on_disk = |file| format!("{}/{{name}}/disk/{file}", directory.path().display());
    let herd = Plan::five()
        .proxied()
        .args(&["--log", &on_disk("journal"), "--max-log", "400000"])
        .args(&["--snapshot", &on_disk("table"), "--snapshot-every", "1"])
        .args(options)
        .start();
    let stage = &Stage::new(NAMES.map(|name| herd.address(name)));
    let dice = |stream: usize| Dice(seed ^ (stream as u64) << 32);
    thread::scope(|scope| {
        // However this ends, the clients must stop, or the scope waits for ever.
        let _end = EndOf(stage);
        let mut nemesis = Nemesis::new(herd, disks, stage, dice(0));
        for writer in 0..WRITERS {
            scope.spawn(move || clients::report(stage, writer, dice(1 + usize::from(writer))));
        }
        for server in 0..FIVE {
            scope.spawn(move || clients::read(stage, server, dice(100 + server)));
        }
        let begun = Instant::now();
        let (mut rounds, mut slowest) = (0, Duration::ZERO);
        while begun.elapsed() < length {
            nemesis.storm(ROUND.min(length - begun.elapsed()));
            violations(&nemesis, stage)?;
            nemesis.heal();
            let took = agreement(&nemesis, stage);
            violations(&nemesis, stage)?;
            (rounds, slowest) = (rounds + 1, slowest.max(took));
            let oracle = stage.oracle();
            println!(
                "round {rounds}: {} reports answered, agreed after {took:?}",
                oracle.counts.answered
            );
        }
        Ok(summary(begun.elapsed(), rounds, slowest, &nemesis, stage))
    })
}

/// What is wrong so far, as an error.
fn violations(nemesis: &Nemesis, stage: &Stage) -> Result<(), String> {
    let found = stage.oracle().violations.clone();
    if found.is_empty() {
        return Ok(());
    }
    let (count, some) = (found.len(), found[..found.len().min(5)].join("\n"));
    Err(format!("{count} violations:\n{some}\n{}", nemesis.diary()))
}

struct EndOf<'s>(&'s Stage);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// With nothing broken and no report on its way, waits until all five tables are equal.
fn agreement(nemesis: &Nemesis, stage: &Stage) -> Duration {
    let healed = Instant::now();
    let _alone = stage.gate.write().unwrap_or_else(PoisonError::into_inner);
    let names: Vec<String> = (0..PHONES).map(name).collect();
    wait_for(2 * AGREED_MAX, "all agree, or are judged", || {
        // Taken first: what comes late, of clients that hung up, may not be in every table yet.
        let least = stage.oracle().known();
        let tables = NAMES.map(|server| nemesis.herd.holds_all(server, &names));
        let mut oracle = stage.oracle();
        if let Some(other) = tables.iter().position(|table| *table != tables[0]) {
            if healed.elapsed() > AGREED_MAX {
                let differ = (0..names.len()).find(|n| tables[other][*n] != tables[0][*n]);
                let lines = differ.map(|n| [&tables[0][n], &tables[other][n]]);
                let why = format!("differs from {} after {AGREED_MAX:?}: {lines:?}", NAMES[0]);
                oracle.violated(other, "the table", &why);
                return Some(());
            }
            return None;
        }
        let lines = (0..PHONES).zip(&tables[0]);
        let recognise = |(phone, line): (u16, &Option<String>)| {
            let line = line.as_ref()?;
            let found = oracle.recognise(phone, line);
            found.map_err(|why| oracle.violated(0, line, &why)).ok()
        };
        let table: Vec<Option<Report>> = lines.map(recognise).collect();
        oracle.agreed(&table, &least);
        Some(())
    });
    healed.elapsed()
}

fn summary(
    length: Duration,
    rounds: usize,
    slowest: Duration,
    nemesis: &Nemesis,
    stage: &Stage,
) -> String {
    let oracle = stage.oracle();
    let counts = &oracle.counts;
    format!(
        "{} s, {rounds} rounds, after each all agreed, at most {slowest:?} after the healing\n\
         done: {}\n\
         {} reports answered, the slowest after {:?} of a server's time\n\
         {} answers to questions judged, {} of them by what another server holds behind a whole path:\n\
         seen there at most {:?} late\n\
         {} records had to be in a snapshot\n\
         {} answered reports lost that nobody alive held, or a newer one: the servers died at most {:?} later",
        length.as_secs(),
        nemesis.acts(),
        counts.answered,
        counts.slow,
        counts.shown,
        counts.owed,
        counts.stale,
        counts.safe,
        counts.lost,
        counts.lost_age,
    )
}
