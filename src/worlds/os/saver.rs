//! Snapshots, written beside the loop: a disk may take its time, and a sync always does.
//!
//! The pieces go to a [`Replacement`], so that at every moment one whole snapshot stands under the name.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::disk::OsDisk;
use super::waker::OsWaker;
use crate::event_loop::{Event, Wake};
use crate::net::{SNAPSHOT_BYTES_MAX, check_regular};
use crate::worlds::disk::Replacement;

/// Pieces that may wait for the disk.
const PIECES_MAX: usize = 8;

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
            false => Ok(bytes),
        }
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

/// Writes one snapshot. A failure waits for the end, so that the loop hears it where it looks.
fn save(
    path: &Path,
    pieces: &Receiver<Piece>,
    shared: &Shared,
    waker: &OsWaker,
) -> Option<(u64, Outcome)> {
    let mut begun = OsDisk::new(path).and_then(|mut disk| {
        let replacement = Replacement::begin(&mut disk)?;
        Ok((disk, replacement))
    });
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
                begun = begun.and_then(|(mut disk, mut replacement)| {
                    match replacement.append(&mut disk, &bytes) {
                        Ok(()) => Ok((disk, replacement)),
                        Err(error) => {
                            // The space is free at once, for whom the disk is full as well.
                            replacement.abandon(&mut disk);
                            Err(error)
                        }
                    }
                });
            }
            Some(Piece::End(job)) => {
                let wanted = || !shared.lock().abandoned;
                let saved =
                    begun.and_then(|(mut disk, replacement)| replacement.finish(&mut disk, wanted));
                return Some((job, saved.map_err(|error| error.to_string())));
            }
            // An end without the word is a server that is gone: what stands under the name stays.
            None => {
                if let Ok((mut disk, replacement)) = begun {
                    replacement.abandon(&mut disk);
                }
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_wait_for_the_disk_in_a_short_queue() {
        let mut saver = Saver::new(Path::new("nowhere"));
        let (pieces, disk) = sync_channel(PIECES_MAX);
        let (_end, ended) = sync_channel(0);
        saver.writer = Some(Writer { pieces, ended });
        for _ in 0..PIECES_MAX {
            saver.give(Piece::Bytes(vec![1]), 7).expect("room");
        }
        let is_full = |given: io::Result<()>| {
            given.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        assert!(is_full(saver.give(Piece::Bytes(vec![1]), 7)));
        assert!(is_full(saver.end(7)));
        let mut events = Vec::new();
        saver.tell(&mut events);
        assert_eq!(events, [], "there is no room yet");
        // The thread takes one, and sees that somebody waits.
        assert!(disk.recv().is_ok());
        assert!(std::mem::take(&mut saver.shared.lock().wants_room));
        saver.tell(&mut events);
        assert_eq!(events, [Event::Done(7)]);
        saver.end(7).expect("room");
    }
}
