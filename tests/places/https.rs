//! WHATSAT over HTTPS: the real server asks the stand-in for Google (`examples/places`) over real
//! TLS on loopback. No program of others, no network, no key of anybody's.

mod connections;
mod failures;
mod lives;
mod plain;
mod secrets;
mod stand_in;

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Client, Herd, PATIENCE, Places, Whatsat, iamat, now, unique, wait_until};
use herd::places::gazetteer;
use serde_json::{Value, json};

/// What a client gets when there is no usable answer.
const UNKNOWN_ERROR: &str = r#"{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}"#;

/// Where phones are: in towns, between them, on the open sea, on the edges of the map.
const POSITIONS: [(&str, &str); 12] = [
    ("+34.068930", "-118.445127"),
    ("+48.85341", "+2.3488"),
    ("-33.867052", "+151.195700"),
    ("+35.6895", "+139.69171"),
    ("-23.5475", "-46.63611"),
    ("+51.510383", "-0.12207499999999999"),
    ("+06.45407", "+003.39467"),
    ("+00.0", "-000.000"),
    ("+64.13548", "-21.89541"),
    ("-16.5", "+179.9999"),
    ("+90", "-180"),
    ("+52.52437", "+13.41053"),
];

/// A server with these phones `phone-0`, `phone-1`, ...; their AT lines.
fn phones(herd: &Herd) -> Vec<String> {
    let mut client = herd.client("Clark");
    let tell = |(number, (latitude, longitude)): (usize, &(&str, &str))| {
        let time = now();
        client.ask(format!(
            "IAMAT phone-{number} {latitude}{longitude} {time}\n"
        ))
    };
    POSITIONS.iter().enumerate().map(tell).collect()
}

/// What the gazetteer says about a phone, unframed: the legacy API's answer.
fn legacy_answer(phone: usize, km: u32, bound: usize) -> String {
    let (latitude, longitude) = POSITIONS[phone];
    let degrees = |text: &str| text.parse::<f64>().expect("degrees");
    let mut out = Vec::new();
    let radius = f64::from(km) * 1000.0;
    gazetteer::nearby(
        degrees(latitude),
        degrees(longitude),
        radius,
        bound,
        &mut out,
    );
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    text.trim_end_matches('\n').to_string()
}

/// The same as the new API has it.
fn new_answer(phone: usize, km: u32, bound: usize) -> Value {
    // It cannot be asked for none: the server asks for one and takes it away.
    let legacy: Value =
        serde_json::from_str(&legacy_answer(phone, km, bound.max(1))).expect("JSON");
    let places: Vec<Value> = legacy["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|place| {
            let (name, country) = (place["name"].as_str(), place["vicinity"].as_str());
            let address = [name.expect("a name"), country.expect("a country")].join(", ");
            let location = &place["geometry"]["location"];
            json!({
                "id": place["place_id"],
                "displayName": {"text": place["name"]},
                "formattedAddress": address,
                "location": {"latitude": location["lat"], "longitude": location["lng"]},
                "types": place["types"],
            })
        })
        .collect();
    match places.is_empty() {
        true => json!({}),
        false => json!({"places": &places[..places.len().min(bound)]}),
    }
}

fn is_right(api: &str, answer: &Whatsat, phone: usize, km: u32, bound: usize) {
    match api {
        "legacy" => assert_eq!(answer.json, legacy_answer(phone, km, bound)),
        _ => assert_eq!(answer.value(), new_answer(phone, km, bound)),
    }
}

/// An answer that says that there is none; its AT line.
fn unknown_error(client: &mut Client, within: Duration) -> String {
    let at = client.try_line(within).expect("an AT line");
    assert!(at.starts_with("AT "), "{at:?}");
    assert_eq!(client.line(), format!("{UNKNOWN_ERROR}\n"));
    assert_eq!(client.line(), "\n");
    at
}

/// 1,000 questions by 8 clients that do not wait for answers, with nonsense between.
fn a_thousand(api: &str, stand_in: &[&str]) {
    const CLIENTS: usize = 8;
    const EACH: usize = 125;
    let places = Places::start(stand_in);
    let herd = places.clark(api).start();
    let told = phones(&herd);
    let question = |client: usize, index: usize| {
        let number = client * EACH + index;
        let km = u32::try_from(1 + number % 50).expect("small");
        (number % POSITIONS.len(), km, number % 21)
    };
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (herd, told) = (&herd, &told);
            scope.spawn(move || {
                let mut client = herd.client("Clark");
                for index in 0..EACH {
                    let (phone, km, bound) = question(number, index);
                    client.send(format!("WHATSAT phone-{phone} {km} {bound}\nno {index}\n"));
                }
                for index in 0..EACH {
                    let (phone, km, bound) = question(number, index);
                    let answer = client.whatsat();
                    assert_eq!(answer.at, told[phone]);
                    is_right(api, &answer, phone, km, bound);
                    assert_eq!(client.line(), format!("? no {index}\n"));
                }
            });
        }
    });
    let (full, resumed) = places.handshakes();
    println!(
        "{api} {stand_in:?}: {} requests, {full} full handshakes, {resumed} resumed, {} open at most",
        places.requests(),
        places.most_open()
    );
    assert!(
        places.requests() <= CLIENTS * EACH,
        "no question is asked twice"
    );
}

