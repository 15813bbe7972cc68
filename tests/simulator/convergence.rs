//! Five whole servers in the simulator: whatever the network does to them, their tables agree in
//! the end.
//!
//! `HERD_SEEDS=50000 cargo test --release --test simulator convergence` runs that many schedules;
//! `HERD_SEED=17 cargo test --test simulator one_seed -- --nocapture` replays one and prints it.

mod live;
mod partitions;
mod storms;
mod tables;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use herd::config::Config;
use herd::herd::{Roster, Ties};
use herd::portions::Portions;
use herd::server::Node;
use herd::worlds::sim::{End, SimWorld, Simulation, WALL_CLOCK_START, Weather};

use crate::stage::{Dice, boot};
use live::Watch;

const SERVERS: usize = 5;
const UPDATES: usize = 200;
/// Faults and updates happen in this time.
const STORM: Duration = Duration::from_secs(20);
/// After the storm, tables agree within this time: the longest back-off is 10 s, a host that
/// vanished is noticed after 15 s.
const CALM: Duration = Duration::from_secs(30);

/// What is switched off, to see that it is needed.
#[derive(Clone, Copy)]
struct Rules {
    catch_up: bool,
    short_links: bool,
    ties: Ties,
    journal: bool,
}

const RULES: Rules = Rules {
    catch_up: true,
    short_links: false,
    ties: Ties::TotalOrder,
    journal: false,
};

type Sim = Simulation<Node<SimWorld>>;

#[derive(Clone, Copy, Debug)]
enum Act {
    Update {
        server: usize,
        client: u64,
        time: u64,
        place: u64,
    },
    Flap(usize, usize),
    Cut(usize, usize),
    Heal(usize, usize),
    Crash(usize, bool),
    Boot(usize),
    /// One direction carries so many bytes a second from now on.
    Slow(usize, usize, u32),
}

struct Run {
    sim: Sim,
    rules: Rules,
    portions: Portions,
    watch: Watch,
    /// A crowd asks much of the first server.
    asked: bool,
    /// The servers keep snapshots, and one that crashes loses its power.
    snapshots: bool,
    clients: BTreeMap<usize, End>,
    sent: Vec<Act>,
    crashes: usize,
}

impl Run {
    fn new(seed: u64, rules: Rules) -> Run {
        Run {
            sim: Simulation::new(SERVERS, seed, Weather::default()),
            rules,
            portions: Portions::default(),
            watch: Watch::new(),
            asked: false,
            snapshots: false,
            clients: BTreeMap::new(),
            sent: Vec::new(),
            crashes: 0,
        }
    }

    /// Machines that are slow, portions that are small, and now and then a crowd that asks much.
    fn stormy(seed: u64, rules: Rules) -> Run {
        Run {
            sim: Simulation::new(SERVERS, seed, live::weather()),
            portions: live::portions(&mut Dice::new(seed ^ 0xb0b)),
            asked: Watch::has_askers(seed),
            snapshots: seed % 8 == 3,
            ..Run::new(seed, rules)
        }
    }

    fn boot(&mut self, server: usize) {
        if self.sim.application(server).is_some() {
            return;
        }
        let mut config = Config::new(Roster::standard(), server);
        config.catch_up = self.rules.catch_up;
        config.short_links = self.rules.short_links;
        config.ties = self.rules.ties;
        config.journal = self.rules.journal;
        config.portions = self.portions;
        config.snapshot_every = self.snapshots.then(|| Duration::from_millis(300));
        boot(&mut self.sim, server, config);
    }

    fn act(&mut self, act: Act) {
        self.watch.act(self.sim.net().now, act);
        match act {
            Act::Update {
                server,
                client,
                time,
                place,
            } => {
                let line = format!(
                    "IAMAT client{client} +{place}.5-118.25 {}.{time:03}\n",
                    WALL_CLOCK_START.as_secs()
                );
                let now = self.sim.net().now;
                if self.say(server, &line) {
                    self.watch.reported(now, server, client, time);
                    self.sent.push(act);
                }
            }
            Act::Flap(a, b) => self.sim.net_mut().flap(a, b),
            Act::Cut(from, to) => self.sim.net_mut().cut(from, to),
            Act::Heal(from, to) => self.sim.net_mut().heal(from, to),
            Act::Crash(server, silently) => {
                self.clients.remove(&server);
                self.crashes += 1;
                self.sim.crash(server, silently);
                if self.snapshots {
                    self.sim.net_mut().lose_power(server);
                }
            }
            Act::Boot(server) => self.boot(server),
            Act::Slow(from, to, speed) => self.sim.net_mut().slow(from, to, speed),
        }
    }

