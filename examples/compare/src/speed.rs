//! Throughput, CPU a request, and latency: one server of each peer, IAMATs,
//! every answer checked.

use crate::bench::{Bench, Rounds, part};
use crate::chart::Chart;
use crate::load::{Load, Measured};
use crate::peers::{BASE, FLOOR, Peer};
use crate::section::{Best, Section, Table};
use crate::stats::{Spread, figure};
use crate::throughput::{self, Against};
use lab::Result;
use lab::servers::Server;

/// How the clients ask.
struct Condition {
    name: &'static str,
    about: &'static str,
    connections: u32,
    depth: u32,
    mode: &'static str,
}

const CONDITIONS: [Condition; 4] = [
    Condition {
        name: "C50 P1",
        about: "50 connections, one request at a time",
        connections: 50,
        depth: 1,
        mode: "persistent",
    },
    Condition {
        name: "C50 P16",
        about: "50 connections, 16 requests in one write",
        connections: 50,
        depth: 16,
        mode: "persistent",
    },
    Condition {
        name: "C1000 P1",
        about: "1,000 connections, one request at a time",
        connections: 1000,
        depth: 1,
        mode: "persistent",
    },
    Condition {
        name: "connect-ask-close",
        about: "a new connection for each request",
        connections: 50,
        depth: 1,
        mode: "connect-ask-close",
    },
];

/// Requests a second of the open loop, whatever the server does.
const RATE: u32 = 12_000;

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "speed",
        "Performance",
        "asyncio is a good fit for servers that mostly wait for the network: one thread, no locks, and fast \
         enough, since the interpreter has little to do between two system calls.",
    );
    section.measured.push(
        "One server of each peer without neighbours on one core, the load generator on the other; IAMATs, \
         every answer checked. All servers are up at once; each round asks each of them once, in an order \
         drawn anew, and ratios are taken within a round. Shown: the median; in brackets the quartiles."
            .to_string(),
    );
    closed_loop(bench, &mut section, false)?;
    open_loop(bench, &mut section)?;
    closed_loop(bench, &mut section, true)?;
    section.beware.extend([
        "That a slower platform is too slow. A herd that hears a thousand phones a second needs a few \
         percent of one core on any of these.",
        "That the figures are those of another machine. Ratios travel better than figures, and not far.",
        "That throughput tells the fast ones apart: the load generator has one core too. Where it is what \
         limits, only CPU a request says something.",
    ]);
    Ok(section)
}

/// A server for each, warm: a JVM compiles what it runs often.
fn start(bench: &Bench, peers: &[&Peer], journal: bool) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for peer in peers {
        let server = bench.alone(&peer.program, journal, &[])?;
        servers.push(server);
    }
    Ok(servers)
}

fn load(server: &Server, peer: &Peer, condition: &Condition) -> Load {
    let load = Load::new(server)
        .with("connections", condition.connections)
        .with("depth", condition.depth)
        .with("mode", condition.mode)
        .with("warmup", 2 * condition.connections * condition.depth);
    match peer.key {
        FLOOR => load.flag("echo"),
        _ => load,
    }
}

fn closed_loop(bench: &Bench, section: &mut Section, journal: bool) -> Result<()> {
    // The echo keeps no journal.
    let takes_part = |peer: &&Peer| !journal || peer.is_herd();
    let peers: Vec<&Peer> = bench.peers.iter().filter(takes_part).collect();
    let names: Vec<String> = peers.iter().map(|peer| peer.label.clone()).collect();
    let servers = start(bench, &peers, journal)?;
    let conditions = if journal {
        &CONDITIONS[..2]
    } else {
        &CONDITIONS[..]
    };
    let (numbers, seconds) = match journal {
        true => ((6, 1), bench.sized(0.4, 0.1)),
        false => ((12, 1), bench.sized(0.4, 0.1)),
    };
    let warm = 1.0;
    let mut all: Vec<(&Condition, Rounds<Measured>)> = Vec::new();
    for condition in conditions {
        let what = format!(
            "{}{}",
            condition.name,
            if journal { ", journals on" } else { "" }
        );
        for (server, peer) in servers.iter().zip(&peers).filter(|_| !bench.quick) {
            // What is wrong shows in the rounds.
            let _ = load(server, peer, condition)
                .with("seconds", warm)
                .run(&bench.lab);
        }
        let rounds = bench.rounds(section, &what, numbers, &names, |index| {
            load(&servers[index], peers[index], condition)
                .with("seconds", seconds)
                .run(&bench.lab)
        });
        all.push((condition, rounds));
    }
    tell(section, &peers, &names, &all, journal);
    Ok(())
}

