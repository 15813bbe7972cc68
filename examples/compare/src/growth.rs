//! How cost grows, ours and tuned tokio's: with the records of a table, with
//! connections, with the servers of a herd. Axes are logarithmic, so a power
//! is a straight line, and its slope the exponent.

mod crowds;
mod curve;
mod graphs;
mod records;
mod stream;

use crate::bench::Bench;
use crate::peers::Peer;
use crate::section::Section;
use crate::stats::Spread;
use curve::Exponents;
use lab::Result;

/// Who takes part: they share parser and table, so what differs is the loop.
const PEERS: [&str; 2] = ["herd", "tokio-tuned"];

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "growth",
        "How cost grows",
        "The paper asks whether asyncio's loop suits a herd of servers, at one size. Whether it still does with a \
         thousand times the clients, or eight times the servers, is a question of exponents.",
    );
    section.measured.push(
        "A cost y at several sizes x, and the straight line through log x and log y: its slope is the exponent. \
         0 costs the same at every size, 1 doubles with the size, 2 quadruples. It bends where the slopes before \
         and after differ most, by a quarter at least."
            .to_string(),
    );
    let peers: Vec<&Peer> = bench
        .herds()
        .filter(|peer| PEERS.contains(&peer.key))
        .collect();
    let mut exponents = Exponents::default();
    records::measure(bench, &peers, &mut section, &mut exponents);
    crowds::measure(bench, &peers, &mut section, &mut exponents)?;
    graphs::measure(bench, &peers, &mut section, &mut exponents);
    section.table(exponents.table());
    section.beware.push(
        "That an exponent holds beyond the sizes measured, or that few rounds tell 0.02 from 0.",
    );
    Ok(section)
}

fn names(peers: &[&Peer]) -> Vec<String> {
    peers.iter().map(|peer| peer.label.clone()).collect()
}

fn spread(values: Vec<Option<f64>>) -> Spread {
    Spread::of(values.into_iter().flatten())
}
