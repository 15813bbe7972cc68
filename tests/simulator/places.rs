//! A whole lookup in the simulator, plaintext where TLS would be: whatever happens to the
//! connection in whatever state, the client gets its framed answer in time, and the next question
//! finds its way.

mod one_shot;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::time::Duration;

use herd::config::Config;
use herd::event_loop::{Application, EventLoop, Readiness, Token};
use herd::net::{Accepted, Network, Read, Transport, accept};
use herd::server::{
    BREAKER_OPEN, Callback, LOOKUP_DEADLINE, Node, RESOLVE_DEADLINE, UPSTREAM_IDLE, WAITING_MAX,
};
use herd::worlds::sim::{End, SimWorld, Simulation, Weather};

use crate::stage::{Play, SECOND, asking};

const HERD: usize = 0;
const PLACES: usize = 1;
/// A second address of Places, where it is needed.
const HOLE: usize = 2;
const BODY: &str = "{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}\n";
const GOOD: &str = "{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}\n\n";
const UNKNOWN: &str = "{\"html_attributions\":[],\"results\":[],\"status\":\"UNKNOWN_ERROR\"}\n\n";

/// Everything that stands on a node of this simulation.
enum Machine {
    Herd(Box<Node<SimWorld>>),
    Places(Places),
}

/// A server that answers every request with [`BODY`], after so many callbacks.
#[derive(Default)]
struct Places {
    listener: Option<Token>,
    connections: BTreeMap<Token, (Transport<End>, Vec<u8>)>,
    accepted: u32,
    requests: usize,
    /// It takes requests and says nothing.
    silent: bool,
    /// It closes each connection after one answer without having said so.
    closes: bool,
}

const LISTENER: Token = Token::listener(0);

impl Places {
    fn ready(
        &mut self,
        event_loop: &mut EventLoop<SimWorld, Callback>,
        token: Token,
        readiness: Readiness,
    ) {
        if token == LISTENER {
            while let Some(listener) = &mut self.listener {
                let number = self.accepted + 1;
                let token = Token {
                    index: number,
                    generation: number,
                };
                let accepted = accept(&mut event_loop.world, listener, token);
                let Accepted::Stream(stream, _) = accepted else {
                    return;
                };
                self.accepted = number;
                let mut transport = Transport::accepted(stream, token);
                transport
                    .register(&mut event_loop.world)
                    .expect("registers");
                self.connections.insert(token, (transport, Vec::new()));
            }
        }
        let Some((transport, request)) = self.connections.get_mut(&token) else {
            return;
        };
        transport.note(readiness);
        let mut bytes = [0; 4096];
        loop {
            match transport.read(&mut event_loop.world, &mut bytes) {
                Ok(Read::Bytes(count)) => request.extend_from_slice(&bytes[..count]),
                Ok(Read::Nothing) => break,
                Ok(Read::End) | Err(_) => {
                    let gone = self.connections.remove(&token);
                    gone.into_iter()
                        .for_each(|(transport, _)| transport.close(&mut event_loop.world));
                    return;
                }
            }
        }
        while request.windows(4).any(|end| end == b"\r\n\r\n") && !self.silent {
            request.clear();
            self.requests += 1;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}",
                BODY.len()
            );
            let _ = transport.write(&mut event_loop.world, answer.as_bytes());
            if self.closes {
                transport.write_eof();
                let _ = transport.flush(&mut event_loop.world);
            }
        }
        let _ = transport.flush(&mut event_loop.world);
    }
}

impl Application<SimWorld> for Machine {
    type Callback = Callback;

    fn call(
        &mut self,
        event_loop: &mut EventLoop<SimWorld, Callback>,
        callback: Callback,
    ) -> Result<(), Box<dyn Error>> {
        match (self, callback) {
            (Machine::Herd(node), callback) => node.call(event_loop, callback)?,
            (Machine::Places(places), Callback::Ready(token, readiness)) => {
                places.ready(event_loop, token, readiness);
            }
            (Machine::Places(_), other) => panic!("{other:?}"),
        }
        Ok(())
    }

    fn before_poll(&mut self, event_loop: &mut EventLoop<SimWorld, Callback>) {
        if let Machine::Herd(node) = self {
            node.before_poll(event_loop);
        }
    }
}

struct Stage {
    sim: Simulation<Machine>,
    client: End,
}

