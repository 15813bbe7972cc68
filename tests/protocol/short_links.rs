//! `--short-links`: a link ends once all is said on it, and comes back with news.

use std::time::{Duration, Instant};

use herd::server::{SHORT_LINK_END, SHORT_LINK_QUIET};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::certificates::{self, Authority};
use crate::common::sockets::holders;
use crate::common::{
    Client, Fake, Herd, NAMES, PATIENCE, Plan, TempDir, UCLA, iamat, now, unique, wait_until,
};

const SHORT: &[&str] = &["--short-links"];
/// What Clark says first, as long as East does not know that it has started.
const ASKS: &str = "PEER Clark\nPEER Clark\n";
/// What it says first from then on.
const GREETS: &str = "PEER Clark\n";
/// What it says last, and what tells it that East has taken everything.
const TAKEN: &str = "PEER East\n";

/// Clark, with a neighbour that the test plays.
fn clark_and_east(more: &[&str]) -> (Herd, Fake) {
    let plan = Plan::only("Clark").fake("East", "Clark");
    let mut herd = plan.args(SHORT).args(more).start_apart();
    let east = herd.fake("East");
    (herd, east)
}

/// The next link, and all that is said on it before Clark asks whether it was taken.
fn link(east: &Fake) -> (Client, String) {
    let mut link = east.accept(PATIENCE);
    let mut said = String::new();
    loop {
        let line = link.line();
        if line == TAKEN {
            return (link, said);
        }
        said += &line;
    }
}

/// The same; East says that it took everything, and Clark closes it.
fn taken(east: &Fake) -> String {
    let (mut link, said) = link(east);
    link.send(TAKEN).eof();
    said
}

/// No link for a while: longer than any of these tests waits for one that is due.
fn rests(east: &Fake) {
    std::thread::sleep(2 * SHORT_LINK_QUIET);
    assert!(east.try_accept().is_none(), "there is nothing to say");
}

#[test]
fn a_link_ends_and_comes_back_with_what_is_new() {
    let (herd, east) = clark_and_east(&[]);
    assert_eq!(taken(&east), ASKS);
    rests(&east);
    let mut client = herd.client("Clark");
    for n in 0..5 {
        let at = client.ask(iamat(&format!("news-{n}")));
        assert_eq!(taken(&east), format!("{GREETS}{at}"));
    }
    let first = client.ask(iamat("first"));
    let mut open = east.accept(PATIENCE);
    assert_eq!(open.line() + &open.line(), format!("{GREETS}{first}"));
    // What comes while it stands goes out on it; what comes after its end, on the next.
    let second = client.ask(iamat("second"));
    assert_eq!(open.line(), second);
    assert_eq!(open.line(), TAKEN);
    let third = client.ask(iamat("third"));
    open.silence(50);
    open.send(TAKEN).eof();
    assert_eq!(taken(&east), format!("{GREETS}{third}"));
    rests(&east);
    let journal = herd.journal("Clark");
    for noise in ["no link", "link lost"] {
        assert!(!journal.contains(noise), "{noise:?} is in\n{journal}");
    }
}

#[test]
fn what_was_perhaps_not_taken_is_said_again_with_everything_else() {
    let (herd, east) = clark_and_east(&[]);
    assert_eq!(taken(&east), ASKS);
    let mut client = herd.client("Clark");
    let old = client.ask(iamat("old"));
    assert_eq!(taken(&east), format!("{GREETS}{old}"));
    let new = client.ask(iamat("new"));
    let (link_that_ends, said) = link(&east);
    drop(link_that_ends);
    assert_eq!(said, format!("{GREETS}{new}"));
    // Its end alone, a refusal, half a word: none of them says that all was taken.
    let all = format!("{GREETS}{old}{new}");
    for answer in ["", "? PEER East\n", "PEER East", "PEER Clark\n"] {
        let (mut link, said) = link(&east);
        assert_eq!(said, all);
        link.send(answer);
    }
    assert_eq!(taken(&east), all);
    rests(&east);
}

#[test]
fn a_neighbour_that_never_answers_is_dialled_again() {
    let (_herd, east) = clark_and_east(&[]);
    let (_open, said) = link(&east);
    assert_eq!(said, ASKS);
    let begun = Instant::now();
    assert_eq!(taken(&east), ASKS, "nobody has said that it was heard");
    let waited = begun.elapsed();
    let most = SHORT_LINK_END + Duration::from_secs(2);
    assert!(waited > SHORT_LINK_END / 2 && waited < most, "{waited:?}");
    rests(&east);
}

#[test]
fn a_neighbour_that_has_started_gets_everything() {
    let (herd, mut east) = clark_and_east(&[]);
    assert_eq!(taken(&east), ASKS);
    let mut client = herd.client("Clark");
    let known: String = (0..3)
        .map(|n| client.ask(iamat(&format!("known-{n}"))))
        .collect();
    let mut heard = String::new();
    while heard.len() < known.len() {
        heard += taken(&east).strip_prefix(GREETS).expect("a greeting");
    }
    assert_eq!(heard, known);
    // One that greets once has only news.
    herd.greeted("East", "Clark").half_close();
    rests(&east);
    let mut again = herd.greeted("East", "Clark");
    again.send("PEER East\n").half_close();
    assert_eq!(taken(&east), format!("{GREETS}{known}"));
    rests(&east);
    // And one that was down hears what it missed, whoever else it asks.
    east.down();
    let missed = client.ask(iamat("missed"));
    wait_until(PATIENCE, "Clark dials in vain", || {
        herd.journal("Clark").contains("no link")
    });
    east.up();
    assert_eq!(taken(&east), format!("{GREETS}{missed}"));
}

