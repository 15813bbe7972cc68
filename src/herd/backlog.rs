//! What a link still owes its neighbour. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

/// Positions of the table that a link has yet to send: those of the dump at link-up, and those
/// that changed while the link was too slow to take their lines. Bounded by the table, and nothing
/// is lost: a position is sent with whatever stands there when its turn comes.
#[derive(Debug, Default)]
pub struct Backlog {
    dump: Range<u32>,
    dirty: BTreeSet<u32>,
}

impl Backlog {
    /// Owes everything the table holds now.
    pub fn dump(records: usize) -> Backlog {
        Backlog {
            dump: 0..records as u32,
            dirty: BTreeSet::new(),
        }
    }

    /// Owes one position, whose line could not be queued.
    pub fn mark(&mut self, position: u32) {
        if !self.dump.contains(&position) {
            self.dirty.insert(position);
        }
    }

    /// True if nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.dump.is_empty() && self.dirty.is_empty()
    }

    /// How many positions are owed.
    pub fn len(&self) -> usize {
        self.dump.len() + self.dirty.len()
    }

    /// Takes the next position: changes first, since they are news.
    pub fn pop(&mut self) -> Option<u32> {
        self.dirty.pop_first().or_else(|| self.dump.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_owed_comes_once_and_changes_come_first() {
        let mut backlog = Backlog::dump(3);
        backlog.mark(7);
        backlog.mark(7);
        backlog.mark(1); // the dump brings it anyway
        assert_eq!(backlog.len(), 4);
        let order: Vec<_> = std::iter::from_fn(|| backlog.pop()).collect();
        assert_eq!(order, [7, 0, 1, 2]);
        backlog.mark(1);
        assert_eq!(backlog.pop(), Some(1));
        assert!(backlog.is_empty());
    }
}
