//! A node's disk: it outlives the node.

use std::io;

/// A snapshot that stands, and one on its way.
#[derive(Default)]
pub(super) struct Disk {
    saved: Vec<u8>,
    written: Vec<u8>,
    /// How much more it takes, if it is behind; and the job that waits for room.
    room: Option<usize>,
    waits: Option<u64>,
}

impl Disk {
    /// What stands. Whoever asks has just begun: what an earlier life had on its way is lost.
    pub fn load(&mut self) -> Vec<u8> {
        self.written.clear();
        self.saved.clone()
    }

    /// A piece is on its way.
    pub fn write(&mut self, piece: &[u8], job: u64) -> io::Result<()> {
        self.take(job)?;
        self.written.extend_from_slice(piece);
        Ok(())
    }

    /// All pieces stand now.
    pub fn save(&mut self, job: u64) -> io::Result<()> {
        self.take(job)?;
        self.saved = std::mem::take(&mut self.written);
        Ok(())
    }

    /// From now on it takes so many pieces (`None`: all). The job that waits for that.
    pub fn set_room(&mut self, room: Option<usize>) -> Option<u64> {
        self.room = room;
        self.waits.take_if(|_| room != Some(0))
    }

    /// What stands.
    pub fn saved(&self) -> &[u8] {
        &self.saved
    }

    fn take(&mut self, job: u64) -> io::Result<()> {
        if self.room == Some(0) {
            self.waits = Some(job);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room = self.room.map(|room| room - 1);
        Ok(())
    }
}
