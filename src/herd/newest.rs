//! What is owed to a course server, the newest first. Pure.

use std::collections::VecDeque;

/// Positions that a course server is owed at most; beyond, it never hears of the oldest.
pub const COURSE_OWED_MAX: usize = 1_024;

/// Positions of the table, each once however often it changes: a course server takes one line a
/// connection, so what is newest goes first, and what is old may be given up.
#[derive(Debug, Default)]
pub struct Newest {
    /// The newest last.
    positions: VecDeque<u32>,
}

impl Newest {
    /// Owes a position, which has just changed. False if that pushed the oldest out.
    pub fn mark(&mut self, position: u32) -> bool {
        // A thousand numbers in a row are looked through in less than a microsecond.
        if let Some(before) = self.positions.iter().position(|&other| other == position) {
            self.positions.remove(before);
        }
        self.positions.push_back(position);
        if self.positions.len() <= COURSE_OWED_MAX {
            return true;
        }
        self.positions.pop_front();
        false
    }

    /// Takes the position that changed last.
    pub fn pop(&mut self) -> Option<u32> {
        self.positions.pop_back()
    }

    /// True if nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// How many positions are owed.
    pub fn len(&self) -> usize {
        self.positions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_comes_first_and_each_position_once() {
        let mut newest = Newest::default();
        for position in [3, 1, 2, 3, 1] {
            assert!(newest.mark(position));
        }
        assert_eq!(newest.len(), 3);
        let order: Vec<_> = std::iter::from_fn(|| newest.pop()).collect();
        assert_eq!(order, [1, 3, 2]);
        assert!(newest.is_empty());
    }

    #[test]
    fn beyond_its_bound_the_oldest_is_given_up() {
        let mut newest = Newest::default();
        let most = COURSE_OWED_MAX as u32;
        assert!((0..most).all(|position| newest.mark(position)));
        assert!(newest.mark(0), "it is one of them");
        assert!(!newest.mark(most), "1 is given up");
        assert_eq!(newest.len(), COURSE_OWED_MAX);
        let all: Vec<_> = std::iter::from_fn(|| newest.pop()).collect();
        assert_eq!((all[0], all[1], all[COURSE_OWED_MAX - 1]), (most, 0, 2));
    }
}
