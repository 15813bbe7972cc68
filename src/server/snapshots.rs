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

use super::callback::{Callback, Part};
use super::desk::Floor;
use super::journal::About;
use super::limits::{Limit, limit};
use crate::config::Config;
use crate::event_loop::Handle;
use crate::herd::{Command, Heard, SnapshotReader, SnapshotWriter};
use crate::net::{Host, LINE_MAX, SNAPSHOT_BYTES_MAX};

/// Bytes that one turn adds to a snapshot.
pub const SNAPSHOT_PIECE: usize = 256 * 1024;
/// After a snapshot that failed, the next one is tried no sooner than this: a disk that is full stays so
/// for a while.
pub const SNAPSHOT_RETRY: Duration = Duration::from_secs(1);
/// A stopping server ends without the last snapshot if the disk takes nothing of it for this long.
pub const SNAPSHOT_STALL: Duration = Duration::from_secs(5);

/// When the table was last written, and how far it is now.
pub struct Snapshots {
    /// A change is on disk after this long, and the time that the writing takes.
    every: Duration,
    state: State,
    /// [`Store::kept`](crate::herd::Store::kept) of the snapshot that stands, and of the one on its way.
    saved: u64,
    saving: u64,
    last: Option<Result<u64, String>>,
    /// When the disk took the last piece, or the server began to stop.
    moved: Duration,
    /// Why the last snapshot of a stopping server was not written: there is no second attempt.
    lost: Option<String>,
    /// What the operator should know about the snapshot that was restored.
    restored: Vec<String>,
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
            moved: Duration::ZERO,
            lost: None,
            restored: Vec::new(),
        }
    }

    /// True if nothing is due or on its way.
    pub fn is_idle(&self) -> bool {
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

    /// What the operator should know about the snapshot that was restored.
    pub fn restored(&self) -> &[String] {
        &self.restored
    }

    /// At start: takes up what an earlier run left.
    ///
    /// # Errors
    /// The file cannot be read. A damaged one is no error: what is whole in it counts.
    pub fn restore<H: Host>(&mut self, floor: &mut Floor<H>) -> io::Result<()> {
        let loaded = floor.event_loop.world.load_snapshot();
        let bytes = loaded.map_err(|error| {
            let text = format!("the snapshot cannot be read: {error}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let mut reader = SnapshotReader::new(&bytes);
        let (mut taken, mut strangers, mut full, mut odd) = (0_u64, 0_u64, 0_u64, 0_u64);
        for line in reader.by_ref() {
            // A longer line no neighbour would take.
            let command = Command::parse(&line[..line.len() - 1]);
            match command.filter(|_| line.len() <= LINE_MAX + 1) {
                Some(Command::At(at)) => match floor.shared.replica.at(&at) {
                    Heard::News(_) | Heard::Known => taken += 1,
                    Heard::Stranger => strangers += 1,
                    Heard::Full => full += 1,
                },
                _ => odd += 1,
            }
        }
        if let Some(damage) = reader.damage() {
            self.restored.push(format!(
                "the snapshot is damaged at {damage}; {taken} records before that were taken"
            ));
        }
        let why = [
            (
                strangers,
                "they were reported to servers that are not of this herd",
            ),
            (full, "the table is full"),
            (odd, "no server would take them"),
        ];
        for (count, why) in why.into_iter().filter(|(count, _)| *count > 0) {
            let text = format!("{count} records of the snapshot were not taken: {why}");
            self.restored.push(text);
        }
        for text in &self.restored {
            floor.notice(About::Server, format_args!("{text}"));
        }
        let text = format_args!("{taken} records were restored from the snapshot");
        floor.notice(About::Server, text);
        self.saved = floor.shared.replica.store().kept();
        Ok(())
    }

    /// The end of a turn: a table that changed is due.
    pub fn before_poll<H: Host>(&mut self, floor: &mut Floor<H>) {
        let changed = self.saved != floor.shared.replica.store().kept();
        if changed && self.is_idle() && self.lost.is_none() {
            let delay = match &self.last {
                _ if floor.shared.stopping => Duration::ZERO,
                Some(Err(_)) => self.every.max(SNAPSHOT_RETRY),
                _ => self.every,
            };
            let timer = floor.event_loop.call_later(delay, Callback::Snapshot);
            self.state = State::Due(timer);
        }
    }

    /// The server stops: what is due is due now.
    pub fn stop<H: Host>(&mut self, floor: &mut Floor<H>) {
        self.moved = floor.event_loop.time();
        if let State::Due(timer) = self.state {
            floor.event_loop.cancel(timer);
            self.state = State::Idle;
        }
        self.before_poll(floor);
    }

    /// When to look again whether the last snapshot gets on. `None`: nothing is on its way, or it got
    /// no further for too long and is lost.
    pub fn look_again<H: Host>(&mut self, floor: &mut Floor<H>) -> Option<Duration> {
        let when = self.moved + SNAPSHOT_STALL;
        if !self.is_idle() && when <= floor.event_loop.time() {
            self.give_up(floor, "the disk takes nothing of it");
        }
        (!self.is_idle()).then_some(when)
    }

    /// The server stops without waiting for the last snapshot.
    pub fn give_up<H: Host>(&mut self, floor: &mut Floor<H>, why: &str) {
        if !self.is_idle() || self.saved != floor.shared.replica.store().kept() {
            self.ended(floor, Err(String::from(why)));
        }
    }

    /// Why there is no last snapshot of a server that has stopped.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// [`Callback::Snapshot`]: begins a walk, or goes on with it.
    pub fn walk<H: Host>(&mut self, floor: &mut Floor<H>) {
        let store = floor.shared.replica.store();
        if let State::Due(_) = self.state {
            let mut piece = Vec::with_capacity(SNAPSHOT_PIECE);
            let writer = Some(SnapshotWriter::begin(&mut piece));
            self.saving = store.kept();
            self.state = State::Walking {
                writer,
                next: 0,
                piece,
            };
        }
        let State::Walking {
            writer,
            next,
            piece,
        } = &mut self.state
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
        let job = Part::Snapshots.job(0);
        let given = match piece.is_empty() {
            true => floor.event_loop.world.end_snapshot(job),
            false => floor.event_loop.world.write_snapshot(piece, job),
        };
        match given {
            Ok(()) => self.moved = floor.event_loop.time(),
            // The disk is behind: it says when there is room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => return self.ended(floor, Err(error.to_string())),
        }
        match piece.is_empty() {
            true => self.state = State::Ending,
            false => {
                piece.clear();
                floor.event_loop.call_soon(Callback::Snapshot);
            }
        }
    }

    /// The writer has room again, or is through.
    pub fn done<H: Host>(&mut self, floor: &mut Floor<H>) {
        match self.state {
            State::Walking { .. } => self.walk(floor),
            State::Ending => {
                let outcome = floor.event_loop.world.snapshot_written();
                self.ended(floor, outcome);
            }
            State::Idle | State::Due(_) => {}
        }
    }

    fn ended<H: Host>(&mut self, floor: &mut Floor<H>, outcome: Result<u64, String>) {
        self.state = State::Idle;
        match (&outcome, floor.shared.stopping) {
            (Ok(_), _) => self.saved = self.saving,
            (Err(why), true) => self.lost = Some(why.clone()),
            (Err(_), false) => {}
        }
        let text = match &outcome {
            Ok(bytes) => format!("a snapshot of {bytes} bytes is safe"),
            Err(why) => format!("no snapshot, the one before still stands: {why}"),
        };
        floor.notice(About::Server, format_args!("{text}"));
        self.last = Some(outcome);
    }

    /// What bounds a snapshot.
    #[rustfmt::skip]
    pub fn limits(config: &Config) -> Vec<Limit> {
        let every = config.snapshot_every.unwrap_or_default();
        let (refused, waits) = ("the server does not start", "the rest waits for the next turn");
        vec![
            limit!(SNAPSHOT_BYTES_MAX, "a snapshot that is read", "bytes", refused),
            Limit::of("", "a change without a snapshot", every, "", "one is written")
                .option("snapshot-every"),
            limit!(SNAPSHOT_PIECE, "a snapshot's piece a turn", "bytes", waits),
            limit!(SNAPSHOT_RETRY, "after a snapshot that failed", "", "the next is tried"),
            limit!(SNAPSHOT_STALL, "a stop's last snapshot that gets no further", "", "lost, and said"),
        ]
    }
}
