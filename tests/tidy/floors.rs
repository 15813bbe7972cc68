//! The floors of the house, and which of them may see which.

use crate::source::{assert_none, sources};

/// Which floors of `src` each floor may import. What is not listed may import nothing.
const MAY_IMPORT: [(&str, &[&str]); 14] = [
    ("scan", &[]),
    ("backoff", &[]),
    ("portions", &[]),
    ("event_loop", &[]),
    ("herd", &["scan"]),
    ("places", &[]),
    ("nats", &["backoff", "herd"]),
    ("net", &["backoff", "event_loop"]),
    ("worlds", &["event_loop", "net"]),
    ("config", &["herd", "places", "portions"]),
    (
        "server",
        &["config", "event_loop", "herd", "net", "places", "portions"],
    ),
    (
        "probe",
        &[
            "config",
            "event_loop",
            "herd",
            "net",
            "places",
            "portions",
            "server",
            "worlds",
        ],
    ),
    // A client of anybody's servers: it knows the herd file, and no server.
    ("check", &["herd"]),
    ("lib", &[]),
];

#[test]
fn imports_run_downwards_only() {
    let mut findings = Vec::new();
    for source in sources(&["src"]) {
        let floor = source.floor();
        // The binary is not part of the library: it may use all that the library shows.
        if ["main", "cli"].contains(&floor.as_str()) {
            continue;
        }
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == floor);
        let Some((_, allowed)) = allowed else {
            findings.push(format!(
                "{}: a floor that tests/tidy.rs does not know",
                source.path.display()
            ));
            continue;
        };
        for (number, line) in source.code() {
            for part in line.split("crate::").skip(1) {
                let name: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if name != floor && !allowed.contains(&name.as_str()) {
                    let path = source.path.display();
                    findings.push(format!("{path}:{number}: {floor} may not import {name}"));
                }
            }
        }
    }
    assert_none(findings);
}

/// A `mod.rs` is a floor plan: it says what the floor is, which rooms it has and what they show.
/// What it defined itself, its own rooms would import from their parent.
#[test]
fn a_mod_file_only_declares() {
    let mut findings = Vec::new();
    for source in sources(&["src"]) {
        if !source.path.ends_with("mod.rs") && !source.path.ends_with("lib.rs") {
            continue;
        }
        let mut in_use = false;
        for (number, line) in source.code() {
            let begins = [
                "mod ",
                "pub mod ",
                "pub use ",
                "pub(super) use ",
                "#![cfg_attr(any(doc",
            ];
            let plain = line.is_empty() || begins.iter().any(|begin| line.starts_with(begin));
            if !plain && !in_use {
                findings.push(format!("{}:{number}: {line}", source.path.display()));
            }
            in_use = (in_use || line.contains("use ")) && !line.ends_with(';');
        }
    }
    assert_none(findings);
}

/// A part of the server keeps its state to itself: no field of it is public, and few on the floor are
/// shared within a room.
#[test]
fn the_parts_of_the_server_have_walls() {
    const SHARED_MAX: usize = 4;
    let parts = [
        "door.rs",
        "part.rs",
        "asking.rs",
        "snapshots.rs",
        "parts.rs",
        "node.rs",
    ];
    let (mut shared, mut findings) = (0, Vec::new());
    for source in sources(&["src/server"]) {
        let is_part = parts.iter().any(|name| source.path.ends_with(name));
        for (number, line) in source.code() {
            let field = line.trim_start();
            let is_field =
                line.starts_with("    pub") && line.ends_with(',') && line.contains(": ");
            if is_field && field.starts_with("pub(super) ") {
                shared += 1;
            } else if is_field && is_part && !line.contains('(') {
                findings.push(format!("{}:{number}: {field}", source.path.display()));
            }
        }
    }
    if shared > SHARED_MAX {
        findings.push(format!(
            "{shared} pub(super) fields, expected {SHARED_MAX} at most"
        ));
    }
    assert_none(findings);
}
