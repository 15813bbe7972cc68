//! What the words of a command have in common: numbers, durations, and what is said of one that is
//! not understood. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A command that cannot be understood: what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood(pub String);

impl fmt::Display for Misunderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub fn wrong<T>(text: impl Into<String>) -> Result<T, Misunderstood> {
    Err(Misunderstood(text.into()))
}

/// A number of digits alone: `parse` would take a plus sign before them.
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok())
}

/// A duration as people write one: 250ms, 5us, 1.5s.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, Misunderstood> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == 'µ');
    let unit = match &text[digits.len()..] {
        "s" | "" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        _ => f64::NAN,
    };
    // `parse` would take signs, exponents and `inf`.
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds = Some(digits).filter(|_| plain);
    let seconds = seconds.and_then(|digits| digits.parse::<f64>().ok());
    let seconds = seconds.unwrap_or(f64::NAN) * unit;
    Duration::try_from_secs_f64(seconds).or_else(|_| {
        wrong(format!(
            "{text:?}: expected a time such as 5ms, 250us or 1.5s"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("20µs"), Ok(Duration::from_micros(20)));
        for wrong in ["", "x", "5m", "-1s", "1e400", "+5ms", "1e3", "inf", "."] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
