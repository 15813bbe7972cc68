//! Recordings of simulated servers, replayed: the same callbacks in the same order, the same bytes;
//! and a changed rule found at the callback where it shows.

use std::time::Duration;

use herd::config::Config;
use herd::event_loop::EventLoop;
use herd::herd::Roster;
use herd::probe::{Probed, Recording, header};
use herd::server::{Callback, Node};
use herd::worlds::recording::{Blocks, Ending, Recorder, Records};
use herd::worlds::sim::{End, SimWorld, Simulation, WALL_CLOCK_START, Weather};
use herd::worlds::watched::Watched;
use herd::worlds::{Stage, Tap, Way};

use crate::stage::{Dice, Memory};

type World = Watched<SimWorld>;
type Sim = Simulation<Probed<World>, World>;

const SERVERS: usize = 5;

struct Run {
    sim: Sim,
    files: Vec<Memory>,
    clients: Vec<Option<End>>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut run = Run {
            sim: Simulation::new(SERVERS, seed, Weather::default()),
            files: vec![Memory::default(); SERVERS]
                .iter()
                .map(|_| Memory::default())
                .collect(),
            clients: vec![None; SERVERS],
        };
        for server in 0..SERVERS {
            run.boot(server);
        }
        run
    }

    fn boot(&mut self, server: usize) {
        let config = Config::new(Roster::standard(), server);
        let recorder = Recorder::new(Box::new(self.files[server].clone()), &header(&config));
        let start = |probed: &mut Probed<World>, event_loop: &mut EventLoop<World, Callback>| {
            probed.node.start(event_loop)
        };
        let around = |world| Watched::new(world, Some(recorder), None, "");
        self.sim
            .boot_in(server, around, Probed::new(Node::new(config)), start)
            .expect("boots");
    }

    fn say(&mut self, server: usize, line: &str) {
        let mut net = self.sim.net_mut();
        let known = self.clients[server];
        let Some(client) = known.or_else(|| net.client_connect(server)) else {
            return;
        };
        self.clients[server] = Some(client);
        // What does not fit is not sent: half lines belong to the storm.
        if net.write(client, line.as_bytes()).is_err() {
            self.clients[server] = None;
        }
        while !net.client_take(client).0.is_empty() {}
    }

    fn storm(&mut self, seed: u64) {
        let mut dice = Dice::new(seed);
        for _ in 0..80 {
            let now = self.sim.net().now;
            let pause = Duration::from_millis(dice.roll(400));
            self.sim.run_until(now + pause).expect("runs");
            let server = dice.roll(SERVERS as u64) as usize;
            let other = dice.roll(SERVERS as u64) as usize;
            let second = WALL_CLOCK_START.as_secs() + dice.roll(100);
            let client = dice.roll(5);
            match dice.roll(10) {
                0 => self.sim.net_mut().flap(server, other),
                1 => self.sim.net_mut().cut(server, other),
                2 => self.sim.net_mut().heal(server, other),
                3 => self.say(server, &format!("WHATSAT client{client} 10 3\n")),
                4 => self.say(server, "AT nonsense \x01\u{e9}\r\nHALF A LI"),
                _ => self.say(
                    server,
                    &format!("IAMAT client{client} +34.1-118.2 {second}.{client}\n"),
                ),
            }
        }
    }

    /// The recordings; each server's callbacks were counted and hashed as they ran.
    fn finish(mut self, cleanly: bool) -> Vec<(Vec<u8>, (u64, u64))> {
        let take = |server: usize| {
            let (mut event_loop, _) = self.sim.take(server).expect("is up");
            if cleanly {
                event_loop.world.finish();
            }
            let order = event_loop.world.order();
            drop(event_loop);
            (self.files[server].0.borrow().clone(), order)
        };
        (0..SERVERS).map(take).collect()
    }
}

fn recordings(seed: u64, cleanly: bool) -> Vec<(Vec<u8>, (u64, u64))> {
    let mut run = Run::new(seed);
    run.storm(seed);
    run.finish(cleanly)
}

