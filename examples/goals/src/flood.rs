//! Goal 6, first half: five servers and what an update costs them.

use lab::herd::Herd;
use lab::servers::Lab;
use lab::table::Table;
use lab::{Result, flood};

const COUNTED: u64 = 5_000;
/// Updates of each of the five clients.
const RUSHED: usize = 40_000;
const TIMED: usize = 3_000;

pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    let graph = Herd::standard()?;
    table.exactly(
        "messages between servers for one update",
        graph.messages() as f64,
        flood::messages(lab, &lab.ours, &graph, COUNTED)?,
    );
    let rush = flood::rush(lab, &lab.ours, &Herd::standard()?, RUSHED)?;
    let goal = "converged updates a second, five servers on one core";
    table.told(goal, rush.per_second);
    table.told("CPU of all five for an update, us", rush.cpu_us);
    let times = flood::farthest(lab, &lab.ours, &Herd::standard()?, TIMED)?;
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let goal = format!("until the farthest server's neighbour has it, ms, {name}");
        table.told(&goal, times.value_at_quantile(quantile) as f64 / 1e6);
    }
    Ok(())
}