impl Stage {
    fn new(seed: u64, places: Places) -> Stage {
        Stage::with(seed, places, asking("places.test"))
    }

    fn with(seed: u64, places: Places, config: Config) -> Stage {
        let mut sim = Simulation::new(3, seed, Weather::default());
        sim.net_mut().trace.keep_text();
        let address = "127.0.0.1:2".parse().expect("an address");
        sim.net_mut().name("places.test", vec![address]);
        let start = |machine: &mut Machine,
                     event_loop: &mut EventLoop<SimWorld, Callback>|
         -> io::Result<()> {
            match machine {
                Machine::Herd(node) => node.start(event_loop),
                Machine::Places(_) => Ok(()),
            }
        };
        let herd = Machine::Herd(Box::new(Node::new(config)));
        sim.boot(HERD, herd, start).expect("boots");
        let client = sim.client(HERD);
        let mut stage = Stage { sim, client };
        stage.start_places(places);
        stage.send("IAMAT kiwi +34.068930-118.445127 5\n");
        stage.wait(SECOND);
        assert!(stage.take().starts_with("AT Solo "), "no AT line");
        stage
    }

    fn start_places(&mut self, places: Places) {
        self.start_places_at(PLACES, "127.0.0.1:2", places);
    }

    fn start_places_at(&mut self, node: usize, address: &str, places: Places) {
        let address = address.parse().expect("an address");
        let start = |machine: &mut Machine,
                     event_loop: &mut EventLoop<SimWorld, Callback>|
         -> io::Result<()> {
            if let Machine::Places(places) = machine {
                places.listener = Some(event_loop.world.listen(address, LISTENER)?);
            }
            Ok(())
        };
        let booted = self.sim.boot(node, Machine::Places(places), start);
        booted.expect("boots");
    }

    fn wait(&mut self, time: Duration) {
        self.sim.wait(time);
    }

    fn send(&mut self, text: &str) {
        self.send_as(self.client, text);
    }

    fn send_as(&mut self, client: End, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let count = self.sim.net_mut().write(client, rest).expect("room");
            rest = &rest[count..];
            self.wait(Duration::from_micros(1));
        }
    }

    fn take(&mut self) -> String {
        self.sim.hear(self.client).0
    }

    /// Asks, and says what came within the deadline and how long it took.
    fn ask(&mut self) -> (String, Duration) {
        self.send("WHATSAT kiwi 10 5\n");
        self.answer()
    }

    fn answer(&mut self) -> (String, Duration) {
        let begun = self.sim.net().now;
        let mut text = String::new();
        while !text.ends_with("\n\n") {
            let spent = self.sim.net().now - begun;
            assert!(
                spent < LOOKUP_DEADLINE + SECOND,
                "no answer after {spent:?}: {text:?}"
            );
            self.wait(Duration::from_millis(5));
            text += &self.take();
        }
        (text, self.sim.net().now - begun)
    }

    fn places(&self) -> &Places {
        match self.sim.application(PLACES) {
            Some(Machine::Places(places)) => places,
            _ => panic!("Places is down"),
        }
    }

    /// The states of all lookups so far, in order, from the journal.
    fn states(&self) -> Vec<String> {
        let net = self.sim.net();
        let journal = net
            .trace
            .lines()
            .iter()
            .filter(|line| line.starts_with("journal"));
        let entries =
            journal.flat_map(|line| line.split("\\n").map(str::to_string).collect::<Vec<_>>());
        let places = entries.filter_map(|entry| Some(entry.split_once(" * ")?.1.to_string()));
        let names = "Queued Resolve Connect Handshake Send Head Body Done";
        let state = |text: String| {
            names
                .split(' ')
                .find(|name| text.starts_with(&format!("{name}: ")))
                .map(|name| name.to_string())
        };
        places.filter_map(state).collect()
    }
}

#[track_caller]
fn assert_answer(text: &str, json: &str) {
    let (line, rest) = text.split_once('\n').expect("an AT line");
    assert!(
        line.starts_with("AT Solo ") && line.contains(" kiwi "),
        "{line}"
    );
    assert_eq!(rest, json);
}

