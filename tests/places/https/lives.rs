//! Clients and servers that end while a lookup is under way.

use std::time::Duration;

use rustix::process::Signal;

use super::{is_right, phones, unknown_error};
use crate::common::{Client, PATIENCE, Places, Quiet, wait_until};

/// Within what time a server that is asked to stop has stopped.
const STOP: Duration = Duration::from_secs(7);

#[test]
fn a_half_closed_client_gets_its_answer_and_the_end() {
    let places = Places::start(&["--delay", "200"]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    let mut client = herd.client("Clark");
    client
        .send("WHATSAT phone-0 10 3\nWHATSAT phone-1 10 3\nlast")
        .half_close();
    is_right("legacy", &client.whatsat(), 0, 10, 3);
    is_right("legacy", &client.whatsat(), 1, 10, 3);
    assert_eq!(client.line(), "? last\n");
    client.eof();
    // And when the end comes after the question was taken.
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-2 10 3\n");
    places.wait_for_requests(3);
    client.half_close();
    is_right("legacy", &client.whatsat(), 2, 10, 3);
    client.eof();
}

#[test]
fn one_shot_is_one_answer() {
    let places = Places::start(&["--delay", "100"]);
    let herd = places.clark("new").args(&["--one-shot"]).start();
    let at = herd.client("Clark").ask(super::iamat("phone"));
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone 10 3\nWHATSAT phone 20 3\n");
    let answer = client.whatsat();
    assert_eq!(answer.at, at);
    assert_eq!(answer.value(), super::new_answer(0, 10, 3));
    client.eof();
    assert_eq!(places.requests(), 1);
}

#[test]
fn sigterm_lets_a_lookup_finish() {
    let places = Places::start(&["--delay", "700"]);
    let mut herd = places.clark("legacy").start();
    let told = phones(&herd);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-0 10 3\nnever read\n");
    places.wait_for_requests(1);
    herd.signal("Clark", Signal::TERM);
    let answer = client.whatsat();
    assert_eq!(answer.at, told[0]);
    is_right("legacy", &answer, 0, 10, 3);
    client.eof();
    let status = herd.wait_exit("Clark", STOP);
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn sigterm_waits_five_seconds_for_a_lookup_and_then_says_so() {
    let places = Places::start(&["--hang"]);
    let mut herd = places.clark("legacy").start();
    let told = phones(&herd);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-0 10 3\n");
    places.wait_for_requests(1);
    herd.signal("Clark", Signal::TERM);
    assert_eq!(unknown_error(&mut client, STOP), told[0]);
    client.eof();
    let status = herd.wait_exit("Clark", STOP);
    assert_eq!(status.code(), Some(0), "{status}");
    let journal = herd.journal("Clark");
    assert!(
        journal.contains("Done: failed: the server stops"),
        "{journal}"
    );
}

/// Half of those who wait for the same answer leave, in good order or not.
#[test]
fn clients_that_go_away_while_they_wait_harm_nobody() {
    let places = Places::start(&["--delay", "400"]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    let mut clients: Vec<Client> = (0..40).map(|_| herd.client("Clark")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("WHATSAT phone-{} 10 3\n", number % 4 / 2));
    }
    places.wait_for_requests(2);
    let mut number = 0;
    clients.retain(|client| {
        number += 1;
        if number % 4 == 1 {
            let linger = socket2::SockRef::from(client.stream());
            linger
                .set_linger(Some(Duration::ZERO))
                .expect("an abrupt end");
        }
        number % 2 == 0
    });
    for (index, client) in clients.iter_mut().enumerate() {
        is_right("legacy", &client.whatsat(), index % 2, 10, 3);
    }
    assert_eq!(places.requests(), 2);
    // Questions that nobody waits for any more end as well, and their connections are kept.
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-5 10 3\n");
    places.wait_for_requests(3);
    drop(client);
    let done = || herd.journal("Clark").contains("places 3 * Done: 200 ");
    wait_until(PATIENCE, "the third lookup ends", done);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-6 10 3\n");
    is_right("legacy", &client.whatsat(), 6, 10, 3);
    assert_eq!(
        client.try_line(Duration::from_millis(1)),
        Err(Quiet::Timeout)
    );
    let open = |journal: &str| {
        let count = |text: &str| journal.matches(text).count();
        count(" client * connected from ") - count(" client * dropped: ")
    };
    // This one and the two of those who stayed are left.
    let kept = clients.len() + 1;
    wait_until(PATIENCE, "those who left are dropped", || {
        open(&herd.journal("Clark")) == kept
    });
}