    /// A client sends a line to a server; false if the server is down.
    fn say(&mut self, server: usize, line: &str) -> bool {
        if self.sim.application(server).is_none() {
            return false;
        }
        let known = self.clients.get(&server).copied();
        let Some(client) = known.or_else(|| self.sim.net_mut().client_connect(server)) else {
            return false;
        };
        self.clients.insert(server, client);
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let written = self.sim.net_mut().write(client, rest);
            match written {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The server waits for us to read.
                    let now = self.sim.net().now;
                    self.sim
                        .run_until(now + Duration::from_millis(1))
                        .expect("runs");
                }
                Err(_) => return false,
            }
            self.hear(server);
        }
        self.watch.said(self.sim.net().now, server);
        true
    }

    /// What the client of this server was answered.
    fn hear(&mut self, server: usize) {
        while let Some(&client) = self.clients.get(&server) {
            let (bytes, _) = self.sim.net_mut().client_take(client);
            if bytes.is_empty() {
                return;
            }
            self.watch.heard(server, &bytes);
        }
    }

    fn storm(&mut self, schedule: Vec<(Duration, Act)>) {
        for server in 0..SERVERS {
            self.boot(server);
        }
        for (when, act) in schedule {
            self.sim.run_until(when).expect("runs");
            (0..SERVERS).for_each(|server| self.hear(server));
            self.watch.check(&self.sim);
            if self.asked {
                self.watch.ask(&mut self.sim);
            }
            self.act(act);
        }
    }

    /// Lets the herd calm down; true once all tables agree.
    fn calm(&mut self) -> bool {
        let end = STORM + CALM;
        loop {
            let now = self.sim.net().now;
            if now >= end {
                return self.agree();
            }
            self.sim
                .run_until(now + Duration::from_secs(5))
                .expect("runs");
            // Agreement may be a coincidence while something is under way; judged at the end only.
            if self.agree() && self.sim.net().next_arrival().is_none() {
                return true;
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Agreed,
    Diverged,
    Lost,
    /// There is nothing to say, and a link stands that shall end then.
    Standing,
    /// A promise was broken while the storm lasted.
    Late(String),
}

fn run(seed: u64, rules: Rules) -> (Outcome, u64) {
    let mut run = Run::stormy(seed, rules);
    run.storm(storms::schedule(seed));
    let late = run
        .watch
        .broken
        .take()
        .filter(|_| rules.catch_up && rules.ties == Ties::TotalOrder);
    let outcome = match run.calm() {
        _ if late.is_some() => Outcome::Late(late.unwrap_or_default()),
        false => Outcome::Diverged,
        true if rules.short_links && !run.rests() => Outcome::Standing,
        true if run.crashes == 0 && rules.catch_up && !run.newest_kept() => Outcome::Lost,
        true => Outcome::Agreed,
    };
    let hash = run.sim.net().trace.hash();
    (outcome, hash)
}

fn seeds(default: u64) -> u64 {
    match std::env::var("HERD_SEEDS") {
        Ok(text) => text.parse().expect("HERD_SEEDS is a number"),
        Err(_) => default,
    }
}

/// Partitions instead of a storm: whole again, the servers agree within a second.
fn run_partitions(seed: u64, rules: Rules) -> Outcome {
    let mut run = Run::new(seed, rules);
    run.storm(partitions::schedule(seed));
    let soon = partitions::HEALED + Duration::from_secs(1);
    run.sim.run_until(soon).expect("runs");
    match run.agree() && run.newest_kept() {
        true => Outcome::Agreed,
        false => Outcome::Diverged,
    }
}

fn failures(seeds: u64, rules: Rules) -> Vec<(u64, Outcome)> {
    failures_of(seeds, &|seed| run(seed, rules).0)
}

/// The same with links that end once all is said.
const SHORT: Rules = Rules {
    short_links: true,
    ..RULES
};

/// Seeds of a range whose run did not end in agreement; the range is shared among the cores.
fn failures_of(seeds: u64, run: &(dyn Fn(u64) -> Outcome + Sync)) -> Vec<(u64, Outcome)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let worker = |core: u64| {
        let mine = (0..seeds).filter(move |seed| seed % cores == core);
        mine.map(|seed| (seed, run(seed)))
            .filter(|(_, outcome)| *outcome != Outcome::Agreed)
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || worker(core)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    })
}

#[test]
fn all_tables_agree_after_every_storm() {
    let seeds = seeds(500);
    let failed = failures(seeds, RULES);
    for (seed, outcome) in &failed {
        println!(
            "seed {seed}: {outcome:?}; HERD_SEED={seed} cargo test --test simulator one_seed -- --nocapture"
        );
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} schedules failed",
        failed.len()
    );
    println!("{seeds} schedules of {UPDATES} updates: all agree");
}

#[test]
fn all_tables_agree_at_once_after_every_partition() {
    let seeds = seeds(500) / 5;
    let failed = failures_of(seeds, &|seed| run_partitions(seed, RULES));
    assert!(failed.is_empty(), "of {seeds} schedules: {failed:?}");
    println!("{seeds} schedules of partitions: all agree a second after");
}

#[test]
fn with_short_links_all_tables_agree_after_every_storm() {
    let seeds = seeds(500) / 2;
    let failed = failures(seeds, SHORT);
    assert!(failed.is_empty(), "of {seeds} schedules: {failed:?}");
    println!("{seeds} schedules with short links: all agree");
}