#[test]
fn whoever_asks_is_told_that_all_was_taken() {
    let (herd, _east) = clark_and_east(&[]);
    let line = format!("AT East +0.1 whole {UCLA} {}\n", now());
    let mut peer = herd.greeted("East", "Clark");
    // It was, by then.
    assert_eq!(peer.send(&line).ask(GREETS), GREETS);
    assert_eq!(herd.holds("Clark", "whole"), Some(line));
    // Half a question is none, and nobody else's is one.
    peer.send("PEER Clark").half_close().eof();
    assert_eq!(herd.client("Clark").ask(GREETS), format!("? {GREETS}"));
    let mut peer = herd.greeted("East", "Clark");
    peer.send("PEER Bona\n").silence(50);
    let journal = herd.journal("Clark");
    let said = "ignored: expected AT";
    assert_eq!(journal.matches(said).count(), 1, "{journal}");
}

#[test]
fn without_catching_up_nothing_is_asked_for_and_an_absence_leaves_its_mark() {
    let (herd, mut east) = clark_and_east(&["--no-catch-up"]);
    rests(&east);
    let mut client = herd.client("Clark");
    let before = client.ask(iamat("before"));
    assert_eq!(taken(&east), format!("{GREETS}{before}"));
    herd.greeted("East", "Clark")
        .send("PEER East\n")
        .half_close();
    rests(&east);
    east.down();
    client.ask(iamat("missed"));
    wait_until(PATIENCE, "Clark dials in vain", || {
        herd.journal("Clark").contains("no link")
    });
    east.up();
    let heard = (0..100).find_map(|n| {
        let at = client.ask(iamat(&format!("late-{n}")));
        std::thread::sleep(SHORT_LINK_QUIET);
        let mut link = east.try_accept()?;
        Some(at)
            .filter(|_| link.line() == GREETS)
            .map(|_| link.line())
    });
    let line = heard.expect("a link");
    assert!(line.contains(" late-"), "{line:?}");
}

/// Says something new at one server, waits until all know it, and then until no link stands.
fn is_whole_and_at_rest(herd: &Herd) {
    let id = unique("rest");
    let at = herd.client("Clark").ask(iamat(&id));
    herd.wait_everywhere(&id, &at);
    for name in herd.running() {
        let pid = herd.pid(&name).as_raw_nonzero().get();
        let port = herd.address(&name).port();
        let what = format!("{name} alone has sockets on its port");
        wait_until(PATIENCE, &what, || holders(port).into_iter().eq([pid]));
    }
}

/// As `lsof -ti:PORT | xargs kill -9` does; how many processes that were.
fn kill_by_port(port: u16) -> usize {
    let found = holders(port);
    assert!(
        !found.contains(&(std::process::id() as i32)),
        "we are no server"
    );
    for &pid in &found {
        let pid = Pid::from_raw(pid).expect("no kernel");
        kill_process(pid, Signal::KILL).expect("a process of ours");
    }
    found.len()
}

#[test]
fn no_socket_stands_between_idle_servers_and_killing_by_port_kills_one() {
    let mut herd = Plan::five().args(SHORT).start();
    is_whole_and_at_rest(&herd);
    for name in NAMES {
        let at = herd.client("Jaquez").ask(iamat(&format!("before-{name}")));
        herd.wait_everywhere(&format!("before-{name}"), &at);
        is_whole_and_at_rest(&herd);
        assert_eq!(kill_by_port(herd.address(name).port()), 1, "{name}");
        herd.wait_exit(name, PATIENCE);
        for other in NAMES.iter().filter(|other| **other != name) {
            assert_eq!(herd.ended(other), None, "{other} ended with {name}");
        }
        herd.restart(name);
        herd.wait_holds(name, &format!("before-{name}"), &at);
    }
    is_whole_and_at_rest(&herd);
}

/// What the option is for: links that stand make each server a holder of its neighbours' ports.
#[test]
fn without_it_a_server_cannot_be_killed_by_port_alone() {
    let herd = Herd::start();
    let found = holders(herd.address("Bona").port());
    assert_eq!(found.len(), 4, "Bona and its three neighbours: {found:?}");
}

#[test]
fn a_server_that_stops_says_what_it_owes_before() {
    let mut herd = Plan::five().args(SHORT).start();
    for name in NAMES {
        is_whole_and_at_rest(&herd);
        let id = unique("last");
        let at = herd.client(name).ask(iamat(&id));
        herd.signal(name, Signal::TERM);
        let status = herd.wait_exit(name, PATIENCE);
        assert_eq!(status.code(), Some(0), "{name}: {status}");
        for other in herd.running() {
            herd.wait_holds(&other, &id, &at);
        }
        herd.restart(name);
    }
}

#[test]
fn short_links_may_be_secured() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    authority.equip(folder.path());
    let options = certificates::options(folder.path());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut herd = Plan::five().args(SHORT).args(&options).start();
    is_whole_and_at_rest(&herd);
    herd.kill("Bona");
    let at = herd.client("Bailey").ask(iamat("meanwhile"));
    herd.restart("Bona");
    herd.wait_everywhere("meanwhile", &at);
    is_whole_and_at_rest(&herd);
    let journal = herd.journal("Clark");
    assert!(journal.contains("link at rest: all is said"), "{journal}");
}
