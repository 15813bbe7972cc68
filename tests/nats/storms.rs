//! Two herds on one bucket, while everything goes wrong with it: in the end all tables and the register
//! agree, and the register has never gone back. (Unless the stream was deleted and made anew: until the watch
//! falls silent, a revision of the old stream may be one of the new by chance, with another value. Repair
//! heals that too.)
//!
//! `HERD_SEEDS=10000 cargo test --release --test nats storms` runs that many.

use std::time::Duration;

use herd::nats::bucket::Rules;
use herd::nats::key;

use crate::world::{Server, World};

const FIRST: &[&str] = &["Bona", "Clark", "Jaquez"];
const SECOND: &[&str] = &["Mitte", "Wedding"];

/// Faults and reports happen in this time.
const STORM: Duration = Duration::from_secs(20);
/// Afterwards all agrees within this: a silent watch is given up after 12.5 s, a pause is 10 s at most,
/// so is a grace, and so much may follow one another.
const CALM: Duration = Duration::from_secs(50);

/// What became of a storm.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    agree: bool,
    went_back: usize,
}

fn id(number: u64) -> Vec<u8> {
    match number {
        0 => b"kiwi.cs.ucla.edu".to_vec(),
        1 => b"*.>".to_vec(),
        2 => b"\x1f_\xff\x00=".to_vec(),
        3 => vec![b'x'; 4096],
        _ => format!("_phone{number}").into_bytes(),
    }
}

fn storm(seed: u64, rules: Rules) -> (Outcome, World) {
    let first = FIRST.iter().map(|name| Server::new(name, FIRST, rules));
    let second = SECOND.iter().map(|name| Server::new(name, SECOND, rules));
    let mut world = World::new(seed, first.chain(second).collect());
    while world.now < STORM {
        world.step();
        act(&mut world, rules);
    }
    world.engine.leaderless = false;
    world.engine.drops = 0;
    world.frozen = false;
    // What agrees while nothing new comes goes on to agree; the first second is for what is under way.
    let mut agree = false;
    while !agree && world.now < STORM + CALM {
        world.run_until(world.now + Duration::from_secs(1));
        agree = agrees(&world);
    }
    let outcome = Outcome {
        agree,
        went_back: match world.engine.wipes {
            0 => world.engine.went_back,
            _ => 0,
        },
    };
    (outcome, world)
}

/// All tables hold what the register does, and every server knows.
fn agrees(world: &World) -> bool {
    let mut values: Vec<_> = world.engine.register().into_values().collect();
    values.sort();
    world.servers.iter().all(|server| {
        server.table() == values && server.bucket.dirty() == 0 && server.bucket.in_flight() == 0
    })
}

/// What happens in one step: most often nothing, or a report.
fn act(world: &mut World, rules: Rules) {
    let servers = world.servers.len() as u64;
    let server = world.dice.roll(servers) as usize;
    if world.dice.once_in(6) {
        let (number, place) = (world.dice.roll(12), world.dice.roll(80));
        // Few times, so that some are equal, and not in order.
        let time = 1_600_000_000 + world.now.as_millis() as u64 / 500 + world.dice.roll(4);
        world.report(server, &id(number), place, time);
    }
    match world.dice.roll(1500) {
        0..10 => world.cut(server),
        10..13 => world.crash(server, rules),
        13..16 => {
            let lost = world.dice.roll(2) * world.dice.roll(30);
            world.engine.restart(lost as usize);
        }
        16 => world.engine.wipe(),
        17..20 => world.engine.leaderless = !world.engine.leaderless,
        20..23 => world.engine.drops = world.dice.roll(3) as usize,
        23 => world.engine.kill_watches(),
        24..26 => world.frozen = !world.frozen,
        _ => {}
    }
}

fn seeds(default: u64) -> u64 {
    let text = std::env::var("HERD_SEEDS").ok();
    text.map_or(default, |text| {
        text.parse().expect("HERD_SEEDS is a number")
    })
}

/// How many of some storms end in agreement, and how many of them had a register that went back.
fn count(seeds: u64, rules: Rules) -> (u64, u64) {
    let half = |parity: u64| {
        let mut counted = (0, 0);
        for seed in (0..seeds).filter(|seed| seed % 2 == parity) {
            let (outcome, _) = storm(seed, rules);
            counted.0 += u64::from(outcome.agree);
            counted.1 += u64::from(outcome.went_back > 0);
        }
        counted
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let (first, second) = (half(0), other.join().expect("it ends"));
        (first.0 + second.0, first.1 + second.1)
    })
}

#[test]
fn tables_and_register_agree_after_each_storm_and_it_never_goes_back() {
    let seeds = seeds(300);
    let rules = Rules::default();
    let wanted = Outcome {
        agree: true,
        went_back: 0,
    };
    let half = |parity: u64| {
        for seed in (0..seeds).filter(|seed| seed % 2 == parity) {
            let (outcome, world) = storm(seed, rules);
            assert_eq!(outcome, wanted, "storm {seed}: {}", shown(&world));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| half(1));
        half(0);
    });
    println!("{seeds} storms: all agree, no register went back");
}

/// What each server and the register know, each line cut short.
fn shown(world: &World) -> String {
    let short = |line: &[u8]| format!("\n  {}", line[..line.len().min(60)].escape_ascii());
    let mut text = String::new();
    for server in &world.servers {
        let (state, dirty) = (server.bucket.state(), server.bucket.dirty());
        let said: Vec<_> = server.said.iter().rev().take(6).collect();
        text += &format!("\n{} {state}, {dirty} dirty: {said:?}", server.name);
        text.extend(server.table().iter().map(|line| short(line)));
    }
    text += "\nthe register";
    text.extend(world.engine.register().values().map(|line| short(line)));
    text
}

/// A test that cannot fail proves nothing: without repair some storms leave a register behind, and without
/// compare-and-set some registers go back.
#[test]
fn without_repair_or_compare_and_set_some_storms_fail() {
    let seeds = seeds(60);
    let (without_repair, _) = count(
        seeds,
        Rules {
            repair: false,
            ..Rules::default()
        },
    );
    let (last_wins, back) = count(
        seeds,
        Rules {
            compare_and_set: false,
            ..Rules::default()
        },
    );
    println!(
        "{seeds} storms: {without_repair} agree without repair; without compare-and-set {last_wins}, and {back} went back"
    );
    assert!(without_repair < seeds, "repair is not needed");
    assert!(back > 0, "compare-and-set is not needed");
}

#[test]
fn ids_of_every_kind_have_keys() {
    for number in 0..5 {
        let key = key::encode(&id(number));
        assert!(key.len() <= 200 && !key.starts_with('_'), "{key}");
    }
}
