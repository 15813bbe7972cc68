//! How much of a running server's time whoever looks at it may take: after each look they rest for
//! so long that all looks together stay within their share. So it does not matter what a look was
//! spent on: accepting, reading, making views, obeying, writing. Clocks may decide here, since
//! nothing of it enters the server's queue or its recording.

use std::time::Duration;

/// Looks take one part in so many of a running server's time, at most.
pub const LOOK_SHARE: u32 = 10;
/// A look takes in what visitors want for this long, then does one thing that they want, then sends
/// for this long. What is left waits for the next look.
pub const LOOK_MAX: Duration = Duration::from_millis(2);
/// Between two looks lies this much at least: each also costs the server a turn with nothing in it.
pub const REST_MIN: Duration = Duration::from_millis(2);

/// The share is shown as it was over this long.
const WINDOW: Duration = Duration::from_secs(1);

/// When the next look may come, and what the last ones took.
#[derive(Default)]
pub struct Pace {
    /// When the look that is under way began.
    began: Option<Duration>,
    rest_until: Option<Duration>,
    window: Duration,
    spent: Duration,
    percent: usize,
}

impl Pace {
    /// A look begins.
    pub fn begin(&mut self, now: Duration) {
        self.began = Some(now);
    }

    /// True once the look under way has lasted long enough for it to begin nothing more. One at a
    /// server that is held keeps nobody waiting: it has no end.
    pub fn is_spent(&self, now: Duration) -> bool {
        self.began.is_some_and(|began| now >= began + LOOK_MAX)
    }

    /// A look ends, if one is under way, and the rest begins: how long it took.
    pub fn end(&mut self, now: Duration) -> Duration {
        let Some(began) = self.began.take() else {
            return Duration::ZERO;
        };
        let took = now.saturating_sub(began);
        self.rest_until = Some(now + REST_MIN.max(took * (LOOK_SHARE - 1)));
        if began >= self.window + WINDOW {
            let share = self.spent.as_secs_f64() / (began - self.window).as_secs_f64();
            self.percent = (share * 100.0).round() as usize;
            (self.window, self.spent) = (began, Duration::ZERO);
        }
        self.spent += took;
        took
    }

    /// How much of the rest is left. The clock is not asked if there is none.
    pub fn rests(&mut self, now: impl FnOnce() -> Duration) -> Option<Duration> {
        let left = self.rest_until?.saturating_sub(now());
        if left.is_zero() {
            self.rest_until = None;
        }
        self.rest_until.map(|_| left)
    }

    /// How much of the server's time the last looks took, in percent.
    pub fn percent(&self) -> usize {
        self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn looks_take_a_tenth_of_the_time_whatever_one_costs() {
        let mut pace = Pace::default();
        let (mut now, mut spent) = (Duration::ZERO, Duration::ZERO);
        for took in [MS / 100, MS, 20 * MS, 300 * MS].repeat(20) {
            pace.begin(now);
            now += took;
            spent += took;
            assert_eq!(pace.end(now), took);
            let left = pace.rests(|| now).expect("a rest");
            assert_eq!(left, REST_MIN.max(took * 9));
            now += left;
            assert_eq!(pace.rests(|| now), None);
        }
        assert!(spent * LOOK_SHARE <= now);
        assert_eq!(pace.percent(), 10);
    }

    #[test]
    fn a_look_that_is_not_paced_has_no_end_and_no_rest() {
        let mut pace = Pace::default();
        assert!(!pace.is_spent(1000 * MS));
        assert_eq!(pace.end(1000 * MS), Duration::ZERO);
        assert_eq!(pace.rests(|| unreachable!("no rest")), None);
        pace.begin(1000 * MS);
        assert!(!pace.is_spent(1001 * MS) && pace.is_spent(1002 * MS));
    }
}
