//! What a user would pick instead: the same stream of positions into Redis or
//! Valkey and into the key-value store of NATS, each with its journal.

mod crowd;
mod guest;
mod position;
mod wire;

use crate::bench::{Bench, part};
use crate::chart::Chart;
use crate::section::{Best, Section, Table};
use crate::stats::Spread;
use crowd::{Cost, Crowd};
use guest::{Guest, Kind};
use lab::Result;

const CONNECTIONS: usize = 50;
/// Requests in a write.
const PIPELINED: usize = 16;

/// Of one program in one round.
struct Taken {
    record_bytes: f64,
    journal_bytes: f64,
    single: Cost,
    pipelined: Cost,
    near: Option<Cost>,
}

type Column = (&'static str, fn(&Taken) -> Option<f64>);

const COLUMNS: [Column; 7] = [
    ("C50 P1, CPU µs", |taken| Some(taken.single.cpu_us)),
    ("C50 P1, a second", |taken| Some(taken.single.per_second)),
    ("C50 P16, CPU µs", |taken| Some(taken.pipelined.cpu_us)),
    ("C50 P16, a second", |taken| {
        Some(taken.pipelined.per_second)
    }),
    ("near, C50 P1, CPU µs", |taken| {
        Some(taken.near.as_ref()?.cpu_us)
    }),
    ("bytes a record", |taken| Some(taken.record_bytes)),
    ("journal bytes a report", |taken| Some(taken.journal_bytes)),
];

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "instead",
        "What a user would pick instead",
        "The paper chooses between ways to write such a server, and does not ask whether to. Somebody with positions to keep may as well not \
         write one, and take a store that exists.",
    );
    let (records, seconds) = (bench.sized(100_000, 2_000), bench.sized(1.0, 0.1));
    section.measured.push(format!(
        "One server on its core, from empty: {records} clients report once ({PIPELINED} in a write), then {seconds} s \
         of further reports on {CONNECTIONS} connections, one and {PIPELINED} in a write; every answer read. A report \
         is an IAMAT; GEOADD and HSET in one write; a put into a JetStream bucket of history 1 with its \
         acknowledgement. Journals as each has them: our log; appendonly, synced each second; file storage. \
         \"Near\" is WHATSAT of 50 km and 20 of the gazetteer's places here, GEOSEARCH of 5 km and 20 clients there: \
         not the same question. Bytes a record are of RssAnon."
    ));
    let (kinds, missing) = Kind::found(&bench.runtimes);
    section.left_out.extend(missing);
    let names: Vec<String> = kinds.iter().map(|kind| kind.label().to_string()).collect();
    let rounds = bench.rounds(&mut section, "instead", (5, 1), &names, |index| {
        take(bench, &kinds[index], records, seconds)
    });
    let mut table =
        Table::new("The same positions", &COLUMNS.map(|(name, _)| name)).ranked(0, Best::Least);
    let spread = |index: usize, take: fn(&Taken) -> Option<f64>| {
        Spread::of(part(&rounds[index], take).into_iter().flatten())
    };
    for (index, name) in names.iter().enumerate() {
        table.row(
            name,
            COLUMNS.map(|(_, take)| spread(index, take).into()).into(),
        );
    }
    for (title, take) in [COLUMNS[0], COLUMNS[2], COLUMNS[5]] {
        let rows: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(index, name)| (name.clone(), spread(index, take)))
            .filter(|(_, spread)| spread.median() > 0.0)
            .collect();
        follow(&mut section, title, &rows);
        section.chart(Chart::bars(title, rows));
    }
    section.table(table);
    section.table(exchange(&kinds));
    section.beware.push(
        "That one is better than another: a store keeps what it is given and answers any question about it; a herd \
         passes on what it is told, and answers two questions.",
    );
    section.beware.push(
        "That NATS needs this CPU where it has cores: Go schedules and collects on the one core here. That the \
         requests a second are the servers' limit: the client of this experiment is plain and shares a machine; CPU \
         a request is what is compared.",
    );
    Ok(section)
}

fn take(bench: &Bench, kind: &Kind, records: u32, seconds: f64) -> Result<Taken> {
    let guest = Guest::start(bench, kind)?;
    let (empty, no_journal) = (guest.memory()?, guest.journal_bytes());
    let mut crowd = Crowd::connect(&guest, kind, CONNECTIONS, records)?;
    crowd.fill(PIPELINED)?;
    let each = f64::from(records);
    let record_bytes = guest.memory()?.saturating_sub(empty) as f64 / each;
    let journal_bytes = guest.journal_bytes().saturating_sub(no_journal) as f64 / each;
    Ok(Taken {
        record_bytes,
        journal_bytes,
        single: crowd.report(1, seconds)?,
        pipelined: crowd.report(PIPELINED, seconds)?,
        near: crowd.ask_near(seconds)?,
    })
}

/// Each against ours.
fn follow(section: &mut Section, what: &str, rows: &[(String, Spread)]) {
    let Some(((_, ours), others)) = rows.split_first() else {
        return;
    };
    for (name, other) in others {
        let ratio = crate::stats::figure(other.median() / ours.median());
        section.follows.push(format!(
            "{what}: {name} takes {ratio} times what ours does."
        ));
    }
}

/// What each gives that the other does not.
fn exchange(kinds: &[Kind]) -> Table {
    let columns = ["gives that ours does not", "ours gives that it does not"];
    let mut table = Table::new("What each gives", &columns);
    for kind in kinds {
        if let Some((theirs, ours)) = kind.exchange() {
            table.row(kind.label(), vec![theirs.into(), ours.into()]);
        }
    }
    table
}