#[test]
fn a_lookup_goes_through_its_states_and_the_next_one_reuses_the_connection() {
    let mut stage = Stage::new(1, Places::default());
    assert_answer(&stage.ask().0, GOOD);
    let first = ["Queued", "Resolve", "Connect", "Handshake", "Send", "Head"];
    assert_eq!(stage.states()[..6], first);
    assert_eq!(stage.states().last().map(String::as_str), Some("Done"));
    let before = stage.states().len();
    assert_answer(&stage.ask().0, GOOD);
    assert_eq!(
        stage.states()[before..before + 3],
        ["Queued", "Send", "Head"]
    );
    assert_eq!((stage.places().accepted, stage.places().requests), (1, 2));
    stage.wait(UPSTREAM_IDLE + SECOND);
    assert!(
        stage.places().connections.is_empty(),
        "the idle connection was kept"
    );
    assert_answer(&stage.ask().0, GOOD);
    assert_eq!(stage.places().accepted, 2);
}

/// Each millisecond of a lookup's life, of 40, is the moment at which something goes wrong.
#[test]
fn a_fault_at_any_moment_ends_in_an_answer_and_the_next_question_is_answered() {
    type Fault = fn(&mut Stage);
    let faults: [(&str, Fault); 4] = [
        ("a reset", |stage| stage.sim.net_mut().flap(HERD, PLACES)),
        ("a cut towards Places", |stage| {
            stage.sim.net_mut().cut(HERD, PLACES)
        }),
        ("a cut from Places", |stage| {
            stage.sim.net_mut().cut(PLACES, HERD)
        }),
        ("Places vanishes", |stage| stage.sim.crash(PLACES, true)),
    ];
    let mut seen = [0; 2];
    for (name, fault) in faults {
        for moment in 0..40 {
            let mut stage = Stage::new(moment, Places::default());
            stage.send("WHATSAT kiwi 10 5\n");
            stage.wait(Duration::from_millis(moment));
            let early = stage.take();
            fault(&mut stage);
            let text = match early.ends_with("\n\n") {
                true => early,
                false => early + &stage.answer().0,
            };
            let json = text.split_once('\n').expect("an AT line").1;
            assert!(
                json == GOOD || json == UNKNOWN,
                "{name} at {moment} ms: {text:?}"
            );
            seen[usize::from(json == GOOD)] += 1;
            stage.sim.net_mut().heal(HERD, PLACES);
            stage.sim.net_mut().heal(PLACES, HERD);
            if stage.sim.application(PLACES).is_none() {
                stage.start_places(Places::default());
            }
            stage.wait(20 * SECOND);
            let (text, took) = stage.ask();
            assert_answer(&text, GOOD);
            assert!(took < SECOND, "{name} at {moment} ms: {took:?}");
        }
    }
    println!("{} lookups failed, {} did not", seen[0], seen[1]);
    assert!(seen.iter().all(|&count| count > 20), "{seen:?}");
}

#[test]
fn a_kept_connection_that_died_costs_one_retry_and_no_answer() {
    let mut stage = Stage::new(
        3,
        Places {
            closes: true,
            ..Places::default()
        },
    );
    for _ in 0..20 {
        // At once: the close may still be under way when the next request goes out.
        assert_answer(&stage.ask().0, GOOD);
    }
    assert!(stage.places().accepted >= 2);
}

#[test]
fn silence_is_answered_for_and_opens_the_breaker() {
    let mut stage = Stage::new(
        4,
        Places {
            silent: true,
            ..Places::default()
        },
    );
    for _ in 0..5 {
        let (text, took) = stage.ask();
        assert_answer(&text, UNKNOWN);
        assert!(took >= LOOKUP_DEADLINE - SECOND, "{took:?}");
    }
    let (text, took) = stage.ask();
    assert_answer(&text, UNKNOWN);
    assert!(took < SECOND, "the breaker is open, and it took {took:?}");
    stage.sim.crash(PLACES, false);
    stage.start_places(Places::default());
    stage.wait(BREAKER_OPEN);
    assert_answer(&stage.ask().0, GOOD);
}

