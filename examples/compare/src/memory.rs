//! What a start, a silent connection and a record cost in memory, and how
//! soon a server answers after its start.

use crate::bench::{Bench, part};
use crate::chart::Chart;
use crate::peers::Peer;
use crate::section::{Best, Section, Table};
use crate::stats::{Spread, figure};
use lab::Result;
use lab::herd::Herd;
use lab::servers::Start;
use lab::talk::{self, Client, Feeder, record_id};
use lab::usage::Memory;
use std::time::Instant;

/// Of one server of a peer.
struct Taken {
    first_reply_ms: f64,
    start: Memory,
    idle_bytes: f64,
    record_bytes: f64,
}

type Column = (&'static str, fn(&Taken) -> f64);

const COLUMNS: [Column; 5] = [
    ("first reply, ms", |taken| taken.first_reply_ms),
    ("written memory at start, MB", |taken| {
        taken.start.anonymous as f64 / 1e6
    }),
    ("resident at start, MB", |taken| {
        taken.start.resident as f64 / 1e6
    }),
    ("bytes an idle connection", |taken| taken.idle_bytes),
    ("bytes a record", |taken| taken.record_bytes),
];

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "memory",
        "Memory: what a server holds",
        "Python manages memory with reference counts and a collector for cycles; Java collects by \
         generations. The paper expects Python's way to give memory back at once, and to cost little for a \
         server of this size.",
    );
    let (connections, records) = (bench.sized(2_000, 200), bench.sized(100_000_u32, 5_000));
    section.measured.push(format!(
        "From before the start of a process to its first answer; its memory then; what {connections} \
         connections add that ask once and fall silent; what {records} records add that a neighbour passes \
         on. Memory is what the process has written to (RssAnon), children included."
    ));
    let peers: Vec<&Peer> = bench.herds().collect();
    let names: Vec<String> = peers.iter().map(|peer| peer.label.clone()).collect();
    let rounds = bench.rounds(&mut section, "memory", (3, 1), &names, |index| {
        take(bench, peers[index], connections, records)
    });
    let columns = COLUMNS.map(|(name, _)| name);
    let mut table = Table::new("Memory and start", &columns).ranked(3, Best::Least);
    let spread = |index: usize, take: fn(&Taken) -> f64| {
        Spread::of(
            part(&rounds[index], |taken| Some(take(taken)))
                .into_iter()
                .flatten(),
        )
    };
    for (index, name) in names.iter().enumerate() {
        table.row(
            name,
            COLUMNS.map(|(_, take)| spread(index, take).into()).into(),
        );
    }
    for (title, take) in [COLUMNS[3], COLUMNS[4], COLUMNS[0]] {
        // Less than nothing is noise, and has no place on this scale.
        let rows: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(index, name)| (name.clone(), vec![spread(index, take)]))
            .filter(|(_, spreads)| spreads[0].median() > 0.0)
            .collect();
        follow(&mut section, title, &rows);
        section.chart(Chart::dots(
            format!("{title} (logarithmic)"),
            &["median"],
            rows,
        ));
    }
    section.table(table);
    section.beware.push(
        "That a JVM or Node needs as much as it takes: they take memory ahead of need, in steps, so what a \
         connection adds there is an estimate.",
    );
    Ok(section)
}

fn take(bench: &Bench, peer: &Peer, connections: usize, records: u32) -> Result<Taken> {
    let herd = Herd::new(&["Clark", "Jaquez"], &[("Clark", "Jaquez")])?;
    let begun = Instant::now();
    let start = Start::new("Clark").program(&peer.program).pinned();
    let server = start.run(&bench.lab, &herd)?;
    let mut client = Client::connect(server.addr)?;
    client.report("first")?;
    let first_reply_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let start = Memory::of(server.pid())?;
    let mut idle = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut client = Client::connect(server.addr)?;
        // All with one id: no record comes with them.
        client.report("first")?;
        idle.push(client);
    }
    let with_idle = Memory::of(server.pid())?;
    let lines = talk::records("Jaquez", records);
    let mut feeder = Feeder::greet(server.addr, "Jaquez")?;
    feeder.feed(&lines)?;
    client.wait_until_known(&record_id(records - 1))?;
    let with_records = Memory::of(server.pid())?;
    let each = |more: Memory, less: Memory, count: f64| {
        (more.anonymous as f64 - less.anonymous as f64) / count
    };
    Ok(Taken {
        first_reply_ms,
        start,
        idle_bytes: each(with_idle, start, connections as f64),
        record_bytes: each(with_records, with_idle, f64::from(records)),
    })
}

fn follow(section: &mut Section, what: &str, rows: &[(String, Vec<Spread>)]) {
    let by_median = |one: &&(String, Vec<Spread>), other: &&(String, Vec<Spread>)| {
        one.1[0].median().total_cmp(&other.1[0].median())
    };
    let (least, most) = (rows.iter().min_by(by_median), rows.iter().max_by(by_median));
    if let (Some((least, low)), Some((most, high))) = (least, most) {
        let (low, high) = (low[0].median(), high[0].median());
        section.follows.push(format!(
            "{what}: from {} ({least}) to {} ({most}).",
            figure(low),
            figure(high)
        ));
    }
}
