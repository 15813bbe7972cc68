//! What it costs to look: throughput with a recording, a trace, an inspection
//! listener, as a share of the throughput without; interleaved rounds, on one
//! connection and on fifty.

use lab::Result;
use lab::herd::Herd;
use lab::servers::{Lab, Start};
use lab::table::Table;

const ROUNDS: usize = 5;
const REQUESTS: &str = "60000";

/// Each way to look: its option, and the least share of throughput that it
/// must leave at depth 1 on one connection.
const WAYS: [(&str, &[&str], Option<f64>); 4] = [
    ("none", &[], None),
    ("--record", &["--record=probe.recording"], Some(0.85)),
    ("--trace", &["--trace=probe.json"], Some(0.75)),
    ("--inspect", &["--inspect=127.0.0.1:0"], None),
];

pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    for connections in ["1", "50"] {
        let mut shares = [const { Vec::new() }; WAYS.len()];
        for _ in 0..ROUNDS {
            let mut rates = Vec::new();
            for (_, options, _) in WAYS {
                rates.push(rate(lab, connections, options)?);
            }
            for (shares, rate) in shares.iter_mut().zip(&rates) {
                shares.push(rate / rates[0]);
            }
        }
        for ((name, _, bound), mut shares) in WAYS.into_iter().zip(shares).skip(1) {
            shares.sort_by(f64::total_cmp);
            let (least, most) = (shares[0], shares[ROUNDS - 1]);
            let what =
                format!("throughput with {name}, C{connections} P1 ({least:.3} to {most:.3})");
            let bound = bound.filter(|_| connections == "1");
            match bound {
                Some(bound) => table.at_least(&what, bound, shares[ROUNDS / 2]),
                None => table.told(&what, shares[ROUNDS / 2]),
            }
        }
    }
    Ok(())
}

/// Requests a second.
fn rate(lab: &Lab, connections: &str, options: &[&str]) -> Result<f64> {
    let herd = Herd::alone("Clark")?;
    let server = Start::new("Clark").pinned().args(options).run(lab, &herd)?;
    let output = lab
        .load(server.addr)?
        .args([
            "--connections",
            connections,
            "--requests",
            REQUESTS,
            "--json",
        ])
        .output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    report["per_second"]
        .as_f64()
        .ok_or_else(|| format!("no rate in {report}").into())
}
