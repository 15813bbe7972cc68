//! What a server tells of itself and of those it talks with: in its journal, and in its view.

use std::panic::Location;

use herd::event_loop::{Application, Observation};
use herd::herd::Roster;
use herd::net::ACCEPT_RETRY_DELAY;
use herd::portions::UNSENT_HIGH;
use herd::server::{CLIENT_UNSENT_DEADLINE, Callback, SIGTERM, STOP_DEADLINE};
use herd::worlds::sim::{End, Weather};
use serde_json::{Value, json};

use crate::bounds::{BOB, Stage};
use crate::stage::{SECOND, asking};

/// Ada's link to Bob is up; what is at his end of it, he reads and says by hand.
fn linked(stage: &mut Stage) -> End {
    stage.sim.net_mut().heal(0, 1);
    for _ in 0..50 {
        stage.turns(1);
        let accepted = stage.sim.net_mut().accept(1, BOB);
        if let Ok((bob, _)) = accepted {
            stage.turns(20);
            assert_eq!(stage.view()["peers"][0]["state"], "up");
            stage.sim.net_mut().trace.keep_text();
            return bob;
        }
    }
    panic!("she does not dial");
}

fn journal(stage: &Stage) -> String {
    let net = stage.sim.net();
    let lines = net.trace.lines().iter();
    let journal = lines.filter(|line| line.starts_with("journal"));
    journal.map(String::as_str).collect()
}

/// Which callback, or how many of them together; and of what was quick, nothing.
#[test]
fn what_took_long_is_told_in_the_journal() {
    let mut stage = Stage::new(|_| {});
    stage.turns(1);
    stage.sim.net_mut().trace.keep_text();
    let (took, began, ran) = (SECOND, SECOND, 3);
    stage.node.observe(Observation::SlowCallback {
        callback: &Callback::Redial(0),
        location: Location::caller(),
        took,
    });
    stage.node.observe(Observation::SlowIteration { ran, took });
    stage
        .node
        .observe(Observation::Iteration { ran, began, took });
    stage.turns(2);
    let journal = journal(&stage);
    assert!(journal.contains("Redial(0), queued at tests/simulator/told.rs:"));
    assert_eq!(journal.matches(" took 1s").count(), 2, "{journal}");
    assert!(journal.contains("a turn of 3 callbacks took 1s"));
}

