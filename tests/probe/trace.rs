//! Traces of real servers: the documented trace event format, what Perfetto's importer makes of them,
//! and one report followed through five servers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::{Herd, LINKS, NAMES, Plan, TempDir, UCLA, now, run_herd, wait_until};
use crate::perfetto::{Import, import, overlaps_in_doubles};
use rustix::process::Signal;
use serde_json::Value;

/// Updates of one connection at a real load.
const UPDATES: usize = 1500;

/// The events of a trace that was ended in good order: JSON, as any reader takes it.
fn events(path: &Path) -> Vec<Value> {
    let text = std::fs::read(path).expect("a trace");
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All slices are where they belong.
fn check_import(events: &[Value]) {
    let slices = events.iter().filter(|event| event["ph"] == "X").count();
    let wanted = Import {
        slices,
        ..Import::default()
    };
    assert_eq!(import(events), wanted);
    assert_eq!(overlaps_in_doubles(events), 0);
}

/// What the format asks of each kind of event.
fn check_format(event: &Value) {
    let text = |key: &str| {
        event[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key} in {event}"))
    };
    assert!(!text("name").is_empty());
    assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
    assert!(event["ts"].as_f64().is_some_and(|ts| ts >= 0.0), "{event}");
    match text("ph") {
        "X" => assert!(
            event["dur"].as_f64().is_some_and(|dur| dur >= 0.0),
            "{event}"
        ),
        "s" | "f" => {
            assert_eq!(event["bp"], "e");
            assert!(text("id").starts_with("0x"));
        }
        "C" => {
            let figures = event["args"].as_object().expect("figures");
            assert!(figures.values().all(Value::is_u64));
        }
        "M" => assert!(
            event["args"]
                .as_object()
                .is_some_and(|args| args.len() == 1)
        ),
        other => panic!("{other} is none of ours"),
    }
}

#[test]
fn one_report_is_followed_through_five_servers() {
    let mut herd = Plan::five().args(&["--trace", "{name}.trace"]).start();
    // All hear all without the two links more that close the circles: what is told before those are up is
    // in their dumps, and is no arrow.
    wait_until(Duration::from_secs(20), "all links are up", || {
        let greeted = |name: &str| herd.journal(name).matches(" greeted").count();
        NAMES.iter().map(|name| greeted(name)).sum::<usize>() >= 2 * LINKS.len()
    });
    let id = "followed";
    herd.client("Bailey")
        .ask(format!("IAMAT {id} {UCLA} {}\n", now()));
    let line = herd.holds("Bailey", id).expect("it is known");
    herd.wait_everywhere(id, &line);
    herd.client("Clark").send("IAMAT \"\\\x01\u{e9} x\n").line();
    for name in NAMES {
        herd.signal(name, Signal::TERM);
    }
    for name in NAMES {
        assert!(herd.wait_exit(name, Duration::from_secs(8)).success());
    }
    let mut starts = BTreeMap::new();
    let mut ends = BTreeMap::new();
    let mut total = 0;
    for name in NAMES {
        let events = events(&herd.directory().join(format!("{name}.trace")));
        assert_eq!(events[0]["args"]["name"], name);
        events.iter().for_each(check_format);
        check_import(&events);
        total += events.len();
        let labels = |label: &str| events.iter().filter(|event| event["name"] == label).count();
        assert!(labels("poll") > 3 && labels("finish") > 3 && labels("turn") > 3);
        for event in events
            .iter()
            .filter(|event| event["name"] == format!("AT {id}"))
        {
            let arrow = event["id"].as_str().expect("an id").to_string();
            let known = match event["ph"].as_str() {
                Some("s") => starts.insert(arrow, name),
                _ => ends.insert(arrow, name),
            };
            assert_eq!(known, None, "an arrow has one start and one end");
        }
    }
    // Six links, and each server tells all its neighbours but the one it heard it from.
    assert_eq!(starts.len(), 8);
    assert_eq!(
        starts.keys().collect::<Vec<_>>(),
        ends.keys().collect::<Vec<_>>(),
        "what is sent arrives"
    );
    let mut reached = BTreeSet::from(["Bailey"]);
    for _ in NAMES {
        for (arrow, from) in &starts {
            if reached.contains(from) {
                reached.insert(ends[arrow]);
            }
        }
    }
    assert_eq!(reached, BTreeSet::from(NAMES));
    let joined = joined(&herd);
    check_import(&joined);
    assert_eq!(joined.len(), total);
}

/// The traces of a herd, joined as the notes say.
fn joined(herd: &Herd) -> Vec<Value> {
    let notes = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/NOTES.md"));
    let notes = notes.expect("NOTES.md");
    let line = notes
        .lines()
        .find(|line| line.ends_with("> herd.trace.json"));
    let line = line
        .and_then(|line| line.strip_prefix("$ "))
        .expect("a recipe");
    let line = line.replace("traces/*.json", "*.trace");
    let mut shell = Command::new("sh");
    let status = shell
        .args(["-c", &line])
        .current_dir(herd.directory())
        .status();
    assert!(status.expect("a shell").success());
    events(&herd.directory().join("herd.trace.json"))
}

/// Four clients that wait for each answer, and four that do not.
fn load(herd: &Herd) {
    thread::scope(|scope| {
        for number in 0..8 {
            let mut client = herd.client("Clark");
            let line =
                move |update| format!("IAMAT phone-{number}-{} {UCLA} {}\n", update % 50, now());
            scope.spawn(move || {
                for update in 0..UPDATES {
                    client.send(line(update));
                    if number < 4 {
                        client.line();
                    }
                }
                client.half_close();
                client.rest();
            });
        }
    });
}

/// A double has 53 bits, and the importer drops what does not nest: neither may cost a slice.
#[test]
fn at_a_real_load_no_slice_is_dropped_nor_in_a_replay() {
    let mut herd = Plan::only("Clark")
        .args(&["--trace", "{name}.trace", "--record", "{name}.recording"])
        .start();
    load(&herd);
    herd.signal("Clark", Signal::TERM);
    assert!(herd.wait_exit("Clark", Duration::from_secs(8)).success());
    let words = ["--replay", "Clark.recording", "--trace", "replay.trace"];
    let exit = run_herd(herd.directory(), &words);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let mut callbacks = Vec::new();
    for trace in ["Clark.trace", "replay.trace"] {
        let events = events(&herd.directory().join(trace));
        check_import(&events);
        let ran = |event: &&Value| event["args"]["callback"].is_string();
        callbacks.push(events.iter().filter(ran).count());
    }
    assert!(callbacks[0] > 5000, "{callbacks:?}");
    assert_eq!(callbacks[0], callbacks[1], "a replay runs the same");
}

#[test]
fn a_killed_server_leaves_a_trace_that_opens() {
    let mut herd = Plan::only("Clark")
        .args(&["--trace", "{name}.trace"])
        .start();
    let mut client = herd.client("Clark");
    // More than the buffer holds, so that some is on the disk.
    for number in 0..2000 {
        client.ask(format!("IAMAT phone-{number} {UCLA} {}\n", now()));
    }
    herd.kill("Clark");
    let path = herd.directory().join("Clark.trace");
    let text = std::fs::read_to_string(path).expect("a trace");
    // An event is written whole, so only the bracket is missing.
    let events: Vec<Value> = serde_json::from_str(&format!("{text}]")).expect("events");
    assert!(events.len() > 1000);
    assert_eq!(import(&events).dropped, 0);
}

/// Whoever goes back in a replay has it run again; its trace shows once what happened once.
#[test]
fn a_replay_that_goes_back_is_traced_once() {
    let directory = TempDir::new();
    let traced = |commands: &str, file: &str| {
        let recording = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/first_walk.recording"
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
            .args(["--step", "--replay", recording, "--trace", file])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(commands.as_bytes()).expect("it reads");
        drop(input);
        assert!(child.wait().expect("it ends").success());
        let events = events(&directory.path().join(file));
        check_import(&events);
        events.iter().filter(|event| event["ph"] == "X").count()
    };
    let once = traced("next 12\nquit\n", "once");
    assert!(once > 20, "{once} slices");
    let again = traced("next 12\nback 30\nstep 5\nnext 2\nback 3\nquit\n", "again");
    assert_eq!(once, again);
}
