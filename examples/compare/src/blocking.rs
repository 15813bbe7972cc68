//! One client asks for 100 ms of computing a second: what that does to
//! everybody else, and what an executor gives back.

use crate::bench::{Bench, part};
use crate::chart::Chart;
use crate::load::Load;
use crate::section::{Best, Section, Table};
use crate::stats::{Spread, figure};
use lab::Result;
use lab::servers::Program;

const BURN_MS: u32 = 100;
const RATE: u32 = 1_000;

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "blocking",
        "Performance: one request that computes",
        "On one loop, a callback that computes holds up everybody. asyncio has run_in_executor for that; \
         the paper warns to keep such work off the loop.",
    );
    let seconds = bench.sized(3.0, 1.2);
    section.measured.push(format!(
        "{RATE} requests a second on 50 connections, on a schedule, and beside them a client that once a \
         second asks for {BURN_MS} ms of computing: not at all (calm), right there (here), on the platform's \
         executor (away), in another process (process, Python alone). The server has one core."
    ));
    let entrants = entrants(bench, &mut section);
    let name = |(label, _, place): &(String, Program, Option<&str>)| {
        format!("{label}, {}", place.unwrap_or("calm"))
    };
    let names: Vec<String> = entrants.iter().map(name).collect();
    let rounds = bench.rounds(&mut section, "blocking", (2, 1), &names, |index| {
        let (_, program, place) = &entrants[index];
        let server = bench.alone(program, false, &["--burn"])?;
        let load = Load::new(&server)
            .with("connections", 50)
            .with("rate", RATE)
            .with("warmup", 2_000)
            .with("seconds", seconds);
        let load = match place {
            None => load,
            Some("here") => load.with("burn", BURN_MS),
            Some(place) => load.with("burn", format!("{BURN_MS}:{place}")),
        };
        load.run(&bench.lab)
    });
    let columns = ["p50 ms", "p99 ms", "max ms", "the computing itself, p50 ms"];
    let mut table =
        Table::new("Everybody else, while one computes", &columns).ranked(1, Best::Least);
    let mut rows = Vec::new();
    for (name, rounds) in names.iter().zip(&rounds) {
        let spread = |values: Vec<Option<f64>>| Spread::of(values.into_iter().flatten());
        let spreads = ["p50", "p99", "max"].map(|q| spread(part(rounds, |run| run.latency_ms(q))));
        let burnt = part(rounds, |run| {
            run.report["burn"]["latency_us"]["p50"]
                .as_f64()
                .map(|us| us / 1000.0)
        });
        rows.push((name.clone(), spreads.to_vec()));
        let mut cells: Vec<_> = spreads.into_iter().map(Into::into).collect();
        cells.push(spread(burnt).into());
        table.row(name, cells);
    }
    follow(&mut section, &rows);
    section.chart(Chart::dots(
        "Everybody else: milliseconds (logarithmic)",
        &["p50", "p99", "max"],
        rows,
    ));
    section.table(table);
    section.beware.extend([
        "That an executor makes computing free: on one core it shares that core with the loop, and the \
         system divides. With a second core it would be kinder.",
        "That our server has such a request: it has none, and the program measured here is a small server \
         on the same loop.",
    ]);
    Ok(section)
}

/// Each peer that computes, in each place.
fn entrants(bench: &Bench, section: &mut Section) -> Vec<(String, Program, Option<&'static str>)> {
    let mut entrants = Vec::new();
    // A flavour more or less of the same loop waits alike.
    let alike = ["tokio-tuned", "uvloop-protocol", "asyncio-protocol"];
    section
        .left_out
        .push("The other flavours of tokio, asyncio and uvloop: they wait alike.".into());
    let peers = bench.few_herds(section).into_iter();
    for peer in peers.filter(|peer| !alike.contains(&peer.key)) {
        let Some(burner) = &peer.burner else { continue };
        let mut places = vec![None, Some("here")];
        places.extend(peer.burn_places.iter().map(|place| Some(*place)));
        for place in places {
            // In miniature, how calm it is without is of no use.
            if !(bench.quick && place.is_none()) {
                entrants.push((peer.label.clone(), burner.clone(), place));
            }
        }
    }
    entrants
}

fn follow(section: &mut Section, rows: &[(String, Vec<Spread>)]) {
    let p99 = |name: String| {
        let (_, spreads) = rows.iter().find(|(other, _)| *other == name)?;
        (!spreads[1].is_empty()).then(|| spreads[1].median())
    };
    for (name, _) in rows {
        let Some(label) = name.strip_suffix(", here") else {
            continue;
        };
        let (here, away) = (p99(name.clone()), p99(format!("{label}, away")));
        if let (Some(here), Some(away)) = (here, away) {
            section.follows.push(format!(
                "{label}: with the computing on the spot the slowest in a hundred waits {} ms, with an \
                 executor {} ms.",
                figure(here),
                figure(away)
            ));
        }
    }
}
