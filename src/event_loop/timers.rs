//! The timer heap, with lazy deletion. (asyncio: `_scheduled` and the start of `_run_once`.)

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::handle::{Handle, Handles};

/// Below this many timers the heap is not worth compacting.
/// (asyncio: `_MIN_SCHEDULED_TIMER_HANDLES`.)
pub const COMPACT_ABOVE: usize = 100;

/// Timers ordered by (deadline, order of scheduling).
///
/// asyncio orders by deadline alone, so equal deadlines run in the heap's accidental order. Ours
/// run first in, first out: a recording can only be replayed if ties are decided.
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Handle)>>,
    /// How many entries of the heap were cancelled. (asyncio: `_timer_cancelled_count`.)
    cancelled: usize,
}

impl Timers {
    pub fn new() -> Timers {
        Timers {
            heap: BinaryHeap::new(),
            cancelled: 0,
        }
    }

    pub fn push(&mut self, when: Duration, handle: Handle) {
        self.heap.push(Reverse((when, handle)));
    }

    /// Notes that one scheduled handle was cancelled; its entry goes at a later `prune`.
    pub fn note_cancelled(&mut self) {
        self.cancelled += 1;
    }

    /// Number of entries, cancelled ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Drops cancelled entries: all of them if they are more than half of a large heap, else only
    /// those at the front, so that the poll does not wake for nothing.
    pub fn prune<C>(&mut self, handles: &Handles<C>) {
        let alive = |entry: &Reverse<(Duration, Handle)>| handles.get(entry.0.1).is_some();
        if self.heap.len() > COMPACT_ABOVE && self.cancelled * 2 > self.heap.len() {
            self.heap.retain(alive);
            self.cancelled = 0;
            return;
        }
        while let Some(first) = self.heap.peek() {
            if alive(first) {
                break;
            }
            self.heap.pop();
            self.cancelled -= 1;
        }
    }

    /// The earliest deadline. Exact right after `prune`; before, perhaps of a cancelled timer.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.heap.peek().map(|entry| entry.0.0)
    }

    /// Takes the earliest timer that is due at `now`.
    pub fn pop_due<C>(&mut self, now: Duration, handles: &mut Handles<C>) -> Option<Handle> {
        while self.next_deadline()? <= now {
            let Reverse((when, handle)) = self.heap.pop()?;
            if let Some(pending) = handles.get_mut(handle) {
                pending.scheduled = false;
                // From now on it waits to run, and has since it was due.
                pending.since = pending.since.max(when);
                return Some(handle);
            }
            self.cancelled -= 1;
        }
        None
    }

    /// Number of entries that were not cancelled.
    pub fn alive(&self) -> usize {
        self.heap.len() - self.cancelled
    }

    /// The first `count` that were not cancelled, in order. It passes over the others once, without
    /// looking into their handles.
    pub fn first<C>(&self, count: usize, handles: &Handles<C>) -> Vec<(Duration, Handle)> {
        let mut first = BinaryHeap::new();
        for &Reverse(entry) in &self.heap {
            let is_early = first.len() < count || first.peek().is_some_and(|last| entry < *last);
            if is_early && handles.get(entry.1).is_some() {
                first.push(entry);
                if first.len() > count {
                    first.pop();
                }
            }
        }
        first.into_sorted_vec()
    }

    /// Deadlines and handles in no particular order, cancelled ones included.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, Handle)> + '_ {
        self.heap.iter().map(|entry| entry.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_loop::handle::Origin;
    use std::panic::Location;

    #[test]
    fn the_first_timers_are_those_of_the_whole_heap_in_order() {
        let (mut timers, mut handles) = (Timers::new(), Handles::new());
        let mut all = Vec::new();
        for number in 0..500_u64 {
            let when = Duration::from_millis(number * 7919 % 101);
            let here = Location::caller();
            let handle = handles.insert(number, Origin::Timer, Duration::ZERO, here);
            timers.push(when, handle);
            all.push((when, handle));
        }
        all.sort();
        for (_, handle) in all.iter().step_by(3) {
            handles.take(*handle);
            timers.note_cancelled();
        }
        all.retain(|(_, handle)| handles.get(*handle).is_some());
        assert_eq!(timers.alive(), all.len());
        // Each count: the heap's own order begins as the sorted one does, here as far as the tenth.
        for count in 0..all.len() + 2 {
            let first = &all[..count.min(all.len())];
            assert_eq!(timers.first(count, &handles), first, "{count}");
        }
    }

    #[test]
    fn the_cancelled_are_counted_off_as_they_leave_the_heap() {
        const MS: Duration = Duration::from_millis(1);
        let (mut timers, mut handles) = (Timers::new(), Handles::new());
        let mut made = Vec::new();
        for number in 1..=6 {
            let here = Location::caller();
            let handle = handles.insert(number, Origin::Timer, Duration::ZERO, here);
            timers.push(MS * number, handle);
            made.push(handle);
        }
        for cancelled in [0, 1, 3] {
            handles.take(made[cancelled]);
            timers.note_cancelled();
        }
        assert_eq!((timers.len(), timers.alive()), (6, 3));
        timers.prune(&handles);
        assert_eq!((timers.len(), timers.alive()), (4, 3));
        assert_eq!(timers.next_deadline(), Some(3 * MS));
        assert_eq!(timers.pop_due(5 * MS, &mut handles), Some(made[2]));
        assert_eq!(timers.pop_due(5 * MS, &mut handles), Some(made[4]));
        assert_eq!((timers.len(), timers.alive()), (1, 1));
        assert_eq!(timers.pop_due(5 * MS, &mut handles), None);
    }
}
