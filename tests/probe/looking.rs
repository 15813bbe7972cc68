//! What looking costs: all that the page does stays within its share of the server's time, and there
//! is always a place for one more visitor.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, iamat, wait_until};
use crate::inspection::{command, connect, get, inspected, view};
use herd::event_loop::{EventLoop, World};
use herd::probe::{
    ACCEPTS_A_TURN, Ask, InspectCallback, InspectLoop, Inspector, LOOK_SHARE, REQUEST_DEADLINE,
    REST_MIN, VISITORS_MAX,
};
use herd::worlds::os::OsWorld;
use serde_json::Value;

fn ask(address: SocketAddr, target: &str) -> TcpStream {
    let mut stream = connect(address);
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    stream
}

/// Stops the threads of a test, also when it fails.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads until all of `wanted` has come.
fn read_until(stream: &mut TcpStream, wanted: &str) {
    let (mut text, mut buffer) = (Vec::new(), [0; 65536]);
    while !String::from_utf8_lossy(&text).contains(wanted) {
        let count = stream.read(&mut buffer).expect("more");
        assert!(count > 0, "the end before {wanted}");
        text.extend_from_slice(&buffer[..count]);
    }
}

fn used(view: &Value, name: &str) -> u64 {
    let rows = view["limits"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["name"] == name);
    row.and_then(|row| row["used"].as_u64()).expect("a number")
}

/// A view of many connections is costly, and everybody wants it again at once.
#[test]
fn views_of_many_connections_keep_no_client_waiting() {
    crate::bounds_os::raise_limit();
    let (herd, address) = inspected();
    let idle: Vec<_> = (0..1500)
        .map(|_| {
            let mut client = herd.client("Clark");
            client.send("IAM");
            client
        })
        .collect();
    wait_until(PATIENCE, "all are seen", || {
        view(address)["connections"]["total"] == idle.len()
    });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&done);
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(get(address, "/view.json").starts_with("HTTP/1.1 200 OK"));
                }
            });
        }
        wait_until(PATIENCE, "the page is busy", || {
            used(&view(address), "percent of the time for the page") > 0
        });
        let mut client = herd.client("Clark");
        let mut took: Vec<Duration> = (0..200)
            .map(|_| {
                let asked = Instant::now();
                client.ask(iamat("busy"));
                asked.elapsed()
            })
            .collect();
        took.sort();
        let percent = used(&view(address), "percent of the time for the page");
        assert!(percent <= 100 / u64::from(LOOK_SHARE), "{percent} %");
        assert!(
            took[100] < Duration::from_millis(15),
            "median {:?}",
            took[100]
        );
    });
}

/// Each byte could wake the server, and each has its request read anew.
#[test]
fn visitors_that_dribble_wake_the_server_now_and_then_only() {
    let (_herd, address) = inspected();
    let done = AtomicBool::new(false);
    let stands = || {
        let view = view(address);
        let turn = view["loop"]["iteration"].as_f64().expect("a number");
        (turn, view["loop"]["time"].as_f64().expect("a time"))
    };
    thread::scope(|scope| {
        let _stop = Stop(&done);
        for _ in 0..VISITORS_MAX - 2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let mut stream = connect(address);
                    stream.set_nodelay(true).expect("a socket");
                    let _ = stream.write_all(b"GET / HTTP/1.1\r\nX: ");
                    while !done.load(Ordering::Relaxed) && stream.write_all(b"x").is_ok() {
                        thread::yield_now();
                    }
                }
            });
        }
        wait_until(PATIENCE, "they are there", || {
            used(&view(address), "visitors of the page") > 20
        });
        let before = stands();
        let mut after = before;
        wait_until(PATIENCE, "a second", || {
            after = stands();
            after.1 > before.1 + 1.0
        });
        let (turns, time) = (after.0 - before.0, after.1 - before.1);
        // One turn in which the look begins, one in which the rest ends.
        let most = 2.0 * time / REST_MIN.as_secs_f64() + 2.0;
        assert!(turns <= most, "{turns} turns in {time} s");
    });
}

#[test]
fn a_new_visitor_takes_the_place_of_the_one_that_asked_least_lately() {
    let (herd, address) = inspected();
    let mut stalest: VecDeque<TcpStream> = VecDeque::new();
    for number in 0..VISITORS_MAX {
        // Some subscribe, some say nothing.
        stalest.push_back(match number % 2 {
            0 => ask(address, "/events"),
            _ => connect(address),
        });
        if number % 2 == 0 {
            read_until(&mut stalest[number], "\"state\":\"running\"");
        }
    }
    for _ in 0..3 {
        let shown = view(address);
        assert_eq!(used(&shown, "visitors of the page"), VISITORS_MAX as u64);
        let mut gone = stalest.pop_front().expect("one more");
        let mut rest = Vec::new();
        match gone.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        // The place that the answered one left.
        stalest.push_back(ask(address, "/events"));
        read_until(stalest.back_mut().expect("one"), "\"state\":\"running\"");
    }
    assert_eq!(command(address, "pause")["ok"], true);
    read_until(stalest.back_mut().expect("one"), "\"state\":\"held\"");
    drop(herd);
}

