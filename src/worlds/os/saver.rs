//! Snapshots, written beside the loop: a disk may take its time, and a sync always does.
//!
//! The pieces go to a file beside the one that counts, which is synced, renamed over it, and whose
//! folder is synced: at every moment, one whole snapshot stands under the name.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::waker::OsWaker;
use crate::event_loop::{Event, Wake};
use crate::net::{SNAPSHOT_BYTES_MAX, check_regular};

/// Pieces that may wait for the disk.
const PIECES_MAX: usize = 8;

/// The disk is waited for after so many bytes: a piece that is taken is progress of the disk, not of
/// the system's memory, and the last sync is a short one.
const SYNC_EVERY: u64 = 4 * 1024 * 1024;

/// At its end, a server waits so long for the thread to take an unfinished snapshot away.
const ABANDON_DEADLINE: Duration = Duration::from_secs(1);

enum Piece {
    Bytes(Vec<u8>),
    /// All was given; this job is done once it is safe.
    End(u64),
}

/// What became of a snapshot: how many bytes it has, or why there is none.
type Outcome = Result<u64, String>;

/// What the loop and the thread tell each other, besides pieces.
#[derive(Default)]
struct Told {
    /// The loop waits for room.
    wants_room: bool,
    /// Nobody waits for the snapshot any more.
    abandoned: bool,
    done: Option<(u64, Outcome)>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Told>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's side: pieces come, and nothing comes back once it has ended.
struct Writer {
    pieces: SyncSender<Piece>,
    ended: Receiver<()>,
}

/// Where snapshots go, and the one that is being written.
pub struct Saver {
    path: PathBuf,
    writer: Option<Writer>,
    shared: Shared,
    /// The job that waits for room.
    waits: Option<u64>,
    told: Option<Outcome>,
}

impl Saver {
    /// Snapshots go to `path`.
    pub fn new(path: &Path) -> Saver {
        Saver {
            path: path.to_path_buf(),
            writer: None,
            shared: Shared::default(),
            waits: None,
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
    /// `WouldBlock` while the disk is behind: [`Event::Done`] with `job` tells that there is room. No
    /// thread can be had.
    pub fn write(&mut self, piece: &[u8], job: u64, waker: &Arc<OsWaker>) -> io::Result<()> {
        if self.writer.is_none() {
            let (pieces, taken) = sync_channel(PIECES_MAX);
            let (end, ended) = sync_channel::<()>(0);
            let (path, shared, waker) = (self.path.clone(), self.shared.clone(), waker.clone());
            thread::Builder::new()
                .name(String::from("snapshot"))
                .spawn(move || {
                    if let Some(outcome) = save(&path, &taken, &shared, &waker) {
                        shared.lock().done = Some(outcome);
                        waker.wake();
                    }
                    drop(end);
                })?;
            self.writer = Some(Writer { pieces, ended });
        }
        self.give(Piece::Bytes(piece.to_vec()), job)
    }

    /// All pieces were given; [`Event::Done`] with `job` tells that the snapshot is safe, or that it
    /// failed.
    ///
    /// # Errors
    /// As [`Saver::write`].
    pub fn end(&mut self, job: u64) -> io::Result<()> {
        self.give(Piece::End(job), job)
    }

    fn give(&mut self, piece: Piece, job: u64) -> io::Result<()> {
        let Some(writer) = &self.writer else {
            return Err(io::Error::other("no snapshot was begun"));
        };
        let mut given = writer.pieces.try_send(piece);
        if let Err(TrySendError::Full(piece)) = given {
            // Tried again behind this: whoever takes a piece from now on knows.
            self.shared.lock().wants_room = true;
            given = writer.pieces.try_send(piece);
        }
        match given {
            Ok(()) => {
                self.shared.lock().wants_room = false;
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                self.waits = Some(job);
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(TrySendError::Disconnected(_)) => {
                self.writer = None;
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// After a wake: tells of room, and of the snapshot that is done.
    pub fn tell(&mut self, events: &mut Vec<Event>) {
        let mut told = self.shared.lock();
        if !told.wants_room {
            events.extend(self.waits.take().map(Event::Done));
        }
        if let Some((job, outcome)) = told.done.take() {
            self.told = Some(outcome);
            self.writer = None;
            events.push(Event::Done(job));
        }
    }

    /// How many bytes the snapshot that was told of has, or why there is none.
    pub fn outcome(&mut self) -> Outcome {
        let told = self.told.take();
        told.unwrap_or_else(|| Err(String::from("no snapshot was written")))
    }
}

/// An unfinished snapshot is taken away, unless the disk stands still.
impl Drop for Saver {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        if let Some(Writer { pieces, ended }) = self.writer.take() {
            drop(pieces);
            // Nothing is ever sent: this is the end of the thread, or of our patience.
            let _ = ended.recv_timeout(ABANDON_DEADLINE);
        }
    }
}

/// Takes away what a run that was killed has left of a snapshot. Not before we listen: a second
/// server started by mistake must leave the first its own.
pub fn remove_unfinished(path: &Path) {
    // Mostly there is none, and what cannot be removed is written over.
    let _ = fs::remove_file(beside(path));
}

/// Writes one snapshot. A failure waits for the end, so that the loop hears it where it looks.
fn save(
    path: &Path,
    pieces: &Receiver<Piece>,
    shared: &Shared,
    waker: &OsWaker,
) -> Option<(u64, Outcome)> {
    let beside = beside(path);
    let mut file = File::create(&beside);
    let mut length = 0;
    loop {
        let piece = pieces.recv();
        let mut told = shared.lock();
        if std::mem::take(&mut told.wants_room) {
            waker.wake();
        }
        let piece = piece.ok().filter(|_| !told.abandoned);
        drop(told);
        match piece {
            Some(Piece::Bytes(bytes)) => {
                let written = file.as_mut().map(|file| append(file, &bytes, &mut length));
                if let Ok(Err(error)) = written {
                    // The space is free at once, for whom the disk is full as well.
                    file = Err(error);
                    remove_unfinished(path);
                }
            }
            Some(Piece::End(job)) => {
                let saved = file.and_then(|file| put(&file, &beside, path, shared));
                if saved.is_err() {
                    remove_unfinished(path);
                }
                let outcome = saved.map(|()| length).map_err(|error| error.to_string());
                return Some((job, outcome));
            }
            // An end without the word is a server that is gone: what stands under the name stays.
            None => {
                remove_unfinished(path);
                return None;
            }
        }
    }
}

fn append(file: &mut File, bytes: &[u8], length: &mut u64) -> io::Result<()> {
    file.write_all(bytes)?;
    let before = *length / SYNC_EVERY;
    *length += bytes.len() as u64;
    match *length / SYNC_EVERY > before {
        true => file.sync_data(),
        false => Ok(()),
    }
}

fn put(file: &File, beside: &Path, path: &Path, shared: &Shared) -> io::Result<()> {
    file.sync_all()?;
    if shared.lock().abandoned {
        return Err(io::Error::other("nobody waits for it any more"));
    }
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
