//! The servers of a herd, all of one program, and what an update costs them.
//!
//! - Messages: with a counting proxy on each direction of each link.
//! - Converged updates a second: a client of each server reports at
//!   once; the herd has converged when no server works any more, and a sample
//!   of the records is then asked of each.
//! - The farthest server: each server gets a leaf for a neighbour, which is
//!   us; one update at a time, from its write to the last leaf's read. That
//!   is one hop more than the farthest server itself.
//!
//! ```text
//! let herd = Herd::standard()?;
//! let messages = flood::messages(&lab, &program, &herd, 5_000)?;
//! let rush = flood::rush(&lab, &program, &herd, 40_000)?;    // rush.per_second
//! let times = flood::farthest(&lab, &program, &herd, 3_000)?;
//! ```

use super::Result;
use super::herd::Herd;
use super::proxy::Proxies;
use super::servers::{Lab, Program, Server, Start};
use super::talk::{Client, PATIENCE, iamat};
use super::usage::Usage;
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// Updates that a client sends before it reads their answers.
const WINDOW: usize = 64;

/// Updates that come before the timed ones, if there are as many of those.
const WARM_UP: usize = 100;

/// Nobody listens there: a WHATSAT that only wants to know whether there is a
/// record must not wait for places.
const NO_PLACES: [&str; 2] = ["--places-url", "https://127.0.0.1:1"];

fn start_all(lab: &Lab, herd: &Herd, names: &[String], program: &Program) -> Result<Vec<Server>> {
    names
        .iter()
        .map(|name| {
            let start = Start::new(name).program(program).pinned();
            start.args(&NO_PLACES).run(lab, herd)
        })
        .collect()
}

/// Reads as random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// Counts the AT lines between servers while clients report at random ones,
/// several at a time; returns how many there are for one update.
pub fn messages(lab: &Lab, program: &Program, herd: &Herd, updates: u64) -> Result<f64> {
    let proxies = Proxies::between(herd)?;
    let servers: Vec<Server> = herd
        .names()
        .iter()
        .map(|name| {
            let start = Start::new(name).program(program);
            start.run(lab, &proxies.seen_by(name))
        })
        .collect::<Result<_>>()?;
    proxies.wait_for_links()?;
    let mut clients: Vec<Client> = servers
        .iter()
        .map(|server| Client::connect(server.addr))
        .collect::<Result<_>>()?;
    let mut dice = Dice(0x5eed);
    let mut asked = Vec::new();
    for number in 0..updates {
        let (index, id) = (dice.roll(clients.len()), format!("counted{number}"));
        clients[index].send(iamat(&id).as_bytes())?;
        asked.push((index, id));
        if asked.len() == WINDOW || number + 1 == updates {
            for (index, id) in asked.drain(..) {
                clients[index].accepted(&id)?;
            }
        }
    }
    let passed = proxies.wait_for_updates(herd.messages() * updates);
    Ok(passed as f64 / updates as f64)
}

/// What a rush of updates came to.
pub struct Rush {
    /// Updates that all servers know, a second.
    pub per_second: f64,
    /// CPU of all of them for one update.
    pub cpu_us: f64,
}

/// As many updates as a client of each server can get answered, `each` of every one.
pub fn rush(lab: &Lab, program: &Program, herd: &Herd, each: usize) -> Result<Rush> {
    let servers = start_all(lab, herd, &herd.names(), program)?;
    herd.wait_for_links()?;
    wait_until_quiet(&servers)?;
    let before = total_usage(&servers)?;
    let begun = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| report_many(server, each).map_err(|e| e.to_string())))
            .collect();
        for client in clients {
            client.join().expect("no client panics")?;
        }
        Ok(())
    })?;
    let elapsed = wait_until_quiet(&servers)? - begun;
    let used = total_usage(&servers)?.since(&before);
    let updates = (each * servers.len()) as f64;
    ask_a_sample(&servers, each)?;
    Ok(Rush {
        per_second: updates / elapsed.as_secs_f64(),
        cpu_us: used.cpu_ns as f64 / 1000.0 / updates,
    })
}

/// Whether each server knows some records of each client, the last one too.
fn ask_a_sample(servers: &[Server], each: usize) -> Result<()> {
    for server in servers {
        let mut client = Client::connect(server.addr)?;
        for origin in servers {
            for number in (0..each).rev().step_by(499) {
                let id = format!("{}{number}", origin.name);
                if !client.knows(&id)? {
                    return Err(format!("{} has not heard of {id}", server.name).into());
                }
            }
        }
    }
    Ok(())
}

fn report_many(server: &Server, count: usize) -> Result<()> {
    let mut client = Client::connect(server.addr)?;
    let ids: Vec<String> = (0..count)
        .map(|number| format!("{}{number}", server.name))
        .collect();
    for window in ids.chunks(WINDOW) {
        let lines: String = window.iter().map(|id| iamat(id)).collect();
        client.send(lines.as_bytes())?;
        for id in window {
            client.accepted(id)?;
        }
    }
    Ok(())
}