/// The inspector alone, on its loop.
fn alone(request_deadline: Duration) -> (InspectLoop, Inspector, SocketAddr) {
    let mut event_loop = EventLoop::new(OsWorld::new().expect("a poller"));
    let mut inspector = Inspector::new(request_deadline);
    let any = "127.0.0.1:0".parse().expect("an address");
    inspector.listen(&mut event_loop, any).expect("it listens");
    let address = inspector.address().expect("an address");
    (event_loop, inspector, address)
}

fn turn(event_loop: &mut InspectLoop, inspector: &mut Inspector) {
    event_loop.call_soon(InspectCallback::Look);
    event_loop.run_once(inspector).expect("it polls");
}

#[test]
fn one_view_is_made_for_all_who_want_one() {
    let (mut event_loop, mut inspector, address) = alone(REQUEST_DEADLINE);
    let mut callers: Vec<TcpStream> = ["/view.json", "/view.json", "/events", "/view.json"]
        .map(|target| ask(address, target))
        .into();
    wait_until(PATIENCE, "all have asked", || {
        turn(&mut event_loop, &mut inspector);
        inspector.visitors() == 4 && inspector.has_subscribers()
    });
    // Whoever was accepted has been read, or is at the next event.
    turn(&mut event_loop, &mut inspector);
    assert_eq!(inspector.take_ask(), Some(Ask::View));
    assert_eq!(inspector.take_ask(), None);
    inspector.show(&mut event_loop, String::from("{\"one\":1}"));
    turn(&mut event_loop, &mut inspector);
    for caller in &mut callers {
        read_until(caller, "{\"one\":1}");
    }
    // The subscriber is told again in a while, and one that comes meanwhile waits for that.
    let _late = ask(address, "/events");
    wait_until(PATIENCE, "it has asked", || {
        turn(&mut event_loop, &mut inspector);
        inspector.visitors() == 5
    });
    turn(&mut event_loop, &mut inspector);
    assert_eq!(inspector.take_ask(), None);
}

/// Each visitor keeps its place for some turns, since its request comes a moment later.
#[test]
fn a_storm_of_visitors_comes_in_by_and_by() {
    let (mut event_loop, mut inspector, address) = alone(REQUEST_DEADLINE);
    let storm: Vec<TcpStream> = (0..ACCEPTS_A_TURN * 3).map(|_| connect(address)).collect();
    for turns in 1..=3 {
        turn(&mut event_loop, &mut inspector);
        assert_eq!(inspector.visitors(), ACCEPTS_A_TURN * turns);
    }
    drop(storm);
    wait_until(PATIENCE, "they are gone", || {
        turn(&mut event_loop, &mut inspector);
        inspector.visitors() == 0
    });
    let waits = event_loop.timers().count();
    assert_eq!(waits, 0, "nobody's deadline is left");
}

/// The deadline of its request is none for its answer.
#[test]
fn an_answer_that_is_taken_slowly_is_taken_whole() {
    let deadline = Duration::from_millis(50);
    let (mut event_loop, mut inspector, address) = alone(deadline);
    let mut slow = ask(address, "/view.json");
    wait_until(PATIENCE, "it has asked", || {
        turn(&mut event_loop, &mut inspector);
        inspector.take_ask() == Some(Ask::View)
    });
    // More than the kernel holds for the two of them.
    let long = "x".repeat(16 << 20);
    inspector.show(&mut event_loop, format!("{{\"long\":\"{long}\"}}"));
    let until = event_loop.world.time() + deadline * 2;
    wait_until(PATIENCE, "the request's deadline", || {
        turn(&mut event_loop, &mut inspector);
        event_loop.time() > until
    });
    thread::scope(|scope| {
        let taken = scope.spawn(move || {
            let mut answer = Vec::new();
            slow.read_to_end(&mut answer).map(|_| answer.len())
        });
        wait_until(PATIENCE, "the answer is taken", || {
            turn(&mut event_loop, &mut inspector);
            inspector.visitors() == 0
        });
        let taken = taken.join().expect("no panic").expect("all of it");
        assert!(taken > long.len(), "{taken}");
    });
}