/// Tables and charts of throughput and CPU, and what they say.
fn tell(
    section: &mut Section,
    peers: &[&Peer],
    names: &[String],
    all: &[(&Condition, Rounds<Measured>)],
    journal: bool,
) {
    let with = if journal { ", journals on" } else { "" };
    let place = |key: &str| peers.iter().position(|peer| peer.key == key);
    let against = Against {
        name: "asyncio streams",
        place: place(BASE),
        floor: place(FLOOR),
    };
    for (condition, rounds) in all {
        let what = format!("{}{with}", condition.name);
        let caption = format!("{what}: {}", condition.about);
        let compared = throughput::compare(&caption, names, rounds, &against);
        let title = format!("{what}: throughput as a multiple of asyncio streams");
        section.chart(compared.chart(title, "asyncio streams"));
        if against.floor.is_some() {
            let title = format!("{what}: CPU a request as a multiple of the floor (logarithmic)");
            let rows = one_each(compared.over_floor);
            section.chart(Chart::dots(title, &["median"], rows).reference(1.0, "floor"));
        }
        section.table(compared.table);
        if let Some(ours) = place("herd") {
            let per_second = |index: usize| part(&rounds[index], |run| Some(run.per_second));
            let tuned = place("tokio-tuned");
            let by_tuned = tuned.map(|tuned| Spread::ratios(&per_second(ours), &per_second(tuned)));
            let by_base = &compared.ratios[ours].1;
            follow(section, &what, by_base, &by_tuned.unwrap_or_default());
        }
    }
}

fn one_each(rows: Vec<(String, Spread)>) -> Vec<(String, Vec<Spread>)> {
    rows.into_iter()
        .map(|(name, spread)| (name, vec![spread]))
        .collect()
}

/// Ours against asyncio, and honestly against tuned tokio.
fn follow(section: &mut Section, what: &str, by_base: &Spread, by_tuned: &Spread) {
    let mut words = Vec::new();
    if !by_base.is_empty() {
        words.push(format!(
            "herd answers {} times what asyncio streams do",
            figure(by_base.median())
        ));
    }
    if !by_tuned.is_empty() {
        let ratio = figure(by_tuned.median());
        let near = (by_tuned.median() - 1.0).abs() < 0.05;
        words.push(
            match (by_tuned.covers(1.0) || near, by_tuned.median() > 1.0) {
                (true, _) => format!("with tuned tokio it is a tie ({ratio})"),
                (false, true) => format!("it is {ratio} of tuned tokio in this run"),
                (false, false) => format!("it is {ratio} of tuned tokio: slower in this run"),
            },
        );
    }
    if !words.is_empty() {
        section
            .follows
            .push(format!("{what}: {}.", words.join("; ")));
    }
}

/// Requests come when they come, whether the last was answered or not: a
/// closed loop spares a slow server, and its latencies flatter.
fn open_loop(bench: &Bench, section: &mut Section) -> Result<()> {
    let peers: Vec<&Peer> = bench.peers.iter().collect();
    let names: Vec<String> = peers.iter().map(|peer| peer.label.clone()).collect();
    let servers = start(bench, &peers, false)?;
    let (connections, seconds) = bench.sized((1000, 1.0), (100, 0.2));
    let one = |index: usize, seconds: f64| {
        let load = Load::new(&servers[index])
            .with("connections", connections)
            .with("rate", RATE)
            .with("warmup", 2 * connections)
            .with("seconds", seconds);
        let load = if peers[index].key == FLOOR {
            load.flag("echo")
        } else {
            load
        };
        load.run(&bench.lab)
    };
    for index in (0..peers.len()).filter(|_| !bench.quick) {
        let _ = one(index, 1.0);
    }
    let rounds = bench.rounds(section, "open loop", (7, 1), &names, |index| {
        one(index, seconds)
    });
    let quantiles = ["p50", "p99", "p99.9", "max"];
    let columns = [
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "p99 over the floor",
    ];
    let mut table = Table::new(
        format!("Open loop: {connections} connections, {RATE} requests a second"),
        &columns,
    )
    .ranked(1, Best::Least);
    let floor = peers.iter().position(|peer| peer.key == FLOOR);
    let p99 = |index: usize| part(&rounds[index], |run| run.latency_ms("p99"));
    let mut rows = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let spreads = quantiles.map(|quantile| {
            Spread::of(
                part(&rounds[index], |run| run.latency_ms(quantile))
                    .into_iter()
                    .flatten(),
            )
        });
        let over = floor.map(|floor| Spread::ratios(&p99(index), &p99(floor)));
        rows.push((name.clone(), spreads[..3].to_vec()));
        let mut cells: Vec<_> = spreads.into_iter().map(Into::into).collect();
        cells.push(over.unwrap_or_default().into());
        table.row(name, cells);
    }
    let title = "Open loop at 12,000 a second: p50, p99 and p99.9, in milliseconds";
    section.chart(Chart::dots(title, &quantiles[..3], rows));
    section.table(table);
    Ok(())
}
