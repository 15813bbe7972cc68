//! Python at pure computing: one thread, some threads under the interpreter's
//! lock, some processes. `gil.py` measures itself.

use crate::bench::Bench;
use crate::chart::Chart;
use crate::peers::root;
use crate::section::{Section, Table};
use crate::stats::{Spread, figure};
use lab::Result;
use lab::servers::Program;
use serde_json::Value;
use std::process::{Command, Stdio};

const WAYS: [(&str, &str); 3] = [
    ("one", "one thread"),
    ("threads", "a thread a core"),
    ("processes", "a process a core"),
];

pub fn measure(bench: &Bench, section: &mut Section) {
    let script = root().join("examples/peers/python/gil.py");
    let Some(python) = bench.runtimes.python().filter(|_| script.is_file()) else {
        let words = "Python's threads and processes at computing: no python3 here, or no gil.py.";
        section.left_out.push(words.into());
        return;
    };
    let program = bench.on_all_cores(&Program::new("gil", [&python.path, &script]));
    let steps = bench.sized(4_000_000, 300_000);
    let names = ["gil.py".to_string()];
    let rounds = bench.rounds(section, "Python at computing", (5, 1), &names, |_| {
        run(&program, steps)
    });
    let seconds = |way: &str| -> Vec<Option<f64>> {
        let each = rounds[0].iter();
        each.map(|report| report.as_ref()?[way].as_f64()).collect()
    };
    let mut table = Table::new(
        "Python at pure computing",
        &["seconds", "speed, × one thread"],
    );
    let mut bars = Vec::new();
    for (way, name) in WAYS {
        let speed = Spread::ratios(&seconds("one"), &seconds(way));
        bars.push((name.to_string(), speed.clone()));
        let spread = Spread::of(seconds(way).into_iter().flatten());
        table.row(name, vec![spread.into(), speed.into()]);
    }
    if let [_, (_, threads), (_, processes)] = &bars[..]
        && !threads.is_empty()
    {
        let words = match threads.median() {
            same if same < 1.2 => "The lock lets one thread compute at a time.",
            _ => "Threads gained something in this run, which the lock does not explain.",
        };
        section.follows.push(format!(
            "Python at pure computing on all cores here: threads are {} times as fast as one, processes {}. \
             {words}",
            figure(threads.median()),
            figure(processes.median())
        ));
    }
    let title = "Python at pure computing: speed as a multiple of one thread";
    section.chart(Chart::bars(title, bars).reference(1.0, "one thread"));
    section.table(table);
}

fn run(program: &Program, steps: u32) -> Result<Value> {
    let (first, rest) = program.argv.split_first().ok_or("no program")?;
    let output = Command::new(first)
        .args(rest)
        .args(["--rounds", &steps.to_string()])
        .stdin(Stdio::null())
        .output()?;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout)?),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}
