//! The journal's file, written beside the loop: a disk may stand still for as long as it likes, and
//! O_NONBLOCK means nothing to a file.
//!
//! The loop leaves its bytes in a buffer. The thread takes them [`LOOK_EVERY`] after the last it wrote,
//! unasked, so that a busy server pays no call for it; with nothing to do it parks, and only then is it
//! woken. A server that is killed loses what has waited for that long.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::journal_file::JournalFile;
use super::waker::OsWaker;
use crate::event_loop::Wake;

/// Bytes of journal that wait for the thread; what is more waits with the server.
pub const APPENDER_BUFFER_MAX: usize = 2 << 20;
/// A thread that has something to do looks again after this long; what a kill loses.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The end of the server waits for a disk that has taken nothing for this long at most.
pub const APPENDER_PATIENCE: Duration = Duration::from_secs(1);

/// What the loop and the thread share.
#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// The file is to be opened anew, once the bytes before this one of those that wait are written.
    reopen: Option<usize>,
    /// How that went, as long as nobody has heard.
    reopened: Option<Result<(), String>>,
    parked: bool,
    closing: bool,
    /// The disk had its time: what is not written will not be.
    given_up: bool,
    ended: bool,
    /// Grows with each write that the disk took.
    progress: u64,
}

/// What the loop and the thread share, and how they wake each other.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A file that a thread appends to.
pub struct Appender {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    /// Opens the file at its end, and starts the thread. What would grow beyond `max` bytes becomes
    /// FILE.1 (0: never).
    ///
    /// # Errors
    /// As the system says.
    pub fn open(path: &Path, max: u64, waker: Arc<OsWaker>) -> io::Result<Appender> {
        let file = JournalFile::open(path, max)?;
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            file,
            shared: Arc::clone(&shared),
            waker,
        };
        let thread = Builder::new().name(String::from("journal"));
        let thread = thread.spawn(move || writer.run())?;
        Ok(Appender {
            shared,
            thread: Some(thread),
        })
    }

    /// Leaves bytes for the thread; how many there was room for. At the `last` there is for all.
    pub fn append(&self, bytes: &[u8], last: bool) -> usize {
        let mut state = self.shared.state();
        let before = state.waiting.len();
        let room = APPENDER_BUFFER_MAX.saturating_sub(before);
        let count = if last {
            bytes.len()
        } else {
            bytes.len().min(room)
        };
        state.waiting.extend_from_slice(&bytes[..count]);
        let half = APPENDER_BUFFER_MAX / 2;
        let crossed = before <= half && state.waiting.len() > half;
        if count > 0 && std::mem::take(&mut state.parked) || crossed {
            self.shared.changed.notify_all();
        }
        count
    }

    /// Has the file opened anew by its name, behind what was left so far.
    pub fn reopen(&self) {
        let mut state = self.shared.state();
        state.reopen = Some(state.waiting.len());
        state.reopened = None;
        state.parked = false;
        self.shared.changed.notify_all();
    }

    /// True if [`Appender::reopened`] has an answer.
    pub fn has_reopened(&self) -> bool {
        self.shared.state().reopened.is_some()
    }

    /// How the last [`Appender::reopen`] went: perhaps why the old file stays in use.
    pub fn reopened(&self) -> Result<(), String> {
        let reopened = self.shared.state().reopened.take();
        reopened.unwrap_or_else(|| Err(String::from("it is under way")))
    }
}

/// Waits until all is written, as long as the disk takes something; says what is lost.
impl Drop for Appender {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closing = true;
        self.shared.changed.notify_all();
        let mut before = state.progress;
        let mut patience = APPENDER_PATIENCE;
        while !state.ended && !patience.is_zero() {
            state = self.shared.wait(state, LOOK_EVERY);
            patience = match state.progress == before {
                true => patience.saturating_sub(LOOK_EVERY),
                false => APPENDER_PATIENCE,
            };
            before = state.progress;
        }
        let ended = state.ended;
        state.given_up = true;
        drop(state);
        if !ended {
            eprintln!("herd: the disk takes nothing: the journal's last lines are lost");
        }
        // A thread that the disk holds cannot be waited for; the process takes it along.
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Writer {
    file: JournalFile,
    shared: Arc<Shared>,
    waker: Arc<OsWaker>,
}

impl Writer {
    fn run(mut self) {
        // What is to be written; and, of that, what belongs into the file that is open.
        let mut bytes = Vec::new();
        while let Some(reopen) = self.next(&mut bytes) {
            let mut written = 0;
            if let Some(old) = reopen {
                // What this file does not take goes to the next.
                written = self.write(&bytes[..old], false);
                self.reopen();
            }
            written += self.write(&bytes[written..], true);
            bytes.drain(..written);
            bytes.shrink_to(APPENDER_BUFFER_MAX / 4);
        }
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
    }

    /// Waits for something to do, and adds it to what is left to write; `None` at the end. If the file
    /// is to be opened anew, how many of the bytes come before that.
    fn next(&self, bytes: &mut Vec<u8>) -> Option<Option<usize>> {
        let mut state = self.shared.state();
        let is_idle = |state: &State| state.waiting.is_empty() && state.reopen.is_none();
        if is_idle(&state) && bytes.is_empty() && !state.closing {
            // Whoever has just written is likely to write again.
            state = self.shared.wait(state, LOOK_EVERY);
        }
        while is_idle(&state) && bytes.is_empty() {
            if state.closing {
                return None;
            }
            state.parked = true;
            let waited = self.shared.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.given_up {
            return None;
        }
        let old = state.reopen.take().map(|old| old + bytes.len());
        bytes.append(&mut state.waiting);
        Some(old)
    }

    /// Writes all of it; while the disk is full or a pipe's reader is slow, `patient`ly tries again and
    /// again, until somebody wants the file opened anew or the server ends. How much was written.
    fn write(&mut self, bytes: &[u8], patient: bool) -> usize {
        let mut count = 0;
        while count < bytes.len() {
            let written = self.file.write(&bytes[count..]);
            let mut state = self.shared.state();
            match written {
                Ok(taken) if taken > 0 => {
                    count += taken;
                    state.progress += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ if !patient || state.given_up || state.reopen.is_some() => break,
                _ => drop(self.shared.wait(state, LOOK_EVERY)),
            }
        }
        count
    }

    fn reopen(&mut self) {
        let opened = self.file.reopen();
        self.shared.state().reopened = Some(opened.map_err(|error| error.to_string()));
        self.waker.wake();
    }
}