#[test]
fn others_are_not_held_up() {
    let places = Places {
        silent: true,
        ..Places::default()
    };
    let mut stage = Stage::new(8, places);
    let begun = stage.sim.net().now;
    stage.send("WHATSAT kiwi 10 3\nbehind\n");
    let other = stage.sim.client(HERD);
    for number in 0..100 {
        let line = format!("x{number}\nIAMAT other +1-1 {number}\n");
        stage.send_as(other, &line);
        stage.wait(Duration::from_millis(20));
        let heard = stage.sim.hear(other).0;
        assert!(
            heard.starts_with(&format!("? x{number}\nAT Solo ")),
            "{heard:?}"
        );
    }
    assert_eq!(stage.take(), "", "answers come in order");
    let spent = stage.sim.net().now - begun;
    stage.wait(LOOKUP_DEADLINE - spent - SECOND / 100);
    assert_eq!(stage.take(), "", "answered too early");
    stage.wait(SECOND);
    let text = stage.take();
    let (answer, behind) = text.split_at(text.len() - "? behind\n".len());
    assert_answer(answer, UNKNOWN);
    assert_eq!(behind, "? behind\n");
}

#[test]
fn a_resolver_that_hangs_holds_up_nobody_else() {
    let mut stage = Stage::new(5, Places::default());
    assert_answer(&stage.ask().0, GOOD);
    stage.wait(UPSTREAM_IDLE + SECOND);
    // From now on the resolver says nothing: the addresses it last gave are used.
    stage.sim.net_mut().forget_name("places.test");
    stage.send("WHATSAT kiwi 10 5\n");
    let other = stage.sim.client(HERD);
    for number in 0..30 {
        let line = format!("IAMAT other +1-1 {number}\n");
        stage.send_as(other, &line);
        stage.wait(Duration::from_millis(20));
        let (bytes, _) = stage.sim.net_mut().client_take(other);
        assert!(bytes.ends_with(b"\n"), "IAMAT {number} waits");
    }
    let (text, took) = stage.answer();
    assert_answer(&text, GOOD);
    assert!(took <= RESOLVE_DEADLINE + SECOND, "{took:?}");
    stage.wait(UPSTREAM_IDLE + 600 * SECOND);
    assert_answer(&stage.ask().0, UNKNOWN);
}

#[test]
fn equal_questions_share_a_request_and_too_many_are_refused_at_once() {
    let mut stage = Stage::new(
        6,
        Places {
            silent: true,
            ..Places::default()
        },
    );
    let clients: Vec<End> = (0..WAITING_MAX + 10)
        .map(|_| stage.sim.client(HERD))
        .collect();
    stage.wait(SECOND);
    for &client in &clients {
        stage.send_as(client, "WHATSAT kiwi 10 5\n");
        stage.wait(Duration::from_millis(1));
    }
    stage.wait(SECOND);
    let answered = |stage: &mut Stage| {
        let take = |&client: &End| {
            String::from_utf8(stage.sim.net_mut().client_take(client).0).expect("UTF-8")
        };
        clients
            .iter()
            .map(take)
            .filter(|text| text.ends_with(UNKNOWN))
            .count()
    };
    assert_eq!(answered(&mut stage), 10, "refused at once");
    assert_eq!(stage.places().accepted, 1, "one request for all");
    stage.wait(LOOKUP_DEADLINE);
    assert_eq!(answered(&mut stage), WAITING_MAX);
}

/// The name has two addresses and the first swallows everything: the second is tried beside it
/// after 250 ms, also when so many ask at once that there is room for one connection each.
#[test]
fn a_black_hole_among_the_addresses_costs_a_quarter_of_a_second() {
    for crowd in [1, 100] {
        let mut stage = Stage::new(7, Places::default());
        stage.start_places_at(HOLE, "127.0.0.1:3", Places::default());
        stage.sim.net_mut().cut(HERD, HOLE);
        let addresses =
            ["127.0.0.1:3", "127.0.0.1:2"].map(|text| text.parse().expect("an address"));
        stage.sim.net_mut().name("places.test", addresses.to_vec());
        let clients: Vec<End> = (0..crowd).map(|_| stage.sim.client(HERD)).collect();
        stage.wait(SECOND);
        for (number, &client) in clients.iter().enumerate() {
            // Questions that differ share nothing.
            let question = format!("WHATSAT kiwi {}.{number} 5\n", number % 40);
            stage.send_as(client, &question);
        }
        stage.wait(2 * SECOND);
        let take = |&client: &End| stage.sim.net_mut().client_take(client).0;
        let answers: Vec<Vec<u8>> = clients.iter().map(take).collect();
        let good = answers
            .iter()
            .filter(|text| text.ends_with(GOOD.as_bytes()))
            .count();
        assert_eq!(good, crowd, "in two seconds");
    }
}
