//! What is known of each record of the table and its register.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// The register lacks it.
const DIRTY: u8 = 1;
/// It is in the queue of those to put.
const QUEUED: u8 = 1 << 1;
/// It is in the queue of those with a grace.
const WAITING: u8 = 1 << 2;
/// A put of it, or the question after one that was refused, is under way.
const FLYING: u8 = 1 << 3;
/// It changed since that put.
const AGAIN: u8 = 1 << 4;
/// The register holds what is none of ours, and is left alone.
const ALONE: u8 = 1 << 5;

/// Graces that end so close to each other end together.
const TOGETHER: Duration = Duration::from_millis(100);

/// When a dirty record is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As soon as there is room.
    Now,
    /// Not before this time: somebody else may put it.
    Later(Duration),
}

/// The marks, by position in the table: eight bytes of revision and one of flags for each, and four for
/// each queue that it stands in, once at most. Bounded by the table.
#[derive(Debug, Default)]
pub struct Marks {
    /// The sequence of the last value of its key that we saw; 0: none.
    revisions: Vec<u64>,
    flags: Vec<u8>,
    queue: VecDeque<u32>,
    graces: VecDeque<u32>,
    /// When graces end, and how many do; in the queue's order.
    ends: VecDeque<(Duration, usize)>,
    /// Positions still to be looked at: does the register lack them?
    sweep: Range<u32>,
    dirty: usize,
}

impl Marks {
    /// How many records the register lacks, as far as we know.
    pub fn dirty(&self) -> usize {
        self.dirty
    }

    /// The revision of a record's key.
    pub fn revision(&self, position: u32) -> u64 {
        let known = self.revisions.get(position as usize);
        known.copied().unwrap_or_default()
    }

    /// A value of its key was seen. `exactly`: the register was asked, and this is what it holds.
    pub fn seen(&mut self, position: u32, revision: u64, exactly: bool) {
        self.flag(position);
        let known = &mut self.revisions[position as usize];
        *known = if exactly {
            revision
        } else {
            revision.max(*known)
        };
    }

    /// The register lacks the record as it stands now.
    pub fn mark(&mut self, position: u32, when: When) {
        let flags = self.flag(position);
        let was = *flags;
        if was & ALONE != 0 {
            return;
        }
        *flags |= DIRTY;
        self.dirty += usize::from(was & DIRTY == 0);
        // When it lands it is queued.
        if was & FLYING == 0 {
            self.enqueue(position, when);
        }
    }

    /// The record changed, and not by what the register showed.
    pub fn change(&mut self, position: u32, when: When) {
        let flags = self.flag(position);
        if *flags & FLYING != 0 {
            *flags |= AGAIN;
        }
        self.mark(position, when);
    }

    /// The register holds as much.
    pub fn clean(&mut self, position: u32) {
        let flags = self.flag(position);
        let was = *flags;
        *flags &= !(DIRTY | AGAIN | ALONE);
        self.dirty -= usize::from(was & DIRTY != 0);
    }

    /// The register holds what is none of ours.
    pub fn leave_alone(&mut self, position: u32) {
        self.clean(position);
        *self.flag(position) |= ALONE;
    }

    /// It holds something of ours after all.
    pub fn take_up(&mut self, position: u32) {
        *self.flag(position) &= !ALONE;
    }

    /// Takes the record that is to be put next; it flies until it lands.
    pub fn take(&mut self, now: Duration) -> Option<u32> {
        self.ripen(now);
        while let Some(position) = self.queue.pop_front() {
            let flags = self.flag(position);
            *flags &= !QUEUED;
            if *flags & (DIRTY | FLYING | ALONE) == DIRTY {
                *flags |= FLYING;
                return Some(position);
            }
        }
        None
    }

    /// Its put was taken; true if the register holds it as it stands now.
    pub fn taken(&mut self, position: u32, revision: u64) {
        // What the watch has shown of a later value counts, not that ours was there before it.
        let overtaken = self.revision(position) > revision;
        self.seen(position, revision, false);
        let again = *self.flag(position) & AGAIN != 0;
        if !again && !overtaken {
            self.clean(position);
        }
        self.land(position, When::Now);
    }

