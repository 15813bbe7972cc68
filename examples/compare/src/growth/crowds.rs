//! Ever more connections that ask one request at a time.

use super::curve::{Curve, Exponents};
use super::{names, spread};
use crate::bench::{Bench, part};
use crate::load::Load;
use crate::peers::Peer;
use crate::section::{Section, Table};
use crate::stats::figure;
use lab::Result;
use lab::servers::Server;

pub fn measure(
    bench: &Bench,
    peers: &[&Peer],
    section: &mut Section,
    exponents: &mut Exponents,
) -> Result<()> {
    let sizes: &[u32] = bench.sized(&[10, 100, 1_000, 5_000, 15_000], &[10, 200]);
    section.measured.push(
        "Connections: each has one request under way, of 10,000 clients that take turns; CPU of the server.".to_string(),
    );
    let servers: Vec<Server> = peers
        .iter()
        .map(|peer| bench.alone(&peer.program, false, &[]))
        .collect::<Result<_>>()?;
    let names = names(peers);
    let why = "With few, a turn has few events to share its poll; with very many, sockets fall out of the caches.";
    let mut cpu = Curve::new("CPU an IAMAT", "connections", "µs", &names, why);
    let mut table = Table::new(
        "Ever more connections",
        &["CPU µs an IAMAT", "requests a second", "p99 ms"],
    );
    for &size in sizes {
        let what = format!("{size} connections");
        let rounds = bench.rounds(section, &what, (3, 1), &names, |index| {
            Load::new(&servers[index])
                .with("connections", size)
                .with("warmup", 2 * size)
                .with("seconds", bench.sized(1.0, 0.2))
                .run(&bench.lab)
        });
        for (index, name) in names.iter().enumerate() {
            let cost = spread(part(&rounds[index], |run| run.cpu_us));
            cpu.add(index, f64::from(size), cost.clone());
            table.row(
                format!("{name}, {} connections", figure(f64::from(size))),
                vec![
                    cost.into(),
                    spread(part(&rounds[index], |run| Some(run.per_second))).into(),
                    spread(part(&rounds[index], |run| run.latency_ms("p99"))).into(),
                ],
            );
        }
    }
    exponents.take(cpu, section);
    section.table(table);
    Ok(())
}
