//! Work for the processor: what `BURN <ms>` and `BURN <ms> away` ask for.

use std::hint::black_box;

use herd::herd::is_white_space;
use rustix::time::{ClockId, clock_gettime};

/// Nobody may ask for more.
const MILLISECONDS_MAX: u64 = 10_000;

/// A request for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burn {
    /// Of one thread's CPU time.
    pub milliseconds: u64,
    /// Not here: on the platform's executor, while everybody else goes on.
    pub away: bool,
}

impl Burn {
    /// Reads a line without its LF.
    pub fn parse(line: &[u8]) -> Option<Burn> {
        let mut fields = line
            .split(|&byte| is_white_space(byte))
            .filter(|field| !field.is_empty());
        let (word, number, place) = (fields.next()?, fields.next()?, fields.next());
        let is_valid = word == b"BURN"
            && number.iter().all(u8::is_ascii_digit)
            && matches!(place, None | Some(b"away"))
            && fields.next().is_none();
        let milliseconds = str::from_utf8(number).ok()?.parse().ok()?;
        (is_valid && milliseconds <= MILLISECONDS_MAX).then_some(Burn {
            milliseconds,
            away: place.is_some(),
        })
    }

    /// Computes until this thread has used so much time. The wall clock would count the time of
    /// others as well.
    pub fn compute(self) {
        let end = thread_nanoseconds().saturating_add(self.milliseconds * 1_000_000);
        let mut bits = 1_u64;
        while thread_nanoseconds() < end {
            for _ in 0..10_000 {
                bits = black_box(bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
        }
    }

    /// What is said then.
    pub fn answer(self) -> Vec<u8> {
        format!("BURNT {}\n", self.milliseconds).into_bytes()
    }
}

fn thread_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
