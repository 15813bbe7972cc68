//! Runs every case of `data/cases/cases.json` against five real servers, as
//! the README beside it says. One herd serves all cases; every failure is
//! listed, not just the first.

use crate::common::{NAMES, Plan, conformance};
use std::time::Duration;

/// How long five servers may take to find each other, on a busy machine.
const LIFE: Duration = Duration::from_secs(10);

#[test]
fn every_case() {
    let herd = Plan::five().start_apart();
    let addresses = NAMES.map(|name| (name.to_string(), herd.address(name)));
    let addresses = addresses.into();
    conformance::wait_whole(&addresses, LIFE).expect("a whole herd");
    let outcomes = conformance::run(&addresses).expect("the cases are as the README says");
    let mut failures = Vec::new();
    for outcome in &outcomes {
        match &outcome.wrong {
            None => println!("ok     {}  {}", outcome.id, outcome.title),
            Some(wrong) => {
                println!("FAILED {}  {}", outcome.id, outcome.title);
                failures.push(format!("{} ({}): {wrong}", outcome.id, outcome.title));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(outcomes.len(), conformance::CASES, "the number of cases");
}
