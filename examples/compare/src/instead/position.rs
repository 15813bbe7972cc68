//! The stream of positions: who reports next, from where, and when.
//!
//! ```text
//! let mut positions = Positions::of(100_000);
//! let position = positions.next();      // c0000000 at +34.0 -118.4, now
//! ```

use lab::talk::stamp;

/// One report.
pub struct Position {
    pub id: String,
    pub latitude: f64,
    pub longitude: f64,
    /// Seconds, as an IAMAT has them.
    pub time: String,
}

/// Clients that take turns.
pub struct Positions {
    clients: u32,
    reported: u32,
}

impl Positions {
    pub fn of(clients: u32) -> Positions {
        Positions {
            clients,
            reported: 0,
        }
    }

    /// Each client stays within some fifty kilometres of Los Angeles: a grid
    /// of a thousand by a thousand, in an order that reads as random.
    pub fn next(&mut self) -> Position {
        let number = self.reported % self.clients;
        self.reported = self.reported.wrapping_add(1);
        let place = number.wrapping_mul(2_654_435_761) >> 12;
        let (row, column) = (place / 1024 % 1000, place % 1000);
        Position {
            id: format!("c{number:07}"),
            latitude: 33.5 + f64::from(row) / 1000.0,
            longitude: -118.9 + f64::from(column) / 1000.0,
            time: stamp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns_and_stay_where_they_are() {
        let mut positions = Positions::of(2);
        let [first, second, third] = [0; 3].map(|_| positions.next());
        assert_eq!(first.id, third.id);
        assert_ne!(first.id, second.id);
        assert_eq!(first.latitude, third.latitude);
        assert!(third.time > first.time);
    }

    #[test]
    fn all_are_near_los_angeles() {
        let mut positions = Positions::of(10_000);
        for _ in 0..10_000 {
            let position = positions.next();
            assert!((33.5..34.5).contains(&position.latitude));
            assert!((-118.9..=-117.9).contains(&position.longitude));
        }
    }
}
