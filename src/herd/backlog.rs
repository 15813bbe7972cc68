//! What a link still owes its neighbour. Pure.

use std::collections::VecDeque;
use std::ops::Range;

/// Positions of the table that a link has yet to send, in the order in which they came up: first those
/// of the dump at link-up, then those whose lines could not be sent. A position is owed once however
/// often it changes, and is sent with whatever stands there when its turn comes; so each waits for one
/// round over what is owed, at most. Bounded by the table: nine bytes a record at most.
#[derive(Debug, Default)]
pub struct Backlog {
    dump: Range<u32>,
    changed: VecDeque<u32>,
    /// By position: it is among the changed.
    marked: Vec<bool>,
}

impl Backlog {
    /// Owes everything the table holds now.
    pub fn dump(records: usize) -> Backlog {
        Backlog {
            dump: 0..records as u32,
            ..Backlog::default()
        }
    }

    /// Owes one position, whose line could not be sent.
    pub fn mark(&mut self, position: u32) {
        if self.dump.contains(&position) {
            return;
        }
        let place = position as usize;
        if self.marked.len() <= place {
            self.marked.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.marked[place], true) {
            self.changed.push_back(position);
        }
    }

    /// True if nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.dump.is_empty() && self.changed.is_empty()
    }

    /// How many positions are owed.
    pub fn len(&self) -> usize {
        self.dump.len() + self.changed.len()
    }

    /// Takes the position that is owed for longest.
    pub fn pop(&mut self) -> Option<u32> {
        if let Some(position) = self.dump.next() {
            return Some(position);
        }
        let position = self.changed.pop_front()?;
        self.marked[position as usize] = false;
        if self.changed.is_empty() {
            // A link that keeps up again needs no memory for this.
            *self = Backlog::default();
        }
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_owed_comes_once_in_the_order_in_which_it_came_up() {
        let mut backlog = Backlog::dump(3);
        backlog.mark(7);
        backlog.mark(5);
        backlog.mark(7);
        backlog.mark(1); // the dump brings it anyway
        assert_eq!(backlog.len(), 5);
        assert_eq!([backlog.pop(), backlog.pop()], [Some(0), Some(1)]);
        backlog.mark(1); // changed since
        let order: Vec<_> = std::iter::from_fn(|| backlog.pop()).collect();
        assert_eq!(order, [2, 7, 5, 1]);
        assert!(backlog.is_empty());
        backlog.mark(7);
        assert_eq!(backlog.pop(), Some(7));
    }
}
