//! `examples/gradescope/run_autograder`, as Gradescope runs it: whatever a submission is, the results are
//! what is documented.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{LINKS, NAMES, TempDir, free_ports, gradescope};

/// Runs it on a submission, whose servers are started by this command.
fn results(command: &str, submission: &[(&str, &[u8])]) -> Value {
    let base = TempDir::new();
    let folder = base.path().join("submission");
    fs::create_dir(&folder).expect("a folder");
    for (name, text) in submission {
        fs::write(folder.join(name), text).expect("a file");
    }
    let ports = free_ports::<5>().map(|port| format!("127.0.0.1:{port}"));
    let servers: std::collections::BTreeMap<_, _> = NAMES.iter().zip(ports).collect();
    let herd = serde_json::json!({"servers": servers, "links": LINKS});
    fs::write(folder.join("herd.json"), herd.to_string()).expect("a herd file");
    // The checker with other ports than the course's: other tests run beside this one.
    let program = base.path().join("herd");
    let cases = "--case ECH-01 --case SKW-01 --case FLD-01 --case GOO-01";
    let script = format!(
        "#!/bin/sh\nexec {} --herd herd.json {cases} \"$@\"\n",
        env!("CARGO_BIN_EXE_herd")
    );
    fs::write(&program, script).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = Command::new(root.join("examples/gradescope/run_autograder"))
        .env("AUTOGRADER", base.path())
        .env("HERD", &program)
        .env("COMMAND", command)
        .status();
    assert!(run.expect("bash runs").success());
    let file = fs::read(base.path().join("results/results.json")).expect("results");
    let results: Value = serde_json::from_slice(&file).expect("JSON");
    assert_eq!(gradescope::faults(&results), [""; 0], "{results:#}");
    results
}

#[test]
fn right_servers_get_all_points() {
    let herd = env!("CARGO_BIN_EXE_herd");
    let google = "--places legacy --places-url {places_url} --ca-file {ca_file}";
    let results = results(
        &format!("{herd} {{name}} --herd herd.json --log=none {google}"),
        &[],
    );
    let tests = results["tests"].as_array().expect("tests");
    let points = tests.iter().filter_map(|test| test["score"].as_f64());
    let points: f64 = points.sum();
    assert!((points - 100.0).abs() < 0.1, "{points}");
    assert_eq!(tests.len(), 4);
}

#[test]
fn servers_that_do_not_start_get_none_and_their_last_words() {
    let last_words = b"echo 'no \"module\"\ta\\b' >&2; printf 'x\\377\\033[1my\\n' >&2; exit 1\n";
    let results = results("sh server.sh {name}", &[("server.sh", last_words)]);
    assert_eq!(results["score"], 0);
    let output = results["output"].as_str().expect("text");
    assert!(
        output.contains("Bailey ended (exit status: 1) before it listened"),
        "{output}"
    );
    assert!(output.contains("no module"), "{output}");
}
