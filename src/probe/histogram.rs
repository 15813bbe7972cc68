//! How long things took: a histogram of fixed size.

use std::time::Duration;

use serde_json::{Value, json};

/// Buckets of a power of two.
const PER_OCTAVE: u32 = 4;
/// All buckets: from a nanosecond to as long as a duration can be.
pub const BUCKETS: usize = 64 * PER_OCTAVE as usize;

/// Counts durations in buckets whose bounds grow by a quarter of a power of two: a quantile is right
/// within 25 %, and a maximum exact.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            counts: Box::new([0; BUCKETS]),
            count: 0,
            sum: Duration::ZERO,
            max: Duration::ZERO,
        }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        self.counts[bucket(nanoseconds(duration))] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(duration);
        self.max = self.max.max(duration);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration that a share `quantile` (0 to 1) of all did not exceed: the upper bound of its
    /// bucket, and never more than the maximum.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (quantile * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(floor(bucket + 1)).min(self.max);
            }
        }
        self.max
    }

    /// Figures and buckets, durations in seconds; the empty buckets left out.
    pub fn to_json(&self) -> Value {
        let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
        let full = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        let row = |(bucket, count): (usize, &u64)| {
            json!({
                "from": seconds(floor(bucket)),
                "to": seconds(floor(bucket + 1)),
                "count": count,
            })
        };
        let quantile = |quantile: f64| self.quantile(quantile).as_secs_f64();
        json!({
            "count": self.count,
            "p50": quantile(0.5),
            "p90": quantile(0.9),
            "p99": quantile(0.99),
            "p999": quantile(0.999),
            "max": self.max.as_secs_f64(),
            "sum": self.sum.as_secs_f64(),
            "buckets": full.map(row).collect::<Vec<_>>(),
        })
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The bucket of a number of nanoseconds: its power of two, and the two bits behind the first.
fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(1);
    let octave = nanos.ilog2();
    let quarter = match octave {
        0 => 0,
        1 => (nanos & 1) << 1,
        _ => (nanos >> (octave - 2)) & 3,
    };
    (octave * PER_OCTAVE) as usize + quarter as usize
}

/// The least number of nanoseconds in a bucket.
fn floor(bucket: usize) -> u64 {
    let (octave, quarter) = (
        bucket as u32 / PER_OCTAVE,
        bucket as u64 % u64::from(PER_OCTAVE),
    );
    match octave {
        64.. => u64::MAX,
        0 => 1,
        1 => 2 + (quarter >> 1),
        _ => (4 + quarter) << (octave - 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_lies_in_its_bucket() {
        for nanos in (0..5000).chain([1 << 20, (1 << 33) + 12345, u64::MAX - 1, u64::MAX]) {
            let bucket = bucket(nanos);
            assert!(bucket < BUCKETS);
            assert!(floor(bucket) <= nanos.max(1), "{nanos}");
            assert!(nanos.max(1) <= floor(bucket + 1), "{nanos}");
        }
    }

    #[test]
    fn quantiles_are_right_within_a_quarter() {
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (quantile, micros) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (0.001, 1.0)] {
            let found = histogram.quantile(quantile).as_secs_f64() * 1e6;
            assert!(
                found >= micros && found <= micros * 1.26,
                "{quantile}: {found}"
            );
        }
        assert_eq!(histogram.quantile(1.0), Duration::from_millis(1));
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
        let json = histogram.to_json();
        let buckets = json["buckets"].as_array().expect("an array");
        let counts = buckets
            .iter()
            .map(|bucket| bucket["count"].as_u64().expect("a count"));
        assert_eq!(counts.sum::<u64>(), 1000);
    }
}
