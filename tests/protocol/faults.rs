//! Faults on real processes: descriptors that run out, bad roads between servers, an end under
//! load. (The faults' rows 13, 16 and 21.)
//!
//! `HERD_ROUNDS=200 cargo test --release --test protocol NAME -- --nocapture` runs one of them for
//! longer than `cargo test` does.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Client, Herd, NAMES, PATIENCE, Plan, Road, iamat, unique, wait_until};
use rustix::process::{Resource, Rlimit, Signal, prlimit};

/// These load the machine: one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rounds(default: usize) -> usize {
    match std::env::var("HERD_ROUNDS") {
        Ok(text) => text.parse().expect("HERD_ROUNDS is a number"),
        Err(_) => default,
    }
}

/// A source of chance whose seed is printed.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let seed = crate::common::nanos() as u64 | 1;
        println!("seed {seed}");
        Dice(seed)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

/// What the process has used of a core so far.
fn cpu_time(herd: &Herd, name: &str) -> Duration {
    let pid = herd.pid(name).as_raw_nonzero();
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("a live process");
    let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds"))
}

// ---- Row 13: no descriptor is left ----

#[test]
fn descriptors_run_out_and_it_recovers() {
    let _alone = alone();
    let herd = Plan::only("Clark").args(&["--max-log", "1000000"]).start();
    let limit = Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    prlimit(Some(herd.pid("Clark")), Resource::Nofile, limit).expect("a limit");
    let rounds = rounds(3);
    let mut slowest = Duration::ZERO;
    for _ in 1..=rounds {
        let crowd: Vec<TcpStream> = (0..500)
            .map(|_| TcpStream::connect(herd.address("Clark")).expect("the kernel's queue"))
            .collect();
        // Those that hold a descriptor are served all the while.
        let mut served = Client::on(crowd[0].try_clone().expect("a socket"));
        assert_eq!(served.ask("still there\n"), "? still there\n");
        let before = cpu_time(&herd, "Clark");
        thread::sleep(Duration::from_millis(300));
        let used = cpu_time(&herd, "Clark") - before;
        assert!(
            used < Duration::from_millis(100),
            "it spins: {used:?} of 300 ms"
        );
        drop((served, crowd));
        let freed = Instant::now();
        // Who comes while the crowd's last still stand in the kernel's queue may be refused as they are.
        wait_until(Duration::from_secs(2), "a new client is answered", || {
            let mut client = herd.client("Clark");
            let sent = client.stream().write_all(b"hello\n");
            let answer = sent.map(|()| client.try_line(PATIENCE));
            matches!(answer, Ok(Ok(line)) if line == "? hello\n")
        });
        slowest = slowest.max(freed.elapsed());
    }
    // At its size the journal became another, though at times no descriptor was left for that.
    let aside = herd.directory().join("Clark.log.1");
    let aside = fs::read_to_string(aside).unwrap_or_default();
    let said = |text: &str| text.contains("no descriptor is left");
    assert!(
        said(&aside) || said(&herd.journal("Clark")),
        "it was not said"
    );
    println!(
        "{rounds} rounds of 500 connects on 64 descriptors; answered again within {slowest:?}"
    );
}

// ---- Row 16: bad roads between servers ----

/// Faults between two looks at the tables.
const FAULTS_A_ROUND: usize = 10;

#[test]
fn bad_roads_between_servers_lose_nothing() {
    let _alone = alone();
    let herd = Plan::five().proxied().start();
    let mut dice = Dice::new();
    let roads: Vec<_> = herd.proxies().values().collect();
    let rounds = rounds(40).div_ceil(FAULTS_A_ROUND);
    let (mut slowest, mut faults) = (Duration::ZERO, 0);
    for round in 1..=rounds {
        let mut ids = Vec::new();
        for _ in 0..FAULTS_A_ROUND {
            let road = roads[dice.roll(roads.len())];
            match dice.roll(7) {
                0 | 1 => road.reset(),
                2 => road.finish(),
                3 => road.set(Road::Split),
                4 => road.set(Road::Late),
                5 => road.set(Road::Closed),
                _ => road.set(Road::Refusing),
            }
            faults += 1;
            let mut client = herd.client(NAMES[dice.roll(NAMES.len())]);
            for _ in 0..5 {
                let id = unique("road");
                client.ask(iamat(&id));
                ids.push(id);
            }
            thread::sleep(Duration::from_millis(dice.roll(20) as u64));
        }
        for road in &roads {
            road.set(Road::Clear);
        }
        let cleared = Instant::now();
        // The longest back-off is ten seconds.
        wait_until(Duration::from_secs(15), "all tables agree", || {
            agree(&herd, &ids)
        });
        slowest = slowest.max(cleared.elapsed());
        println!("round {round}: agreed after {:?}", cleared.elapsed());
    }
    println!("{faults} faults; all agreed at most {slowest:?} after the roads were clear");
}

/// True if all five know each of these ids, and the same of it.
fn agree(herd: &Herd, ids: &[String]) -> bool {
    let tables = NAMES.map(|name| herd.holds_all(name, ids));
    let whole = tables[0].iter().all(Option::is_some);
    whole && tables.iter().all(|table| *table == tables[0])
}

// ---- Row 21: SIGTERM under load ----

#[test]
fn an_end_under_load_cuts_no_line() {
    let _alone = alone();
    let rounds = rounds(5);
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        let mut herd = Plan::only("Clark").start();
        let address = herd.address("Clark");
        let talkers: Vec<_> = (0..4)
            .map(|number| {
                let over = Arc::new(AtomicBool::new(false));
                let stream = TcpStream::connect(address).expect("it listens");
                let slowly = number % 2 == 1;
                let writer = stream.try_clone().expect("a socket");
                let end = Arc::clone(&over);
                thread::spawn(move || talk(writer, &end));
                thread::spawn(move || listen(stream, slowly, &over))
            })
            .collect();
        thread::sleep(Duration::from_millis(600 + 7 * (round as u64 % 5)));
        herd.signal("Clark", Signal::TERM);
        let asked = Instant::now();
        let status = herd.wait_exit("Clark", Duration::from_secs(6));
        slowest = slowest.max(asked.elapsed());
        assert!(status.success(), "round {round}: {status}");
        for talker in talkers {
            let heard = talker.join().expect("no panic");
            assert!(!heard.is_empty(), "there was load");
            assert_eq!(heard.last(), Some(&b'\n'), "round {round}: a cut line");
        }
    }
    println!("{rounds} ends under load, at most {slowest:?} after SIGTERM; no line was cut");
}

/// Talks until it has heard the end.
fn talk(mut stream: TcpStream, over: &AtomicBool) {
    let lines: String = (0..50).map(|n| iamat(&format!("talker-{n}"))).collect();
    while !over.load(Ordering::Relaxed) && stream.write_all(lines.as_bytes()).is_ok() {}
}

/// All that is said, up to an end of whatever kind. Who listens slowly is owed something at any time.
fn listen(mut stream: TcpStream, slowly: bool, over: &AtomicBool) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = vec![0; if slowly { 4_096 } else { 65_536 }];
    if slowly {
        let socket = socket2::SockRef::from(&stream);
        socket.set_recv_buffer_size(32_768).expect("a socket");
    }
    while let Ok(count) = stream.read(&mut buffer) {
        if slowly {
            thread::sleep(Duration::from_millis(5));
        }
        if count == 0 {
            break;
        }
        heard.extend_from_slice(&buffer[..count]);
    }
    over.store(true, Ordering::Relaxed);
    heard
}
