//! When to try again. Pure.

use std::time::Duration;

/// The first wait is at most this long.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// No wait is longer than this.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Exponential waits with full jitter: each wait is drawn evenly from zero to a ceiling that
/// doubles with each failure, so that servers that lost each other together do not dial together.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure; `random` is evenly spread.
    pub fn next(&mut self, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.ceiling().mul_f64(random as f64 / u64::MAX as f64)
    }

    /// What the last wait was drawn from: its longest.
    pub fn ceiling(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        BACKOFF_FIRST
            .saturating_mul(1 << doublings)
            .min(BACKOFF_MAX)
    }

    /// The other side was there: forgets so many failures that the next wait is `most` at most.
    pub fn cap(&mut self, most: Duration) {
        let times = most.as_millis() / BACKOFF_FIRST.as_millis();
        self.failures = self.failures.min(times.max(1).ilog2());
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_ceiling_and_start_again() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<_> = (0..40).map(|_| backoff.next(u64::MAX)).collect();
        assert_eq!(ceilings[0], BACKOFF_FIRST);
        assert_eq!(ceilings[3], BACKOFF_FIRST * 8);
        assert_eq!(ceilings[39], BACKOFF_MAX);
        assert_eq!(backoff.ceiling(), BACKOFF_MAX);
        assert_eq!(backoff.next(0), Duration::ZERO);
        backoff.cap(Duration::from_secs(1));
        assert_eq!(backoff.next(u64::MAX), BACKOFF_FIRST * 8);
        backoff.reset();
        assert_eq!(backoff.next(u64::MAX), BACKOFF_FIRST);
    }
}
