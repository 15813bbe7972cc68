//! The servers' tables, once the storm is over.

use std::collections::BTreeMap;

use herd::herd::At;
use herd::net::BACKOFF_MAX;
use herd::worlds::sim::WALL_CLOCK_START;

use super::{Act, Run, SERVERS};

impl Run {
    pub fn table(&self, server: usize) -> Vec<Vec<u8>> {
        let store = self.sim.application(server).expect("is up").store();
        let mut lines: Vec<_> = (0..store.len() as u32)
            .filter_map(|position| store.line(position).map(<[u8]>::to_vec))
            .collect();
        lines.sort();
        lines
    }

    pub fn agree(&self) -> bool {
        let first = self.table(0);
        (1..SERVERS).all(|server| self.table(server) == first)
    }

    /// With short links none stands, once the last that was lost has been dialled again.
    pub fn rests(&mut self) -> bool {
        let soon = self.sim.net().now + 2 * BACKOFF_MAX;
        self.sim.run_until(soon).expect("runs");
        let up = |server| self.sim.application(server).expect("is up").owed().len();
        (0..SERVERS).map(up).sum::<usize>() == 0
    }

    /// Without a crash nothing may be lost: each client's record bears its newest time.
    pub fn newest_kept(&self) -> bool {
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        for act in &self.sent {
            if let Act::Update { client, time, .. } = *act {
                let entry = newest.entry(client).or_default();
                *entry = time.max(*entry);
            }
        }
        let mut wanted: Vec<_> = newest
            .iter()
            .map(|(client, time)| {
                (
                    format!("client{client}"),
                    format!("{}.{time:03}", WALL_CLOCK_START.as_secs()),
                )
            })
            .collect();
        let mut found: Vec<_> = self
            .table(0)
            .iter()
            .map(|line| {
                let at = At::stored(line).expect("a stored line");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(at.report.id), text(at.report.time.as_bytes()))
            })
            .filter(|(id, _)| id.starts_with("client"))
            .collect();
        found.sort();
        wanted.sort();
        found == wanted
    }
}
