//! Bounds of NOTES.md that no other test reaches: what is beyond each is refused, waits or is left out.

use std::time::Duration;

use herd::config::Config;
use herd::event_loop::{EventLoop, Token};
use herd::net::{ACCEPT_BUDGET, CONNECT_DEADLINE};
use herd::portions::LINK_UNSENT_LOW;
use herd::server::{
    Callback, Node, ROWS_MAX, SIGTERM, SNAPSHOT_PIECE, STOP_DEADLINE, STORE_ROWS_MAX,
    TURN_OUTPUT_MAX,
};
use herd::worlds::sim::{End, SimWorld, Simulation, Weather};
use serde_json::Value;

use crate::stage::{Play, SECOND, boot, config};

/// Bob's door.
pub const BOB: Token = Token::listener(0);

/// A record whose id is so long has a line that is a little longer.
const LONG_ID: usize = 4000;
const LONG_LINE: usize = LONG_ID + 100;

/// Ada, linked with Bob, of whom there is nothing but what the test says in his name.
pub struct Stage {
    pub sim: Simulation<Node<SimWorld>>,
    pub event_loop: EventLoop<SimWorld, Callback>,
    pub node: Node<SimWorld>,
}

impl Stage {
    pub fn new(change: impl FnOnce(&mut Config)) -> Stage {
        Stage::under(Weather::default(), change)
    }

    pub fn under(weather: Weather, change: impl FnOnce(&mut Config)) -> Stage {
        let mut config = config(&["Ada", "Bob"]);
        change(&mut config);
        let mut sim = Simulation::new(2, 1, weather);
        // What Ada says to Bob is swallowed.
        sim.net_mut()
            .listen(1, config.roster.servers[1].address, BOB);
        sim.net_mut().cut(0, 1);
        boot(&mut sim, 0, config);
        let (event_loop, node) = sim.take(0).expect("it runs");
        Stage {
            sim,
            event_loop,
            node,
        }
    }

    /// All that is under way arrives, and then one turn runs.
    pub fn turn(&mut self, later: Duration) {
        let mut net = self.sim.net_mut();
        net.now += later;
        net.deliver_due();
        drop(net);
        self.event_loop.run_once(&mut self.node).expect("it runs");
    }

    pub fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.turn(SECOND / 100);
        }
    }

    pub fn connect(&mut self) -> End {
        self.sim.client(0)
    }

    pub fn say(&mut self, client: End, text: &str) {
        self.sim.say(client, text);
    }

    /// So many records, each of them long.
    fn fill(&mut self, records: usize) {
        let client = self.connect();
        for number in 0..records {
            let id = format!("{}{number}", "x".repeat(LONG_ID));
            self.say(client, &format!("IAMAT {id} +1+1 5\n"));
            self.turns(1);
            self.sim.net_mut().client_take(client);
        }
        assert_eq!(self.view()["store"]["records"], records);
    }

    /// What happened of this kind since the text of the trace is kept: its place among all that
    /// happened, and its bytes.
    fn traced(&self, kind: &str) -> Vec<(usize, usize)> {
        let net = self.sim.net();
        let lines = net.trace.lines().iter().enumerate();
        let of_kind = lines.filter(|(_, line)| line.starts_with(kind));
        let bytes = |line: &str| {
            let (_, bytes) = line.split_once("] ").expect("numbers, then bytes");
            bytes.replace("\\n", "\n").len()
        };
        of_kind.map(|(at, line)| (at, bytes(line))).collect()
    }

    pub fn view(&self) -> Value {
        self.node.view(&self.event_loop)
    }

    fn clients(&self) -> u64 {
        let total = self.view()["connections"]["total"].as_u64();
        // The link to Bob, up or not, is one as long as it is dialled.
        let links = u64::from(self.view()["peers"][0]["state"] != "waiting");
        total.expect("a number") - links
    }

    fn has_ended(&mut self, client: End) -> bool {
        self.sim.net_mut().client_take(client) == (Vec::new(), true)
    }
}

