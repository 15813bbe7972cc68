//! A node's disk: it outlives the node.

use super::net::Net;

/// A snapshot that stands, and one on its way.
#[derive(Default)]
pub(super) struct Disk {
    saved: Vec<u8>,
    written: Vec<u8>,
}

impl Net {
    /// What stands. Whoever asks has just begun: what an earlier life had on its way is lost.
    pub(super) fn load(&mut self, node: usize) -> Vec<u8> {
        let disk = &mut self.disks[node];
        disk.written.clear();
        disk.saved.clone()
    }

    /// A piece is on its way.
    pub(super) fn save_piece(&mut self, node: usize, piece: &[u8]) {
        self.trace.add("snapshot", &[node as u64], piece);
        self.disks[node].written.extend_from_slice(piece);
    }

    /// All pieces stand now; `job` tells of it.
    pub(super) fn save(&mut self, node: usize, job: u64) {
        let disk = &mut self.disks[node];
        disk.saved = std::mem::take(&mut disk.written);
        self.ports[node].jobs.push((job, Ok(Vec::new())));
    }

    /// The length of what stands.
    pub(super) fn saved(&self, node: usize) -> u64 {
        self.disks[node].saved.len() as u64
    }
}
