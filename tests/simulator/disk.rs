//! Snapshots on a disk that stalls, is full, lies, and forgets when the power fails.
//!
//! `HERD_SEEDS=50000 cargo test --release --test simulator disk` runs that many lives.

use std::collections::BTreeMap;
use std::time::Duration;

use herd::herd::{At, SnapshotReader};
use herd::server::Node;
use herd::worlds::sim::{SimWorld, Simulation, Weather};

use crate::stage::{Dice, Play, boot, solo};

/// How often the server comes up in one life of its disk.
const STARTS: usize = 5;
const REPORTS: u64 = 12;
/// So long that a snapshot has pieces.
const ID_LENGTH: usize = 3_000;
const IDS: u64 = 120;

/// By client, the newest time.
type Table = BTreeMap<Vec<u8>, u64>;

struct Life {
    sim: Simulation<Node<SimWorld>>,
    dice: Dice,
    /// What was said to the server, answered or not.
    said: Table,
    time: u64,
    /// What was seen, so that a test can say that it looked at something.
    power_failures: usize,
    damaged: usize,
    kept: usize,
}

fn record(line: &[u8]) -> (Vec<u8>, u64) {
    let at = At::stored(line).expect("an AT line");
    let time = std::str::from_utf8(at.report.time.as_bytes()).expect("digits");
    (at.report.id.to_vec(), time.parse().expect("a whole number"))
}

impl Life {
    fn new(seed: u64) -> Life {
        Life {
            sim: Simulation::new(1, seed, Weather::default()),
            dice: Dice::new(seed),
            said: Table::new(),
            time: 0,
            power_failures: 0,
            damaged: 0,
            kept: 0,
        }
    }

    fn table(&self) -> Table {
        let node = self.sim.application(0).expect("it is up");
        let lines = (0..).map_while(|position| node.store().line(position));
        lines.map(record).collect()
    }

    /// Comes up, and looks at what it was left.
    fn start(&mut self, honest: bool) {
        let mut config = solo();
        config.snapshot_every = Some(Duration::from_millis(self.dice.roll(200)));
        boot(&mut self.sim, 0, config);
        let restored = self.table();
        for (id, time) in &restored {
            let said = self.said.get(id).expect("nobody is invented");
            assert!(time <= said, "{time} was never said");
        }
        let damage = self.sim.application(0).expect("it is up").restored();
        self.damaged += usize::from(!damage.is_empty());
        let net = self.sim.net();
        let safe: Table = SnapshotReader::new(net.safe_snapshot(0))
            .map(record)
            .collect();
        drop(net);
        if honest {
            assert_eq!(damage, [] as [String; 0]);
            for (id, time) in &safe {
                let restored = restored.get(id).expect("it was safe");
                assert!(restored >= time, "{time} was safe, {restored} is there");
            }
            self.kept += safe.len();
        }
    }

    fn trouble(&mut self) {
        let roll = self.dice.roll(10);
        let (pieces, room) = (self.dice.roll(3) as usize, self.dice.roll(500_000) as usize);
        let mut net = self.sim.net_mut();
        match roll {
            0 => net.set_disk(0, Some(pieces)),
            1 => net.set_disk_room(0, Some(room)),
            2 | 3 => {
                net.set_disk(0, None);
                net.set_disk_room(0, None);
            }
            _ => {}
        }
    }

    fn report(&mut self) {
        let client = self.sim.client(0);
        for _ in 0..self.dice.roll(5) {
            self.time += 1;
            let id = format!("{:x<ID_LENGTH$}", self.dice.roll(IDS));
            self.sim
                .say(client, &format!("IAMAT {id} +1+1 {}\n", self.time));
            self.said.insert(id.into_bytes(), self.time);
            self.sim.wait(Duration::from_millis(self.dice.roll(20)));
            self.sim.hear(client);
        }
        self.sim.net_mut().close(client);
        self.sim.wait(Duration::from_millis(self.dice.roll(80)));
    }

    fn run(&mut self, honest: bool) {
        self.sim.net_mut().set_disk_lies(0, !honest);
        for _ in 0..STARTS {
            self.start(honest);
            for _ in 0..REPORTS {
                self.trouble();
                self.report();
            }
            self.sim.crash(0, true);
            if self.dice.roll(3) > 0 {
                self.power_failures += 1;
                self.sim.net_mut().lose_power(0);
            }
        }
    }
}

fn lives(honest: bool) -> (usize, usize, usize) {
    let lives: u64 = match std::env::var("HERD_SEEDS") {
        Ok(text) => text.parse::<u64>().expect("a number").div_ceil(100),
        Err(_) => 40,
    };
    let (mut failures, mut damaged, mut kept) = (0, 0, 0);
    for seed in 0..lives {
        let mut life = Life::new(seed);
        life.run(honest);
        failures += life.power_failures;
        damaged += life.damaged;
        kept += life.kept;
    }
    println!("{lives} disks, {failures} failures of the power, {damaged} damaged, {kept} kept");
    (failures, damaged, kept)
}

/// What the server was told is safe survives; nothing else may be half there.
#[test]
fn what_is_safe_survives_a_failure_of_the_power() {
    let (failures, damaged, kept) = lives(true);
    assert!(failures > 50 && kept > 500, "{failures} {kept}");
    assert_eq!(damaged, 0);
}

/// Nothing can be promised on such a disk, but that no record is invented, and the damage is said.
#[test]
fn a_disk_that_lies_invents_nothing() {
    let (_, damaged, _) = lives(false);
    assert!(damaged > 0, "the disk did not lie");
}

/// A change is to be on disk at once, and the disk is full: it is tried again, and not without end.
#[test]
fn a_full_disk_is_not_asked_again_and_again() {
    let mut config = solo();
    config.snapshot_every = Some(Duration::ZERO);
    let mut sim = Simulation::new(1, 1, Weather::default());
    boot(&mut sim, 0, config);
    sim.net_mut().set_disk_room(0, Some(10));
    sim.net_mut().trace.keep_text();
    let client = sim.client(0);
    sim.say(client, "IAMAT kiwi +1+1 1\n");
    sim.wait(Duration::from_secs(10));
    let tries = |sim: &Simulation<Node<SimWorld>>| {
        let net = sim.net();
        let lines = net.trace.lines().iter();
        lines.filter(|line| line.starts_with("snapshot ")).count()
    };
    let count = tries(&sim);
    assert!((5..15).contains(&count), "{count} tries in ten seconds");
    sim.net_mut().set_disk_room(0, None);
    sim.wait(Duration::from_secs(2));
    let stands = sim.net().snapshot(0).len();
    assert!(stands > 50, "{stands} bytes");
}