#[test]
fn with_short_links_all_tables_agree_at_once_after_every_partition() {
    let seeds = seeds(500) / 5;
    let failed = failures_of(seeds, &|seed| run_partitions(seed, SHORT));
    assert!(failed.is_empty(), "of {seeds} schedules: {failed:?}");
    println!("{seeds} schedules of partitions with short links: all agree a second after");
}

#[test]
fn without_the_dump_tables_diverge() {
    let rules = Rules {
        catch_up: false,
        ..RULES
    };
    let diverged = failures(100, rules).len();
    println!("without the dump at link-up: {diverged} of 100 schedules diverge");
    assert!(diverged > 0);
}

#[test]
fn without_the_total_order_tables_diverge() {
    let rules = Rules {
        ties: Ties::FirstArrival,
        ..RULES
    };
    let diverged = failures(400, rules).len();
    println!("without the total order: {diverged} of 400 schedules diverge");
    assert!(diverged > 0);
}

#[test]
fn one_seed_is_one_run() {
    let rules = Rules {
        journal: true,
        ..RULES
    };
    let seeds = seeds(1000) / 50;
    for seed in 0..seeds {
        assert_eq!(run(seed, rules), run(seed, rules), "seed {seed}");
    }
    println!("{seeds} schedules, twice each: the same, byte for byte");
    assert_ne!(run(1, rules).1, run(2, rules).1, "the trace says nothing");
}

/// Replays the schedule named by HERD_SEED and prints what happened; without it, seed 0 quietly.
#[test]
fn one_seed() {
    let named = std::env::var("HERD_SEED").ok();
    let seed = named
        .as_ref()
        .map_or(0, |text| text.parse().expect("HERD_SEED is a number"));
    let mut run = Run::stormy(
        seed,
        Rules {
            journal: true,
            ..RULES
        },
    );
    run.sim.net_mut().trace.keep_text();
    run.storm(storms::schedule(seed));
    let agreed = run.calm();
    if named.is_some() {
        println!("{}", run.sim.net().trace);
        for server in 0..SERVERS {
            println!("table of {server}:");
            for line in run.table(server) {
                print!("{}", String::from_utf8_lossy(&line));
            }
        }
    }
    assert!(agreed, "seed {seed} diverged");
}

/// An update leaves for the neighbours before its answer leaves for the client, in one turn.
#[test]
fn neighbours_are_written_before_the_client() {
    let mut run = Run::new(7, RULES);
    for server in 0..SERVERS {
        run.boot(server);
    }
    run.sim.run_until(Duration::from_secs(5)).expect("runs");
    run.sim.net_mut().trace.keep_text();
    assert!(run.say(0, "IAMAT kiwi +34-118 5\n"));
    run.sim.run_until(Duration::from_secs(6)).expect("runs");
    let net = run.sim.net();
    let writes: Vec<_> = net
        .trace
        .lines()
        .iter()
        .filter(|line| line.starts_with("write"))
        .collect();
    let client = run.clients[&0];
    let own = |line: &&&String| line.starts_with(&format!("write [{}, 1]", client.stream));
    let answer = writes
        .iter()
        .position(|line| own(&line))
        .expect("an answer");
    let forwarded = writes[..answer]
        .iter()
        .filter(|line| line.contains("] AT Bailey "))
        .count();
    assert!(forwarded >= 2, "Bailey has two neighbours: {writes:#?}");
    assert!(writes[answer].contains("AT Bailey "), "{writes:#?}");
}

/// A link that takes nothing queues bytes up to its limit and positions beyond: nothing is lost,
/// and no byte is queued twice for the same client.
#[test]
fn a_clogged_link_keeps_positions_and_loses_nothing() {
    let mut run = Run::new(11, RULES);
    for server in 0..SERVERS {
        run.boot(server);
    }
    let links = Roster::standard().links().to_vec();
    run.sim.run_until(Duration::from_secs(5)).expect("runs");
    for &(a, b) in links.iter().filter(|link| link.0 == 0 || link.1 == 0) {
        let neighbour = if a == 0 { b } else { a };
        run.sim.net_mut().cut(0, neighbour);
    }
    // 600 records of 4 kB are more than twice what a link queues.
    let updates = 2 * herd::portions::LINK_UNSENT_MAX / 4096 + 100;
    for number in 0..updates {
        let id = format!("{number:0>4000}");
        assert!(run.say(0, &format!("IAMAT {id} +34-118 5\n")));
        let now = run.sim.net().now;
        run.sim
            .run_until(now + Duration::from_millis(1))
            .expect("runs");
    }
    let now = run.sim.net().now;
    run.sim
        .run_until(now + Duration::from_secs(1))
        .expect("runs");
    assert_eq!(run.table(0).len(), updates);
    let owed: Vec<usize> = run.sim.application(0).expect("is up").owed();
    assert!(
        owed.iter().all(|&positions| positions > 100),
        "no link was clogged: {owed:?}"
    );
    for &(a, b) in &links {
        run.sim.net_mut().heal(a, b);
        run.sim.net_mut().heal(b, a);
    }
    run.sim.run_until(Duration::from_secs(60)).expect("runs");
    assert!(run.agree());
    assert_eq!(run.table(4).len(), updates);
}
