//! Herds of more servers, as a ring, a tree and a full mesh: what an update
//! costs, and when the last server knows. All servers share one core.

use super::curve::{Curve, Exponents};
use super::{names, spread};
use crate::bench::{Bench, part};
use crate::peers::Peer;
use crate::section::{Section, Table};
use lab::Result;
use lab::flood;
use lab::herd::Herd;

/// Who talks to whom.
#[derive(Clone, Copy)]
enum Shape {
    Ring,
    /// Each server but the first has the one of half its number above it.
    Tree,
    Mesh,
}

const SHAPES: [(&str, Shape); 3] = [
    ("ring", Shape::Ring),
    ("tree", Shape::Tree),
    ("mesh", Shape::Mesh),
];

/// Each direction of a link needs a proxy with three threads.
const COUNTED_LINKS_MAX: usize = 200;

/// About as many messages pass in a rush, whatever the graph.
const RUSH_MESSAGES: usize = 400_000;

impl Shape {
    fn links(self, count: usize) -> Vec<(usize, usize)> {
        match self {
            Shape::Ring => (0..count).map(|one| (one, (one + 1) % count)).collect(),
            Shape::Tree => (1..count).map(|one| ((one - 1) / 2, one)).collect(),
            Shape::Mesh => (0..count)
                .flat_map(|one| (one + 1..count).map(move |other| (one, other)))
                .collect(),
        }
    }

    fn herd(self, count: usize) -> Result<Herd> {
        let names: Vec<String> = (0..count).map(|number| format!("S{number:02}")).collect();
        let words: Vec<&str> = names.iter().map(String::as_str).collect();
        let links = self.links(count);
        let links: Vec<(&str, &str)> = links
            .iter()
            .map(|&(one, other)| (words[one], words[other]))
            .collect();
        Herd::new(&words, &links)
    }
}

struct Flooded {
    /// None where the links are too many to count on.
    messages: Option<f64>,
    cpu_us: f64,
    last_ms: f64,
}

pub fn measure(bench: &Bench, peers: &[&Peer], section: &mut Section, exponents: &mut Exponents) {
    let sizes: &[usize] = bench.sized(&[3, 5, 10, 20, 40], &[3, 5]);
    section.measured.push(format!(
        "Herds: all servers on one core. Messages between servers for an update, counted by proxies (up to \
         {COUNTED_LINKS_MAX} links); CPU of all servers for an update while one client of each reports as fast as \
         it can; the median time until the last server has passed a single update on. A flood needs 2L - n + 1 \
         messages on L links between n servers: n - 1 in a tree, n + 1 in a ring, (n - 1)² in a mesh."
    ));
    let entrants = names(peers);
    let lines: Vec<String> = entrants
        .iter()
        .flat_map(|name| SHAPES.map(|(shape, _)| format!("{name} {shape}")))
        .collect();
    let minus = "n - 1 is a power of n for many servers only.";
    let small = "In small herds what a server costs by itself weighs more than the messages.";
    let mut messages = Curve::new("Messages an update", "servers", "messages", &lines, minus);
    let mut cpu = Curve::new("CPU an update", "servers", "µs, all servers", &lines, small);
    let mut last = Curve::new(
        "Until the last server knows",
        "servers",
        "ms",
        &lines,
        small,
    );
    let columns = [
        "messages an update",
        "CPU µs an update, all",
        "last knows, ms",
    ];
    let mut table = Table::new("Ever more servers", &columns);
    for (place, (shape_name, shape)) in SHAPES.into_iter().enumerate() {
        for &size in sizes {
            let what = format!("{shape_name} of {size}");
            let rounds = bench.rounds(section, &what, (2, 1), &entrants, |index| {
                flooded(bench, peers[index], shape, size)
            });
            for (index, name) in entrants.iter().enumerate() {
                let line = index * SHAPES.len() + place;
                let each = &rounds[index];
                let counted = spread(part(each, |one| one.messages));
                let cost = spread(part(each, |one| Some(one.cpu_us)));
                let time = spread(part(each, |one| Some(one.last_ms)));
                messages.add(line, size as f64, counted.clone());
                cpu.add(line, size as f64, cost.clone());
                last.add(line, size as f64, time.clone());
                let label = format!("{name}, {shape_name} of {size}");
                table.row(label, vec![counted.into(), cost.into(), time.into()]);
            }
        }
    }
    for curve in [messages, cpu, last] {
        exponents.take(curve, section);
    }
    section.table(table);
}

fn flooded(bench: &Bench, peer: &Peer, shape: Shape, size: usize) -> Result<Flooded> {
    let (lab, program) = (&bench.lab, &peer.program);
    let herd = shape.herd(size)?;
    let messages = match herd.links.len() <= COUNTED_LINKS_MAX {
        true => Some(flood::messages(lab, program, &herd, bench.sized(100, 20))?),
        false => None,
    };
    let total = bench.sized(RUSH_MESSAGES, RUSH_MESSAGES / 100);
    let herd = shape.herd(size)?;
    let each = (total / herd.messages() as usize / size).clamp(10, 20_000);
    let rush = flood::rush(lab, program, &herd, each)?;
    let herd = shape.herd(size)?;
    let times = flood::farthest(lab, program, &herd, bench.sized(100, 20))?;
    Ok(Flooded {
        messages,
        cpu_us: rush.cpu_us,
        last_ms: times.value_at_quantile(0.5) as f64 / 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_has_its_links_and_its_messages() {
        for (shape, links, messages) in [
            (Shape::Ring, 10, 11),
            (Shape::Tree, 9, 9),
            (Shape::Mesh, 45, 81),
        ] {
            let herd = shape.herd(10).unwrap();
            assert_eq!(herd.links.len(), links);
            assert_eq!(herd.messages(), messages);
        }
    }
}
