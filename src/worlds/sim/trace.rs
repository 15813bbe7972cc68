//! What a simulated run did, as a hash always and as text on request.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

/// Lines of text that a trace keeps.
pub const TRACE_LINES_MAX: usize = 1_000_000;

/// The trace of a run. Two runs that did the same have the same hash.
#[derive(Default)]
pub struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Keeps the text of what follows as well.
    pub fn keep_text(&mut self) {
        self.lines = Some(Vec::new());
    }

    /// Adds one thing that happened: its kind, its numbers, its bytes.
    pub fn add(&mut self, kind: &str, numbers: &[u64], bytes: &[u8]) {
        self.hasher.write(kind.as_bytes());
        for &number in numbers {
            self.hasher.write_u64(number);
        }
        self.hasher.write(bytes);
        if let Some(lines) = self
            .lines
            .as_mut()
            .filter(|lines| lines.len() < TRACE_LINES_MAX)
        {
            lines.push(format!("{kind} {numbers:?} {}", bytes.escape_ascii()));
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The text so far, if it is kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