    /// Its put was not, or nobody knows. If the register still lacks it, it is queued again.
    pub fn land(&mut self, position: u32, when: When) {
        let flags = self.flag(position);
        *flags &= !(FLYING | AGAIN);
        if *flags & DIRTY != 0 {
            self.enqueue(position, when);
        }
    }

    /// All revisions are forgotten, since a watch begins that shows them anew. Nothing flies.
    pub fn forget(&mut self) {
        self.revisions.fill(0);
        self.flags.iter_mut().for_each(|flags| *flags &= !ALONE);
        self.sweep = 0..0;
    }

    /// The watch has shown everything: records of a table of this length whose keys it has not shown are
    /// looked for.
    pub fn sweep(&mut self, records: usize) {
        self.sweep = 0..u32::try_from(records).unwrap_or(u32::MAX);
    }

    /// True if some are still to be looked for.
    pub fn is_sweeping(&self) -> bool {
        !self.sweep.is_empty()
    }

    /// The next records, this many at most, which the watch has not shown, and which nobody has marked.
    pub fn unseen(&mut self, most: usize) -> Vec<u32> {
        let portion = self.sweep.by_ref().take(most).collect::<Vec<_>>();
        let is_unseen = |position: &u32| {
            let flags = self.flags.get(*position as usize).copied();
            self.revision(*position) == 0 && flags.unwrap_or_default() & (DIRTY | ALONE) == 0
        };
        portion.into_iter().filter(is_unseen).collect()
    }

    /// When [`Marks::take`] will find what it does not now.
    pub fn next_grace(&self) -> Option<Duration> {
        self.ends.front().map(|(end, _)| *end)
    }

    /// True if a record may be put without a wait.
    pub fn has_some(&self) -> bool {
        !self.queue.is_empty()
    }

    fn flag(&mut self, position: u32) -> &mut u8 {
        let place = position as usize;
        if self.flags.len() <= place {
            self.flags.resize(place + 1, 0);
            self.revisions.resize(place + 1, 0);
        }
        &mut self.flags[place]
    }

    fn enqueue(&mut self, position: u32, when: When) {
        let flags = self.flag(position);
        match when {
            When::Now if *flags & QUEUED == 0 => {
                *flags |= QUEUED;
                self.queue.push_back(position);
            }
            When::Later(end) if *flags & (QUEUED | WAITING) == 0 => {
                *flags |= WAITING;
                self.graces.push_back(position);
                match self.ends.back_mut() {
                    Some((last, count)) if end < *last + TOGETHER => *count += 1,
                    _ => self.ends.push_back((end, 1)),
                }
            }
            _ => {}
        }
    }

    fn ripen(&mut self, now: Duration) {
        while let Some(&(end, count)) = self.ends.front()
            && end <= now
        {
            self.ends.pop_front();
            for _ in 0..count {
                let Some(position) = self.graces.pop_front() else {
                    break;
                };
                let flags = self.flag(position);
                *flags &= !WAITING;
                if *flags & (DIRTY | FLYING | ALONE) == DIRTY {
                    self.enqueue(position, When::Now);
                }
            }
        }
        if self.queue.is_empty() && self.graces.is_empty() {
            // A bucket that keeps up again needs no memory for these.
            (self.queue, self.graces) = Default::default();
        }
    }

