//! Who runs, which roads carry, and from which moment what one server holds is owed to another.

use std::time::{Duration, Instant};

use crate::common::{LINKS, NAMES};

/// Servers.
pub const FIVE: usize = NAMES.len();

/// A broken link is dialled again after ten seconds at most, and a moment for the greeting.
pub const REDIAL: Duration = Duration::from_secs(12);
/// A link that only stood still goes on at once.
const RESUME: Duration = Duration::from_secs(1);
/// One that stood still for longer may have been given up.
const STALL_MAX: Duration = Duration::from_secs(8);

/// A server or a road: it carries, or does not; and by when it must do so fully.
#[derive(Clone, Copy)]
pub struct Part {
    carries: bool,
    since: Instant,
    due: Instant,
    /// The link over this road was broken after so many connections, and no later one has greeted yet.
    broken_at: Option<u64>,
}

impl Part {
    fn new(now: Instant) -> Part {
        Part {
            carries: true,
            since: now,
            due: now + REDIAL,
            broken_at: None,
        }
    }

    /// Since when it carries.
    pub fn carries(&self) -> Option<Instant> {
        self.carries.then_some(self.since)
    }

    /// Nothing passes.
    pub fn hold(&mut self, now: Instant) {
        (self.carries, self.since) = (false, now);
    }

    /// What was held up passes again.
    pub fn resume(&mut self, now: Instant) {
        let long = !self.carries && now - self.since > STALL_MAX;
        let broken = long || self.broken_at.is_some();
        self.due = self.due.max(now + if broken { REDIAL } else { RESUME });
        (self.carries, self.since) = (true, now);
    }

    /// The link over this road broke, after so many connections: it is made anew.
    pub fn broken(&mut self, now: Instant, dialled: u64) {
        self.broken_at = Some(dialled);
        self.due = now + REDIAL;
    }

    /// A server at one end has restarted: a broken link is due this long from now.
    pub fn again(&mut self, now: Instant) {
        if self.broken_at.is_some() {
            self.due = now + REDIAL;
        }
    }

    /// This connection has greeted. If it is a new one, the link is whole, sooner than it had to be.
    pub fn greeted(&mut self, now: Instant, number: u64) {
        if self.carries && self.broken_at.is_some_and(|broken| broken < number) {
            self.broken_at = None;
            self.due = self.due.min(now + RESUME);
        }
    }
}

/// All five servers and the road from each to each neighbour.
pub struct Service {
    servers: [Part; FIVE],
    roads: [[Option<Part>; FIVE]; FIVE],
    paths: [[Option<Instant>; FIVE]; FIVE],
}

/// The index of a server.
fn index(name: &str) -> usize {
    let found = NAMES.iter().position(|known| *known == name);
    found.expect("one of the five")
}

/// All roads, each with the server that dials and the one that listens.
pub fn roads() -> impl Iterator<Item = (usize, usize)> {
    let pairs = LINKS.map(|(a, b)| (index(a), index(b)));
    pairs.into_iter().flat_map(|(a, b)| [(a, b), (b, a)])
}

impl Service {
    /// All run, and all roads carry.
    pub fn new(now: Instant) -> Service {
        let mut roads = [[None; FIVE]; FIVE];
        for (from, to) in self::roads() {
            let mut road = Part::new(now);
            road.broken(now, 0);
            roads[from][to] = Some(road);
        }
        let mut service = Service {
            servers: [Part::new(now); FIVE],
            roads,
            paths: [[None; FIVE]; FIVE],
        };
        service.survey();
        service
    }

    /// A server.
    pub fn server(&self, server: usize) -> &Part {
        &self.servers[server]
    }

    /// Changes a server.
    pub fn change_server(&mut self, server: usize, change: impl FnOnce(&mut Part)) {
        change(&mut self.servers[server]);
        self.survey();
    }

    /// Changes the road from one server to its neighbour.
    pub fn change_road(&mut self, from: usize, to: usize, change: impl FnOnce(&mut Part)) {
        change(self.roads[from][to].as_mut().expect("neighbours"));
        self.survey();
    }

    /// From which moment on all that one server holds must come to the other. `None`: nothing need.
    pub fn path(&self, from: usize, to: usize) -> Option<Instant> {
        self.paths[from][to]
    }

    /// The best path has the soonest last part (Floyd and Warshall's way).
    fn survey(&mut self) {
        let mut paths = [[None; FIVE]; FIVE];
        for (from, row) in self.roads.iter().enumerate() {
            for (to, road) in row.iter().enumerate() {
                let parts = road.map(|road| [road, self.servers[from], self.servers[to]]);
                let parts = parts.filter(|parts| parts.iter().all(|part| part.carries));
                paths[from][to] = parts.and_then(|parts| parts.iter().map(|part| part.due).max());
            }
        }
        for via in 0..FIVE {
            for from in 0..FIVE {
                for to in 0..FIVE {
                    if let (Some(first), Some(second)) = (paths[from][via], paths[via][to]) {
                        let both = first.max(second);
                        let best = paths[from][to].map_or(both, |old: Instant| old.min(both));
                        paths[from][to] = Some(best);
                    }
                }
            }
        }
        self.paths = paths;
    }
}
