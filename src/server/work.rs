//! The currency of a turn: what it may still spend on costly work, and who waits to spend more.
//!
//! Whatever is cheap is done where it comes up. What costs as much as hundreds of commands (a search
//! of the gazetteer, a handshake), and whatever a connection wants beyond its share of a turn, waits
//! here: first come, first served, so that who asks much waits for itself.

use std::collections::VecDeque;

use crate::event_loop::Token;

/// What a turn may still spend, and the queue of connections that want more of it.
pub struct Work {
    /// Units; below zero once the last visit of a turn cost more than was left.
    left: isize,
    queue: VecDeque<Token>,
    /// Those whose callback found nothing left: first in the next turn, in this order.
    put_back: Vec<Token>,
}

impl Work {
    /// A first turn with so many units.
    pub fn new(units: usize) -> Work {
        Work {
            left: units as isize,
            queue: VecDeque::new(),
            put_back: Vec::new(),
        }
    }

    /// True while this turn may begin costly work.
    pub fn is_left(&self) -> bool {
        self.left > 0
    }

    /// True if one that has not queued may begin costly work: none waits before it.
    pub fn is_free(&self) -> bool {
        self.is_left() && self.waiting() == 0
    }

    /// So much was done.
    pub fn spend(&mut self, units: usize) {
        self.left = self.left.saturating_sub_unsigned(units);
    }

    /// A connection waits for its share of a later turn.
    pub fn join(&mut self, token: Token) {
        self.queue.push_back(token);
    }

    /// Its callback came, and the turn has nothing left.
    pub fn put_back(&mut self, token: Token) {
        self.put_back.push(token);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.put_back.len()
    }

    /// The turn ends, and the next has so many units again: these are looked after in it, unless it
    /// spends them all on the first of them.
    pub fn next_turn(&mut self, units: usize, visits: usize) -> impl Iterator<Item = Token> + '_ {
        self.left = units as isize;
        for token in self.put_back.drain(..).rev() {
            self.queue.push_front(token);
        }
        let visits = visits.min(self.queue.len());
        self.queue.drain(..visits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(index: u32) -> Token {
        Token {
            index,
            generation: 1,
        }
    }

    #[test]
    fn who_found_nothing_left_comes_before_those_behind_it() {
        let mut work = Work::new(10);
        assert!(work.is_free());
        (0..5).for_each(|index| work.join(token(index)));
        assert!(work.is_left() && !work.is_free());
        let first: Vec<_> = work.next_turn(10, 3).collect();
        assert_eq!(first, [0, 1, 2].map(token));
        work.spend(11);
        assert!(!work.is_left());
        work.put_back(token(1));
        work.put_back(token(2));
        work.join(token(0));
        assert_eq!(work.waiting(), 5);
        let next: Vec<_> = work.next_turn(10, 9).collect();
        assert_eq!(next, [1, 2, 3, 4, 0].map(token));
        assert!(work.is_free());
    }
}