    /// What must hold between two calls.
    pub fn check_invariants(&self) {
        let dirty = self
            .flags
            .iter()
            .filter(|flags| **flags & DIRTY != 0)
            .count();
        debug_assert!(
            dirty == self.dirty,
            "{dirty} are dirty, {} are counted",
            self.dirty
        );
        let counted: usize = self.ends.iter().map(|(_, count)| count).sum();
        debug_assert!(counted == self.graces.len(), "{counted} graces are counted");
        for (position, flags) in self.flags.iter().enumerate() {
            let waits = flags & (QUEUED | WAITING | FLYING) != 0;
            debug_assert!(
                flags & DIRTY == 0 || waits,
                "{position} is dirty, and nobody looks after it"
            );
            debug_assert!(
                flags & (DIRTY | ALONE) != DIRTY | ALONE,
                "{position} is both"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_record_is_put_once_and_again_if_it_changed_meanwhile() {
        let mut marks = Marks::default();
        marks.change(3, When::Now);
        marks.change(3, When::Now);
        assert_eq!([marks.take(NOW), marks.take(NOW)], [Some(3), None]);
        marks.change(3, When::Now);
        marks.taken(3, 7);
        assert_eq!((marks.dirty(), marks.revision(3)), (1, 7));
        assert_eq!(marks.take(NOW), Some(3));
        marks.taken(3, 8);
        assert_eq!((marks.dirty(), marks.take(NOW)), (0, None));
        marks.check_invariants();
    }

    #[test]
    fn a_put_that_was_overtaken_before_its_answer_came_is_not_the_last_word() {
        let mut marks = Marks::default();
        marks.change(0, When::Now);
        assert_eq!(marks.take(NOW), Some(0));
        marks.seen(0, 9, false);
        marks.mark(0, When::Now);
        marks.taken(0, 8);
        assert_eq!((marks.dirty(), marks.take(NOW)), (1, Some(0)));
        marks.check_invariants();
    }

    #[test]
    fn a_grace_ends_in_its_time_unless_the_register_shows_the_record() {
        let mut marks = Marks::default();
        marks.mark(0, When::Later(NOW * 2));
        marks.mark(1, When::Later(NOW * 2));
        marks.clean(0);
        assert_eq!((marks.take(NOW), marks.next_grace()), (None, Some(NOW * 2)));
        assert_eq!([marks.take(NOW * 2), marks.take(NOW * 2)], [Some(1), None]);
        marks.mark(2, When::Later(NOW * 9));
        marks.mark(2, When::Now);
        assert_eq!(marks.take(NOW * 2), Some(2));
        marks.land(2, When::Now);
        assert_eq!(marks.take(NOW * 2), Some(2));
        marks.check_invariants();
    }

    #[test]
    fn what_is_none_of_ours_is_left_alone_until_it_is_gone() {
        let mut marks = Marks::default();
        marks.mark(0, When::Now);
        marks.leave_alone(0);
        marks.mark(0, When::Now);
        assert_eq!((marks.dirty(), marks.take(NOW)), (0, None));
        marks.sweep(1);
        assert!(marks.unseen(9).is_empty());
        marks.forget();
        marks.sweep(3);
        assert_eq!([marks.unseen(2), marks.unseen(2)], [vec![0, 1], vec![2]]);
        assert!(!marks.is_sweeping());
        marks.check_invariants();
    }

    #[test]
    fn what_the_register_holds_is_asked_or_the_latest_that_it_showed() {
        let mut marks = Marks::default();
        marks.seen(0, 7, false);
        marks.seen(0, 5, false);
        assert_eq!(marks.revision(0), 7);
        marks.seen(0, 2, true);
        assert_eq!(marks.revision(0), 2);
    }

    #[test]
    fn a_million_dirty_records_cost_at_most_16_mb() {
        let mut marks = Marks::default();
        for position in 0..1_000_000 {
            let when = if position % 2 == 0 {
                When::Now
            } else {
                When::Later(NOW)
            };
            marks.mark(position, when);
        }
        let Marks {
            revisions,
            flags,
            queue,
            graces,
            ..
        } = &marks;
        let positions = queue.capacity() + graces.capacity();
        let bytes = revisions.capacity() * 8 + flags.capacity() + positions * 4;
        assert!(bytes <= 16_000_000, "{bytes} bytes");
        assert_eq!(marks.dirty(), 1_000_000);
    }
}
