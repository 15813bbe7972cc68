//! A node's disk: it outlives the node.

/// A snapshot that stands, and one on its way.
#[derive(Default)]
pub(super) struct Disk {
    saved: Vec<u8>,
    written: Vec<u8>,
}

impl Disk {
    /// What stands. Whoever asks has just begun: what an earlier life had on its way is lost.
    pub fn load(&mut self) -> Vec<u8> {
        self.written.clear();
        self.saved.clone()
    }

    /// A piece is on its way.
    pub fn write(&mut self, piece: &[u8]) {
        self.written.extend_from_slice(piece);
    }

    /// All pieces stand now.
    pub fn save(&mut self) {
        self.saved = std::mem::take(&mut self.written);
    }

    /// The length of what stands.
    pub fn len(&self) -> u64 {
        self.saved.len() as u64
    }
}
