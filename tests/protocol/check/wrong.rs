//! Servers that are none: whatever they do, the checker says so in a line, hangs on nothing, and leaves no
//! process behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{HERD, herd_file, text};
use crate::common::{NAMES, TempDir, wait_for_exit, wait_until};

/// Which way to be wrong.
const KIND: &str = "HERD_TEST_WRONG";
/// What such a server prints once, so that it can be looked for.
const LAST_WORDS: &str = "a wrong server listens";

/// `$0` is this test program, `$1` the server's name. A server leaves its process number behind.
const SERVER: &str = r#"echo $$ >> pids
NAME="$1" exec "$0" check::wrong::each_kind_of_wrong_server_is_a_clear_line_and_leaves_nobody_behind --exact --nocapture"#;

/// One way to be wrong, and what is made of it.
struct Wrong {
    kind: &'static str,
    /// What the shell does before the server begins.
    before: &'static str,
    cases: &'static [&'static str],
    code: i32,
    /// Of what is printed, on either output.
    says: &'static [&'static str],
    /// It may take so many seconds.
    most: u64,
}

const WRONG: [Wrong; 11] = [
    Wrong {
        kind: "ends",
        before: "echo no such module >&2; exit 3\n",
        cases: &["ECH-01"],
        code: 2,
        says: &[
            "Bailey ended (exit status: 3) before it listened; its last words:",
            "no such module",
        ],
        most: 10,
    },
    Wrong {
        kind: "never starts",
        before: "echo $$ >> pids; exec sleep 1000\n",
        cases: &["ECH-01"],
        code: 2,
        says: &["after 15 s; it printed nothing"],
        most: 30,
    },
    Wrong {
        kind: "silent",
        before: "",
        // Ten are waited for, and the last two less.
        cases: &[
            "ECH-01", "ECH-02", "ECH-03", "ECH-04", "ECH-05", "ECH-06", "ECH-07", "ECH-08",
            "ECH-09", "ECH-10", "ECH-11", "ECH-12",
        ],
        code: 1,
        says: &[
            "came: nothing",
            "and then nothing more came in time",
            "look for an exception",
            "0 of 12 required cases pass",
        ],
        most: 45,
    },
    Wrong {
        kind: "dies",
        before: "",
        cases: &["ECH-01", "ECH-02"],
        code: 1,
        says: &[
            "note: ECH-01: Bailey has ended (exit status: 7); its last words:",
            LAST_WORDS,
            "note: ECH-02: Bailey has ended",
            "0 of 2 required cases pass",
        ],
        most: 20,
    },
    Wrong {
        kind: "does not come back",
        before: "test -e $1.was && exit 4; touch $1.was\n",
        cases: &["ECH-01", "DIE-01", "DIE-02"],
        code: 1,
        says: &[
            "note: DIE-01: Campbell ended (exit status: 4) before it listened",
            "the rest was not run",
            "expected: five servers that run (Campbell ended",
            "1 of 3 required cases pass",
        ],
        most: 20,
    },
    Wrong {
        kind: "garbage",
        before: "",
        cases: &["ECH-01", "HLF-01", "WHA-01", "FLD-01"],
        code: 1,
        says: &[
            "^ byte 0",
            "and there was no end to it",
            "0 of 4 required cases pass",
        ],
        most: 40,
    },
    Wrong {
        kind: "garbage in lines",
        before: "",
        cases: &["ECH-01", "HLF-01", "WHA-01", "FLD-01"],
        code: 1,
        says: &["came: garbage", "0 of 4 required cases pass"],
        most: 40,
    },
    Wrong {
        kind: "closes",
        before: "",
        cases: &["ECH-01", "CLS-01"],
        code: 1,
        says: &["and then the connection was", "0 of 2 required cases pass"],
        most: 20,
    },
    Wrong {
        kind: "echoes, and ignores SIGTERM",
        before: "trap '' TERM\n",
        cases: &["ECH-01"],
        code: 0,
        says: &[
            "Bailey, Bona, Campbell, Clark, Jaquez did not end on SIGTERM, and were killed",
            "1 of 1 required cases pass",
        ],
        most: 20,
    },
    Wrong {
        kind: "echoes, and leaves a child",
        before: "sleep 1000 & echo $! >> pids\n",
        cases: &["ECH-01"],
        code: 0,
        says: &["1 of 1 required cases pass"],
        most: 20,
    },
    Wrong {
        kind: "dies, and leaves a child",
        before: "sleep 1000 & echo $! >> pids\n",
        cases: &["ECH-01"],
        code: 1,
        says: &["note: ECH-01: Bailey has ended"],
        most: 20,
    },
];

