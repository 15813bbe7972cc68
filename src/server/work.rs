//! The currency of a turn: what it may still spend on costly work, and who waits to spend more.
//!
//! Commands and neighbours' lines are cheap, and done where they come up. What costs as much as a
//! hundred of them (a search of the gazetteer, a step of a handshake) is counted; once a turn has
//! spent its budget, or a connection its share, whoever wants more queues here: first come, first
//! served, so that who asks much waits for itself.

use std::collections::VecDeque;

use crate::event_loop::Token;

/// What a turn may still spend, and the queue of connections that want more of it.
pub struct Work {
    /// Units; below zero once the last visit of a turn cost more than was left.
    left: isize,
    queue: VecDeque<Token>,
    /// Callbacks of this turn for those that were first in the queue, and have yet to come.
    called: usize,
    /// Those whose callback found nothing left: first in the next turn, in this order.
    put_back: Vec<Token>,
}

impl Work {
    /// A first turn with so many units.
    pub fn new(units: usize) -> Work {
        Work {
            left: units as isize,
            queue: VecDeque::new(),
            called: 0,
            put_back: Vec::new(),
        }
    }

    /// True while this turn has something left.
    #[inline]
    pub fn is_left(&self) -> bool {
        self.left > 0
    }

    /// True if one that has not queued may begin costly work: there is something left, and none waits
    /// before it.
    #[inline]
    pub fn is_free(&self) -> bool {
        self.is_left() && self.waiting() == 0
    }

    /// True if something of this many units was spent, or somebody waits.
    #[inline]
    pub fn is_touched(&self, units: usize) -> bool {
        self.left != units as isize || self.waiting() > 0
    }

    /// So much was done.
    #[inline]
    pub fn spend(&mut self, units: usize) {
        self.left = self.left.saturating_sub_unsigned(units);
    }

    /// A connection waits for its share of a later turn.
    pub fn join(&mut self, token: Token) {
        self.queue.push_back(token);
    }

    /// The callback of one that has queued comes. False if the turn has nothing left for it: then it
    /// is first in the next.
    pub fn comes(&mut self, token: Token) -> bool {
        self.called = self.called.saturating_sub(1);
        if self.left <= 0 {
            self.put_back.push(token);
        }
        self.left > 0
    }

    /// The callback of one that has queued and is closed comes.
    pub fn is_gone(&mut self) {
        self.called = self.called.saturating_sub(1);
    }

    /// How many wait.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.called + self.put_back.len()
    }

    /// The turn ends, and the next has so many units again: these are looked after in it, unless it
    /// spends them all on the first of them.
    pub fn next_turn(&mut self, units: usize, visits: usize) -> impl Iterator<Item = Token> + '_ {
        self.left = units as isize;
        for token in self.put_back.drain(..).rev() {
            self.queue.push_front(token);
        }
        self.called = visits.min(self.queue.len());
        self.queue.drain(..self.called)
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
        assert!(work.is_free() && !work.is_touched(10));
        (0..5).for_each(|index| work.join(token(index)));
        assert!(!work.is_free());
        let first: Vec<_> = work.next_turn(10, 3).collect();
        assert_eq!(first, [0, 1, 2].map(token));
        assert!(work.comes(token(0)));
        work.spend(10);
        assert!(!work.comes(token(1)));
        assert!(!work.comes(token(2)));
        work.join(token(0));
        assert_eq!(work.waiting(), 5);
        let next: Vec<_> = work.next_turn(10, 9).collect();
        assert_eq!(next, [1, 2, 3, 4, 0].map(token));
        assert!(!work.is_free(), "they have yet to come");
        next.into_iter()
            .for_each(|token| assert!(work.comes(token)));
        assert!(work.is_free());
    }
}
