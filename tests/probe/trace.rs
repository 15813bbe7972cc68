//! Traces of five real servers, checked against the documented trace event format, and one report
//! followed through all of them. (Perfetto's own reader cannot be installed by package name.)

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::common::{Herd, NAMES, Plan, UCLA, now};
use rustix::process::Signal;
use serde_json::Value;

/// The events of a trace: an array whose last bracket may be missing.
fn events(herd: &Herd, name: &str) -> Vec<Value> {
    let path = herd.directory().join(format!("{name}.trace"));
    let text = std::fs::read_to_string(path).expect("a trace, in UTF-8");
    let closed = format!("{}]", text.trim_end().trim_end_matches(','));
    serde_json::from_str(&closed).unwrap_or_else(|error| panic!("{name}: {error}"))
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
        "M" => assert!(event["args"]["name"].is_string()),
        other => panic!("{other} is none of ours"),
    }
}

/// Nanoseconds: as f64, microseconds since 1970 would lose them.
fn nanos(event: &Value, key: &str) -> u128 {
    let text = event[key].to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    let part: u128 = format!("{part:0<3}")[..3].parse().expect("digits");
    whole.parse::<u128>().expect("digits") * 1000 + part
}

/// On one track, two slices are apart or one lies in the other.
fn check_nesting(events: &[Value]) {
    let slices = events.iter().filter(|event| event["ph"] == "X");
    let mut spans: Vec<(u128, u128, String)> = slices
        .map(|slice| {
            let began = nanos(slice, "ts");
            (
                began,
                began + nanos(slice, "dur"),
                slice["name"].to_string(),
            )
        })
        .collect();
    spans.sort_by_key(|(began, ended, _)| (*began, std::cmp::Reverse(*ended)));
    let mut open: Vec<(u128, String)> = Vec::new();
    for (began, ended, name) in spans {
        // serde_json reads f64s: a microsecond since 1970 is exact to about 250 ns.
        let blur = 600;
        open.retain(|(end, _)| *end > began + blur);
        if let Some((outer, around)) = open.last() {
            assert!(
                ended <= outer + blur,
                "{name} outlasts {around} by {}",
                ended - outer
            );
        }
        open.push((ended, name));
    }
}

#[test]
fn one_report_is_followed_through_five_servers() {
    let mut herd = Plan::five().args(&["--trace", "{name}.trace"]).start();
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
    for name in NAMES {
        let events = events(&herd, name);
        assert_eq!(events[0]["args"]["name"], name);
        events.iter().for_each(check_format);
        check_nesting(&events);
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
    let whole = text.rfind('\n').expect("lines");
    let closed = format!("{}]", text[..whole].trim_end_matches(','));
    let events: Vec<Value> = serde_json::from_str(&closed).expect("events");
    assert!(events.len() > 1000);
}