fn command(folder: &Path, kind: &str, before: &str, words: &[&str], cases: &[&str]) -> Command {
    let mut command = Command::new(HERD);
    command.args(["--check", "--herd", "herd.json"]).args(words);
    for case in cases {
        command.args(["--case", case]);
    }
    command.args(["--", "sh", "-c", &format!("{before}{SERVER}")]);
    command.arg(std::env::current_exe().expect("a test program has a path"));
    command.arg("{name}").env(KIND, kind);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// The processes that said who they are and are still there.
fn left(folder: &Path) -> Vec<String> {
    let pids = fs::read_to_string(folder.join("pids")).unwrap_or_default();
    let is_there = |pid: &&str| {
        let ps = Command::new("ps").args(["-o", "stat=", "-p", pid]).output();
        let stat = text(&ps.expect("ps runs").stdout);
        // A zombie whose parent is gone is the system's to bury.
        !stat.trim().is_empty() && !stat.starts_with('Z')
    };
    pids.lines().filter(is_there).map(str::to_string).collect()
}

fn judge(wrong: &Wrong) {
    let folder = TempDir::new();
    herd_file(folder.path());
    let begun = Instant::now();
    let output = command(folder.path(), wrong.kind, wrong.before, &[], wrong.cases).output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the herd program runs");
    let said = format!("{}{}", text(&stdout), text(&stderr));
    let kind = wrong.kind;
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(wrong.most), "{kind}: {taken:?}");
    assert_eq!(status.code(), Some(wrong.code), "{kind}: {said}");
    for words in wrong.says {
        assert!(said.contains(words), "{kind}: no {words:?} in {said}");
    }
    assert!(said.len() < 100_000, "{kind}: {} bytes", said.len());
    assert_eq!(left(folder.path()), [""; 0], "{kind}");
}

#[test]
fn each_kind_of_wrong_server_is_a_clear_line_and_leaves_nobody_behind() {
    // This program is the server, too.
    if let Ok(kind) = std::env::var(KIND) {
        return act(&kind);
    }
    // They wait most of the time.
    thread::scope(|scope| {
        let judges = WRONG.iter().map(|wrong| scope.spawn(|| judge(wrong)));
        let judges: Vec<_> = judges.collect();
        let failed = judges.into_iter().filter_map(|judge| judge.join().err());
        let failed: Vec<_> = failed.collect();
        assert!(failed.is_empty(), "{} of {}", failed.len(), WRONG.len());
    });
}

#[test]
fn ctrl_c_ends_the_checker_and_its_servers() {
    let folder = TempDir::new();
    herd_file(folder.path());
    let err = folder.path().join("err");
    let mut child = command(
        folder.path(),
        "silent",
        "",
        &[],
        &["ECH-01", "ECH-02", "ECH-03"],
    )
    .stdout(Stdio::null())
    .stderr(File::create(&err).expect("a file"))
    .spawn()
    .expect("the herd program starts");
    wait_until(Duration::from_secs(15), "a case has begun", || {
        folder.path().join("heard").exists()
    });
    kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
    let status = wait_for_exit(&mut child, Duration::from_secs(15)).expect("it ends");
    assert_eq!(status.code(), Some(2));
    let said = fs::read_to_string(&err).expect("what it said");
    assert_eq!(
        said,
        "herd: ECH-01: stopped by a signal; the rest was not run\n"
    );
    let pids = fs::read_to_string(folder.path().join("pids")).expect("numbers");
    assert_eq!(pids.lines().count(), NAMES.len());
    assert_eq!(left(folder.path()), [""; 0]);
}

