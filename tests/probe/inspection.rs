//! The inspection listener of a real server: what it shows, what it lets be done, and that nothing
//! hostile harms it or the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Herd, PATIENCE, Plan, iamat, run_herd, wait_until};
use crate::looking::Stop;
use herd::probe::VISITORS_MAX;
use rustix::process::Signal;
use serde_json::Value;
use socket2::SockRef;

/// A server alone with its listener, and where that is.
pub fn inspected() -> (Herd, SocketAddr) {
    // The port is free now; whoever takes it before the server does makes the test fail loudly.
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let herd = Plan::only("Clark")
        .args(&["--inspect", &address.to_string()])
        .start();
    (herd, address)
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(PATIENCE * 2))
        .expect("a timeout");
    stream
}

/// Says something and reads until the other side ends; a reset is an end too.
fn converse(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // It may be refused before all of it is said.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn get(address: SocketAddr, target: &str) -> String {
    converse(
        address,
        format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes(),
    )
}

pub fn view(address: SocketAddr) -> Value {
    let answer = get(address, "/view.json");
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    serde_json::from_str(body).expect("JSON")
}

pub fn command(address: SocketAddr, command: &str) -> Value {
    let body = serde_json::json!({"command": command}).to_string();
    let request = format!(
        "POST /command HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = converse(address, request.as_bytes());
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    serde_json::from_str(body).expect("JSON")
}

/// Clients are answered, and so is who looks.
fn all_is_well(herd: &Herd, address: SocketAddr) {
    assert!(
        herd.client("Clark")
            .ask(iamat("well"))
            .starts_with("AT Clark ")
    );
    assert!(get(address, "/").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(view(address)["loop"]["state"], "running");
}

#[test]
fn the_view_tells_of_clients_and_the_table() {
    let (herd, address) = inspected();
    let mut client = herd.client("Clark");
    client.ask(iamat("kiwi"));
    client.send("IAMAT half");
    wait_until(PATIENCE, "half a line is seen", || {
        let view = view(address);
        view["connections"]["rows"][0]["partial"] == 10
    });
    let view = view(address);
    assert_eq!(view["store"]["records"], 1);
    assert_eq!(view["store"]["rows"][0]["id"], "kiwi");
    assert_eq!(view["connections"]["rows"][0]["kind"], "client");
    let timer = &view["timers"]["rows"][0];
    assert!(
        timer["says"]
            .as_str()
            .expect("text")
            .starts_with("a deadline of client #")
    );
    assert!(view["histograms"]["run"]["count"].as_u64() > Some(2));
    let exit = run_herd(herd.directory(), &["--ps", &address.to_string()]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    for wanted in [
        "Clark is running",
        "client  open",
        "a deadline of client",
        "1 client of at most",
        "a line                                        65536 bytes  answered with ?",
        "(--max-per-address)",
    ] {
        assert!(exit.stdout.contains(wanted), "{wanted} in {}", exit.stdout);
    }
    let exit = run_herd(herd.directory(), &["--ps", &address.to_string(), "--json"]);
    let json: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(json["server"], "Clark");
    assert_eq!(json["limits"][0]["name"], "connections");
    let bounds = json["bounds"].as_array().expect("every bound");
    assert!(bounds.len() > 30 && bounds.iter().any(|row| row["option"] == "max-log"));
}

#[test]
fn a_held_server_answers_those_who_look_and_nobody_else() {
    let (herd, address) = inspected();
    let mut client = herd.client("Clark");
    client.ask(iamat("before"));
    assert_eq!(command(address, "pause")["ok"], true);
    // It may have been in the middle of a turn.
    if view(address)["loop"]["phase"] != "before the poll" {
        command(address, "next");
        wait_until(PATIENCE, "the turn is over", || {
            view(address)["loop"]["phase"] == "before the poll"
        });
    }
    let held = view(address);
    assert_eq!(held["loop"]["state"], "held");
    client.send(iamat("during"));
    client.silence(200);
    let later = view(address);
    assert_eq!(
        later["loop"]["time"], held["loop"]["time"],
        "its clock stands still"
    );
    assert_eq!(later["loop"]["moment"], held["loop"]["moment"]);
    // The poll, the callback, the finish.
    for moment in 1..=3 {
        assert_eq!(command(address, "step")["ok"], true);
        let before = held["loop"]["moment"].as_u64().expect("a number");
        wait_until(PATIENCE, "one moment ran", || {
            view(address)["loop"]["moment"] == before + moment
        });
    }
    assert!(
        client.line().starts_with("AT Clark "),
        "the third moment sends the answer"
    );
    let account = view(address)["loop"]["account"].to_string();
    assert!(
        account.contains("finish") && account.contains("to client #1"),
        "{account}"
    );
    assert_eq!(command(address, "step 0")["ok"], false);
    assert_eq!(
        command(address, "back")["ok"],
        false,
        "only a replay goes back"
    );
    assert_eq!(command(address, "break client after")["ok"], true);
    assert_eq!(command(address, "continue")["ok"], true);
    client.send(iamat("after"));
    wait_until(PATIENCE, "the breakpoint holds it", || {
        let view = view(address);
        view["loop"]["why"] == "breakpoint 1, client after"
    });
    assert_eq!(command(address, "continue")["ok"], true);
    assert!(client.line().starts_with("AT Clark "));
}

/// Only looks wake it: turns in which no callback runs are turns.
#[test]
fn a_turn_without_a_callback_can_be_stopped_at() {
    let (_herd, address) = inspected();
    let mut stream = connect(address);
    write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let turn = view(address)["loop"]["iteration"]
        .as_u64()
        .expect("a number")
        + 12;
    assert_eq!(command(address, &format!("break turn {turn}"))["ok"], true);
    wait_until(PATIENCE, "it is held there", || {
        view(address)["loop"]["state"] == "held"
    });
    let view = view(address);
    assert_eq!(view["loop"]["why"], format!("breakpoint 1, turn {turn}"));
    assert_eq!(view["loop"]["iteration"], turn);
    assert_eq!(view["loop"]["phase"], "before finish");
}

#[test]
fn a_held_server_stops_when_it_is_asked_to() {
    let (mut herd, address) = inspected();
    command(address, "pause");
    herd.signal("Clark", Signal::TERM);
    assert!(herd.wait_exit("Clark", PATIENCE * 2).success());
}

#[test]
fn events_come_while_somebody_reads_them() {
    let (herd, address) = inspected();
    let mut stream = connect(address);
    write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let mut text = String::new();
    let mut read_until = |wanted: &str| {
        let mut buffer = [0; 65536];
        while !text.contains(wanted) {
            let count = match stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.expect("events"),
            };
            assert!(count > 0, "no end");
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    read_until("\"state\":\"running\"");
    let mut client = herd.client("Clark");
    client.ask(iamat("travels"));
    read_until("\"id\":\"travels\"");
    // What ran last, in words.
    read_until("client #1 (127.0.0.1:");
    read_until("callback will run");
    command(address, "pause");
    read_until("\"state\":\"held\"");
}

/// What is wrong, how it is said, and the status it gets.
type Case = (&'static str, String, &'static str);

/// Requests of those who may not ask.
fn intruders(address: SocketAddr) -> Vec<Case> {
    let own = format!("Host: {address}\r\n");
    let json = "Content-Type: application/json\r\n";
    let step = "{\"command\":\"pause\"}";
    let length = format!("Content-Length: {}\r\n", step.len());
    vec![
        (
            "other Host",
            "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(),
            "403",
        ),
        ("no Host", "GET /view.json HTTP/1.1\r\n\r\n".into(), "403"),
        (
            "other Origin",
            format!("GET /view.json HTTP/1.1\r\n{own}Origin: http://evil.example\r\n\r\n"),
            "403",
        ),
        (
            "Origin null",
            format!("POST /command HTTP/1.1\r\n{own}Origin: null\r\n{json}{length}\r\n{step}"),
            "403",
        ),
        (
            "a form",
            format!(
                "POST /command HTTP/1.1\r\n{own}Content-Type: text/plain\r\n{length}\r\n{step}"
            ),
            "415",
        ),
        (
            "another site",
            format!(
                "POST /command HTTP/1.1\r\n{own}Sec-Fetch-Site: cross-site\r\n{json}{length}\r\n{step}"
            ),
            "403",
        ),
    ]
}

/// What is no request, or one of the wrong size or form.
fn nonsense(address: SocketAddr) -> Vec<Case> {
    let own = format!("Host: {address}\r\n");
    let json = "Content-Type: application/json\r\n";
    vec![
        (
            "huge head",
            format!("GET / HTTP/1.1\r\n{own}X: {}", "x".repeat(100_000)),
            "431",
        ),
        (
            "many fields",
            format!("GET / HTTP/1.1\r\n{own}{}\r\n", "X: 1\r\n".repeat(500)),
            "431",
        ),
        (
            "huge body",
            format!("POST /command HTTP/1.1\r\n{own}{json}Content-Length: 99999999\r\n\r\n"),
            "413",
        ),
        (
            "TLS",
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\x03\x03".into(),
            "400",
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "505"),
        (
            "chunked",
            format!(
                "POST /command HTTP/1.1\r\n{own}{json}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "501",
        ),
        (
            "two lengths",
            format!(
                "POST /command HTTP/1.1\r\n{own}{json}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
            ),
            "400",
        ),
        (
            "a length with a sign",
            format!("POST /command HTTP/1.1\r\n{own}{json}Content-Length: +2\r\n\r\n{{}}"),
            "400",
        ),
        (
            "a port with a sign",
            format!(
                "GET / HTTP/1.1\r\nHost: localhost:+{}\r\n\r\n",
                address.port()
            ),
            "403",
        ),
        (
            "no JSON",
            format!("POST /command HTTP/1.1\r\n{own}{json}Content-Length: 3\r\n\r\n{{}}x"),
            "400",
        ),
        (
            "a path up",
            format!("GET /../../etc/passwd HTTP/1.1\r\n{own}\r\n"),
            "404",
        ),
        ("method", format!("DELETE / HTTP/1.1\r\n{own}\r\n"), "405"),
        ("zeros", "\0".repeat(64), "400"),
    ]
}

#[test]
fn hostile_visitors_harm_nothing() {
    let (herd, address) = inspected();
    let cases = intruders(address).into_iter().chain(nonsense(address));
    for (what, request, status) in cases {
        let answer = converse(address, request.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {answer}"
        );
        all_is_well(&herd, address);
    }
}

#[test]
fn slow_rude_and_many_visitors_harm_nothing() {
    let (herd, address) = inspected();
    // A head that never ends is answered after five seconds, and until then in nobody's way.
    let mut slow = connect(address);
    slow.write_all(b"GET / HT").expect("it reads");
    // One who never reads what he subscribed to, and one who resets.
    let mut deaf = connect(address);
    SockRef::from(&deaf)
        .set_recv_buffer_size(4096)
        .expect("a small buffer");
    write!(deaf, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let rude = connect(address);
    SockRef::from(&rude)
        .set_linger(Some(Duration::ZERO))
        .expect("a reset");
    drop(rude);
    all_is_well(&herd, address);
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let crowd: Vec<TcpStream> = (0..VISITORS_MAX * 3).map(|_| connect(address)).collect();
    assert!(
        herd.client("Clark")
            .ask(iamat("crowd"))
            .starts_with("AT Clark ")
    );
    drop(crowd);
    all_is_well(&herd, address);
    // The crowd may have taken its place.
    let _ = deaf.shutdown(Shutdown::Both);
    all_is_well(&herd, address);
}

#[test]
fn a_visitor_that_never_stops_talking_keeps_nobody_waiting() {
    let (herd, address) = inspected();
    let done = AtomicBool::new(false);
    let shown_out = AtomicUsize::new(0);
    let talk = || {
        let mut talker = connect(address);
        write!(talker, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
        let noise = vec![b'x'; 1 << 18];
        while !done.load(Ordering::Relaxed) {
            if talker.write(&noise).is_err() {
                // It comes back.
                shown_out.fetch_add(1, Ordering::Relaxed);
                talker = connect(address);
            }
        }
    };
    thread::scope(|scope| {
        let _stop = Stop(&done);
        for _ in 0..4 {
            scope.spawn(talk);
        }
        let mut client = herd.client("Clark");
        let mut longest = Duration::ZERO;
        for number in 0..200 {
            let asked = Instant::now();
            let said = client.ask(iamat(&format!("phone-{number}")));
            longest = longest.max(asked.elapsed());
            assert!(said.starts_with("AT Clark "));
        }
        assert_eq!(view(address)["loop"]["state"], "running");
        println!("the slowest answer took {longest:?}");
        wait_until(PATIENCE, "they are shown out", || {
            shown_out.load(Ordering::Relaxed) >= 4
        });
    });
    all_is_well(&herd, address);
}

#[test]
fn a_replay_is_held_for_whoever_looks_and_goes_back() {
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/first_walk.recording"
    );
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(["--replay", recording, "--inspect", &address.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_until(PATIENCE, "it listens", || {
        TcpStream::connect(address).is_ok()
    });
    let stands = |moment: u64| {
        wait_until(PATIENCE, "the moment", || {
            view(address)["loop"]["moment"] == moment
        });
    };
    stands(1);
    command(address, "step 3");
    stands(4);
    command(address, "back 2");
    stands(2);
    command(address, "continue");
    wait_until(PATIENCE, "the end", || {
        view(address)["loop"]["state"] == "over"
    });
    assert_eq!(
        view(address)["loop"]["why"],
        "the replay is equal to the recording"
    );
    assert_eq!(command(address, "step")["ok"], false);
    command(address, "quit");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn only_loopback_may_look() {
    let herd = Herd::solo("Clark");
    for (address, wanted) in [("0.0.0.0:0", "loopback"), ("nowhere", "an address such as")] {
        let exit = run_herd(herd.directory(), &["Bona", "--inspect", address]);
        assert_ne!(exit.code, Some(0));
        assert!(exit.stderr.contains(wanted), "{exit:?}");
    }
    let exit = run_herd(herd.directory(), &["--ps", "127.0.0.1:1"]);
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("--inspect 127.0.0.1:1"), "{exit:?}");
}
