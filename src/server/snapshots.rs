//! The table on disk, now and then: a walk over it in pieces, between the turns of everybody else.
//!
//! ```text
//! Idle ──(a change)──▶ Due ──(timer)──▶ Walking ──(the last record)──▶ Ending ──(done)──▶ Idle …
//! ```
//!
//! The table may change under the walk. Each record is whole by itself and every mixture of old and
//! new ones is a table that the herd could have had, so nothing has to stand still.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::callback::{Callback, Loop};
use super::journal::Who;
use super::node::Node;
use crate::event_loop::Handle;
use crate::herd::{Command, Heard, SnapshotReader, SnapshotWriter};
use crate::net::Host;

/// The name of the job that a snapshot's end is. Lookups count from zero.
pub const SNAPSHOT_JOB: u64 = u64::MAX;
/// Bytes that one turn adds to a snapshot.
pub const SNAPSHOT_PIECE: usize = 256 * 1024;
/// The writer is asked again after this long, while the disk is behind.
pub const SNAPSHOT_RETRY: Duration = Duration::from_millis(10);

/// When the table was last written, and how far it is now.
pub struct Snapshots {
    /// A change is on disk after this long, and the time that the writing takes.
    every: Duration,
    state: State,
    /// [`Store::kept`](crate::herd::Store::kept) of the snapshot that stands, and of the one on its way.
    saved: u64,
    saving: u64,
    last: Option<Result<u64, String>>,
}

enum State {
    Idle,
    /// The timer is set.
    Due(Handle),
    Walking {
        writer: Option<SnapshotWriter>,
        next: u32,
        piece: Vec<u8>,
    },
    /// All was given to the writer.
    Ending,
}

impl Snapshots {
    /// Nothing is on disk yet.
    pub fn new(every: Duration) -> Snapshots {
        Snapshots {
            every,
            state: State::Idle,
            saved: 0,
            saving: 0,
            last: None,
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// For the view.
    pub fn row(&self) -> Value {
        let state = match &self.state {
            State::Idle => "idle",
            State::Due(_) => "due",
            State::Walking { .. } => "walking",
            State::Ending => "ending",
        };
        json!({
            "state": state,
            "every": self.every.as_secs_f64(),
            "bytes": self.last.as_ref().and_then(|last| last.as_ref().ok()),
            "failure": self.last.as_ref().and_then(|last| last.as_ref().err()),
        })
    }
}

impl<H: Host> Node<H> {
    /// At start: takes up what an earlier run left.
    ///
    /// # Errors
    /// The file cannot be read. A damaged one is no error: what is whole in it counts.
    pub(super) fn restore(&mut self, event_loop: &mut Loop<H>) -> io::Result<()> {
        if self.snapshots.is_none() {
            return Ok(());
        }
        let loaded = event_loop.world.load_snapshot();
        let bytes = loaded.map_err(|error| {
            let text = format!("the snapshot cannot be read: {error}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let mut reader = SnapshotReader::new(&bytes);
        let (mut taken, mut left) = (0_u64, 0_u64);
        for line in reader.by_ref() {
            match Command::parse(&line[..line.len() - 1]) {
                Some(Command::At(at)) if self.replica.at(&at) != Heard::Full => taken += 1,
                _ => left += 1,
            }
        }
        if let Some(damage) = reader.damage() {
            let text = format!(
                "the snapshot is damaged at {damage}; {taken} records before that were taken"
            );
            self.notice(event_loop, Who::Server, format_args!("{text}"));
            self.restored.push(text);
        }
        if left > 0 {
            let text = format!("{left} records of the snapshot were not taken");
            self.notice(event_loop, Who::Server, format_args!("{text}"));
            self.restored.push(text);
        }
        let text = format_args!("{taken} records were restored from the snapshot");
        self.notice(event_loop, Who::Server, text);
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.saved = self.replica.store().kept();
        }
        Ok(())
    }

    /// The end of a turn: a table that changed is due.
    pub(super) fn snapshot_if_changed(&mut self, event_loop: &mut Loop<H>) {
        let kept = self.replica.store().kept();
        if let Some(snapshots) = &mut self.snapshots
            && snapshots.is_idle()
            && snapshots.saved != kept
        {
            let delay = match self.stopping {
                true => Duration::ZERO,
                false => snapshots.every,
            };
            let timer = event_loop.call_later(delay, Callback::Snapshot);
            snapshots.state = State::Due(timer);
        }
    }

    /// The server stops: what is due is due now.
    pub(super) fn snapshot_now(&mut self, event_loop: &mut Loop<H>) {
        if let Some(Snapshots { state, .. }) = &mut self.snapshots
            && let State::Due(timer) = state
        {
            event_loop.cancel(*timer);
            *state = State::Idle;
        }
        self.snapshot_if_changed(event_loop);
    }

    /// True if nothing has to be written before the server may end.
    pub(super) fn snapshots_are_done(&self) -> bool {
        let done = |snapshots: &Snapshots| snapshots.is_idle();
        self.snapshots.as_ref().is_none_or(done)
    }

    /// [`Callback::Snapshot`]: begins a walk, or goes on with it.
    pub(super) fn snapshot(&mut self, event_loop: &mut Loop<H>) {
        let store = self.replica.store();
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        if let State::Due(_) = snapshots.state {
            let mut piece = Vec::with_capacity(SNAPSHOT_PIECE);
            let writer = Some(SnapshotWriter::begin(&mut piece));
            let next = 0;
            snapshots.saving = store.kept();
            snapshots.state = State::Walking {
                writer,
                next,
                piece,
            };
        }
        let State::Walking {
            writer,
            next,
            piece,
        } = &mut snapshots.state
        else {
            return;
        };
        while let Some(walk) = writer
            && piece.len() < SNAPSHOT_PIECE
        {
            match store.line(*next) {
                Some(line) => walk.record(line, piece),
                None => {
                    if let Some(walk) = writer.take() {
                        walk.end(piece);
                    }
                }
            }
            *next += 1;
        }
        let given = match piece.is_empty() {
            true => event_loop.world.end_snapshot(SNAPSHOT_JOB),
            false => event_loop.world.write_snapshot(piece),
        };
        match given {
            Ok(()) if piece.is_empty() => snapshots.state = State::Ending,
            Ok(()) => {
                piece.clear();
                event_loop.call_soon(Callback::Snapshot);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                event_loop.call_later(SNAPSHOT_RETRY, Callback::Snapshot);
            }
            Err(error) => self.snapshot_ended(event_loop, Err(error.to_string())),
        }
    }

    /// [`Callback::SnapshotDone`].
    pub(super) fn snapshot_done(&mut self, event_loop: &mut Loop<H>) {
        let outcome = event_loop.world.snapshot_written();
        self.snapshot_ended(event_loop, outcome);
    }

    fn snapshot_ended(&mut self, event_loop: &mut Loop<H>, outcome: Result<u64, String>) {
        let kept = self.replica.store().kept();
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        snapshots.state = State::Idle;
        match (&outcome, self.stopping) {
            (Ok(_), _) => snapshots.saved = snapshots.saving,
            // There is no time for a second attempt.
            (Err(_), true) => snapshots.saved = kept,
            (Err(_), false) => {}
        }
        snapshots.last = Some(outcome.clone());
        match outcome {
            Ok(bytes) => {
                let text = format_args!("a snapshot of {bytes} bytes is safe");
                self.notice(event_loop, Who::Server, text);
            }
            Err(why) => {
                let text = format_args!("no snapshot, the one before still stands: {why}");
                self.notice(event_loop, Who::Server, text);
            }
        }
    }
}