/// The fields of a report, as NOTES has them ("The report of a check"): `t` text, `n` a number, `b` true or
/// false, `l` a list, `o` an object.
const REPORT: [(&str, &str); 6] = [
    ("", "cases:l skipped:n hints:l notes:l required:o beyond:o"),
    (
        "/cases/0",
        "id:t title:t rule:t hint:t course:b required:b passed:b forgiven:b",
    ),
    (
        "/cases/1",
        "id:t title:t rule:t hint:t course:b required:b passed:b forgiven:b server:t sent:t came:t \
         expected:t differs_at:n",
    ),
    ("/hints/0", "cases:n says:t"),
    ("/required", "passed:n all:n"),
    ("/beyond", "passed:n all:n"),
];

#[test]
fn a_report_for_programs_holds_what_is_documented() {
    let folder = TempDir::new();
    herd_file(folder.path());
    let cases = ["ECH-01", "WHA-01", "GOO-01"];
    let mut command = command(
        folder.path(),
        "echoes",
        "",
        &["--json", "--lenient"],
        &cases,
    );
    let output = command.output().expect("the herd program runs");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let notes = include_str!("../../../NOTES.md");
    for (place, fields) in REPORT {
        let object = report.pointer(place).and_then(Value::as_object);
        let object = object.unwrap_or_else(|| panic!("{place}: {report:#}"));
        let found: BTreeMap<_, _> = object
            .iter()
            .map(|(name, value)| (name.as_str(), kind(value)))
            .collect();
        let wanted = fields.split(' ').filter_map(|field| field.split_once(':'));
        for (name, _) in wanted.clone() {
            assert!(
                notes.contains(&format!("`{name}`")),
                "{name} is not in NOTES"
            );
        }
        assert_eq!(found, wanted.collect(), "{place}");
    }
    let at = |place: &str| report.pointer(place).expect(place);
    assert_eq!(
        (at("/cases/0/passed"), at("/cases/1/passed")),
        (&Value::from(true), &Value::from(false))
    );
    assert_eq!(
        (at("/cases/1/server"), at("/cases/1/differs_at")),
        (&"Bailey".into(), &0.into())
    );
    assert_eq!(
        (at("/required/passed"), at("/required/all"), at("/skipped")),
        (&1.into(), &2.into(), &1.into())
    );
    assert!(
        at("/notes/0")
            .as_str()
            .expect("text")
            .starts_with("1 case was skipped: ")
    );
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "b",
        Value::Number(_) => "n",
        Value::String(_) => "t",
        Value::Array(_) => "l",
        Value::Object(_) => "o",
    }
}

/// A wrong server, until it is killed.
fn act(kind: &str) {
    let name = std::env::var("NAME").expect("a name");
    let file = fs::read_to_string("herd.json").expect("a herd file");
    let herd: Value = serde_json::from_str(&file).expect("JSON");
    let servers: BTreeMap<String, SocketAddr> =
        serde_json::from_value(herd["servers"].clone()).expect("servers");
    let listener = TcpListener::bind(servers[&name]).expect("the port is free");
    println!("{LAST_WORDS}");
    for stream in listener.incoming().flatten() {
        let kind = kind.to_string();
        thread::spawn(move || serve(&kind, stream));
    }
}

fn serve(kind: &str, mut stream: TcpStream) {
    if kind == "closes" {
        return;
    }
    if kind.starts_with("garbage") {
        let piece = match kind {
            "garbage in lines" => b"garbage\n".repeat(1000),
            _ => b"garbage ".repeat(1000),
        };
        while stream.write_all(&piece).is_ok() {}
        return;
    }
    if kind.starts_with("echoes") || kind.starts_with("does not") {
        let mut writer = stream.try_clone().expect("a second handle");
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = [b"? ", &line[..], b"\n"].concat();
            if writer.write_all(&line).is_err() {
                return;
            }
        }
        return;
    }
    let mut piece = [0; 4096];
    while let Ok(count) = stream.read(&mut piece) {
        if count == 0 {
            return;
        }
        File::create("heard").expect("a file that says so");
        if kind.starts_with("dies") {
            std::process::exit(7);
        }
    }
}
