//! Rounds of one load on several servers, as a table: throughput against one
//! of them, CPU against the floor, latency.
//!
//! ```text
//! let against = Against { name: "asyncio streams", place: Some(11), floor: Some(1) };
//! let compared = throughput::compare("C50 P1", &names, &rounds, &against);
//! section.chart(compared.chart("C50 P1: throughput", "asyncio streams"));
//! ```

use crate::bench::{Rounds, part};
use crate::chart::Chart;
use crate::load::Measured;
use crate::section::{Best, Table};
use crate::stats::Spread;

/// What the others are held against: places among the entrants.
pub struct Against {
    /// The one whose throughput is 1.
    pub name: &'static str,
    pub place: Option<usize>,
    /// The one whose CPU is 1.
    pub floor: Option<usize>,
}

pub struct Compared {
    pub table: Table,
    /// Throughput as a multiple, by name.
    pub ratios: Vec<(String, Spread)>,
    /// CPU a request as a multiple of the floor's, by name.
    pub over_floor: Vec<(String, Spread)>,
}

pub fn compare(
    caption: &str,
    names: &[String],
    rounds: &Rounds<Measured>,
    against: &Against,
) -> Compared {
    let per_second = |index: usize| part(&rounds[index], |run| Some(run.per_second));
    let cpu = |index: usize| part(&rounds[index], |run| run.cpu_us);
    let spread = |values: Vec<Option<f64>>| Spread::of(values.into_iter().flatten());
    let multiple = format!("× {}", against.name);
    let mut columns = vec!["requests a second", &multiple, "CPU µs a request", "p99 ms"];
    if against.floor.is_some() {
        columns.push("CPU over the floor");
    }
    let mut compared = Compared {
        table: Table::new(caption, &columns).ranked(0, Best::Most),
        ratios: Vec::new(),
        over_floor: Vec::new(),
    };
    for (index, name) in names.iter().enumerate() {
        let ratio = against
            .place
            .map(|base| Spread::ratios(&per_second(index), &per_second(base)));
        let ratio = ratio.unwrap_or_default();
        let over = against
            .floor
            .map(|floor| Spread::ratios(&cpu(index), &cpu(floor)));
        let p99 = spread(part(&rounds[index], |run| run.latency_ms("p99")));
        let mut cells = vec![
            spread(per_second(index)).into(),
            ratio.clone().into(),
            spread(cpu(index)).into(),
            p99.into(),
        ];
        cells.extend(over.clone().map(Into::into));
        compared.table.row(name, cells);
        compared.ratios.push((name.clone(), ratio));
        compared
            .over_floor
            .push((name.clone(), over.unwrap_or_default()));
    }
    compared
}

impl Compared {
    /// Throughput as bars; without a base, nothing is drawn.
    pub fn chart(&self, title: impl Into<String>, base: &str) -> Chart {
        Chart::bars(title, self.ratios.clone()).reference(1.0, base)
    }
}
