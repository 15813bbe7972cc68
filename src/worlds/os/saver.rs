//! Snapshots, written beside the loop: a disk may take its time, and a sync always does.
//!
//! The pieces go to a file beside the one that counts, which is synced, renamed over it, and whose
//! folder is synced: at every moment, one whole snapshot stands under the name.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::waker::OsWaker;
use crate::event_loop::{Event, Wake};
use crate::net::{SNAPSHOT_BYTES_MAX, check_regular};

/// Pieces that may wait for the disk.
const PIECES_MAX: usize = 8;

enum Piece {
    Bytes(Vec<u8>),
    /// All was given; this job is done once it is safe.
    End(u64),
}

/// What became of a snapshot: how many bytes it has, or why there is none.
type Outcome = Result<u64, String>;

/// Where snapshots go, and the one that is being written.
pub struct Saver {
    path: PathBuf,
    writer: Option<SyncSender<Piece>>,
    done: Arc<Mutex<Option<(u64, Outcome)>>>,
    told: Option<Outcome>,
}

impl Saver {
    /// Snapshots go to `path`.
    pub fn new(path: &Path) -> Saver {
        Saver {
            path: path.to_path_buf(),
            writer: None,
            done: Arc::default(),
            told: None,
        }
    }

    /// The snapshot that stands there; empty if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is too large to be one.
    pub fn load(&self) -> io::Result<Vec<u8>> {
        check_regular(&self.path)?;
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let mut bytes = Vec::new();
        if length <= SNAPSHOT_BYTES_MAX {
            file.take(SNAPSHOT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        }
        match length.max(bytes.len() as u64) > SNAPSHOT_BYTES_MAX {
            true => Err(io::Error::other("it is too large to be a snapshot")),
            false => self.set_aside(&bytes).map(|()| bytes),
        }
    }

    /// A file that does not begin as a snapshot may be somebody's own, named by mistake: the next
    /// snapshot stands in its place, so it is copied beside.
    fn set_aside(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() || bytes.starts_with(b"herd snapshot ") {
            return Ok(());
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".before");
        check_regular(Path::new(&name))?;
        fs::write(name, bytes)
    }

    /// Gives the writer a piece; the first begins a snapshot.
    ///
    /// # Errors
    /// `WouldBlock` while the disk is behind; no thread can be had.
    pub fn write(&mut self, piece: &[u8], waker: &Arc<OsWaker>) -> io::Result<()> {
        if self.writer.is_none() {
            let (writer, pieces) = sync_channel(PIECES_MAX);
            let (path, done, waker) = (self.path.clone(), self.done.clone(), waker.clone());
            thread::Builder::new()
                .name(String::from("snapshot"))
                .spawn(move || {
                    if let Some(outcome) = save(&path, &pieces) {
                        *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                        waker.wake();
                    }
                })?;
            self.writer = Some(writer);
        }
        self.give(Piece::Bytes(piece.to_vec()))
    }

    /// All pieces were given; [`Event::Done`] with `job` tells that the snapshot is safe, or that it
    /// failed.
    ///
    /// # Errors
    /// `WouldBlock` while the disk is behind.
    pub fn end(&mut self, job: u64) -> io::Result<()> {
        self.give(Piece::End(job))?;
        self.writer = None;
        Ok(())
    }

    fn give(&mut self, piece: Piece) -> io::Result<()> {
        let Some(writer) = &self.writer else {
            return Err(io::Error::other("no snapshot was begun"));
        };
        match writer.try_send(piece) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// After a wake: tells of the snapshot that is done.
    pub fn tell(&mut self, events: &mut Vec<Event>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((job, outcome)) = done.take() {
            self.told = Some(outcome);
            events.push(Event::Done(job));
        }
    }

    /// How many bytes the snapshot that was told of has, or why there is none.
    pub fn outcome(&mut self) -> Outcome {
        let told = self.told.take();
        told.unwrap_or_else(|| Err(String::from("no snapshot was written")))
    }
}

/// Writes one snapshot. A failure waits for the end, so that the loop hears it where it looks.
fn save(path: &Path, pieces: &Receiver<Piece>) -> Option<(u64, Outcome)> {
    let beside = beside(path);
    let mut file = File::create(&beside);
    let mut length = 0;
    loop {
        // An end without the word is a server that is gone: what stands under the name stays.
        match pieces.recv().ok()? {
            Piece::Bytes(bytes) => {
                length += bytes.len() as u64;
                let written = file.as_mut().map(|file| file.write_all(&bytes));
                if let Ok(Err(error)) = written {
                    file = Err(error);
                }
            }
            Piece::End(job) => {
                let saved = file.and_then(|file| put(&file, &beside, path));
                let outcome = saved.map(|()| length).map_err(|error| error.to_string());
                return Some((job, outcome));
            }
        }
    }
}

fn put(file: &File, beside: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(beside, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The file that is written, beside the one that counts.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".new");
    PathBuf::from(name)
}
