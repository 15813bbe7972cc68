//! What happened, in order, for `--verbose`: who told whom, what servers printed, what was done to them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many entries are kept until they are taken; of those beyond it only the number.
const ENTRIES_MAX: usize = 1_000;
/// So much is kept of an entry's bytes.
const BYTES_MAX: usize = 4_096;

/// One thing that happened.
pub struct Entry {
    /// Since the check began.
    pub when: Duration,
    /// Such as `a > Clark`, `Clark prints`, `kill Bona`.
    pub what: String,
    /// The bytes, or the first of them.
    pub bytes: Vec<u8>,
    /// How many there were.
    pub length: usize,
}

#[derive(Default)]
struct Kept {
    entries: Vec<Entry>,
    dropped: usize,
}

/// Where all that takes part writes to. Clones write to the same log; one that nobody wants keeps nothing.
#[derive(Clone)]
pub struct Log {
    begun: Instant,
    kept: Option<Arc<Mutex<Kept>>>,
}

impl Log {
    /// It begins now.
    pub fn new(is_wanted: bool) -> Log {
        Log {
            begun: Instant::now(),
            kept: is_wanted.then(Arc::default),
        }
    }

    /// Something happened.
    pub fn note(&self, what: &str, bytes: &[u8]) {
        let Some(kept) = &self.kept else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.entries.len() >= ENTRIES_MAX {
            kept.dropped += 1;
            return;
        }
        kept.entries.push(Entry {
            when: self.begun.elapsed(),
            what: what.to_string(),
            bytes: bytes[..bytes.len().min(BYTES_MAX)].to_vec(),
            length: bytes.len(),
        });
    }

    /// What was not taken yet.
    pub fn take(&self) -> Vec<Entry> {
        let Some(kept) = &self.kept else {
            return Vec::new();
        };
        let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let mut entries = kept.entries;
        if kept.dropped > 0 {
            let text = format!("({} more are not shown)", kept.dropped);
            entries.push(Entry {
                when: self.begun.elapsed(),
                what: text,
                bytes: Vec::new(),
                length: 0,
            });
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_so_much_and_no_more() {
        let log = Log::new(true);
        let other = log.clone();
        for _ in 0..ENTRIES_MAX + 5 {
            other.note("a > Clark", &[b'x'; BYTES_MAX + 1]);
        }
        let entries = log.take();
        assert_eq!(entries.len(), ENTRIES_MAX + 1);
        let first = &entries[0];
        assert_eq!(
            (first.bytes.len(), first.length),
            (BYTES_MAX, BYTES_MAX + 1)
        );
        assert_eq!(entries[ENTRIES_MAX].what, "(5 more are not shown)");
        assert!(log.take().is_empty());
        let unwanted = Log::new(false);
        unwanted.note("a > Clark", b"x");
        assert!(unwanted.take().is_empty());
    }
}
