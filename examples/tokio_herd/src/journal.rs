//! The journal: a line for each line that comes or goes.
//!
//! Tasks append to a buffer; a thread of the blocking pool takes it to the disk every 50 ms. Times
//! are seconds since 1970, as in IAMAT: a date would take one more crate.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herd::herd::{write_integer, write_padded};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::server::{Server, unix_time};

const FLUSH_EVERY: Duration = Duration::from_millis(50);
/// With this much waiting the flush comes early.
const FLUSH_ABOVE: usize = 1 << 20;
/// With this much waiting the disk is too slow: lines are dropped and counted.
const PENDING_MAX: usize = 4 << 20;

/// What is to be written, and where; nothing if no journal is kept.
pub struct Journal {
    open: Option<Open>,
    /// The first entry after a flush.
    begun: Notify,
    filled: Notify,
}

struct Open {
    pending: Mutex<Pending>,
    file: Mutex<File>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Journal {
    /// A journal in the file at `path`, at its end.
    pub fn open(path: Option<&Path>) -> io::Result<Journal> {
        let open = |path: &Path| -> io::Result<Open> {
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            Ok(Open {
                pending: Mutex::default(),
                file: Mutex::new(file),
            })
        };
        Ok(Journal {
            open: path.map(open).transpose()?,
            begun: Notify::new(),
            filled: Notify::new(),
        })
    }

    /// True unless every note is thrown away.
    pub fn is_kept(&self) -> bool {
        self.open.is_some()
    }

    /// Notes what came from (`<`) or went to (`>`) somebody; an LF at its end is left out.
    pub fn note(&self, who: &str, direction: char, text: &[u8]) {
        let Some(open) = &self.open else {
            return;
        };
        let mut pending = lock(&open.pending);
        if pending.bytes.len() > PENDING_MAX {
            pending.dropped += 1;
            return;
        }
        if pending.bytes.is_empty() {
            self.begun.notify_one();
        }
        pending.entry(who, direction, text);
        if pending.bytes.len() > FLUSH_ABOVE {
            self.filled.notify_one();
        }
    }

    /// Writes what is pending. It may block.
    pub fn flush(&self) {
        let Some(open) = &self.open else {
            return;
        };
        // The file first: whoever comes later must write later.
        let mut file = lock(&open.file);
        let pending = std::mem::take(&mut *lock(&open.pending));
        // A full disk is no reason to stop.
        let _ = file.write_all(&pending.bytes);
        if pending.dropped > 0 {
            let _ = writeln!(file, "{} lines were dropped", pending.dropped);
        }
    }
}

/// Flushes, again and again.
pub async fn keep(server: Arc<Server>) {
    loop {
        server.journal.begun.notified().await;
        let _ = timeout(FLUSH_EVERY, server.journal.filled.notified()).await;
        let server = Arc::clone(&server);
        let _ = tokio::task::spawn_blocking(move || server.journal.flush()).await;
    }
}

impl Pending {
    fn entry(&mut self, who: &str, direction: char, text: &[u8]) {
        let bytes = &mut self.bytes;
        let now = unix_time();
        write_integer(bytes, now.as_secs());
        bytes.push(b'.');
        write_padded(bytes, u64::from(now.subsec_micros()), 6);
        let _ = write!(bytes, " {who} {direction} ");
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'[' | b']'..=b'~');
        if text.iter().all(is_plain) {
            bytes.extend_from_slice(text);
        } else {
            let _ = write!(bytes, "{}", text.escape_ascii());
        }
        bytes.push(b'\n');
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
