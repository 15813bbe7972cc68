//! A proxy on each direction of each link, which counts the AT lines that
//! pass.
//!
//! ```text
//! let proxies = Proxies::between(&herd)?;
//! let clark = Start::new("Clark").run(&lab, &proxies.seen_by("Clark"))?;
//! proxies.wait_for_links()?;
//! let passed = proxies.wait_for_updates(8_000);
//! ```

use super::Result;
use super::herd::Herd;
use super::talk::PATIENCE;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// All proxies of a herd. Their threads end with the process.
pub struct Proxies {
    herd: Herd,
    /// Where `from` finds `to`, by (from, to).
    doors: HashMap<(String, String), SocketAddr>,
    tally: Arc<Tally>,
}

/// What has passed, and the bell for those who wait for more.
#[derive(Default)]
struct Tally {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    greetings: u64,
    updates: u64,
}

impl Proxies {
    pub fn between(herd: &Herd) -> Result<Proxies> {
        let tally = Arc::new(Tally::default());
        let mut doors = HashMap::new();
        for (one, other) in &herd.links {
            for (from, to) in [(one, other), (other, one)] {
                let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                doors.insert((from.clone(), to.clone()), door.local_addr()?);
                let (target, tally) = (herd.addr(to), Arc::clone(&tally));
                thread::spawn(move || serve(&door, target, &tally));
            }
        }
        Ok(Proxies {
            herd: herd.clone(),
            doors,
            tally,
        })
    }

    /// The herd file for `name`: its neighbours are behind their proxies.
    pub fn seen_by(&self, name: &str) -> Herd {
        let mut herd = self.herd.clone();
        for ((from, to), door) in &self.doors {
            if from == name {
                herd.addrs.insert(to.clone(), *door);
            }
        }
        herd
    }

    /// Waits until each direction of each link has been greeted on.
    pub fn wait_for_links(&self) -> Result<()> {
        let wanted = self.doors.len() as u64;
        let counts = self.wait(PATIENCE, |counts| counts.greetings >= wanted);
        match counts.greetings >= wanted {
            true => Ok(()),
            false => Err(format!("{} of {wanted} links came up", counts.greetings).into()),
        }
    }

    /// Waits for `expected` updates, and then as long as that took not to
    /// see one more. Returns how many passed.
    pub fn wait_for_updates(&self, expected: u64) -> u64 {
        self.wait(PATIENCE, |counts| counts.updates >= expected);
        let surplus = Duration::from_millis(500);
        self.wait(surplus, |counts| counts.updates > expected)
            .updates
    }

    fn wait(&self, limit: Duration, enough: impl Fn(&Counts) -> bool) -> Counts {
        let counts = self.tally.lock();
        let (counts, _) = self
            .tally
            .changed
            .wait_timeout_while(counts, limit, |counts| !enough(counts))
            .unwrap_or_else(PoisonError::into_inner);
        *counts
    }
}

impl Tally {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, line: &[u8]) {
        let mut counts = self.lock();
        counts.greetings += u64::from(line.starts_with(b"PEER "));
        counts.updates += u64::from(line.starts_with(b"AT "));
        self.changed.notify_all();
    }
}

/// One connection after another; a dialler keeps only one.
fn serve(door: &TcpListener, target: SocketAddr, tally: &Tally) {
    for dialler in door.incoming().flatten() {
        // A refused or broken connection ends the dialler's, which tries again.
        if let Ok(server) = TcpStream::connect(target) {
            let _ = pass(dialler, server, tally);
        }
    }
}

/// Passes lines on until either side ends. Nothing comes back on such a
/// connection but its end.
fn pass(dialler: TcpStream, mut server: TcpStream, tally: &Tally) -> io::Result<()> {
    let (closing, watched) = (dialler.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut &watched, &mut io::sink());
        let _ = closing.shutdown(Shutdown::Both);
    });
    let mut lines = BufReader::new(dialler);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        server.write_all(&line)?;
        tally.note(&line);
        line.clear();
    }
    server.shutdown(Shutdown::Both)
}