#[test]
fn a_view_tells_how_much_of_each_limit_is_in_use() {
    let mut stage = Stage::new(|config| config.upstream = asking("places").upstream);
    stage.sim.net_mut().heal(0, 1);
    let client = stage.connect();
    stage.turns(50);
    stage.say(client, "IAMAT a +1+1 5\nIAMAT b");
    stage.turns(5);
    let view = stage.view();
    let rows = view["limits"].as_array().expect("rows").iter();
    let rows = rows.map(|row| json!([row["name"], row["used"], row["max"], row["option"]]));
    let line = view["store"]["rows"][0]["line"].as_str();
    let record = line.expect("a line").len() + 1;
    let none = Value::Null;
    let expected = [
        json!(["connections", 2, 65_536, "--max-connections"]),
        json!(["clients in the table", 1, 1_000_000, "--max-records"]),
        json!(["bytes in the table", record, 1 << 30, none]),
        json!([
            "bytes held for clients",
            "IAMAT b".len(),
            256 << 20,
            "--max-client-bytes"
        ]),
        json!(["connections that want more of a turn", 0, 65_536, none]),
        json!(["unsent bytes of the fullest link", 0, 1 << 20, none]),
        json!(["journal bytes that wait for the disk", 0, 4 << 20, none]),
        json!(["clients that wait for Places", 0, 256, none]),
        json!(["connections to Places", 0, 32, none]),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_neighbour_says_on_our_link_is_read_to_its_end() {
    let weather = Weather {
        window: 1 << 20,
        ..Weather::default()
    };
    let mut stage = Stage::under(weather, |_| {});
    let bob = linked(&mut stage);
    // More than one read takes.
    for _ in 0..200 {
        stage.say(bob, &format!("{}\n", "x".repeat(999)));
    }
    stage.say(bob, "that is all\n");
    stage.turns(20);
    let journal = journal(&stage);
    assert!(journal.contains("that is all"), "{:.300}", journal);
}

#[test]
fn what_is_no_at_line_of_a_neighbour_is_told_once_and_not_answered() {
    let mut stage = Stage::new(|_| {});
    linked(&mut stage);
    let bob = stage.connect();
    stage.say(bob, "PEER Bob\nIAMAT a +1+1 5\n");
    stage.turns(5);
    assert_eq!(journal(&stage).matches("ignored: expected AT").count(), 1);
    assert_eq!(stage.sim.net_mut().client_take(bob), (Vec::new(), false));
}

/// A stranger's word is no word of a course server.
#[test]
fn who_may_be_a_course_server_speaks_for_nobody_else() {
    let herd = r#"{"servers": {"Ada": "127.0.0.1:1", "Bob": "127.0.0.1:2"},
        "links": [["Ada", "Bob"]], "course": ["Bob"]}"#;
    let mut stage = Stage::new(|config| config.roster = Roster::parse(herd).expect("a herd"));
    let client = stage.connect();
    let said = "AT Stranger +0.5 a +1+1 5\n";
    stage.say(client, said);
    stage.turns(5);
    let (heard, _) = stage.sim.net_mut().client_take(client);
    assert_eq!(String::from_utf8_lossy(&heard), format!("? {said}"));
}

#[test]
fn that_the_table_is_full_is_told_once_a_minute() {
    let mut stage = Stage::new(|config| config.max_records = 1);
    stage.sim.net_mut().trace.keep_text();
    let client = stage.connect();
    let mut told = |later, name: &str| {
        stage.say(client, &format!("IAMAT {name} +1+1 5\n"));
        stage.turn(later);
        stage.turns(3);
        let text = "the table is full (1 records): new clients are refused";
        journal(&stage).matches(text).count()
    };
    assert_eq!(told(SECOND / 100, "a"), 0);
    assert_eq!(told(SECOND / 100, "b"), 1);
    assert_eq!(told(SECOND, "c"), 1);
    assert_eq!(told(60 * SECOND, "d"), 2);
}

/// News that a neighbour does not take waits as bytes while its link has room for them; and a stop
/// that took too long closes the link, whatever waits on it.
#[test]
fn a_neighbour_that_takes_nothing_is_owed_nothing_while_there_is_room_and_stops_nobody() {
    let mut stage = Stage::new(|_| {});
    linked(&mut stage);
    stage.sim.net_mut().cut(0, 1);
    let client = stage.connect();
    for number in 0..100 {
        stage.say(
            client,
            &format!("IAMAT {}{number} +1+1 5\n", "x".repeat(4000)),
        );
        stage.turns(2);
        stage.sim.net_mut().client_take(client);
    }
    assert_eq!(stage.node.owed(), [0]);
    let unsent = stage.view()["peers"][0]["unsent"].as_u64();
    assert!(unsent.is_some_and(|unsent| unsent > 100_000), "{unsent:?}");
    stage.event_loop.call_soon(Callback::Signal(SIGTERM));
    stage.turns(2);
    assert!(!stage.event_loop.is_stopping(), "it waits");
    stage.turn(STOP_DEADLINE);
    assert!(stage.event_loop.is_stopping(), "and ends");
    assert_ne!(stage.view()["peers"][0]["state"], "up");
}

/// However it asks, in one turn or in many.
#[test]
fn a_client_that_takes_nothing_has_at_most_so_much_unsent() {
    let mut stage = Stage::new(|_| {});
    let client = stage.connect();
    let line = format!("{}\n", "x".repeat(2999));
    for _ in 0..50 {
        // Where she reads no more, there is no room.
        let _ = stage
            .sim
            .net_mut()
            .write(client, line.repeat(20).as_bytes());
        stage.turns(1);
    }
    let view = stage.view();
    let rows = view["connections"]["rows"].as_array().expect("rows").iter();
    let unsent = rows.filter_map(|row| row["unsent"].as_u64()).max();
    let most = (UNSENT_HIGH + 2 * line.len()) as u64;
    assert!(
        unsent.is_some_and(|unsent| UNSENT_HIGH as u64 <= unsent && unsent <= most),
        "{unsent:?}"
    );
}

/// Nor is the deadline of a line for what waits behind answers that it has yet to take.
#[test]
fn a_client_that_takes_little_at_a_time_is_not_given_up() {
    let weather = Weather {
        window: 4096,
        ..Weather::default()
    };
    let mut stage = Stage::under(weather, |_| {});
    let client = stage.connect();
    let line = format!("{}\n", "x".repeat(999));
    for _ in 0..60 {
        let _ = stage.sim.net_mut().write(client, line.repeat(4).as_bytes());
        stage.turns(2);
    }
    for _ in 0..10 {
        stage.turn(CLIENT_UNSENT_DEADLINE * 4 / 5);
        stage.turns(2);
        let (bytes, over) = stage.sim.net_mut().client_take(client);
        assert!(!bytes.is_empty() && !over);
    }
    let view = stage.view();
    let mut rows = view["connections"]["rows"].as_array().expect("rows").iter();
    let row = rows.find(|row| row["kind"] == "client");
    let row = row.expect("a client");
    assert!(
        row["unsent"].as_u64() > Some(0) && row["partial"].as_u64() > Some(0),
        "{row}"
    );
}

#[test]
fn news_that_a_neighbour_does_not_take_fills_its_link_before_any_is_owed() {
    const ROOM: usize = 40_000;
    let mut stage = Stage::new(|config| {
        config.portions.link_unsent_max = ROOM;
        config.portions.link_unsent_low = ROOM / 8;
    });
    linked(&mut stage);
    stage.sim.net_mut().cut(0, 1);
    let client = stage.connect();
    let report = |number| format!("IAMAT {}{number} +1+1 5\n", "x".repeat(4000));
    let unsent = |stage: &Stage| stage.view()["peers"][0]["unsent"].as_u64().unwrap_or(0) as usize;
    for number in 0..50 {
        if unsent(&stage) > 0 {
            break;
        }
        stage.say(client, &report(number));
        stage.turns(5);
        stage.sim.net_mut().client_take(client);
    }
    assert!((1..ROOM / 2).contains(&unsent(&stage)));
    // Twelve reports in one turn.
    let clients: Vec<End> = (0..12).map(|_| stage.connect()).collect();
    stage.turns(5);
    for (number, &client) in (100..).zip(&clients) {
        stage.say(client, &report(number));
    }
    stage.turn(SECOND);
    stage.turns(5);
    assert!(unsent(&stage) > ROOM - 4100, "{}", unsent(&stage));
    assert!(stage.node.owed()[0] > 0);
}

/// Whoever freed it: no event tells of that.
#[test]
fn one_who_waits_for_a_descriptor_is_taken_when_there_is_one() {
    let mut stage = Stage::new(|_| {});
    stage.turns(1);
    stage.sim.net_mut().set_descriptors(0, Some(0));
    let clients = [stage.connect(), stage.connect(), stage.connect()];
    stage.turns(5);
    stage.sim.net_mut().set_descriptors(0, None);
    stage.turn(ACCEPT_RETRY_DELAY);
    stage.turns(2);
    stage.say(clients[2], "HELLO\n");
    stage.turns(3);
    let heard = stage.sim.net_mut().client_take(clients[2]);
    assert_eq!(heard, (Vec::from("? HELLO\n"), false));
}
