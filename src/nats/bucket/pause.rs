//! A wait after failures, which one failure of many at once makes longer.

use std::time::Duration;

use crate::backoff::Backoff;

/// A wait that grows while failures follow one another.
#[derive(Debug, Default)]
pub struct Pause {
    backoff: Backoff,
    until: Duration,
}

impl Pause {
    /// Something failed. What fails while we wait already was begun before, and says nothing new.
    pub fn failed(&mut self, now: Duration, random: u64) {
        if self.is_over(now) {
            self.until = now + self.backoff.next(random);
        }
    }

    /// It works.
    pub fn worked(&mut self) {
        self.backoff.reset();
        self.until = Duration::ZERO;
    }

    /// Until when we wait.
    pub fn until(&self) -> Duration {
        self.until
    }

    /// True if we do not wait.
    pub fn is_over(&self, now: Duration) -> bool {
        self.until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_failures_at_once_are_one() {
        let mut pause = Pause::default();
        let now = Duration::from_secs(1);
        (0..512).for_each(|_| pause.failed(now, u64::MAX));
        assert_eq!(pause.until(), now + Duration::from_millis(100));
        assert!(!pause.is_over(now) && pause.is_over(pause.until()));
        pause.failed(pause.until(), u64::MAX);
        assert_eq!(pause.until(), now + Duration::from_millis(300));
        pause.worked();
        assert!(pause.is_over(now));
    }
}
