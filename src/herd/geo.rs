//! Positions as ISO 6709 writes them: latitude then longitude in decimal degrees. Pure.

/// A position as it was written, for example `+34.068930-118.445127`. Checked once, copied by the
/// byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a>(&'a [u8]);

impl<'a> Position<'a> {
    /// Sign, digits, perhaps a point and digits, twice; −90 to 90 and −180 to 180, ends included.
    pub fn parse(text: &'a [u8]) -> Option<Position<'a>> {
        let longitude = behind_degrees(text, 90)?;
        let rest = behind_degrees(longitude, 180)?;
        rest.is_empty().then_some(Position(text))
    }

    /// A position that was checked when it was stored.
    pub(super) fn stored(text: &'a [u8]) -> Position<'a> {
        Position(text)
    }

    /// The text as it came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Latitude and longitude as they were written.
    pub fn halves(&self) -> (&'a [u8], &'a [u8]) {
        halves(self.0)
    }

    /// Latitude and longitude in degrees, as near as an f64 comes: for measuring distances.
    pub fn degrees(&self) -> (f64, f64) {
        let number = |text: &[u8]| -> f64 {
            let text = std::str::from_utf8(text).unwrap_or_default();
            text.parse().unwrap_or_default()
        };
        let (latitude, longitude) = halves(self.0);
        (number(latitude), number(longitude))
    }
}

/// Splits before the second sign.
fn halves(text: &[u8]) -> (&[u8], &[u8]) {
    let second = text.iter().skip(1).position(|&b| is_sign(b));
    text.split_at(second.map_or(text.len(), |at| at + 1))
}

fn is_sign(byte: u8) -> bool {
    matches!(byte, b'+' | b'-')
}

/// What follows a sign, digits, perhaps a point and digits: degrees of at most `limit`.
#[inline]
fn behind_degrees(text: &[u8], limit: u32) -> Option<&[u8]> {
    let [b'+' | b'-', text @ ..] = text else {
        return None;
    };
    let mut rest = text;
    let mut whole = 0;
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        whole = whole * 10 + u32::from(digit - b'0');
        if whole > limit {
            return None;
        }
        rest = behind;
    }
    if rest.len() == text.len() {
        return None;
    }
    let [b'.', fraction @ ..] = rest else {
        return Some(rest);
    };
    let mut rest = fraction;
    let mut beyond = false;
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        beyond |= *digit != b'0';
        rest = behind;
    }
    let within = rest.len() < fraction.len() && !(beyond && whole == limit);
    within.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_position() {
        for good in [
            "+34.068930-118.445127",
            "+34-118",
            "+4.5-8.25",
            "-90+180",
            "+90.000-180.0",
            "+0-0",
            "+0034.5-00118.25",
            "-33.86705222+151.1957000",
        ] {
            assert!(Position::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            "+",
            "34-118",
            "+34",
            "-118.4",
            "+34.068930",
            "+-34-118",
            "+34--118",
            "+.5-118",
            "+34.-118",
            "+34-118/",
            "+34-118+10",
            "+90.0000000001-118",
            "+91-0",
            "+0-180.1",
            "+3e1-1e2",
            "+34.068930-118.445127x",
            "Los_Angeles",
            "+34 -118",
            "+99999999999999999999-1",
        ] {
            assert!(Position::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn degrees_are_signed() {
        let position = Position::parse(b"+34.068930-118.445127").expect("a position");
        assert_eq!(position.degrees(), (34.068930, -118.445127));
        assert_eq!(position.halves(), (&b"+34.068930"[..], &b"-118.445127"[..]));
    }
}
