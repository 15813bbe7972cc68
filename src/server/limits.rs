//! A bound, from which `--help`, the view and the table in NOTES.md come. Each part keeps its
//! own beside the constants.

use std::time::Duration;

use serde_json::{Value, json};

/// Something that is bounded.
pub struct Limit {
    /// What.
    pub what: &'static str,
    /// By how much; 0 with an option: not at all.
    pub value: u64,
    /// Of what: bytes, s, ms, or nothing for a number.
    pub unit: &'static str,
    /// The option that changes it.
    pub option: Option<&'static str>,
    /// What happens at it.
    pub then: &'static str,
    /// The constant; empty if only an option sets it.
    pub name: &'static str,
}

/// A number, or a time.
pub trait Amount {
    /// The value, and its unit, if it says more than `unit`.
    fn amount(self, unit: &'static str) -> (u64, &'static str);
}

impl Amount for usize {
    fn amount(self, unit: &'static str) -> (u64, &'static str) {
        (self as u64, unit)
    }
}

impl Amount for u32 {
    fn amount(self, unit: &'static str) -> (u64, &'static str) {
        (self.into(), unit)
    }
}

impl Amount for u64 {
    fn amount(self, unit: &'static str) -> (u64, &'static str) {
        (self, unit)
    }
}

impl Amount for Duration {
    fn amount(self, _: &'static str) -> (u64, &'static str) {
        match self.subsec_millis() {
            0 => (self.as_secs(), "s"),
            _ => (self.as_millis() as u64, "ms"),
        }
    }
}

/// A limit that a constant sets: its value and its name are the constant's.
macro_rules! limit {
    ($constant:ident, $what:literal, $unit:literal, $then:expr) => {
        $crate::server::Limit::of(stringify!($constant), $what, $constant, $unit, $then)
    };
}

pub(crate) use limit;

impl Limit {
    /// A limit by the name of its constant, and as it is now.
    pub fn of(
        name: &'static str,
        what: &'static str,
        amount: impl Amount,
        unit: &'static str,
        then: &'static str,
    ) -> Limit {
        let (value, unit) = amount.amount(unit);
        Limit {
            what,
            value,
            unit,
            option: None,
            then,
            name,
        }
    }

    /// The same, set by an option too.
    pub fn option(self, option: &'static str) -> Limit {
        Limit {
            option: Some(option),
            ..self
        }
    }

    /// By how much, in words.
    pub fn amount(&self) -> String {
        match (self.value, self.option) {
            (0, Some(_)) => String::from("none"),
            (value, _) if self.unit.is_empty() => value.to_string(),
            (value, _) => format!("{value} {}", self.unit),
        }
    }

    /// For the view.
    pub fn row(&self) -> Value {
        json!({
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "option": self.option,
            "then": self.then,
        })
    }
}