/// Where each callback begins that read `needle`, counted from 1.
fn callbacks_that_read(recording: &Recording, needle: &[u8]) -> Vec<u64> {
    let (mut event_loop, mut probed) = recording.begin(Some(Tap::default()));
    let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    let mut found = Vec::new();
    while event_loop.collect(&mut probed).is_ok() {
        while event_loop.run_next(&mut probed) {
            for exchange in event_loop.world.take_exchanges() {
                if exchange.way == Way::Read && has(&exchange.bytes) {
                    found.push(event_loop.world.inner().order().0);
                }
            }
        }
        event_loop.finish(&mut probed);
    }
    found
}

/// A server, three clients' reports one after the other, each in turns of its own.
fn three_clients(cleanly: bool) -> Vec<u8> {
    let mut run = Run::new(7);
    for client in ["one", "two", "three"] {
        let second = WALL_CLOCK_START.as_secs();
        run.say(3, &format!("IAMAT {client} +34.1-118.2 {second}\n"));
        let now = run.sim.net().now;
        run.sim
            .run_until(now + Duration::from_secs(1))
            .expect("runs");
    }
    run.finish(cleanly).swap_remove(3).0
}

/// Where the records of a recording begin.
fn records(bytes: &[u8]) -> usize {
    let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    lines.map(|(at, _)| at + 1).nth(1).expect("two lines")
}

/// The recording, as if a server with another rule should replay it.
fn with_rule(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    let end = records(bytes);
    let header = String::from_utf8(bytes[..end].to_vec()).expect("UTF-8");
    assert!(header.contains(old), "{header}");
    let mut changed = header.replace(old, new).into_bytes();
    let mut blocks = Blocks::new(&changed);
    blocks.put(&Records::read(bytes, end).bytes, &mut changed);
    changed
}

#[test]
fn a_changed_rule_is_found_at_the_callback_where_it_shows() {
    let bytes = three_clients(true);
    let recording = Recording::new(&bytes).expect("a recording");
    let [third] = callbacks_that_read(&recording, b"IAMAT three")[..] else {
        panic!("it is read once");
    };
    let changed = with_rule(&bytes, "\"max_records\":1000000", "\"max_records\":2");
    let outcome = Recording::new(&changed).expect("a recording").run();
    let Ending::Different(difference) = outcome.ending else {
        panic!("{:?}", outcome.ending);
    };
    assert_eq!(difference.callbacks, third, "{difference}");
    assert_ne!(difference.then, difference.now);
}

#[test]
fn an_end_that_came_too_early_is_a_difference() {
    // The driver of the simulation ended it: the code would have gone on.
    let outcome = Recording::new(&three_clients(true))
        .expect("a recording")
        .run();
    let Ending::Different(difference) = outcome.ending else {
        panic!("{:?}", outcome.ending);
    };
    assert_eq!(difference.then, "ends");
}

#[test]
fn a_recording_cut_anywhere_ends_there_and_a_damaged_one_does_no_harm() {
    let bytes = three_clients(false);
    let records = records(&bytes);
    for end in records..bytes.len() {
        let outcome = Recording::new(&bytes[..end]).expect("a recording").run();
        assert_eq!(outcome.ending, Ending::Cut, "cut at {end}");
    }
    for at in records..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let outcome = Recording::new(&damaged).expect("a recording").run();
        let Ending::Damaged(from) = outcome.ending else {
            panic!("damaged at {at}: {:?}", outcome.ending);
        };
        assert!(from <= at && outcome.progress.0 <= at, "{from} {outcome}");
    }
    for wrong in [
        "",
        "herd",
        "herd recording 1\n{}\n",
        "herd recording 3\n{}\n",
        "herd recording 4\n",
        "herd recording 4\n{}\n",
    ] {
        assert!(Recording::new(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
}

#[test]
fn two_hundred_recordings_replay_alike() {
    for seed in 0..40 {
        for (server, (bytes, order)) in recordings(seed, false).into_iter().enumerate() {
            let outcome = Recording::new(&bytes).expect("a recording").run();
            assert_eq!(outcome.ending, Ending::Cut, "seed {seed} server {server}");
            assert_eq!(outcome.progress.0, bytes.len(), "to the last byte");
            assert_eq!((outcome.callbacks, outcome.order), order);
            assert!(
                order.0 > 20,
                "seed {seed} server {server}: {order:?}, something happened"
            );
        }
    }
}
