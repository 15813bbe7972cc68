//! What one turn of the loop produced: answers for clients, and news for the links.

use std::ops::Range;

use crate::event_loop::Token;

/// Bytes of answers, or of news, that one turn may gather before they are sent in the middle of it.
pub const TURN_OUTPUT_MAX: usize = 1 << 20;

/// All answers of a turn in one buffer, so that a connection needs none of its own and gets all
/// its answers in one write.
#[derive(Default)]
pub struct Answers {
    /// The answers' bytes, connection after connection.
    pub out: Vec<u8>,
    touched: Vec<(Token, Range<usize>)>,
}

impl Answers {
    /// Notes that the bytes from `start` on are for `token`, which is also looked after at the end
    /// of the turn if there are none.
    #[inline]
    pub fn touch(&mut self, token: Token, start: usize) {
        self.touched.push((token, start..self.out.len()));
    }

    /// True if nothing happened.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// True if it is time to send without waiting for the end of the turn.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.out.len() > TURN_OUTPUT_MAX
    }

    /// Takes everything out, for sending; give it back with [`Answers::reuse`].
    pub fn take(&mut self) -> Answers {
        std::mem::take(self)
    }

    /// The connections touched, in order, each with its bytes.
    pub fn touched(&self) -> impl Iterator<Item = (Token, &[u8])> {
        self.touched
            .iter()
            .map(|(token, range)| (*token, &self.out[range.clone()]))
    }

    /// Keeps the memory of answers that were sent for the next turn, unless it grew out of proportion
    /// or another turn has begun.
    pub fn reuse(&mut self, mut sent: Answers) {
        sent.out.clear();
        sent.out.shrink_to(TURN_OUTPUT_MAX / 4);
        sent.touched.clear();
        sent.touched.shrink_to(4096);
        if self.is_empty() && self.out.is_empty() {
            *self = sent;
        }
    }
}

/// What the table learned in this turn, in order: a log to which clients and neighbours append, and
/// from which links write. Each line is copied into it once, whatever the number of readers.
#[derive(Default)]
pub struct News {
    bytes: Vec<u8>,
    items: Vec<Item>,
    readers: usize,
}

/// One line of news.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Where its record stands in the table.
    pub position: u32,
    /// The neighbour that told it, and need not be told.
    pub from: Option<usize>,
    start: usize,
    end: usize,
}

impl News {
    /// Appends a line, unless nobody reads.
    #[inline]
    pub fn add(&mut self, position: u32, line: &[u8], from: Option<usize>) {
        if self.readers == 0 {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        let end = self.bytes.len();
        self.items.push(Item {
            position,
            from,
            start,
            end,
        });
    }

    /// Somebody reads from now on; where that begins in the log of this turn.
    pub fn subscribe(&mut self) -> usize {
        self.readers += 1;
        self.items.len()
    }

    /// A reader is gone.
    pub fn unsubscribe(&mut self) {
        self.readers -= 1;
    }

    /// How many read.
    pub fn readers(&self) -> usize {
        self.readers
    }

    /// The items from the place of this number on.
    pub fn since(&self, from: usize) -> &[Item] {
        self.items.get(from..).unwrap_or_default()
    }

    /// The line of an item, its LF included.
    pub fn line(&self, item: &Item) -> &[u8] {
        &self.bytes[item.start..item.end]
    }

    /// The lines of items that follow each other, as one.
    pub fn lines(&self, items: &[Item]) -> &[u8] {
        match items {
            [] => &[],
            [first, ..] => &self.bytes[first.start..items[items.len() - 1].end],
        }
    }

    /// True if it is time to send without waiting for the end of the turn.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.bytes.len() > TURN_OUTPUT_MAX
    }

    /// Everybody has read everything.
    pub fn clear(&mut self) {
        if self.items.is_empty() {
            return;
        }
        self.bytes.clear();
        self.bytes.shrink_to(TURN_OUTPUT_MAX / 4);
        self.items.clear();
        self.items.shrink_to(4096);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_full_beyond_what_a_turn_may_gather() {
        let mut news = News::default();
        news.add(0, b"nobody reads", None);
        assert_eq!(news.subscribe(), 0);
        let half = vec![b'x'; TURN_OUTPUT_MAX / 2];
        news.add(0, &half, None);
        news.add(1, &half, None);
        assert!(!news.is_full());
        news.add(2, b"\n", None);
        assert!(news.is_full());
        news.add(3, b"\n", None);
        assert!(news.is_full());
        news.clear();
        assert!(!news.is_full());
    }
}
