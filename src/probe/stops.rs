//! Breakpoints and watches: what stops a loop that was let go.

use serde_json::Value;

use super::changes::{find, text};
use super::condition::{Coming, Condition};
use super::driver::Moved;
use crate::worlds::{Exchange, Way};

/// Breakpoints and watches that one stepper keeps.
pub const STOPS_MAX: usize = 64;

/// What a stop waits for.
enum What {
    Break(Condition),
    /// It is forgotten once it has stopped the loop.
    Once(Condition),
    /// A path of the view, and its value when last seen.
    Watch(String, String),
}

/// All breakpoints and watches, each with its number.
#[derive(Default)]
pub struct Stops {
    all: Vec<(u32, What)>,
    last: u32,
}

impl Stops {
    /// Stops at a condition, from now on or once.
    ///
    /// # Errors
    /// There are [`STOPS_MAX`] already.
    pub fn add(&mut self, condition: Condition, once: bool) -> Result<String, String> {
        let said = condition.to_string();
        let number = self.push(match once {
            true => What::Once(condition),
            false => What::Break(condition),
        })?;
        Ok(match once {
            true => String::new(),
            false => format!("breakpoint {number}: {said}\n"),
        })
    }

    /// Stops when what stands at `path` in the view has changed.
    ///
    /// # Errors
    /// Nothing stands there, or there are [`STOPS_MAX`] already.
    pub fn watch(&mut self, path: &str, view: &Value) -> Result<String, String> {
        let Some(value) = find(view, path) else {
            return Err(format!("nothing is at {path:?}; print it first"));
        };
        let value = text(value);
        let number = self.push(What::Watch(path.to_string(), value.clone()))?;
        Ok(format!("watch {number}: {path} is {value}\n"))
    }

    fn push(&mut self, what: What) -> Result<u32, String> {
        if self.all.len() >= STOPS_MAX {
            return Err(format!(
                "{STOPS_MAX} breakpoints and watches are enough: delete some"
            ));
        }
        self.last += 1;
        self.all.push((self.last, what));
        Ok(self.last)
    }

    /// Forgets one, or all.
    ///
    /// # Errors
    /// None has that number.
    pub fn delete(&mut self, number: Option<u32>) -> Result<String, String> {
        let Some(number) = number else {
            self.all.clear();
            return Ok(String::from("no breakpoints and watches are left\n"));
        };
        let before = self.all.len();
        self.all.retain(|(other, _)| *other != number);
        match self.all.len() < before {
            true => Ok(format!("{number} is forgotten\n")),
            false => Err(format!("there is no breakpoint or watch {number}")),
        }
    }

    /// All of them, for people.
    pub fn list(&self) -> String {
        if self.all.is_empty() {
            return String::from("no breakpoints: break adds one, help break says at what\n");
        }
        let line = |(number, what): &(u32, What)| match what {
            What::Break(condition) => format!("{number}  break {condition}\n"),
            What::Once(condition) => format!("{number}  until {condition}\n"),
            What::Watch(path, value) => format!("{number}  watch {path} (is {value})\n"),
        };
        self.all.iter().map(line).collect()
    }

    /// True if none can stop the loop.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// True if one needs the view after each moment.
    pub fn watches(&self) -> bool {
        let watch = |(_, what): &(u32, What)| matches!(what, What::Watch(..));
        self.all.iter().any(watch)
    }

    /// What stops the loop before `coming` runs.
    pub fn before(&mut self, coming: &Coming<'_>) -> Option<String> {
        self.hit(|condition| condition.holds_before(coming))
    }

    /// What stops the loop after a moment.
    pub fn after(&mut self, moved: &Moved, exchanges: &[Exchange]) -> Option<String> {
        let Moved::Ran(ran) = moved else {
            return None;
        };
        let reads = exchanges
            .iter()
            .filter(|exchange| exchange.way == Way::Read);
        let input: Vec<&[u8]> = reads.map(|exchange| &exchange.bytes[..]).collect();
        self.hit(|condition| condition.holds_after(ran.took, &input))
    }

    fn hit(&mut self, holds: impl Fn(&Condition) -> bool) -> Option<String> {
        let position = self.all.iter().position(|(_, what)| match what {
            What::Break(condition) | What::Once(condition) => holds(condition),
            What::Watch(..) => false,
        })?;
        let (number, what) = &self.all[position];
        match what {
            What::Once(condition) => {
                let reason = condition.to_string();
                self.all.remove(position);
                Some(reason)
            }
            What::Break(condition) => Some(format!("breakpoint {number}, {condition}")),
            What::Watch(..) => None,
        }
    }

    /// What has changed of what is watched.
    pub fn changed(&mut self, view: &Value) -> Option<String> {
        let mut reason = None;
        for (number, what) in &mut self.all {
            let What::Watch(path, value) = what else {
                continue;
            };
            let now = find(view, path).map_or(String::from("gone"), text);
            if *value != now {
                reason = Some(format!("watch {number}, {path}: {value} -> {now}"));
                *value = now;
            }
        }
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stops_are_bounded_and_forgotten() {
        let mut stops = Stops::default();
        for _ in 0..STOPS_MAX {
            assert!(stops.add(Condition::Timer, false).is_ok());
        }
        assert!(stops.add(Condition::Timer, false).is_err());
        assert!(stops.delete(Some(7)).is_ok());
        assert!(stops.delete(Some(7)).is_err());
        assert!(stops.add(Condition::Timer, true).is_ok());
        assert!(stops.delete(None).is_ok() && stops.is_empty());
    }

    #[test]
    fn a_watch_tells_each_change_once() {
        let mut stops = Stops::default();
        let view = |records: u64| json!({"store": {"records": records}});
        assert!(stops.watch("store.bytes", &view(0)).is_err());
        assert!(stops.watch("store.records", &view(0)).is_ok());
        assert_eq!(stops.changed(&view(0)), None);
        let reason = stops.changed(&view(1)).expect("it changed");
        assert_eq!(reason, "watch 1, store.records: 0 -> 1");
        assert_eq!(stops.changed(&view(1)), None);
    }

    #[test]
    fn until_stops_once() {
        let mut stops = Stops::default();
        stops.add(Condition::Turn(3), true).expect("room");
        let coming = |turn: u64| Coming {
            kind: "Ready",
            connection: None,
            peer: None,
            timer: false,
            place: (turn, std::time::Duration::ZERO),
            passed: None,
        };
        assert_eq!(stops.before(&coming(2)), None);
        assert_eq!(stops.before(&coming(3)).as_deref(), Some("turn 3"));
        assert_eq!(stops.before(&coming(4)), None);
    }
}
