//! The open loop: a request has its time, whether the server keeps up or not.
//!
//! Request n is due at `started + n / rate`. It goes out on the connection
//! that has been free for longest; if none is free, it waits, and so do those
//! behind it. Its latency counts from when it was due, so a server that stops
//! for a second makes a second's worth of requests late, not the one request
//! in flight (the omission of a closed loop, which waits with it).
//!
//! ```text
//! let open = Open::new(rate, until, connections)?;
//! while let Some((index, count)) = open.next(asked, depth, Instant::now()) { ... }
//! ```

use crate::fault::{Fault, PATIENCE};
use crate::swarm::Until;
use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// When each request is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    started: Instant,
    rate: f64,
}

impl Schedule {
    pub fn at(&self, number: u64) -> Instant {
        self.started + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// How many requests from `first` on, at most `most`, are due.
    pub fn due(&self, first: u64, most: usize, now: Instant) -> usize {
        let mut count = 0;
        while count < most && self.at(first + count as u64) <= now {
            count += 1;
        }
        count
    }
}

/// The requests of a run: which are due, and who is free to ask them.
pub struct Open {
    pub schedule: Schedule,
    /// Requests of the whole run.
    pub total: u64,
    /// Connections with nothing in flight, the longest free first.
    free: VecDeque<usize>,
    /// Nanoseconds between a request's time and its write.
    pub late: Histogram<u64>,
    alarm: Alarm,
}

impl Open {
    /// Starts the schedule now, with all connections free.
    pub fn new(rate: f64, until: Until, connections: usize) -> io::Result<Open> {
        let total = match until {
            Until::Requests(count) => count,
            Until::Seconds(seconds) => (seconds * rate).ceil() as u64,
        };
        Ok(Open {
            schedule: Schedule {
                started: Instant::now(),
                rate,
            },
            total,
            free: (0..connections).collect(),
            late: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"),
            alarm: Alarm::new()?,
        })
    }

    pub fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// This connection has got all its answers.
    pub fn is_free(&mut self, index: usize) {
        self.free.push_back(index);
    }

    /// Who asks how many of the requests from number `asked` on, if any is
    /// due; otherwise the alarm is set for the next. If nobody is free, an
    /// answer wakes us.
    pub fn next(
        &mut self,
        asked: u64,
        depth: usize,
        now: Instant,
    ) -> io::Result<Option<(usize, usize)>> {
        let most = depth.min((self.total - asked) as usize);
        let Some(&index) = self.free.front().filter(|_| most > 0) else {
            return Ok(None);
        };
        let count = self.schedule.due(asked, most, now);
        if count == 0 {
            self.alarm.set(self.schedule.at(asked) - now)?;
            return Ok(None);
        }
        self.free.pop_front();
        for number in asked..asked + count as u64 {
            let late = now - self.schedule.at(number);
            self.late.saturating_record(late.as_nanos() as u64);
        }
        Ok(Some((index, count)))
    }

    /// A server that needs more than twice the time will not catch up.
    pub fn is_possible(&self, asked: u64, now: Instant) -> Result<(), Fault> {
        let planned = self.schedule.at(self.total) - self.schedule.started;
        match now - self.schedule.started > 2 * planned + PATIENCE && asked < self.total {
            true => Err(Fault::Behind {
                unasked: self.total - asked,
            }),
            false => Ok(()),
        }
    }
}

/// A timer to the nanosecond: a poll's timeout counts in milliseconds.
pub struct Alarm {
    timer: OwnedFd,
}

impl Alarm {
    fn new() -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Alarm { timer })
    }

    /// Each time it goes off is an event; nobody needs to read it.
    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(
            &mut SourceFd(&self.timer.as_raw_fd()),
            token,
            Interest::READABLE,
        )
    }

    fn set(&mut self, left: Duration) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            // Zero would switch it off.
            it_value: Timespec::try_from(left.max(Duration::from_nanos(1)))
                .map_err(io::Error::other)?,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(open: &Open, micros: u64) -> Instant {
        open.schedule.started + Duration::from_micros(micros)
    }

    #[test]
    fn requests_are_due_at_even_distances() {
        let started = Instant::now();
        let schedule = Schedule {
            started,
            rate: 12_000.0,
        };
        assert_eq!(schedule.at(0), started);
        assert_eq!(schedule.at(12_000), started + Duration::from_secs(1));
        assert_eq!(schedule.at(3), started + Duration::from_micros(250));
        for number in 0..100_000 {
            // Whoever is woken when a request is due finds it due.
            assert_eq!(schedule.due(number, 1, schedule.at(number)), 1);
            let before = schedule.at(number) - Duration::from_nanos(1);
            assert_eq!(schedule.due(number, 1, before), 0);
        }
    }

    #[test]
    fn no_more_are_due_than_were_asked_for() {
        let started = Instant::now();
        let schedule = Schedule {
            started,
            rate: 1000.0,
        };
        let now = started + Duration::from_millis(10);
        assert_eq!(schedule.due(0, 100, now), 11);
        assert_eq!(schedule.due(0, 4, now), 4);
        assert_eq!(schedule.due(11, 100, now), 0);
    }

    #[test]
    fn the_connections_take_turns_and_a_missing_one_makes_late() {
        let mut open = Open::new(1000.0, Until::Requests(5), 2).unwrap();
        let now = after(&open, 0);
        assert_eq!(open.next(0, 1, now).unwrap(), Some((0, 1)));
        // The second is not due yet.
        assert_eq!(open.next(1, 1, now).unwrap(), None);
        let now = after(&open, 1000);
        assert_eq!(open.next(1, 1, now).unwrap(), Some((1, 1)));
        // The third and fourth are, but nobody is free.
        let now = after(&open, 3000);
        assert_eq!(open.next(2, 1, now).unwrap(), None);
        open.is_free(1);
        open.is_free(0);
        assert_eq!(open.next(2, 16, now).unwrap(), Some((1, 2)));
        assert_eq!(open.late.max() / 1_000_000, 1);
        let now = after(&open, 9000);
        assert_eq!(open.next(4, 16, now).unwrap(), Some((0, 1)));
        assert_eq!(open.late.max() / 1_000_000, 5);
        // The last has been asked.
        open.is_free(0);
        assert_eq!(open.next(5, 16, now).unwrap(), None);
    }

    #[test]
    fn seconds_become_requests() {
        let open = Open::new(500.0, Until::Seconds(0.5), 1).unwrap();
        assert_eq!(open.total, 250);
        let soon = after(&open, 400_000);
        assert!(open.is_possible(200, soon).is_ok());
        let much_later = after(&open, 11_100_000);
        assert!(open.is_possible(200, much_later).is_err());
        assert!(open.is_possible(250, much_later).is_ok());
    }
}
