//! A node's disk: it outlives the node, and forgets what was not synced when the power fails.

use std::collections::BTreeMap;
use std::io;

use crate::worlds::disk::{Disk, Replacement};

/// What is lost of a file is lost in blocks.
const BLOCK: usize = 64;

/// The bytes of a file, and how many of them survive a failure of the power.
#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    safe: usize,
}

/// One folder: a file under the name, and others beside it.
#[derive(Default)]
struct Folder {
    files: BTreeMap<u64, Content>,
    next: u64,
    /// Which file has the name; and which one has it once the power has failed.
    named: Option<u64>,
    named_safely: Option<u64>,
    /// How many more bytes there is room for; `None`: many.
    room: Option<usize>,
    /// A sync comes back and has done nothing.
    lies: bool,
}

impl Disk for Folder {
    type File = u64;

    fn create(&mut self) -> io::Result<u64> {
        self.next += 1;
        self.files.insert(self.next, Content::default());
        Ok(self.next)
    }

    fn append(&mut self, file: &mut u64, bytes: &[u8]) -> io::Result<()> {
        let content = self.files.entry(*file).or_default();
        let room = self.room.unwrap_or(bytes.len()).min(bytes.len());
        content.bytes.extend_from_slice(&bytes[..room]);
        self.room = self.room.map(|left| left - room);
        match room < bytes.len() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn sync(&mut self, file: &mut u64) -> io::Result<()> {
        let content = self.files.entry(*file).or_default();
        if !self.lies {
            content.safe = content.bytes.len();
        }
        Ok(())
    }

    fn put(&mut self, file: &u64) -> io::Result<()> {
        self.named = Some(*file);
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        if !self.lies {
            self.named_safely = self.named;
        }
        Ok(())
    }

    fn remove(&mut self, file: u64) {
        self.files.remove(&file);
    }
}

impl Folder {
    /// What stands under the name.
    fn content(&self) -> &[u8] {
        let file = self.named.and_then(|named| self.files.get(&named));
        file.map_or(&[], |file| &file.bytes)
    }

    /// The power fails: a name that was not synced may be the one before, and of bytes that were not
    /// synced any block may be missing.
    fn lose_power(&mut self, mut below: impl FnMut(usize) -> usize) {
        if below(2) == 0 {
            self.named = self.named_safely;
        }
        self.named_safely = self.named;
        let named = self.named;
        self.files.retain(|file, _| Some(*file) == named);
        for content in self.files.values_mut() {
            let left = content.safe + below(content.bytes.len() - content.safe + 1);
            content.bytes.truncate(left);
            for block in content.bytes[content.safe..].chunks_mut(BLOCK) {
                if below(4) == 0 {
                    block.fill(0);
                }
            }
            content.safe = left;
        }
    }
}

/// A snapshot that stands, and one on its way.
#[derive(Default)]
pub(super) struct SnapshotDisk {
    folder: Folder,
    written: Option<Replacement<u64>>,
    /// Why the one on its way will not stand.
    failure: Option<io::Error>,
    /// How many more pieces it takes, if it is behind; and the job that waits for room.
    pieces: Option<usize>,
    waits: Option<u64>,
    /// How the last one ended; and the last that the node was told is safe.
    outcome: Option<Result<u64, String>>,
    safe: Vec<u8>,
}

impl SnapshotDisk {
    /// What stands. Whoever asks has just begun: what an earlier life had on its way is lost.
    pub fn load(&mut self) -> Vec<u8> {
        if let Some(written) = self.written.take() {
            written.abandon(&mut self.folder);
        }
        self.failure = None;
        self.saved().to_vec()
    }

    /// A piece is on its way.
    pub fn write(&mut self, piece: &[u8], job: u64) -> io::Result<()> {
        self.take(job)?;
        if self.written.is_none() && self.failure.is_none() {
            self.written = Some(Replacement::begin(&mut self.folder)?);
        }
        if let Some(mut written) = self.written.take() {
            match written.append(&mut self.folder, piece) {
                Ok(()) => self.written = Some(written),
                Err(error) => {
                    written.abandon(&mut self.folder);
                    self.failure = Some(error);
                }
            }
        }
        Ok(())
    }

    /// All pieces were given. (As the system's: how it went is asked for once the job is done.)
    pub fn save(&mut self, job: u64) -> io::Result<()> {
        self.take(job)?;
        let saved = match (self.failure.take(), self.written.take()) {
            (None, Some(written)) => written.finish(&mut self.folder, || true),
            (failure, _) => Err(failure.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())),
        };
        if saved.is_ok() {
            self.safe = self.folder.content().to_vec();
        }
        self.outcome = Some(saved.map_err(|error| error.to_string()));
        Ok(())
    }

    /// How the last one ended.
    pub fn outcome(&mut self) -> Result<u64, String> {
        let outcome = self.outcome.take();
        outcome.unwrap_or_else(|| Err(String::from("no snapshot was written")))
    }

    /// From now on it takes so many pieces (`None`: all). The job that waits for that.
    pub fn set_pieces(&mut self, pieces: Option<usize>) -> Option<u64> {
        self.pieces = pieces;
        self.waits.take_if(|_| pieces != Some(0))
    }

    /// From now on there is room for so many bytes (`None`: many).
    pub fn set_room(&mut self, bytes: Option<usize>) {
        self.folder.room = bytes;
    }

    /// From now on a sync does nothing, or something.
    pub fn set_lies(&mut self, lies: bool) {
        self.folder.lies = lies;
    }

    /// The power fails: the node is down already.
    pub fn lose_power(&mut self, below: impl FnMut(usize) -> usize) {
        self.written = None;
        self.folder.lose_power(below);
    }

    /// What stands.
    pub fn saved(&self) -> &[u8] {
        self.folder.content()
    }

    /// The last that the node was told is safe.
    pub fn safe(&self) -> &[u8] {
        &self.safe
    }

    fn take(&mut self, job: u64) -> io::Result<()> {
        if self.pieces == Some(0) {
            self.waits = Some(job);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.pieces = self.pieces.map(|pieces| pieces - 1);
        Ok(())
    }
}
