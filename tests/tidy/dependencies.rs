//! What the card says about dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::source::root;

const CRATES_MAX: usize = 30;

/// The only direct dependencies at run time: the card's seven, and five with a reason in NOTES.md.
const DEPENDENCIES: [&str; 12] = [
    "foldhash",
    "getopts",
    "httparse",
    "memchr",
    "mio",
    "rustls",
    "rustls-webpki",
    "serde_json",
    "signal-hook",
    "slab",
    "socket2",
    "webpki-roots",
];

/// The packages that a build for running needs, by name, from cargo itself.
fn run_time_packages(depth: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--depth",
            depth,
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let name = |line: &str| line.split_whitespace().next().map(str::to_string);
    text.lines()
        .filter_map(name)
        .filter(|name| name != "herd")
        .collect()
}

#[test]
fn only_the_dependencies_of_the_card() {
    let direct = run_time_packages("1");
    let unknown: Vec<_> = direct
        .iter()
        .filter(|name| !DEPENDENCIES.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not on the card: {unknown:?}");
    let notes = fs::read_to_string(root().join("NOTES.md")).expect("NOTES.md");
    let unsaid: Vec<_> = direct
        .iter()
        .filter(|name| !notes.contains(&format!("`{name}`")))
        .collect();
    assert!(unsaid.is_empty(), "no reason in NOTES.md: {unsaid:?}");
    let all = run_time_packages("99");
    println!(
        "{} direct dependencies, {} crates in all",
        direct.len(),
        all.len()
    );
    assert!(all.len() <= CRATES_MAX, "{} crates: {all:?}", all.len());
}
