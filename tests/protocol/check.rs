//! `herd --check`: our own servers pass, and what cannot be checked is said, whatever it is.

mod wrong;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Herd, LINKS, NAMES, TempDir, free_ports, gradescope, run_herd};

const HERD: &str = env!("CARGO_BIN_EXE_herd");

/// A herd file with five free ports.
fn herd_file(folder: &Path) {
    let addresses = free_ports::<5>().map(|port| format!("127.0.0.1:{port}"));
    let servers: std::collections::BTreeMap<_, _> = NAMES.iter().zip(addresses).collect();
    let file = serde_json::json!({"servers": servers, "links": LINKS});
    fs::write(folder.join("herd.json"), file.to_string()).expect("a herd file");
}

fn check(folder: &Path, words: &[&str], command: &[&str]) -> Output {
    let mut child = Command::new(HERD);
    child.args(["--check", "--herd", "herd.json"]).args(words);
    if !command.is_empty() {
        child.arg("--").args(command);
    }
    let child = child.current_dir(folder).stdin(Stdio::null());
    child.output().expect("the herd program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

const OURS: [&str; 11] = [
    HERD,
    "{name}",
    "--herd",
    "herd.json",
    "--log=none",
    "--places",
    "legacy",
    "--places-url",
    "{places_url}",
    "--ca-file",
    "{ca_file}",
];

#[test]
fn our_own_servers_pass_all_of_it() {
    let folder = TempDir::new();
    herd_file(folder.path());
    let begun = Instant::now();
    let output = check(folder.path(), &["--json"], &OURS);
    assert!(
        begun.elapsed() < Duration::from_secs(90),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for kind in ["required", "beyond"] {
        assert_eq!(report[kind]["passed"], report[kind]["all"], "{report:#}");
    }
    assert!(report["required"]["all"].as_u64() >= Some(150));
    assert_eq!(report["notes"], serde_json::json!([]));
    // Nobody is left.
    let herd = fs::read_to_string(folder.path().join("herd.json")).expect("it is there");
    let herd: Value = serde_json::from_str(&herd).expect("JSON");
    for (_, address) in herd["servers"].as_object().expect("servers") {
        let address = address.as_str().expect("an address");
        assert!(std::net::TcpStream::connect(address).is_err(), "{address}");
    }
}

#[test]
fn servers_that_are_up_are_checked_without_being_killed() {
    let herd = Herd::start();
    let file = herd.directory().join("all.json");
    let servers: std::collections::BTreeMap<_, _> = NAMES
        .map(|name| (name, herd.address(name).to_string()))
        .into();
    let text = serde_json::json!({"servers": servers, "links": LINKS});
    fs::write(&file, text.to_string()).expect("a herd file");
    let words = ["--check", "--running", "--herd", "all.json"];
    let only = ["--case", "ECH-01", "--case", "FLD-01", "--case", "DIE-01"];
    let exit = run_herd(herd.directory(), &[&words[..], &only].concat());
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout
            .contains("1 case was skipped: they kill or freeze servers, and need -- COMMAND")
    );
    assert!(
        exit.stdout
            .ends_with("2 of 2 required cases pass, 0 of 0 beyond\n")
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = TempDir::new();
    herd_file(folder.path());
    let output = check(folder.path(), &[], &["no-such-program", "{name}"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no-such-program: No such file"));
}

#[test]
fn what_the_command_line_lacks_is_said() {
    let folder = TempDir::new();
    herd_file(folder.path());
    for (words, said) in [
        (&["--check"][..], "expected -- COMMAND"),
        (
            &["--check", "--", "python3", "server.py"],
            "expected {name} in the command",
        ),
        (
            &["--check", "--running", "--case", "XYZ"],
            "--case XYZ: there is none",
        ),
        (
            &["--check", "--json", "--gradescope", "--list"],
            "expected one",
        ),
        (&["--list"], "--list: expected --check"),
        (&["Clark", "--lenient"], "--lenient: expected --check"),
    ] {
        let exit = run_herd(folder.path(), words);
        assert_eq!(exit.code, Some(2), "{words:?} {exit:?}");
        assert!(exit.stderr.contains(said), "{words:?} {exit:?}");
    }
    let exit = run_herd(folder.path(), &["--check", "--list"]);
    assert_eq!(exit.code, Some(0));
    assert!(exit.stdout.lines().count() > 150 && exit.stdout.contains("FRM-01"));
}

#[test]
fn an_autograder_gets_what_is_documented() {
    let folder = TempDir::new();
    herd_file(folder.path());
    let only = [
        "--gradescope",
        "--case",
        "ECH-01",
        "--case",
        "SKW-01",
        "--case",
        "CAT-01",
    ];
    let output = check(folder.path(), &only, &OURS);
    assert_eq!(output.status.code(), Some(0));
    let results: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let tests = results["tests"].as_array().expect("tests");
    let points: f64 = tests
        .iter()
        .filter_map(|test| test["max_score"].as_f64())
        .sum();
    assert!((points - 100.0).abs() < 0.1, "{points}");
    assert_eq!(gradescope::faults(&results), [""; 0]);
    for test in tests {
        assert!(
            test["score"].as_f64() <= test["max_score"].as_f64(),
            "{test}"
        );
        for field in ["name", "number", "output", "status"] {
            assert!(test[field].is_string(), "{test}");
        }
    }
    assert_eq!(results["visibility"], "visible");
}
