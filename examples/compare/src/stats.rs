//! What repeated measurements come to: the median and the quartiles.
//!
//! ```text
//! let spread = Spread::of([3.1, 2.9, 3.0]);        // 3 (2.95 to 3.05)
//! let ratios = Spread::ratios(&ours, &theirs);     // pair by pair, round by round
//! ```

use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// Figures of the same thing, in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    pub values: Vec<f64>,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        Spread {
            values: values
                .into_iter()
                .filter(|value| value.is_finite())
                .collect(),
        }
    }

    /// Each figure over that of the same round: what disturbed a whole round
    /// falls out. A round that one of them missed has no pair.
    pub fn ratios(over: &[Option<f64>], under: &[Option<f64>]) -> Spread {
        let pairs = over.iter().zip(under);
        Spread::of(pairs.filter_map(|pair| match pair {
            (Some(over), Some(under)) if *under > 0.0 => Some(over / under),
            _ => None,
        }))
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// By linear interpolation between the two values around it.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        let place = share.clamp(0.0, 1.0) * last as f64;
        let (below, above) = (
            sorted[place.floor() as usize],
            sorted[place.ceil() as usize],
        );
        below + (above - below) * place.fract()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn low(&self) -> f64 {
        self.quantile(0.25)
    }

    pub fn high(&self) -> f64 {
        self.quantile(0.75)
    }

    /// Whether the middle halves of both share a value: then the difference
    /// of their medians says nothing.
    pub fn overlaps(&self, other: &Spread) -> bool {
        self.low() <= other.high() && other.low() <= self.high()
    }

    /// Whether `value` lies in the middle half.
    pub fn covers(&self, value: f64) -> bool {
        self.low() <= value && value <= self.high()
    }

    pub fn to_json(&self) -> Value {
        if self.is_empty() {
            return Value::Null;
        }
        json!({
            "median": self.median(),
            "q1": self.low(),
            "q3": self.high(),
            "values": self.values,
        })
    }
}

/// Set once, before the first figure is written.
static ONE_DIGIT: AtomicBool = AtomicBool::new(false);

/// From now on a figure has one digit: those of a quick run promise no more.
pub fn round_to_one_digit() {
    ONE_DIGIT.store(true, Ordering::Relaxed);
}

/// The figure as it is written: with one digit in a quick run, else with three.
pub fn figure(value: f64) -> String {
    match ONE_DIGIT.load(Ordering::Relaxed) {
        true => three_digits(one_digit(value)).replace(".00 ", " "),
        false => three_digits(value),
    }
}

/// A size that was chosen: as short as it can be. 10 k, 1 M.
pub fn mark(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{} M", value / 1e6),
        size if size >= 1e4 => format!("{} k", value / 1e3),
        _ => three_digits(value),
    }
}

fn one_digit(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // The text knows best which tenths there are.
    format!("{value:.0e}").parse().unwrap_or(value)
}

/// Three significant digits, thousands with a comma: 0.931, 12.4, 1,230, 1.2 M.
fn three_digits(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "–".to_string(),
        _ if size >= 1e9 => format!("{:.2} G", value / 1e9),
        _ if size >= 1e6 => format!("{:.2} M", value / 1e6),
        _ if size >= 1e4 => thousands((value / 100.0).round() as i64 * 100),
        _ if size >= 1e3 => thousands((value / 10.0).round() as i64 * 10),
        _ if size >= 100.0 || value == value.trunc() => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match value < 0 {
        true => format!("-{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_their_neighbours() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread.median(), 2.5);
        assert_eq!(spread.low(), 1.75);
        assert_eq!(spread.high(), 3.25);
        let one = Spread::of([7.0]);
        assert_eq!((one.low(), one.median(), one.high()), (7.0, 7.0, 7.0));
    }

    #[test]
    fn nothing_measured_is_no_figure() {
        assert!(Spread::default().median().is_nan());
        assert_eq!(figure(Spread::default().median()), "–");
        assert_eq!(Spread::default().to_json(), Value::Null);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let over = [Some(2.0), Some(8.0), None, Some(3.0)];
        let under = [Some(1.0), Some(4.0), Some(5.0), None];
        assert_eq!(Spread::ratios(&over, &under).values, [2.0, 2.0]);
    }

    #[test]
    fn spreads_that_touch_are_a_tie() {
        let (low, high) = (Spread::of([1.0, 2.0, 3.0]), Spread::of([2.0, 3.0, 4.0]));
        assert!(low.overlaps(&high) && high.overlaps(&low));
        assert!(!low.overlaps(&Spread::of([2.6, 2.7, 2.8])));
        assert!(low.covers(2.0) && !low.covers(2.6));
    }

    #[test]
    fn one_digit_is_enough_for_a_quick_run() {
        for (value, due) in [
            (0.0, "0"),
            (0.0314, "0.030"),
            (3.456, "3"),
            (45.67, "50"),
            (4_567.0, "5,000"),
            (95_670.0, "100,000"),
            (-1.26, "-1"),
        ] {
            assert_eq!(three_digits(one_digit(value)), due);
        }
        assert_eq!(figure(f64::NAN), "–");
        assert_eq!(
            [3.0, 5_000.0, 15_000.0, 1e7].map(mark),
            ["3", "5,000", "15 k", "10 M"]
        );
    }

    #[test]
    fn figures_have_three_digits_that_say_something() {
        let texts = [
            0.0314,
            1.0,
            3.456,
            45.67,
            456.7,
            4_567.0,
            45_670.0,
            1_234_567.0,
        ]
        .map(three_digits);
        let due = [
            "0.031", "1", "3.46", "45.7", "457", "4,570", "45,700", "1.23 M",
        ];
        assert_eq!(texts, due);
    }
}
