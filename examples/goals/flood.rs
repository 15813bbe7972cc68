//! Goal 6, first half: five servers and what an update costs them.
//!
//! - Messages: with a counting proxy on each direction of each link.
//! - Converged updates a second: five clients report to five servers at
//!   once; the herd has converged when no server has used the CPU any more,
//!   and a sample of the records is then asked of each.
//! - The farthest server: each server gets a leaf for a neighbour, which is
//!   us; one update at a time, from its write to the last leaf's read. That
//!   is one hop more than the farthest server itself.

use crate::proxy::Proxies;
use crate::servers::{Herd, Lab, NAMES, Server, Start};
use crate::table::Table;
use crate::talk::{Client, PATIENCE, iamat};
use crate::usage::Usage;
use crate::{Result, memory};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

const COUNTED: u64 = 5_000;
/// Updates of each of the five clients.
const RUSHED: usize = 40_000;
const TIMED: usize = 3_000;
/// Updates that a client sends before it reads their answers.
const WINDOW: usize = 64;

pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    messages(lab, table)?;
    rush(lab, table)?;
    farthest(lab, table)
}

fn start_all(lab: &Lab, herd: &Herd) -> Result<Vec<Server>> {
    NAMES
        .iter()
        .map(|name| Start::new(name).pinned().run(lab, herd))
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
/// several at a time.
fn messages(lab: &Lab, table: &mut Table) -> Result<()> {
    let herd = Herd::standard()?;
    let proxies = Proxies::between(&herd)?;
    let servers: Vec<Server> = NAMES
        .iter()
        .map(|name| Start::new(name).run(lab, &proxies.seen_by(name)))
        .collect::<Result<_>>()?;
    proxies.wait_for_links()?;
    let mut clients: Vec<Client> = servers
        .iter()
        .map(|server| Client::connect(server.addr))
        .collect::<Result<_>>()?;
    let mut dice = Dice(0x5eed);
    let mut asked = Vec::new();
    for number in 0..COUNTED {
        let (index, id) = (dice.roll(clients.len()), format!("counted{number}"));
        clients[index].send(iamat(&id).as_bytes())?;
        asked.push((index, id));
        if asked.len() == WINDOW || number + 1 == COUNTED {
            for (index, id) in asked.drain(..) {
                clients[index].accepted(&id)?;
            }
        }
    }
    // A spanning tree needs four; each of the two links more brings two.
    let expected = 2 * herd.links.len() as u64 - NAMES.len() as u64 + 1;
    let passed = proxies.wait_for_updates(expected * COUNTED);
    let each = passed as f64 / COUNTED as f64;
    table.exactly(
        "messages between servers for one update",
        expected as f64,
        each,
    );
    Ok(())
}

/// As many updates as five clients can get answered.
fn rush(lab: &Lab, table: &mut Table) -> Result<()> {
    let herd = Herd::standard()?;
    let servers = start_all(lab, &herd)?;
    memory::wait_for_links(&herd)?;
    wait_until_quiet(&servers)?;
    let before = total_usage(&servers)?;
    let begun = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| report_many(server).map_err(|e| e.to_string())))
            .collect();
        for client in clients {
            client.join().expect("no client panics")?;
        }
        Ok(())
    })?;
    let elapsed = wait_until_quiet(&servers)? - begun;
    let used = total_usage(&servers)?.since(&before);
    let updates = (RUSHED * servers.len()) as f64;
    let goal = "converged updates a second, five servers on one core";
    table.told(goal, updates / elapsed.as_secs_f64());
    let goal = "CPU of all five for an update, us";
    table.told(goal, used.cpu_ns as f64 / 1000.0 / updates);
    for server in &servers {
        let mut client = Client::connect(server.addr)?;
        for origin in NAMES {
            for number in (0..RUSHED).rev().step_by(499) {
                let id = format!("{origin}{number}");
                if !client.knows(&id)? {
                    return Err(format!("{} has not heard of {id}", server.name).into());
                }
            }
        }
    }
    Ok(())
}

fn report_many(server: &Server) -> Result<()> {
    let mut client = Client::connect(server.addr)?;
    let ids: Vec<String> = (0..RUSHED)
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

/// Waits until no server has used the CPU for a while, and returns when the
/// last one had.
pub fn wait_until_quiet(servers: &[Server]) -> Result<Instant> {
    let quiet = Duration::from_millis(100);
    let deadline = Instant::now() + PATIENCE;
    let mut usage = total_usage(servers)?;
    let mut last_change = Instant::now();
    while last_change.elapsed() < quiet {
        thread::sleep(Duration::from_millis(1));
        let now = total_usage(servers)?;
        if now != usage {
            (usage, last_change) = (now, Instant::now());
        }
        if last_change > deadline {
            return Err(format!("servers still busy after {PATIENCE:?}").into());
        }
    }
    Ok(last_change)
}

/// Times single updates from a random server to all leaves.
fn farthest(lab: &Lab, table: &mut Table) -> Result<()> {
    let mut herd = Herd::standard()?;
    let mut doors = Vec::new();
    for name in NAMES {
        let door = TcpListener::bind(("127.0.0.1", 0))?;
        let leaf = format!("Leaf{name}");
        herd.addrs.insert(leaf.clone(), door.local_addr()?);
        herd.link(name, &leaf);
        doors.push(door);
    }
    let servers = start_all(lab, &herd)?;
    let mut leaves = Leaves::accept(&doors)?;
    let mut clients: Vec<Client> = servers
        .iter()
        .map(|server| Client::connect(server.addr))
        .collect::<Result<_>>()?;
    wait_until_quiet(&servers)?;
    let mut dice = Dice(0x5eed);
    let mut times = Histogram::<u64>::new(3)?;
    // The first few only warm up.
    for number in 0..TIMED + 100 {
        let (client, id) = (
            &mut clients[dice.roll(NAMES.len())],
            format!("timed{number}"),
        );
        let line = iamat(&id);
        let begun = Instant::now();
        client.send(line.as_bytes())?;
        let arrived = leaves.wait_for(&id)?;
        client.accepted(&id)?;
        if number >= 100 {
            times.record((arrived - begun).as_nanos() as u64)?;
        }
    }
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let ms = times.value_at_quantile(quantile) as f64 / 1e6;
        table.told(
            &format!("until the farthest server's neighbour has it, ms, {name}"),
            ms,
        );
    }
    Ok(())
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
