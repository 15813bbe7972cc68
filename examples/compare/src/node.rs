//! asyncio against Node on the same load, and how far `async` spreads.

use crate::bench::Bench;
use crate::chart::Chart;
use crate::load::Load;
use crate::peers::{BASE, Peer};
use crate::section::{Cell, Section, Table};
use crate::source;
use crate::stats::{Spread, figure};
use crate::throughput::{self, Against};
use lab::Result;
use lab::servers::Server;

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "node",
        "asyncio against Node.js",
        "Both are a loop on one thread. The paper finds Node's callbacks and promises natural, since all of \
         its library is asynchronous, and asyncio's coroutines easier to read, at the price of async and \
         await wherever one of them is called.",
    );
    section.measured.push(
        "The same IAMATs on 50 connections, one at a time and sixteen in one write, in interleaved rounds; \
         and, counted in the source of each peer, how many functions are async."
            .to_string(),
    );
    let keys = [
        "node",
        "asyncio-streams",
        "asyncio-protocol",
        "uvloop-streams",
        "uvloop-protocol",
    ];
    let peers: Vec<&Peer> = bench
        .peers
        .iter()
        .filter(|peer| keys.contains(&peer.key))
        .collect();
    let names: Vec<String> = peers.iter().map(|peer| peer.label.clone()).collect();
    let servers: Vec<Server> = peers
        .iter()
        .map(|peer| bench.alone(&peer.program, false, &[]))
        .collect::<Result<_>>()?;
    let base = peers.iter().position(|peer| peer.key == BASE);
    for depth in [1, 16] {
        let what = format!("node, C50 P{depth}");
        let run = |index: usize, seconds: f64| {
            let load = Load::new(&servers[index])
                .with("connections", 50)
                .with("depth", depth);
            load.with("warmup", 100 * depth)
                .with("seconds", seconds)
                .run(&bench.lab)
        };
        for index in 0..peers.len() {
            let _ = run(index, bench.sized(1.0, 0.1));
        }
        let rounds = bench.rounds(&mut section, &what, (8, 1), &names, |index| {
            run(index, bench.sized(0.4, 0.1))
        });
        let against = Against {
            name: "asyncio streams",
            place: base,
            floor: None,
        };
        let caption = format!("50 connections, {depth} in one write");
        let compared = throughput::compare(&caption, &names, &rounds, &against);
        follow(&mut section, depth, &compared.ratios);
        let title = format!("{depth} in one write: throughput as a multiple of asyncio streams");
        section.chart(compared.chart(title, "asyncio streams"));
        section.table(compared.table);
    }
    colours(bench, &mut section);
    section.beware.push(
        "That an async function is a cost: it says in its type where it may wait. A callback may wait too, \
         and says nothing.",
    );
    Ok(section)
}

fn follow(section: &mut Section, depth: u32, bars: &[(String, Spread)]) {
    let node = bars
        .iter()
        .find(|(name, ratio)| name == "Node" && !ratio.is_empty());
    if let Some((_, ratio)) = node {
        let words = if ratio.covers(1.0) {
            ", which is a tie"
        } else {
            ""
        };
        section.follows.push(format!(
            "With {depth} in one write Node answers {} times what asyncio's streams do{words}.",
            figure(ratio.median())
        ));
    }
}

/// How many functions are async, in each peer's own files.
fn colours(bench: &Bench, section: &mut Section) {
    let columns = ["functions", "of these async", "share"];
    let mut table = Table::new(
        "Functions, and those that async forces to be async",
        &columns,
    );
    let mut bars = Vec::new();
    for peer in bench.herds() {
        let (all, coloured) = source::functions(&peer.sources);
        let share = if all > 0 {
            100.0 * coloured as f64 / all as f64
        } else {
            0.0
        };
        bars.push((peer.label.clone(), Spread::of([share])));
        let cells: Vec<Cell> = vec![
            Some(all as f64).into(),
            Some(coloured as f64).into(),
            format!("{share:.0} %").into(),
        ];
        table.row(&peer.label, cells);
    }
    section.chart(Chart::bars("Functions that are async, percent", bars));
    section.table(table);
}
