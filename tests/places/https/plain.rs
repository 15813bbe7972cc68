//! Plain HTTP to a stand-in on loopback: no TLS, and no key. The stand-in is a thread of the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;

use super::{journal, legacy_answer, new_answer, phones, unknown_error};
use crate::common::{PATIENCE, Plan, run_herd};

const SENTINEL: &str = "AIzaSENTINEL-0123456789";

/// How a stand-in frames its answers.
#[derive(Clone, Copy)]
enum Framing {
    /// By length, on a connection that stays open.
    Length,
    /// In two chunks, likewise.
    Chunks,
    /// By its end.
    End,
    /// By length, and cut off before.
    Cut,
}

/// Speaks HTTP without TLS, and keeps the heads and bodies of all requests.
struct Plain {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Plain {
    fn start(framing: Framing, body: String) -> Plain {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        // It ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let (hears, body) = (Arc::clone(&hears), body.clone());
                thread::spawn(move || serve(stream, framing, &hears, &body));
            }
        });
        Plain { address, heard }
    }

    fn clark(&self, api: &str) -> Plan {
        let url = format!("http://{}", self.address);
        Plan::only("Clark").args(&["--places", api, "--places-url", &url])
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no panic").clone()
    }
}

fn serve(stream: TcpStream, framing: Framing, heard: &Mutex<Vec<String>>, body: &str) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let start = request.len();
            match reader.read_line(&mut request) {
                Ok(count) if count > 0 => {}
                _ => return,
            }
            let line = request[start..].to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut rest = vec![0; length];
        std::io::Read::read_exact(&mut reader, &mut rest).expect("the body");
        request += str::from_utf8(&rest).expect("UTF-8");
        heard.lock().expect("no panic").push(request);
        let (first, second) = body.split_at(body.len() / 2);
        let (size, one, two) = (body.len(), first.len(), second.len());
        let (head, body) = match framing {
            Framing::Length => (format!("Content-Length: {size}"), body.to_string()),
            Framing::Chunks => (
                String::from("Transfer-Encoding: chunked"),
                format!("{one:x}\r\n{first}\r\n{two:x}\r\n{second}\r\n0\r\n\r\n"),
            ),
            Framing::End => (String::from("Connection: close"), body.to_string()),
            Framing::Cut => (format!("Content-Length: {size}"), first.to_string()),
        };
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        writer.write_all(answer.as_bytes()).expect("it is taken");
        if matches!(framing, Framing::End | Framing::Cut) {
            return;
        }
    }
}

#[test]
fn plain_http_on_loopback_is_asked_without_a_key() {
    for framing in [Framing::Length, Framing::Chunks, Framing::End] {
        let places = Plain::start(framing, legacy_answer(0, 10, 20));
        let herd = places.clark("legacy").key(SENTINEL).start();
        let told = phones(&herd);
        let mut client = herd.client("Clark");
        for bound in [3, 20, 0] {
            client.send(format!("WHATSAT phone-0 10 {bound}\n"));
            let answer = client.whatsat();
            assert_eq!(answer.at, told[0]);
            assert_eq!(answer.json, legacy_answer(0, 10, bound));
        }
        let heard = places.heard();
        assert_eq!(heard.len(), 3);
        let wanted = format!(
            "GET /maps/api/place/nearbysearch/json?location=34.06893,-118.445127&radius=10000 \
             HTTP/1.1\r\nHost: {}\r\n",
            places.address
        );
        assert!(heard[0].starts_with(&wanted), "{heard:?}");
        assert!(heard.iter().all(|it| !it.contains("SENTINEL")), "{heard:?}");
        let journal = journal(&herd);
        let said = format!("by plain HTTP, without a key: http://{}", places.address);
        for said in [&said[..], " * Send: on plain HTTP"] {
            assert!(journal.contains(said), "{said:?} is not in\n{journal}");
        }
        assert!(!journal.contains(" * Handshake: "), "{journal}");
        let kept = journal.matches(" * Send: on a kept connection").count();
        let keeps = matches!(framing, Framing::Length | Framing::Chunks);
        assert_eq!(kept, if keeps { 2 } else { 0 }, "{journal}");
    }
}

#[test]
fn the_new_api_is_asked_by_plain_http_under_the_name_localhost() {
    let body = new_answer(0, 10, 5).to_string();
    let places = Plain::start(Framing::Length, body);
    let url = format!("http://localhost:{}", places.address.port());
    let plan = Plan::only("Clark").args(&["--places", "new", "--places-url", &url]);
    let herd = plan.key(SENTINEL).start();
    phones(&herd);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-0 10 5\n");
    assert_eq!(client.whatsat().value(), new_answer(0, 10, 5));
    let heard = places.heard();
    assert!(heard[0].starts_with("POST /v1/places:searchNearby HTTP/1.1\r\n"));
    assert!(heard[0].ends_with("\"radius\":10000.0}}}"), "{heard:?}");
    assert!(!heard[0].to_lowercase().contains("key"), "{heard:?}");
}

#[test]
fn an_answer_that_is_cut_off_is_none() {
    let places = Plain::start(Framing::Cut, legacy_answer(0, 10, 20));
    let herd = places.clark("legacy").start();
    let told = phones(&herd);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-0 10 3\nafter\n");
    assert_eq!(unknown_error(&mut client, PATIENCE), told[0]);
    assert_eq!(client.line(), "? after\n");
}

#[test]
fn a_recording_of_plain_http_is_replayed() {
    let places = Plain::start(Framing::Chunks, legacy_answer(0, 10, 20));
    let plan = places.clark("legacy").args(&["--record", "plain"]);
    let mut herd = plan.key(SENTINEL).start();
    phones(&herd);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-0 10 3\n").whatsat();
    herd.signal("Clark", Signal::TERM);
    herd.wait_exit("Clark", PATIENCE);
    let exit = run_herd(herd.directory(), &["--replay", "plain"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
}