#[test]
fn one_connection_too_many_is_closed_without_a_word() {
    let mut stage = Stage::new(|config| config.max_connections = 4);
    stage.turns(3);
    let clients: Vec<End> = (0..5).map(|_| stage.connect()).collect();
    stage.turns(5);
    let ended: Vec<bool> = clients.iter().map(|&end| stage.has_ended(end)).collect();
    // The link to Bob counts as well.
    assert_eq!(ended, [false, false, false, true, true]);
    stage.sim.net_mut().close(clients[0]);
    stage.turns(5);
    let next = stage.connect();
    stage.turns(5);
    assert!(!stage.has_ended(next), "there is room again");
}

#[test]
fn a_turn_takes_sixteen_new_clients() {
    let mut stage = Stage::new(|_| {});
    stage.turns(3);
    let crowd = 3 * ACCEPT_BUDGET as u64;
    for _ in 0..crowd {
        stage.connect();
    }
    let mut before = 0;
    for _ in 0..9 {
        stage.turn(SECOND / 100);
        let now = stage.clients();
        assert!(now - before <= ACCEPT_BUDGET as u64, "{before} -> {now}");
        before = now;
    }
    assert_eq!(before, crowd);
}

#[test]
fn a_turn_takes_so_many_lines_of_a_neighbour() {
    const VISIT: usize = 256;
    let mut stage = Stage::new(|config| config.portions.lines_a_visit = VISIT);
    let bob = stage.connect();
    let lines = 2 * VISIT + 9;
    stage.say(bob, "PEER Bob\n");
    stage.turns(5);
    let news = |number: usize| format!("AT Bob +0.1 c{number} +1+1 5\n");
    let text: String = (0..lines).map(news).collect();
    stage.say(bob, &text);
    let (mut before, mut most) = (0, 0);
    for _ in 0..9 {
        stage.turn(SECOND / 100);
        let now = stage.view()["store"]["records"].as_u64().expect("a number");
        most = most.max(now - before);
        before = now;
    }
    assert_eq!(before, lines as u64);
    assert_eq!(most, VISIT as u64);
    let rows = stage.view()["store"]["rows"].as_array().map(Vec::len);
    assert_eq!(rows, Some(STORE_ROWS_MAX));
}

/// A turn takes much of each connection; once it has taken much in all, only a little of those that are left.
#[test]
fn a_turn_takes_so_many_lines_and_then_few_of_each() {
    const CLIENTS: usize = 6;
    const EACH: usize = 100;
    let mut stage = Stage::new(|config| {
        let portions = &mut config.portions;
        portions.lines_a_turn = 40;
        portions.lines_a_visit = 10;
        portions.lines_at_least = 2;
    });
    for client in 0..CLIENTS {
        let end = stage.connect();
        let line = |number: usize| format!("IAMAT c{client}-{number} +1+1 5\n");
        stage.say(end, &(0..EACH).map(line).collect::<String>());
    }
    let (mut before, mut most) = (0, 0);
    for _ in 0..CLIENTS * EACH {
        stage.turn(SECOND / 100);
        let now = stage.view()["store"]["records"].as_u64().expect("a number");
        most = most.max(now - before);
        before = now;
    }
    assert_eq!(before, (CLIENTS * EACH) as u64);
    assert_eq!(most, 4 * 10 + 2 * 2);
}

#[test]
fn a_view_shows_the_first_thousand_and_counts_all() {
    let mut stage = Stage::new(|_| {});
    for _ in 0..=ROWS_MAX {
        stage.connect();
    }
    stage.turns(2 * ROWS_MAX / ACCEPT_BUDGET);
    let connections = &stage.view()["connections"];
    assert!(connections["total"].as_u64() > Some(ROWS_MAX as u64));
    assert_eq!(connections["rows"].as_array().map(Vec::len), Some(ROWS_MAX));
}