#[test]
fn a_thousand_questions_to_the_legacy_api() {
    a_thousand("legacy", &[]);
}

#[test]
fn a_thousand_questions_to_the_new_api() {
    a_thousand("new", &[]);
}

#[test]
fn a_thousand_answers_in_chunks_on_connections_that_end() {
    for api in ["legacy", "new"] {
        a_thousand(api, &["--chunked", "--requests-per-connection", "7"]);
    }
}

#[test]
fn answers_come_in_order_behind_a_slow_one() {
    let places = Places::start(&["--delay", "300"]);
    let herd = places.clark("legacy").start();
    let told = phones(&herd);
    let mut client = herd.client("Clark");
    let late = iamat("late");
    let commands =
        format!("WHATSAT phone-0 10 3\nfirst\n{late}WHATSAT phone-1 5 2\nWHATSAT late 1 0\nlast\n");
    client.send(commands);
    let first = client.whatsat();
    assert_eq!(first.at, told[0]);
    is_right("legacy", &first, 0, 10, 3);
    assert_eq!(client.line(), "? first\n");
    let at = client.line();
    assert!(
        at.ends_with(late.strip_prefix("IAMAT").expect("an IAMAT")),
        "{at:?}"
    );
    is_right("legacy", &client.whatsat(), 1, 5, 2);
    assert_eq!(client.whatsat().at, at);
    assert_eq!(client.line(), "? last\n");
}

/// The journal with all that has been answered: answers leave before it is written.
fn journal(herd: &Herd) -> String {
    let mark = unique("mark");
    herd.client("Clark").ask(format!("{mark}\n"));
    wait_until(PATIENCE, "the journal is written", || {
        herd.journal("Clark").contains(&mark)
    });
    herd.journal("Clark")
}

/// The slowest of a hundred.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn iamat_times(herd: &Herd) -> Vec<Duration> {
    let mut client = herd.client("Clark");
    (0..2000)
        .map(|_| {
            let line = iamat("mover");
            let begun = Instant::now();
            assert!(client.ask(line).starts_with("AT Clark "));
            begun.elapsed()
        })
        .collect()
}

#[test]
fn iamats_are_answered_while_fifty_lookups_hang() {
    let places = Places::start(&["--hang"]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    let idle = p99(iamat_times(&herd));
    let mut waiting: Vec<Client> = (0..50).map(|_| herd.client("Clark")).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(format!("WHATSAT phone-0 {} 1\n", number + 1));
    }
    places.wait_for_requests(32);
    let busy = p99(iamat_times(&herd));
    for client in &mut waiting {
        client.silence(1);
    }
    println!("IAMAT p99: {idle:?} with nothing else to do, {busy:?} while 50 lookups hang");
}

#[test]
fn each_transition_is_one_line_of_the_journal() {
    let places = Places::start(&["--pause", "100"]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-0 10 3\nWHATSAT phone-0 10 3\n");
    client.whatsat();
    client.whatsat();
    let journal = journal(&herd);
    let states = |number: u32| -> Vec<&str> {
        let mark = format!(" - places {number} * ");
        let texts = journal.lines().filter_map(|line| line.split_once(&mark));
        texts
            .map(|(_, text)| text.split(':').next().expect("a state"))
            .collect()
    };
    let fresh = [
        "Queued",
        "Resolve",
        "Connect",
        "Handshake",
        "Send",
        "Head",
        "Body",
        "Done",
    ];
    assert_eq!(states(1), fresh, "{journal}");
    assert_eq!(
        states(2),
        ["Queued", "Send", "Head", "Body", "Done"],
        "{journal}"
    );
    let bodies = legacy_answer(0, 10, 20).len() + 1;
    let done = format!(" - places 1 * Done: 200 OK, {bodies} bytes");
    assert!(journal.contains(&done), "{done:?} is not in\n{journal}");
    assert!(
        !journal.contains("place_id"),
        "Google's places are not kept:\n{journal}"
    );
}

#[test]
fn a_name_is_asked_for_and_its_addresses_are_tried() {
    // Where `localhost` has an address on IPv6 as well, that one refuses.
    let places = Places::start(&[]);
    let herd = places.clark("new").start();
    phones(&herd);
    let mut client = herd.client("Clark");
    for km in 1..=20 {
        client.send(format!("WHATSAT phone-0 {km} 5\n"));
        is_right("new", &client.whatsat(), 0, km, 5);
    }
    let journal = journal(&herd);
    let connects: BTreeSet<&str> = journal
        .lines()
        .filter_map(|line| line.split_once(" * Connect: "))
        .map(|(_, addresses)| addresses)
        .collect();
    println!("localhost is {connects:?}");
    assert!(!connects.is_empty(), "{journal}");
}
