//! Positions as ISO 6709 writes them: latitude then longitude in decimal degrees. Pure.

use crate::scan;

const LATITUDE_MAX: u64 = 90;
const LONGITUDE_MAX: u64 = 180;

/// A position as it was written, for example `+34.068930-118.445127`. Checked once, copied by the
/// byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a>(&'a [u8]);

impl<'a> Position<'a> {
    /// Sign, digits, perhaps a point and digits, twice; −90 to 90 and −180 to 180, ends included.
    pub fn parse(text: &'a [u8]) -> Option<Position<'a>> {
        let (position, rest) = Position::in_front(text)?;
        rest.is_empty().then_some(position)
    }

    /// The position that `text` begins with, and what follows it.
    #[inline(always)]
    pub(super) fn in_front(text: &'a [u8]) -> Option<(Position<'a>, &'a [u8])> {
        let length = position_of_a_phone(text).or_else(|| any(text))?;
        let (text, rest) = text.split_at_checked(length)?;
        Some((Position(text), rest))
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

/// The fast path, for what nearly every phone sends: both numbers have a point, and are not at their limits'
/// edge. How long it is.
#[inline(always)]
fn position_of_a_phone(text: &[u8]) -> Option<usize> {
    let bytes = text.first_chunk()?;
    let others = scan::other_than_digits(bytes);
    let longitude = degrees_of_a_phone(bytes, others, 0, [0, 0, b'9', b'0'])?;
    degrees_of_a_phone(bytes, others, longitude, [0, b'1', b'8', b'0'])
}

/// Where the degrees end that begin at `start`; `others` says which of the bytes are no digits. Digits that
/// stand right in four bytes are in the order of the numbers that they are.
#[inline(always)]
fn degrees_of_a_phone(
    bytes: &[u8; 32],
    others: u32,
    start: usize,
    limit: [u8; 4],
) -> Option<usize> {
    let point = end_of_digits(others, start + 1)?;
    let end = end_of_digits(others, point + 1)?;
    let four = bytes[start + 1..].first_chunk()?;
    let beside = 32u32.checked_sub(8 * (point - start - 1) as u32)?;
    let whole = u32::from_be_bytes(*four).checked_shr(beside)?;
    let is_usual = is_sign(bytes[start])
        && bytes[point] == b'.'
        && end > point + 1
        && whole < u32::from_be_bytes(limit);
    is_usual.then_some(end)
}

/// Where the digits end that begin at `at`, if that can be seen.
#[inline(always)]
fn end_of_digits(others: u32, at: usize) -> Option<usize> {
    let others = others.checked_shr(at as u32)?;
    (others != 0).then(|| at + others.trailing_zeros() as usize)
}

/// The same for any position.
fn any(text: &[u8]) -> Option<usize> {
    let longitude = behind_degrees(text, LATITUDE_MAX)?;
    let rest = behind_degrees(longitude, LONGITUDE_MAX)?;
    Some(text.len() - rest.len())
}

/// What follows a sign, digits, perhaps a point and digits: degrees of at most `limit`.
fn behind_degrees(text: &[u8], limit: u64) -> Option<&[u8]> {
    let [b'+' | b'-', text @ ..] = text else {
        return None;
    };
    let (whole, rest) = text.split_at(scan::digits(text));
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => match scan::digits(rest) {
            0 => return None,
            places => rest.split_at(places),
        },
        _ => rest.split_at(0),
    };
    let degrees = whole.iter().try_fold(0, |degrees, digit| {
        let degrees = degrees * 10 + u64::from(digit - b'0');
        (degrees <= limit).then_some(degrees)
    })?;
    let is_within = degrees < limit || fraction.iter().all(|&digit| digit == b'0');
    (!whole.is_empty() && is_within).then_some(rest)
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
            "+0000000000000000000000000000034.5-00000118.25",
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
            "+0000018446744073709551650-1",
            "+18446744073709551650-1",
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
