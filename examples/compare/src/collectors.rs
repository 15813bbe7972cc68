//! What a collector does to the slowest answers while the table grows.

use crate::bench::{Bench, part};
use crate::chart::Chart;
use crate::load::Load;
use crate::peers::{Peer, Platform};
use crate::section::{Best, Section, Table};
use crate::stats::{Spread, figure};
use lab::Result;
use lab::servers::Program;

const RATE: u32 = 4_000;

/// Runs a script as `python script ...` would, without the collector.
const WITHOUT_GC: &str = "import gc, os, runpy, sys; gc.disable(); del sys.argv[0]; \
     sys.path.insert(0, os.path.dirname(sys.argv[0])); runpy.run_path(sys.argv[0], run_name='__main__')";

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "collectors",
        "Memory: what a collector does to the slowest answers",
        "Counting references frees memory at once and in small pieces; a collector frees it later and, \
         while it works, may stop everybody. The paper prefers the former for a server.",
    );
    let (table_size, seconds) = (bench.sized(100_000, 3_000), bench.sized(4.0, 0.5));
    section.measured.push(format!(
        "Each request leaves a new record: {table_size} before the clock starts, then {RATE} a second for \
         {seconds} s on 100 connections, on a schedule (an open loop), so that whoever stops is charged for \
         all that came meanwhile."
    ));
    let variants = variants(&bench.peers);
    let names: Vec<String> = variants.iter().map(|(name, _)| name.clone()).collect();
    let rounds = bench.rounds(&mut section, "collectors", (3, 1), &names, |index| {
        let server = bench.alone(&variants[index].1, false, &[])?;
        Load::new(&server)
            .with("connections", 100)
            .with("rate", RATE)
            .flag("grow")
            .with("warmup", table_size)
            .with("seconds", seconds)
            .run(&bench.lab)
    });
    let quantiles = ["p50", "p99", "p99.9", "max"];
    let columns = ["p50 ms", "p99 ms", "p99.9 ms", "max ms", "bytes a record"];
    let mut table = Table::new(
        format!("Answers under churn, {RATE} new records a second"),
        &columns,
    )
    .ranked(2, Best::Least);
    let mut rows = Vec::new();
    for (name, rounds) in names.iter().zip(&rounds) {
        let spread = |values: Vec<Option<f64>>| Spread::of(values.into_iter().flatten());
        let spreads = quantiles.map(|q| spread(part(rounds, |run| run.latency_ms(q))));
        let bytes = spread(part(rounds, |run| {
            run.report["server"]["bytes_per_record"].as_f64()
        }));
        rows.push((name.clone(), spreads.to_vec()));
        let mut cells: Vec<_> = spreads.into_iter().map(Into::into).collect();
        cells.push(bytes.into());
        table.row(name, cells);
    }
    follow(&mut section, &rows);
    section.chart(Chart::dots(
        "Under churn: milliseconds (logarithmic)",
        &quantiles,
        rows,
    ));
    section.table(table);
    section.beware.extend([
        "That the slowest answer is the collector's doing: anything that takes the core shows there, the \
         growth of a hash table too. Compare each with its own kind, collector on and off.",
        "That G1 is what a JVM takes by itself here: with one core it takes the serial collector.",
    ]);
    Ok(section)
}

/// Each platform with its collectors; those without one beside them.
fn variants(peers: &[Peer]) -> Vec<(String, Program)> {
    let mut variants = Vec::new();
    for peer in peers {
        let words = &peer.program.argv;
        let with = |words: Vec<std::ffi::OsString>| Program::new(&peer.program.name, words);
        let mut add = |how: &str, program: Program| {
            variants.push((format!("{}, {how}", peer.label), program));
        };
        match (peer.platform, peer.key) {
            (Platform::Ours, _) | (_, "tokio-tuned") => add("no collector", peer.program.clone()),
            (Platform::Node, _) => add("V8", peer.program.clone()),
            (_, "java-nio") => {
                add("default", peer.program.clone());
                let mut words = words.clone();
                words.insert(1, "-XX:+UseG1GC".into());
                add("G1", with(words));
            }
            (_, "asyncio-streams") => {
                add("gc on", peer.program.clone());
                let mut words = words.clone();
                words.splice(1..1, ["-c".into(), WITHOUT_GC.into()]);
                add("gc off", with(words));
            }
            _ => {}
        }
    }
    variants
}

fn follow(section: &mut Section, rows: &[(String, Vec<Spread>)]) {
    let find = |ending: &str| rows.iter().find(|(name, _)| name.ends_with(ending));
    let (Some((_, on)), Some((_, off))) = (find(", gc on"), find(", gc off")) else {
        return;
    };
    let (on, off) = (&on[2], &off[2]);
    if on.is_empty() || off.is_empty() {
        return;
    }
    let words = match (on.overlaps(off), on.median() > off.median()) {
        (true, _) => "their spreads overlap, so this run shows no difference",
        (false, true) => "Python's collector of cycles costs the slowest in a thousand that much",
        (false, false) => "without the collector it was slower, so something else decides",
    };
    section.follows.push(format!(
        "asyncio, p99.9: {} ms with the collector, {} ms without: {words}.",
        figure(on.median()),
        figure(off.median())
    ));
}
