//! Bytes that wait to be sent.

/// A queue of bytes: appended at the end, taken from the front. Empty, it owns no memory, so that
/// an idle connection costs none.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// True if none wait.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// All that wait, oldest first.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Appends.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // Reclaim the dead prefix once it is the larger half, so each byte moves at most once.
        if self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops all bytes behind the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.bytes.truncate(self.start + count);
    }

    /// Drops `count` bytes from the front (at most all).
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.is_empty() {
            *self = Buffer::default();
        }
    }
}
