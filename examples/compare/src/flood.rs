//! Five servers of each peer: what an update costs, how many there can be,
//! how soon the farthest knows.

use crate::bench::{Bench, part};
use crate::chart::Chart;
use crate::peers::{BASE, Peer, Platform};
use crate::section::{Best, Section, Table};
use crate::stats::{Spread, figure};
use lab::Result;
use lab::flood::{self, Rush};
use lab::herd::Herd;

struct Flooded {
    messages: f64,
    rush: Rush,
    p50_ms: f64,
    p99_ms: f64,
}

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "flood",
        "Performance: flooding through five servers",
        "The herd exists so that a location told to one server is soon known to all. asyncio should make such \
         servers easy to write, and fast enough.",
    );
    section.measured.push(format!(
        "Five servers, all on one core. The messages that pass between them for one update, counted by a \
         proxy on each link ({} is the least that flooding on this graph needs); updates a second \
         until all five know all of them; the time until a neighbour of the farthest server hears of one \
         update alone.",
        Herd::standard()?.messages()
    ));
    let peers = bench.few_herds(&mut section);
    let names: Vec<String> = peers.iter().map(|peer| peer.label.clone()).collect();
    let rounds = bench.rounds(&mut section, "flood", (3, 1), &names, |index| {
        flooded(bench, peers[index])
    });
    let columns = [
        "messages an update",
        "converged updates a second",
        "× asyncio streams",
        "CPU µs an update, all five",
        "farthest p50 ms",
        "farthest p99 ms",
    ];
    let mut table = Table::new("An update and five servers", &columns).ranked(1, Best::Most);
    let spread = |values: Vec<Option<f64>>| Spread::of(values.into_iter().flatten());
    let per_second = |index: usize| part(&rounds[index], |one| Some(one.rush.per_second));
    let base = peers.iter().position(|peer| peer.key == BASE);
    let (mut bars, mut dots) = (Vec::new(), Vec::new());
    for (index, name) in names.iter().enumerate() {
        let take = |take: fn(&Flooded) -> f64| spread(part(&rounds[index], |one| Some(take(one))));
        let ratio = base.map(|base| Spread::ratios(&per_second(index), &per_second(base)));
        let (p50, p99) = (take(|one| one.p50_ms), take(|one| one.p99_ms));
        bars.push((name.clone(), spread(per_second(index))));
        dots.push((name.clone(), vec![p50.clone(), p99.clone()]));
        table.row(
            name,
            vec![
                take(|one| one.messages).into(),
                spread(per_second(index)).into(),
                ratio.unwrap_or_default().into(),
                take(|one| one.rush.cpu_us).into(),
                p50.into(),
                p99.into(),
            ],
        );
    }
    follow(&mut section, &bars);
    section.chart(Chart::bars("Converged updates a second", bars));
    section.chart(Chart::dots(
        "The farthest server, ms (logarithmic)",
        &["p50", "p99"],
        dots,
    ));
    section.table(table);
    section.beware.push(
        "That a cold JVM is a slow one: each round starts five new processes, and Java compiles while it \
         runs. A herd that runs for days is faster.",
    );
    Ok(section)
}

fn flooded(bench: &Bench, peer: &Peer) -> Result<Flooded> {
    // About a second's worth on each platform.
    let each = match peer.platform {
        Platform::Python | Platform::Node => bench.sized(2_000, 100),
        Platform::Java => bench.sized(8_000, 200),
        _ => bench.sized(20_000, 500),
    };
    let lab = &bench.lab;
    let messages = flood::messages(lab, &peer.program, &Herd::standard()?, bench.sized(500, 50))?;
    let rush = flood::rush(lab, &peer.program, &Herd::standard()?, each)?;
    let times = flood::farthest(lab, &peer.program, &Herd::standard()?, bench.sized(500, 30))?;
    let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1e6;
    Ok(Flooded {
        messages,
        rush,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
    })
}

fn follow(section: &mut Section, bars: &[(String, Spread)]) {
    let find = |name: &str| {
        bars.iter()
            .find(|(other, spread)| other == name && !spread.is_empty())
    };
    let (ours, asyncio) = (find("herd (mio)"), find("asyncio streams"));
    if let (Some((_, ours)), Some((_, asyncio))) = (ours, asyncio) {
        section.follows.push(format!(
            "Five asyncio servers on one core take {} updates a second, ours {}. A course's herd needs a \
             handful.",
            figure(asyncio.median()),
            figure(ours.median())
        ));
    }
    if let (Some((_, ours)), Some((_, tuned))) = (ours, find("tokio, tuned")) {
        let words = match (ours.values.len() < 3, ours.overlaps(tuned)) {
            (true, _) => "too few rounds to tell a difference from chance",
            (false, true) => "their spreads overlap: a tie",
            (false, false) => "their spreads do not overlap in this run",
        };
        section.follows.push(format!(
            "Ours {} and tuned tokio {}: {words}.",
            figure(ours.median()),
            figure(tuned.median())
        ));
    }
}
