//! A circuit breaker: after failures in a row, questions are refused at once for a while, and then
//! one probe goes out to see. Pure.

use std::time::Duration;

/// So many failures in a row open the breaker.
pub const BREAKER_FAILURES: usize = 5;
/// It stays open for this long.
pub const BREAKER_OPEN: Duration = Duration::from_secs(30);

/// The breaker. Times are loop times.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: usize,
    open_until: Option<Duration>,
    probing: bool,
}

/// Whether a question may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Free,
    /// It may, as the one probe: its outcome decides.
    Probe,
    /// It may not.
    Refused,
}

impl Breaker {
    /// Whether a question may go out at `now`. [`BREAKER_OPEN`] after the breaker opened one may,
    /// as a probe; others are refused until its outcome.
    pub fn admits(&mut self, now: Duration) -> Admission {
        match self.open_until {
            None => Admission::Free,
            Some(until) if now < until || self.probing => Admission::Refused,
            Some(_) => {
                self.probing = true;
                Admission::Probe
            }
        }
    }

    /// Its state in one word: closed, open, or probing.
    pub fn state(&self) -> &'static str {
        match (self.open_until, self.probing) {
            (None, _) => "closed",
            (Some(_), true) => "probing",
            (Some(_), false) => "open",
        }
    }

    /// The request was never sent: if it was the probe, another may be.
    pub fn cancelled(&mut self, probe: bool) {
        self.probing &= !probe;
    }

    /// A question was answered.
    pub fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    /// A question found no usable answer. True if this opens the breaker, or keeps it open since
    /// the probe failed; questions that went out before it opened change nothing.
    pub fn failed(&mut self, now: Duration, probe: bool) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.open_until {
            None => self.failures >= BREAKER_FAILURES,
            Some(_) => probe,
        };
        if opens {
            self.probing = false;
            self.open_until = Some(now + BREAKER_OPEN);
        }
        opens
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
            assert!(!breaker.failed(now, false));
        }
        breaker.succeeded();
        for _ in 1..BREAKER_FAILURES {
            assert!(
                !breaker.failed(now, false),
                "a success starts the count anew"
            );
        }
        assert_eq!(breaker.admits(now), Admission::Free);
        assert!(breaker.failed(now, false));
        let later = now + BREAKER_OPEN;
        assert!(
            !breaker.failed(later - Duration::from_nanos(1), false),
            "an old question"
        );
        assert_eq!(
            breaker.admits(later - Duration::from_nanos(1)),
            Admission::Refused
        );
        assert_eq!(breaker.admits(later), Admission::Probe);
        assert!(
            !breaker.failed(later, false),
            "an old question, not the probe"
        );
        assert_eq!(
            breaker.admits(later),
            Admission::Refused,
            "one probe at a time"
        );
        breaker.cancelled(false);
        assert_eq!(breaker.state(), "probing", "an old one was not sent");
        breaker.cancelled(true);
        assert_eq!(breaker.state(), "open");
        assert_eq!(breaker.admits(later), Admission::Probe, "another may be");
        assert!(breaker.failed(later, true));
        let last = later + BREAKER_OPEN;
        assert_eq!(
            breaker.admits(last - Duration::from_nanos(1)),
            Admission::Refused
        );
        assert_eq!(breaker.admits(last), Admission::Probe);
        breaker.succeeded();
        assert_eq!(breaker.admits(last), Admission::Free);
    }
}
