//! `herd --check` against a small right server in Python, and against that server with one mistake at a
//! time: the cases meant for it fail, and their hint names it.
//!
//! `HERD_ALL=1 cargo test --features outside --test outside check -- --nocapture` runs all cases against each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::common::{LINKS, NAMES, TempDir, free_ports};

/// They wait most of the time.
const AT_ONCE: usize = 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/check")
}

/// Checks server.py with this mistake: the exit status and the report.
fn check(mistake: &str, cases: &[&str]) -> (Option<i32>, Value) {
    let directory = TempDir::new();
    let named: BTreeMap<_, u16> = NAMES.iter().zip(free_ports::<5>()).collect();
    let address = |port: &u16| format!("127.0.0.1:{port}");
    let servers: BTreeMap<_, _> = named
        .iter()
        .map(|(name, port)| (name, address(port)))
        .collect();
    let herd = serde_json::json!({"servers": servers, "links": LINKS});
    std::fs::write(directory.path().join("herd.json"), herd.to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(["--check", "--json", "--herd", "herd.json"]);
    for case in cases {
        command.args(["--case", case]);
    }
    command
        .args(["--", "python3"])
        .arg(folder().join("server.py"));
    command.args(["{name}", "{places_http}", mistake]);
    command.args(named.iter().map(|(name, port)| format!("{name}={port}")));
    let output = command
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("the herd program runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), report)
}

#[test]
fn a_right_server_passes_all_that_is_required() {
    let (code, report) = check("", &[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["required"]["passed"], report["required"]["all"]);
    assert_eq!(report["skipped"], 0, "{report:#}");
}

fn judge(line: &str) -> Result<(), String> {
    let [mistake, cases, words] = line.split(" | ").collect::<Vec<_>>()[..] else {
        return Err(format!("{line}: three parts are due"));
    };
    let cases: Vec<&str> = cases.split(' ').collect();
    let all = std::env::var_os("HERD_ALL").is_some();
    let (_, report) = check(mistake, if all { &[] } else { &cases });
    let rows = report["cases"].as_array().cloned().unwrap_or_default();
    let failed: Vec<&Value> = rows.iter().filter(|row| row["passed"] == false).collect();
    if all {
        let ids: Vec<&str> = failed.iter().filter_map(|row| row["id"].as_str()).collect();
        println!("{mistake}: {} cases fail: {}", ids.len(), ids.join(" "));
    }
    let is_meant = |row: &&&Value| cases.iter().any(|case| row["id"] == *case);
    let meant: Vec<&&Value> = failed.iter().filter(is_meant).collect();
    let mut hints = meant.iter().filter_map(|row| row["hint"].as_str());
    match meant.len() == cases.len() && hints.any(|hint| hint.contains(words)) {
        true => Ok(()),
        false => Err(format!(
            "{mistake}: not caught by {cases:?} with a hint of {words:?}: {report:#}"
        )),
    }
}

#[test]
fn each_mistake_is_caught_by_the_cases_meant_for_it() {
    let table = std::fs::read_to_string(folder().join("mistakes.txt")).expect("a table");
    let lines: Vec<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(lines.len() >= 40);
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = judge(line) {
                        failures.lock().expect("nobody panicked").push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panicked");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