fn total_usage(servers: &[Server]) -> Result<Usage> {
    let mut sum = Usage::default();
    for server in servers {
        sum += Usage::of(server.pid())?;
    }
    Ok(sum)
}

/// Waits until the servers have done next to nothing for a while, and returns
/// when that began. Ours then do nothing at all; a JVM never stops entirely.
pub fn wait_until_quiet(servers: &[Server]) -> Result<Instant> {
    let quiet = Duration::from_millis(100);
    let begun = Instant::now();
    let mut seen = VecDeque::from([(begun, total_usage(servers)?.cpu_ns)]);
    loop {
        thread::sleep(Duration::from_millis(1));
        let (now, cpu) = (Instant::now(), total_usage(servers)?.cpu_ns);
        seen.push_back((now, cpu));
        // The first moment since which they were idle moves on while they
        // are not.
        while let Some(&(then, cpu_then)) = seen.front()
            && (cpu - cpu_then) as f64 > IDLE_SHARE * (now - then).as_nanos() as f64
        {
            seen.pop_front();
        }
        match seen.front() {
            Some(&(since, _)) if now - since >= quiet => return Ok(since),
            _ if begun.elapsed() > 2 * PATIENCE => {
                return Err(format!("servers still busy after {:?}", begun.elapsed()).into());
            }
            _ => {}
        }
    }
}

/// Of a core, all servers together: what still counts as idle.
const IDLE_SHARE: f64 = 0.03;

/// Times `count` single updates from a random server to all leaves, in
/// nanoseconds.
pub fn farthest(lab: &Lab, program: &Program, herd: &Herd, count: usize) -> Result<Histogram<u64>> {
    let (names, mut herd) = (herd.names(), herd.clone());
    let mut doors = Vec::new();
    for name in &names {
        let door = TcpListener::bind(("127.0.0.1", 0))?;
        let leaf = format!("Leaf{name}");
        herd.addrs.insert(leaf.clone(), door.local_addr()?);
        herd.link(name, &leaf);
        doors.push(door);
    }
    let servers = start_all(lab, &herd, &names, program)?;
    let mut leaves = Leaves::accept(&doors)?;
    let mut clients: Vec<Client> = servers
        .iter()
        .map(|server| Client::connect(server.addr))
        .collect::<Result<_>>()?;
    wait_until_quiet(&servers)?;
    let mut dice = Dice(0x5eed);
    let mut times = Histogram::<u64>::new(3)?;
    let warm_up = WARM_UP.min(count);
    for number in 0..warm_up + count {
        let (client, id) = (
            &mut clients[dice.roll(names.len())],
            format!("timed{number}"),
        );
        let line = iamat(&id);
        let begun = Instant::now();
        client.send(line.as_bytes())?;
        let arrived = leaves.wait_for(&id)?;
        client.accepted(&id)?;
        if number >= warm_up {
            times.record((arrived - begun).as_nanos() as u64)?;
        }
    }
    Ok(times)
}

/// Our end of each server's extra link.
struct Leaves {
    poll: Poll,
    leaves: Vec<Leaf>,
}

struct Leaf {
    stream: mio::net::TcpStream,
    /// The last bytes received, from the line in progress on.
    heard: Vec<u8>,
}

impl Leaves {
    fn accept(doors: &[TcpListener]) -> Result<Leaves> {
        let poll = Poll::new()?;
        let mut leaves = Vec::new();
        for (index, door) in doors.iter().enumerate() {
            let (stream, _) = door.accept()?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let registry = poll.registry();
            registry.register(&mut stream, Token(index), Interest::READABLE)?;
            let heard = Vec::new();
            leaves.push(Leaf { stream, heard });
        }
        Ok(Leaves { poll, leaves })
    }

    /// Waits until all leaves have heard of `id`, the only update under way.
    fn wait_for(&mut self, id: &str) -> Result<Instant> {
        let wanted = format!(" {id} ");
        let mut missing = self.leaves.len();
        let mut events = Events::with_capacity(64);
        while missing > 0 {
            self.poll.poll(&mut events, Some(PATIENCE))?;
            if events.is_empty() {
                return Err(format!("{missing} servers have not passed {id} on").into());
            }
            for event in &events {
                let leaf = &mut self.leaves[event.token().0];
                leaf.read()?;
                let has = |line: &[u8]| line.windows(wanted.len()).any(|w| w == wanted.as_bytes());
                if leaf.heard.ends_with(b"\n") && has(&leaf.heard) {
                    leaf.heard.clear();
                    missing -= 1;
                }
            }
        }
        Ok(Instant::now())
    }
}

impl Leaf {
    fn read(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("a server closed its link to us".into()),
                Ok(len) => self.heard.extend_from_slice(&buffer[..len]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
