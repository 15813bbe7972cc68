//! asyncio's streams on each CPython that the machine has.

use crate::bench::Bench;
use crate::load::Load;
use crate::peers::root;
use crate::section::Section;
use crate::stats::{Spread, figure};
use crate::throughput::{self, Against};
use lab::Result;
use lab::servers::{Program, Server};

/// Connections, depth, mode.
const CONDITIONS: [(&str, u32, u32, &str); 3] = [
    ("C50 P1", 50, 1, "persistent"),
    ("C50 P16", 50, 16, "persistent"),
    ("connect-ask-close", 50, 1, "connect-ask-close"),
];

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "versions",
        "Reliance on a version of Python",
        "asyncio changed much from release to release. The paper asks how much a program depends on the \
         newest one, and finds that features such as asyncio.run make life easier but are not needed.",
    );
    section.measured.push(
        "The same files, the peer on asyncio's streams, on each CPython from 3.8 up that this machine has. \
         Ratios are to the oldest."
            .to_string(),
    );
    let mut pythons: Vec<_> = bench.runtimes.pythons.iter().collect();
    pythons.sort_by_key(|python| python.number);
    if pythons.len() < 2 {
        section
            .left_out
            .push("Versions side by side: there is one CPython here, or none.".into());
    }
    let script = root().join("examples/peers/python/herd_streams.py");
    let names: Vec<String> = pythons
        .iter()
        .map(|python| format!("CPython {}", python.version))
        .collect();
    let mut servers: Vec<Server> = Vec::new();
    for python in &pythons {
        let program = Program::new("asyncio-streams", [&python.path, &script]);
        servers.push(bench.alone(&program, false, &[])?);
    }
    for (condition, connections, depth, mode) in CONDITIONS {
        let what = format!("versions, {condition}");
        let rounds = bench.rounds(&mut section, &what, (8, 1), &names, |index| {
            Load::new(&servers[index])
                .with("connections", connections)
                .with("depth", depth)
                .with("mode", mode)
                .with("warmup", 2 * connections * depth)
                .with("seconds", bench.sized(0.4, 0.1))
                .run(&bench.lab)
        });
        let against = Against {
            name: "the oldest",
            place: Some(0),
            floor: None,
        };
        let compared = throughput::compare(condition, &names, &rounds, &against);
        follow(&mut section, condition, &compared.ratios);
        let title = format!("{condition}: throughput as a multiple of the oldest");
        section.chart(compared.chart(title, "the oldest"));
        section.table(compared.table);
    }
    section.beware.push(
        "That a difference is asyncio's: the interpreter around it changed too, and each was built by \
         whoever built it.",
    );
    Ok(section)
}

fn follow(section: &mut Section, condition: &str, bars: &[(String, Spread)]) {
    let some = bars.iter().skip(1).filter(|(_, ratio)| !ratio.is_empty());
    let by_median = |one: &&(String, Spread), other: &&(String, Spread)| {
        one.1.median().total_cmp(&other.1.median())
    };
    let (least, most) = (some.clone().min_by(by_median), some.max_by(by_median));
    if let (Some((slow, low)), Some((fast, high)), Some((oldest, _))) = (least, most, bars.first())
    {
        section.follows.push(format!(
            "{condition}: against {oldest}, the newer ones are between {} ({slow}) and {} ({fast}) times as \
             fast.",
            figure(low.median()),
            figure(high.median())
        ));
    }
}
