//! How many handshakes, requests and connections it takes.

use std::time::Duration;

use super::{is_right, phones};
use crate::common::{Client, Places};

/// Asks so many questions, one after the other's answer.
fn ask_in_turn(client: &mut Client, questions: usize) {
    for number in 0..questions {
        let km = u32::try_from(1 + number % 50).expect("small");
        client.send(format!("WHATSAT phone-{} {km} 5\n", number % 12));
        is_right("legacy", &client.whatsat(), number % 12, km, 5);
    }
}

#[test]
fn a_hundred_questions_take_one_handshake() {
    let places = Places::start(&[]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    ask_in_turn(&mut herd.client("Clark"), 100);
    assert_eq!(places.requests(), 100);
    assert_eq!(places.handshakes(), (1, 0));
}

#[test]
fn later_handshakes_take_up_the_session() {
    for unannounced in [&[][..], &["--unannounced"]] {
        let options = [&["--requests-per-connection", "10"], unannounced].concat();
        let places = Places::start(&options);
        let herd = places.clark("legacy").start();
        phones(&herd);
        ask_in_turn(&mut herd.client("Clark"), 100);
        assert_eq!(places.requests(), 100, "{options:?}");
        assert_eq!(places.handshakes(), (1, 9), "{options:?}");
        println!("{options:?}: 100 requests, 1 full handshake, 9 resumed");
    }
}

#[test]
fn equal_questions_under_way_share_one_request() {
    let places = Places::start(&["--delay", "500"]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    let mut clients: Vec<Client> = (0..20).map(|_| herd.client("Clark")).collect();
    for (bound, client) in clients.iter_mut().enumerate() {
        client.send(format!("WHATSAT phone-0 10 {bound}\n"));
    }
    for (bound, client) in clients.iter_mut().enumerate() {
        is_right("legacy", &client.whatsat(), 0, 10, bound);
    }
    assert_eq!(places.requests(), 1);
    // The next one asks anew: answers are not kept.
    clients[0].send("WHATSAT phone-0 10 1\n").whatsat();
    assert_eq!(places.requests(), 2);
}

#[test]
fn the_new_api_shares_what_has_the_same_bound() {
    let places = Places::start(&["--delay", "500"]);
    let herd = places.clark("new").start();
    phones(&herd);
    let mut clients: Vec<Client> = (0..20).map(|_| herd.client("Clark")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("WHATSAT phone-0 10 {}\n", 1 + number % 4));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        is_right("new", &client.whatsat(), 0, 10, 1 + number % 4);
    }
    assert_eq!(places.requests(), 4);
}

/// 60 different questions at once, to an address and to a name.
#[test]
fn there_are_never_more_than_32_connections() {
    for host in ["127.0.0.1", "localhost"] {
        let places = Places::start(&["--delay", "200"]);
        let url = format!("https://{host}:{}", places.address.port());
        let herd = places.clark_at("legacy", &url).start();
        phones(&herd);
        let mut clients: Vec<Client> = (0..60).map(|_| herd.client("Clark")).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("WHATSAT phone-0 0.{number:03} 5\n"));
        }
        for client in &mut clients {
            let at = client.try_line(Duration::from_secs(10)).expect("an answer");
            assert!(at.contains(" phone-0 "), "{at:?}");
        }
        assert_eq!(places.requests(), 60);
        println!(
            "{host}: 60 lookups, {} connections at most",
            places.most_open()
        );
        assert!(places.most_open() <= 32, "{host}: {}", places.most_open());
    }
}
