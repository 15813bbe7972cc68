//! A circuit breaker: after failures in a row, questions are refused at once for a while, and then
//! one probe goes out to see. Pure.

use std::time::Duration;

/// So many failures in a row open the breaker.
pub const BREAKER_FAILURES: u32 = 5;
/// It stays open for this long.
pub const BREAKER_OPEN: Duration = Duration::from_secs(30);

/// The breaker. Times are loop times.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    open_until: Option<Duration>,
    probing: bool,
}

impl Breaker {
    /// Whether a question may go out at `now`. After [`BREAKER_OPEN`] one may, as a probe; others
    /// wait for its outcome.
    pub fn admits(&mut self, now: Duration) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until || self.probing => false,
            Some(_) => {
                self.probing = true;
                true
            }
        }
    }

    /// A question was answered.
    pub fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    /// A question found no usable answer. True if this opens the breaker.
    pub fn failed(&mut self, now: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.probing = false;
        if self.failures < BREAKER_FAILURES {
            return false;
        }
        self.open_until = Some(now + BREAKER_OPEN);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_open_it_and_one_probe_closes_it() {
        let mut breaker = Breaker::default();
        let now = Duration::from_secs(100);
        for _ in 1..BREAKER_FAILURES {
            assert!(!breaker.failed(now));
        }
        breaker.succeeded();
        for _ in 1..BREAKER_FAILURES {
            assert!(!breaker.failed(now), "a success starts the count anew");
        }
        assert!(breaker.admits(now));
        assert!(breaker.failed(now));
        assert!(!breaker.admits(now + BREAKER_OPEN - Duration::from_nanos(1)));
        assert!(breaker.admits(now + BREAKER_OPEN), "the probe");
        assert!(!breaker.admits(now + BREAKER_OPEN), "one probe at a time");
        assert!(breaker.failed(now + BREAKER_OPEN));
        assert!(!breaker.admits(now + BREAKER_OPEN * 2 - Duration::from_nanos(1)));
        assert!(breaker.admits(now + BREAKER_OPEN * 2));
        breaker.succeeded();
        assert!(breaker.admits(now + BREAKER_OPEN * 2));
    }
}
