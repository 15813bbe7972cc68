//! A herd file for servers on free ports, and its links as the kernel sees
//! them.
//!
//! ```text
//! let herd = Herd::standard()?;
//! let servers = start_all(&herd)?;
//! herd.wait_for_links()?;
//! ```

use super::Result;
use super::talk::PATIENCE;
use serde_json::json;
use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The course's five servers, and who talks to whom.
pub const NAMES: [&str; 5] = ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"];
pub const LINKS: [(&str, &str); 6] = [
    ("Clark", "Jaquez"),
    ("Clark", "Bona"),
    ("Campbell", "Bailey"),
    ("Campbell", "Bona"),
    ("Campbell", "Jaquez"),
    ("Bona", "Bailey"),
];

/// What a herd file says.
#[derive(Clone, Default)]
pub struct Herd {
    pub addrs: HashMap<String, SocketAddr>,
    pub links: Vec<(String, String)>,
}

/// Below those that the kernel hands out: between our letting a port go and a
/// server's taking it, no connection and no proxy gets it.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// The next port that nobody listens on. Programs that run at the same time
/// begin far from each other.
fn free_port() -> Result<TcpListener> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..count {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(7919).wrapping_add(taken) % count;
        let port = PORTS.start + place as u16;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener);
        }
    }
    Err(format!("no port of {PORTS:?} is free").into())
}

impl Herd {
    /// A herd on free ports. They are all bound before the first is let go,
    /// so no two are the same.
    pub fn new(names: &[&str], links: &[(&str, &str)]) -> Result<Herd> {
        let listeners: Vec<TcpListener> =
            names.iter().map(|_| free_port()).collect::<Result<_>>()?;
        let mut herd = Herd::default();
        for (name, listener) in names.iter().zip(&listeners) {
            herd.addrs.insert(name.to_string(), listener.local_addr()?);
        }
        for &(one, other) in links {
            herd.link(one, other);
        }
        Ok(herd)
    }

    /// The five of the course.
    pub fn standard() -> Result<Herd> {
        Herd::new(&NAMES, &LINKS)
    }

    /// One server without neighbours.
    pub fn alone(name: &str) -> Result<Herd> {
        Herd::new(&[name], &[])
    }

    pub fn link(&mut self, one: &str, other: &str) {
        self.links.push((one.to_string(), other.to_string()));
    }

    /// All servers, in the order of their names.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.addrs.keys().cloned().collect();
        names.sort();
        names
    }

    /// The least that flooding needs for one update: one for each link of a
    /// spanning tree, and two for each link more.
    pub fn messages(&self) -> u64 {
        (2 * self.links.len() + 1).saturating_sub(self.addrs.len()) as u64
    }

    pub fn addr(&self, name: &str) -> SocketAddr {
        self.addrs[name]
    }

    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let servers: HashMap<_, _> = self
            .addrs
            .iter()
            .map(|(name, addr)| (name, addr.to_string()))
            .collect();
        let file = json!({ "servers": servers, "links": self.links });
        fs::write(path, file.to_string())
    }

    /// Waits until every server has accepted a connection of each neighbour.
    pub fn wait_for_links(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let ports: Vec<u16> = self.addrs.values().map(|addr| addr.port()).collect();
        let wanted = 2 * self.links.len();
        loop {
            // A JVM listens on IPv6 for both.
            let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
                .map(|table| fs::read_to_string(table).unwrap_or_default());
            let up = tables
                .iter()
                .flat_map(|table| table.lines())
                .filter_map(established_port)
                .filter(|port| ports.contains(port))
                .count();
            if up >= wanted {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{up} of {wanted} links are up after {PATIENCE:?}").into());
            }
            // The kernel tells nobody about other processes' connections.
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The local port of a line of `/proc/net/tcp`, if that connection is
/// established: `sl local_address rem_address st ...`, in hexadecimal.
fn established_port(line: &str) -> Option<u16> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, port) = words.get(1)?.rsplit_once(':')?;
    (*words.get(3)? == "01").then_some(())?;
    u16::from_str_radix(port, 16).ok()
}
