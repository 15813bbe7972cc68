//! Every peer has to pass the same cases before anything is compared.

use crate::bench::{Bench, again_if_taken, fail};
use crate::peers::{Peer, Platform};
use crate::places::Places;
use crate::section::{Cell, Section, Table};
use lab::Result;
use lab::conformance::{self, Addresses, CASES, Outcome};
use lab::herd::{Herd, NAMES};
use lab::servers::{Lab, Program, Server, Start};
use std::time::Duration;

/// How long five servers may take to find each other: a JVM is slow to start.
const LIFE: Duration = Duration::from_secs(15);

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "conformance",
        "Is it the same work?",
        "The paper compares platforms by what is known of them. Here each has the same herd to run, so first \
         it is checked that each does the same.",
    );
    section.measured.push(format!(
        "Five servers of each peer, and the {CASES} cases of the protocol: grammar, framing, floods, \
         catching up, WHATSAT at a stand-in for Places over HTTPS. A peer that fails one is told of here, \
         and the whole run counts as failed."
    ));
    let mut table = Table::new("Cases of the protocol", &["passed", "failed"]);
    let peers: Vec<&Peer> = bench.herds().collect();
    for peer in peers {
        bench.tell(&format!("conformance of {}", peer.label));
        let all = || cases(&bench.lab, &peer.program, peer.platform, &bench.places);
        match again_if_taken(all) {
            Ok(outcomes) => {
                let wrong: Vec<&Outcome> = outcomes.iter().filter(|o| o.wrong.is_some()).collect();
                for outcome in &wrong {
                    let said = outcome.wrong.as_deref().unwrap_or_default();
                    fail(&mut section, &peer.label, &outcome.id, said);
                }
                let ids: Vec<&str> = wrong.iter().map(|outcome| outcome.id.as_str()).collect();
                let failed = if ids.is_empty() {
                    "none".into()
                } else {
                    ids.join(" ")
                };
                let passed = format!("{} of {CASES}", outcomes.len() - wrong.len());
                table.row(&peer.label, vec![Cell::Text(passed), Cell::Text(failed)]);
            }
            Err(error) => fail(&mut section, &peer.label, "conformance", &error.to_string()),
        }
    }
    section.follows.push(match section.failures.is_empty() {
        true => "All of them do the same work: what follows compares like with like.".to_string(),
        false => "Not all of them do the same work: figures of those that fail compare nothing."
            .to_string(),
    });
    section.table(table);
    section.beware.push(
        "That the peers agree beyond these cases. The cases are examples of the protocol, not all of it.",
    );
    Ok(section)
}

/// Five servers of a program, and all cases on them.
fn cases(
    lab: &Lab,
    program: &Program,
    platform: Platform,
    places: &Places,
) -> Result<Vec<Outcome>> {
    on_five(lab, program, platform, places, |addresses| {
        Ok(conformance::run(addresses)?)
    })
}

/// Whether a program passes all of them: at the first that it does not, this
/// ends. One that does not even start does not.
pub fn passes(lab: &Lab, program: &Program, platform: Platform, places: &Places) -> bool {
    let all = on_five(lab, program, platform, places, |addresses| {
        Ok(conformance::first_wrong(addresses)?.is_none())
    });
    all.unwrap_or(false)
}

fn on_five<T>(
    lab: &Lab,
    program: &Program,
    platform: Platform,
    places: &Places,
    ask: impl FnOnce(&Addresses) -> Result<T>,
) -> Result<T> {
    let herd = Herd::standard()?;
    let args = places.args(platform);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let _servers: Vec<Server> = NAMES
        .iter()
        .map(|name| {
            Start::new(name)
                .program(program)
                .args(&args)
                .run(lab, &herd)
        })
        .collect::<Result<_>>()?;
    let addresses: Addresses = herd
        .addrs
        .iter()
        .map(|(name, addr)| (name.clone(), *addr))
        .collect();
    conformance::wait_whole(&addresses, LIFE)?;
    ask(&addresses)
}