/// A herd may have more servers, and more links, than a view shows.
#[test]
fn a_view_shows_a_thousand_servers_links_and_neighbours_too() {
    let names: Vec<String> = (0..ROWS_MAX + 10).map(|name| format!("S{name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = Stage::new(|mine| mine.roster = config(&names).roster);
    let view = stage.view();
    for rows in [
        &view["herd"]["servers"],
        &view["herd"]["links"],
        &view["peers"],
    ] {
        assert_eq!(rows.as_array().map(Vec::len), Some(ROWS_MAX));
    }
}

#[test]
fn a_view_tells_on_which_connection_a_neighbour_speaks_and_when_it_is_dialled() {
    let mut stage = Stage::new(|_| {});
    let ids = |view: &Value, kind: &str| -> Vec<Value> {
        let rows = view["connections"]["rows"].as_array().expect("rows");
        let fitting = rows.iter().filter(|row| row["kind"] == kind);
        fitting.map(|row| row["id"].clone()).collect()
    };
    assert_eq!(stage.view()["peers"][0]["heard"], Value::Null);
    let _crowd: Vec<End> = (0..5).map(|_| stage.connect()).collect();
    let bob = stage.connect();
    stage.say(bob, "PEER Bob\n");
    stage.turns(3);
    let view = stage.view();
    assert_eq!(vec![view["peers"][0]["heard"].clone()], ids(&view, "peer"));
    stage.sim.net_mut().close(bob);
    stage.turns(3);
    assert_eq!(stage.view()["peers"][0]["heard"], Value::Null);
    // Nobody answers its connect.
    assert_eq!(stage.view()["peers"][0]["redial"], Value::Null);
    stage.turn(CONNECT_DEADLINE);
    let view = stage.view();
    assert_eq!(view["peers"][0]["state"], "waiting");
    let redial = |(_, _, one): &(_, _, &herd::event_loop::Pending<Callback>)| {
        matches!(one.callback, Callback::Redial(_))
    };
    let timers = stage.event_loop.timers();
    let when: Vec<Duration> = timers.filter(redial).map(|(when, ..)| when).collect();
    let told = view["peers"][0]["redial"].as_f64();
    assert_eq!(told, when.first().map(Duration::as_secs_f64));
}

#[test]
fn a_neighbour_that_swallows_everything_has_three_seconds_to_connect() {
    let mut stage = Stage::new(|_| {});
    let state = |stage: &Stage| stage.view()["peers"][0]["state"].clone();
    stage.turn(CONNECT_DEADLINE - SECOND / 10);
    assert_eq!(state(&stage), "dialling");
    stage.turn(SECOND / 5);
    assert_eq!(state(&stage), "waiting");
}

#[test]
fn a_stop_waits_five_seconds_for_who_does_not_take_its_answers() {
    let mut stage = Stage::new(|_| {});
    let deaf = stage.connect();
    stage.turns(3);
    // More than the road holds: some of the answers stay with us.
    for _ in 0..200 {
        let _ = stage.sim.net_mut().write(deaf, "x".repeat(4096).as_bytes());
        let _ = stage.sim.net_mut().write(deaf, b"\n");
        stage.turn(SECOND / 100);
    }
    let unsent = &stage.view()["connections"]["rows"];
    let unsent = unsent.as_array().expect("rows").iter();
    assert!(unsent.filter_map(|row| row["unsent"].as_u64()).sum::<u64>() > 0);
    stage.event_loop.call_soon(Callback::Signal(SIGTERM));
    stage.turn(Duration::ZERO);
    stage.turn(STOP_DEADLINE - SECOND / 10);
    assert!(!stage.event_loop.is_stopping(), "it waits");
    stage.turn(SECOND / 5);
    assert!(stage.event_loop.is_stopping(), "and ends");
}

/// A crowd whose answers are more than a turn may gather: some are sent in its middle.
#[test]
fn a_turn_gathers_a_mebibyte_of_answers() {
    let mut stage = Stage::new(|_| {});
    let line = format!("{}\n", "x".repeat(16_000));
    let answer = format!("? {line}");
    let crowd = TURN_OUTPUT_MAX * 3 / 2 / answer.len();
    let clients: Vec<End> = (0..crowd).map(|_| stage.connect()).collect();
    stage.turns(2 + crowd / ACCEPT_BUDGET);
    for &client in &clients {
        stage.say(client, &line);
    }
    stage.sim.net_mut().trace.keep_text();
    stage.turn(SECOND / 100);
    let writes = stage.traced("write ");
    let reads = stage.traced("read ");
    assert_eq!(reads.len(), crowd, "one turn reads them all");
    let first = writes.first().expect("answers").0;
    let before = reads.iter().filter(|(at, _)| *at < first);
    let gathered = before.map(|(_, bytes)| bytes + "? ".len()).sum::<usize>();
    assert!(gathered > TURN_OUTPUT_MAX, "{gathered}");
    assert!(gathered <= TURN_OUTPUT_MAX + answer.len(), "{gathered}");
    stage.turn(SECOND / 100);
    for client in clients {
        let (text, _) = stage.sim.net_mut().client_take(client);
        assert!(text == answer.as_bytes(), "{} bytes", text.len());
    }
}

/// What a neighbour does not take yet stays in the table, and not in its link's buffer.
#[test]
fn a_dump_goes_out_in_pieces() {
    let mut stage = Stage::new(|_| {});
    let records = 4 * LINK_UNSENT_LOW / LONG_ID;
    stage.fill(records);
    stage.sim.net_mut().heal(0, 1);
    // What the cut held may be lost with it: then she dials again.
    stage.turns(50);
    assert_eq!(stage.view()["peers"][0]["state"], "up");
    let unsent = |stage: &Stage| stage.view()["peers"][0]["unsent"].as_u64();
    let most = Some((LINK_UNSENT_LOW + LONG_LINE) as u64);
    // Bob reads nothing: the link is as full as it gets.
    assert!(unsent(&stage) >= Some(LINK_UNSENT_LOW as u64));
    assert!(unsent(&stage) < most, "{:?}", unsent(&stage));
    assert_ne!(stage.view()["peers"][0]["owed"], 0);
    let (bob, _) = stage.sim.net_mut().accept(1, BOB).expect("Ada has dialled");
    let mut text = Vec::new();
    for _ in 0..100 {
        text.extend(stage.sim.net_mut().client_take(bob).0);
        stage.turns(1);
        assert!(unsent(&stage) < most, "{:?}", unsent(&stage));
    }
    let lines = text.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines, 1 + records);
    assert!(text.starts_with(b"PEER Ada\nAT "));
    assert_eq!(stage.view()["peers"][0]["owed"], 0);
}

#[test]
fn a_turn_adds_one_piece_to_a_snapshot() {
    let every = 100 * SECOND;
    let mut stage = Stage::new(|config| config.snapshot_every = Some(every));
    stage.fill(7 * SNAPSHOT_PIECE / 2 / LONG_ID);
    stage.sim.net_mut().trace.keep_text();
    stage.turn(every);
    for turns in 1..8 {
        assert_eq!(stage.traced("snapshot ").len(), turns.min(4));
        stage.turns(1);
    }
    assert_eq!(stage.view()["snapshots"]["state"], "idle");
    let pieces = stage.traced("snapshot ");
    let pieces: Vec<usize> = pieces.iter().map(|(_, bytes)| *bytes).collect();
    let (last, whole) = pieces.split_last().expect("a snapshot");
    let is_whole = |bytes| (SNAPSHOT_PIECE..SNAPSHOT_PIECE + LONG_LINE).contains(bytes);
    assert!(whole.len() == 3 && whole.iter().all(is_whole), "{pieces:?}");
    assert!(*last < SNAPSHOT_PIECE, "{pieces:?}");
}

/// Each byte of these ids is four in the journal: the news of one turn are more than may wait for the
/// disk, which takes everything.
#[test]
fn the_journal_keeps_every_line_of_a_turn_full_of_news() {
    let mut stage = Stage::new(|_| {});
    stage.sim.net_mut().heal(0, 1);
    stage.turns(50);
    assert_eq!(stage.view()["peers"][0]["state"], "up");
    stage.sim.net_mut().trace.keep_text();
    let clients: Vec<End> = (0..100).map(|_| stage.connect()).collect();
    stage.turns(10);
    for (client, name) in clients.iter().zip('a'..) {
        for number in 0..4 {
            let id = "\u{e9}".repeat(1800);
            stage.say(*client, &format!("IAMAT {name}{number}{id} +1+1 5\n"));
        }
    }
    stage.turns(3);
    let net = stage.sim.net();
    let mut journal = net
        .trace
        .lines()
        .iter()
        .filter(|line| line.starts_with("journal"));
    assert!(
        journal
            .clone()
            .any(|line| line.contains("peer Bob > AT Ada"))
    );
    let lost = journal.find(|line| line.contains("dropped"));
    assert!(lost.is_none(), "{:.300}", lost.map_or("", |line| line));
}
