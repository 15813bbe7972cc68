//! The looking is not in what is looked at, and what nobody saw is shown as a gap.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::{PATIENCE, iamat, wait_until};
use crate::inspection::{connect, inspected, view};
use crate::looking::Stop;
use serde_json::Value;

/// A page: it gets each view, and takes it or not.
fn subscribe(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let mut first = [0; 1024];
    assert!(stream.read(&mut first).expect("a view") > 0);
    stream
}

fn number(view: &Value, path: &str) -> f64 {
    let value = path.split('.').fold(view, |value, key| &value[key]);
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{path} is {value}"))
}

/// It wakes the server ten times a second, each time from a sleep that nothing of the server's ended.
#[test]
fn looks_leave_no_mark_in_the_histograms() {
    let (herd, address) = inspected();
    let mut client = herd.client("Clark");
    client.ask("hello\n");
    let before = view(address);
    let page = subscribe(address);
    let mut after = before.clone();
    wait_until(PATIENCE * 2, "a second of looks", || {
        after = view(address);
        let more = |figure: &str| number(&after, figure) - number(&before, figure);
        more("loop.time") > 1.2 && more("loop.iteration") > 10.0
    });
    for histogram in ["poll", "iteration", "wait", "run"] {
        let count = |view: &Value| number(view, &format!("histograms.{histogram}.count"));
        assert_eq!(count(&after), count(&before), "{histogram}");
    }
    // The sleep that they cut in pieces is one.
    client.ask("hello\n");
    let last = view(address);
    let more = |figure: &str| {
        let figure = format!("histograms.poll.{figure}");
        number(&last, &figure) - number(&before, &figure)
    };
    assert!((1.0..=3.0).contains(&more("count")), "{}", more("count"));
    // Looks take a tenth of the time at most.
    assert!(more("sum") > 1.0, "{}", more("sum"));
    assert!(number(&last, "histograms.poll.max") > 1.0);
    drop(page);
}

/// In the middle of a turn it would count for the callback behind it.
#[test]
fn a_running_server_is_looked_at_between_two_turns() {
    let (herd, address) = inspected();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&done);
        for number in 0..4 {
            let mut client = herd.client("Clark");
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    client.ask(iamat(&format!("phone-{number}")));
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(view(address)["loop"]["phase"], "before the poll");
        }
    });
}

#[test]
fn what_ran_while_nobody_looked_is_a_gap() {
    let (herd, address) = inspected();
    let mut client = herd.client("Clark");
    let page = subscribe(address);
    client.ask("hello\n");
    let rows = |view: &Value| view["recent"].as_array().expect("rows").clone();
    let seen = view(address);
    assert!(!rows(&seen).is_empty());
    assert_eq!(seen["unseen"], 0);
    drop(page);
    let mut before = 0;
    wait_until(PATIENCE, "nobody looks", || {
        client.ask("hello\n");
        let now = view(address)["unseen"].as_u64().expect("a number");
        now > std::mem::replace(&mut before, now)
    });
    for _ in 0..20 {
        client.ask("hello\n");
    }
    // What ran last is not what ran in those.
    let unseen = view(address)["unseen"].as_u64().expect("a number");
    assert!(unseen >= before + 60, "{before} {unseen}");
    let page = subscribe(address);
    client.ask("hello\n");
    let again = view(address);
    assert_eq!(again["unseen"], 0);
    let rows = rows(&again);
    let gaps = rows
        .iter()
        .filter(|row| row["unseen"].as_u64() >= Some(unseen));
    assert_eq!(gaps.count(), 1, "{rows:?}");
    let inside = rows.iter().skip(1).filter(|row| row["unseen"] != 0);
    assert_eq!(inside.count(), 1, "{rows:?}");
    drop(page);
}
