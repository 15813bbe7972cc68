//! Limits that the command line sets, and what lies beyond them.

use std::time::{Duration, Instant};

use crate::common::{Fake, Herd, PATIENCE, Plan, UCLA, iamat, now, now_plus};

/// Clark by itself, with a neighbour that the test plays.
fn clark(args: &[&str]) -> (Herd, Fake) {
    let mut herd = Plan::only("Clark").fake("East", "Clark").args(args).start();
    let east = herd.fake("East");
    (herd, east)
}

#[test]
fn max_ahead_refuses_a_client_from_the_future() {
    let (herd, _east) = clark(&["--max-ahead", "60"]);
    let mut client = herd.client("Clark");
    for ahead in [120, 86_400, 4_000_000_000] {
        let line = format!("IAMAT future {UCLA} {}\n", now_plus(ahead));
        assert_eq!(client.ask(&line), format!("? {line}"));
    }
    let line = format!("IAMAT future {UCLA} {}\n", "9".repeat(1_000));
    assert_eq!(client.ask(&line), format!("? {line}"));
    assert_eq!(herd.holds("Clark", "future"), None);
    for ahead in [-86_400, 0, 30] {
        let answer = client.ask(format!("IAMAT present {UCLA} {}\n", now_plus(ahead)));
        assert!(
            answer.starts_with("AT Clark "),
            "{ahead} s ahead: {answer:?}"
        );
    }
}

/// If each server judged by its own clock what its neighbours tell it, their
/// tables would differ.
#[test]
fn max_ahead_binds_clients_and_not_neighbours() {
    let (herd, _east) = clark(&["--max-ahead", "60"]);
    let line = format!(
        "AT East -3600.000000000 future {UCLA} {}\n",
        now_plus(3_600)
    );
    herd.greeted("East", "Clark").send(&line);
    herd.wait_holds("Clark", "future", &line);
}

#[test]
fn without_max_ahead_any_future_will_do() {
    let herd = Herd::solo("Clark");
    let line = format!("IAMAT future {UCLA} {}\n", now_plus(4_000_000_000));
    let answer = herd.client("Clark").ask(line);
    assert!(answer.starts_with("AT Clark -"), "{answer:?}");
}

#[test]
fn max_records_refuses_new_ids_and_keeps_the_old_ones_going() {
    let (herd, _east) = clark(&["--max-records", "3"]);
    let mut client = herd.client("Clark");
    for id in ["a", "b", "c"] {
        assert!(client.ask(iamat(id)).starts_with("AT Clark "), "{id}");
    }
    let line = iamat("d");
    assert_eq!(client.ask(&line), format!("? {line}"));
    let newer = client.ask(format!("IAMAT b +1+1 {}\n", now_plus(1)));
    assert_eq!(herd.holds("Clark", "b"), Some(newer));
    assert_eq!(herd.holds("Clark", "d"), None);
}

#[test]
fn max_records_binds_neighbours_too() {
    let (herd, _east) = clark(&["--max-records", "1"]);
    let first = herd.client("Clark").ask(iamat("a"));
    let mut from_east = herd.greeted("East", "Clark");
    from_east.send(format!("AT East +0.1 b {UCLA} {}\n", now()));
    // An update of what is known is still taken, and says that `b` was dealt with.
    let newer = format!("AT East +0.1 a {UCLA} {}\n", now_plus(1));
    assert_ne!(first, newer);
    from_east.send(&newer);
    herd.wait_holds("Clark", "a", &newer);
    assert_eq!(herd.holds("Clark", "b"), None);
    from_east.silence(50);
}

#[test]
fn client_idle_ends_a_client_that_says_nothing() {
    let (herd, _east) = clark(&["--client-idle", "1"]);
    let begun = Instant::now();
    let mut idle = herd.client("Clark");
    let mut busy = herd.client("Clark");
    // Talking every now and then keeps a connection.
    while begun.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(busy.ask("x\n"), "? x\n");
        std::thread::sleep(Duration::from_millis(200));
    }
    idle.eof();
    busy.eof();
}

#[test]
fn client_idle_does_not_end_a_neighbour() {
    let (herd, east) = clark(&["--client-idle", "1"]);
    let mut link = east.accept(PATIENCE);
    assert_eq!(link.line(), "PEER Clark\n");
    let mut from_east = herd.greeted("East", "Clark");
    link.silence(2_500);
    from_east.silence(1);
    let line = format!("AT East +0.1 patient {UCLA} {}\n", now());
    from_east.send(&line);
    herd.wait_holds("Clark", "patient", &line);
}

#[test]
fn without_client_idle_a_client_may_be_silent_for_long() {
    let herd = Herd::solo("Clark");
    let mut client = herd.client("Clark");
    client.silence(3_000);
    assert_eq!(client.ask("x\n"), "? x\n");
}

#[test]
fn max_connections_closes_one_too_many_and_says_so_in_the_journal() {
    let (herd, _east) = clark(&["--max-connections", "4"]);
    let held: Vec<_> = (0..8).map(|_| herd.client("Clark")).collect();
    crate::common::wait_until(PATIENCE, "the reason in the journal", || {
        herd.journal("Clark").contains("connections are open")
    });
    drop(held);
    crate::common::wait_until(PATIENCE, "room again", || {
        let mut client = herd.client("Clark");
        client.send("x\n");
        client.try_line(PATIENCE).is_ok()
    });
}

/// The table in NOTES.md is made of the constants and their sentences:
/// `HERD_LIMITS=write cargo test --test protocol limits` writes it anew.
#[test]
fn the_table_of_the_notes_is_made_of_the_limits() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/NOTES.md");
    let notes = std::fs::read_to_string(path).expect("NOTES.md");
    let (before, rest) = notes.split_once("<!-- limits -->\n").expect("a marker");
    let (table, after) = rest.split_once("<!-- end of limits -->").expect("an end");
    let config = herd::config::Config::new(herd::herd::Roster::standard(), 0);
    let mut made = String::from("| what | bound | at it | name |\n|---|---|---|---|\n");
    let page = herd::probe::limits();
    for limit in herd::server::limits(&config).into_iter().chain(page) {
        let option = limit.option.map(|option| format!(" (`--{option}`)"));
        let option = option.unwrap_or_default();
        let name = match limit.name {
            "" => String::new(),
            name => format!("`{name}`"),
        };
        let (what, amount, then) = (limit.what, limit.amount(), limit.then);
        made += &format!("| {what} | {amount}{option} | {then} | {name} |\n");
    }
    if std::env::var_os("HERD_LIMITS").is_some() {
        let notes = format!("{before}<!-- limits -->\n{made}<!-- end of limits -->{after}");
        return std::fs::write(path, notes).expect("NOTES.md");
    }
    assert_eq!(table, made);
}
