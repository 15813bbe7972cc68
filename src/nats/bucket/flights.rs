//! What is under way to the bucket and not yet answered.

use std::time::Duration;

/// Puts, and questions after refused ones, that may be under way at once.
pub const IN_FLIGHT_MAX: usize = 512;
/// What is not answered in this time is nobody's word: perhaps it was taken.
pub const PUT_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of a request about a record begins beyond those of the bucket itself.
const SERIAL: u32 = 32;

/// One request about one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// What it is about.
    pub about: About,
    /// What is asked.
    pub kind: Kind,
    /// The revision that the put followed.
    pub expected: u64,
    sent: Duration,
    serial: u64,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The record at a position.
    Record(u32),
    /// Our claim of our name.
    Claim,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To take a value.
    Put,
    /// What the register holds.
    Get,
}

/// All requests under way.
#[derive(Debug, Default)]
pub struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<usize>,
    serial: u64,
    /// When to look for those that took too long.
    look_at: Option<Duration>,
}

impl Flights {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True if there may be one more.
    pub fn has_room(&self) -> bool {
        self.len() < IN_FLIGHT_MAX
    }

    /// Adds one; its answer will bear this number.
    pub fn add(&mut self, about: About, kind: Kind, expected: u64, now: Duration) -> u64 {
        self.serial += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Flight {
            about,
            kind,
            expected,
            sent: now,
            serial: self.serial,
        });
        self.look_at.get_or_insert(now + PUT_TIMEOUT);
        self.serial << SERIAL | slot as u64
    }

    /// Takes out the one of this number. `None`: it was given up, or never was.
    pub fn take(&mut self, number: u64) -> Option<Flight> {
        let slot = usize::try_from(number & u64::from(u32::MAX)).ok()?;
        let flight = self.slots.get(slot)?.as_ref()?;
        if flight.serial != number >> SERIAL {
            return None;
        }
        self.free.push(slot);
        self.slots[slot].take()
    }

    /// Gives all up.
    pub fn take_all(&mut self) -> Vec<Flight> {
        self.take_if(|_| true)
    }

    /// Gives up those that took too long.
    pub fn take_late(&mut self, now: Duration) -> Vec<Flight> {
        if self.look_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        let late = self.take_if(|flight| flight.sent + PUT_TIMEOUT <= now);
        let left = self
            .slots
            .iter()
            .flatten()
            .map(|flight| flight.sent + PUT_TIMEOUT);
        self.look_at = left.min();
        late
    }

    /// When some may have taken too long.
    pub fn deadline(&self) -> Option<Duration> {
        self.look_at
    }

    fn take_if(&mut self, is_meant: impl Fn(&Flight) -> bool) -> Vec<Flight> {
        let mut taken = Vec::new();
        for (slot, flight) in self.slots.iter_mut().enumerate() {
            if flight.as_ref().is_some_and(&is_meant) {
                taken.extend(flight.take());
                self.free.push(slot);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_own_request_only() {
        let mut flights = Flights::default();
        let first = flights.add(About::Record(1), Kind::Put, 0, Duration::ZERO);
        assert_eq!(
            flights.take(first).map(|flight| flight.about),
            Some(About::Record(1))
        );
        assert_eq!(flights.take(first), None);
        let second = flights.add(About::Record(2), Kind::Put, 0, Duration::ZERO);
        assert_eq!(flights.take(first), None, "the slot is another's now");
        assert_eq!(flights.take(second + 1), None);
        assert!(flights.take(second).is_some());
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn late_ones_are_given_up_and_there_is_an_end_to_their_number() {
        let mut flights = Flights::default();
        let second = Duration::from_secs(1);
        while flights.has_room() {
            flights.add(
                About::Claim,
                Kind::Put,
                0,
                second * u32::from(flights.len() > 0),
            );
        }
        assert_eq!(flights.len(), IN_FLIGHT_MAX);
        assert_eq!(flights.take_late(PUT_TIMEOUT).len(), 1);
        assert_eq!(flights.deadline(), Some(PUT_TIMEOUT + second));
        assert_eq!(
            flights.take_late(PUT_TIMEOUT + second).len(),
            IN_FLIGHT_MAX - 1
        );
        assert_eq!((flights.deadline(), flights.len()), (None, 0));
    }
}
