//! Times as exact decimals, and skews. Pure, and in integers throughout: an f64 loses a nanosecond
//! of today's POSIX times.

use std::cmp::Ordering;
use std::time::Duration;

use crate::scan::{self, TENS};

/// A non-negative decimal number as it was written: `1621464827.959498503`. Any number of digits,
/// compared by value and copied by the byte.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    text: &'a [u8],
    /// Digits before the point.
    whole: usize,
    /// Billionths, further digits cut off; the highest number for all that is beyond it. Most
    /// questions are answered by this alone.
    billionths: u64,
}

impl<'a> Decimal<'a> {
    /// Digits, perhaps a point and digits: no sign, no exponent, no bare point.
    pub fn parse(text: &'a [u8]) -> Option<Decimal<'a>> {
        let (decimal, rest) = Decimal::in_front(text)?;
        rest.is_empty().then_some(decimal)
    }

    /// The number that `text` begins with, and what follows it.
    #[inline(always)]
    pub(super) fn in_front(text: &'a [u8]) -> Option<(Decimal<'a>, &'a [u8])> {
        let (whole, length, billionths) = time_of_a_phone(text).or_else(|| any(text))?;
        let (text, rest) = text.split_at_checked(length)?;
        let decimal = Decimal {
            text,
            whole,
            billionths,
        };
        Some((decimal, rest))
    }

    /// The text as it came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// The value in billionths, further digits cut off; of all that is beyond it, the highest `u64`.
    pub fn billionths(&self) -> u64 {
        self.billionths
    }

    /// The value in units of 10^-`places`, further digits cut off; `None` beyond `u64`.
    pub fn scaled(&self, places: usize) -> Option<u64> {
        scaled(self.text, self.whole, places)
    }

    /// The digits before the point and those behind it, without the zeros that change no value.
    fn digits(&self) -> (&'a [u8], &'a [u8]) {
        digits(self.text, self.whole)
    }
}

/// Decimals of a billionth.
const PLACES: usize = 9;

/// The fast path, for what nearly every phone sends: ten digits, a point, at most nine. Digits before the
/// point, bytes in all, billionths.
#[inline(always)]
fn time_of_a_phone(text: &[u8]) -> Option<(usize, usize, u64)> {
    let (whole, behind) = text.split_first_chunk()?;
    let [b'.', fraction @ ..] = behind else {
        return None;
    };
    let (mut places, mut parts) = scan::front_digits(fraction.first_chunk()?);
    if places == 8
        && let Some(digit) = digit(fraction, 8)
    {
        (places, parts) = (PLACES, parts * 10 + digit);
    }
    let is_usual = places > 0 && digit(fraction, places).is_none();
    let billionths = scan::ten_digits(whole)? * NANOS + parts * TENS[PLACES - places];
    is_usual.then_some((whole.len(), whole.len() + 1 + places, billionths))
}

#[inline(always)]
fn digit(text: &[u8], at: usize) -> Option<u64> {
    let digit = text.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(digit.into())
}

/// The same for any number.
fn any(text: &[u8]) -> Option<(usize, usize, u64)> {
    let whole = scan::digits(text);
    let length = match &text[whole..] {
        [b'.', fraction @ ..] => match scan::digits(fraction) {
            0 => return None,
            places => whole + 1 + places,
        },
        _ => whole,
    };
    let billionths = scaled(&text[..length], whole, PLACES).unwrap_or(u64::MAX);
    (whole > 0).then_some((whole, length, billionths))
}

fn digits(text: &[u8], whole: usize) -> (&[u8], &[u8]) {
    let fraction = text.get(whole + 1..).unwrap_or_default();
    (trim_start(&text[..whole]), trim_end(fraction))
}

fn scaled(text: &[u8], whole: usize, places: usize) -> Option<u64> {
    let (integer, fraction) = digits(text, whole);
    let fraction = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    let mut digits = integer.iter().copied().chain(fraction.take(places));
    digits.try_fold(0u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_digits = || {
            let ((integer, fraction), (others, parts)) = (self.digits(), other.digits());
            (integer.len().cmp(&others.len()))
                .then_with(|| integer.cmp(others))
                .then_with(|| fraction.cmp(parts))
        };
        // Where the billionths differ, they are in the numbers' order.
        (self.billionths.cmp(&other.billionths)).then_with(by_digits)
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

fn trim_start(mut digits: &[u8]) -> &[u8] {
    while let [b'0', rest @ ..] = digits {
        digits = rest;
    }
    digits
}

fn trim_end(mut digits: &[u8]) -> &[u8] {
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    digits
}

const NANOS: u64 = 1_000_000_000;

/// Appends `receipt - sent` in seconds: always a sign, exactly nine decimals. Digits of `sent`
/// beyond the ninth decimal are cut off before subtracting.
pub fn write_skew(out: &mut Vec<u8>, receipt: Duration, sent: Decimal<'_>) {
    let sent_nanos = sent.billionths;
    if sent_nanos == u64::MAX {
        return write_far_skew(out, receipt, sent);
    }
    // Fits: a u64 of nanoseconds each way.
    let receipt_nanos = u64::try_from(receipt.as_nanos()).unwrap_or(u64::MAX);
    let sign = if receipt_nanos < sent_nanos {
        b'-'
    } else {
        b'+'
    };
    let nanos = receipt_nanos.abs_diff(sent_nanos);
    let (seconds, parts) = (nanos / NANOS, nanos % NANOS);
    let mut text = *b"+0.000000000";
    let [front, one, _, first, last @ ..] = &mut text;
    (*front, *first) = (sign, b'0' + (parts / 100_000_000) as u8);
    *last = scan::last_eight_digits(parts);
    match u8::try_from(seconds) {
        Ok(seconds @ 0..=9) => {
            *one = b'0' + seconds;
            out.extend_from_slice(&text);
        }
        // The clocks differ by more than nearly all do.
        _ => {
            out.push(sign);
            write_integer(out, seconds);
            out.extend_from_slice(&text[2..]);
        }
    }
}

/// The same for a time beyond the year 2554: digit by digit, as at school.
fn write_far_skew(out: &mut Vec<u8>, receipt: Duration, sent: Decimal<'_>) {
    out.push(b'-');
    let start = out.len();
    let (integer, fraction) = sent.digits();
    out.extend_from_slice(integer);
    out.extend(
        fraction
            .iter()
            .copied()
            .chain(std::iter::repeat(b'0'))
            .take(9),
    );
    let mut subtrahend = u64::try_from(receipt.as_nanos()).unwrap_or(u64::MAX);
    let mut borrow = 0;
    for digit in out[start..].iter_mut().rev() {
        let take = (subtrahend % 10) as u8 + borrow;
        subtrahend /= 10;
        let value = *digit - b'0';
        borrow = u8::from(value < take);
        *digit = b'0' + value + borrow * 10 - take;
    }
    let point = out.len() - 9;
    let zeros = out[start..point - 1]
        .iter()
        .take_while(|&&b| b == b'0')
        .count();
    out.insert(point, b'.');
    out.drain(start..start + zeros);
}

/// Appends `value` in decimal.
pub fn write_integer(out: &mut Vec<u8>, value: u64) {
    if value < 10 {
        return out.push(b'0' + value as u8);
    }
    let digits = value.checked_ilog10().unwrap_or(0) as usize + 1;
    write_padded(out, value, digits);
}

/// Appends the last `digits` digits of `value`, with zeros in front where it has fewer.
pub fn write_padded(out: &mut Vec<u8>, mut value: u64, digits: usize) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal<'_> {
        Decimal::parse(text.as_bytes()).expect(text)
    }

    fn skew(receipt_nanos: u64, sent: &str) -> String {
        let mut out = Vec::new();
        write_skew(&mut out, Duration::from_nanos(receipt_nanos), decimal(sent));
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn the_grammar_is_digits_and_perhaps_a_point_and_digits() {
        for good in ["0", "00", "1", "1.5", "0001.5000", "1621464827.959498503"] {
            assert!(Decimal::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "", ".", ".5", "5.", "+1", "-1", "1e5", "1.2.3", "1_0", "nan", "1.-2", "1 ",
        ] {
            assert!(Decimal::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn order_is_by_value_and_exact() {
        let ascending = [
            "0",
            "0.1",
            "0.10000000000000000000000001",
            "0.9",
            "1",
            "1.000000001",
            "2",
            "10",
            "1621464827.959498503",
            "1621464827.959498504",
            "99999999999999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(decimal(a).cmp(&decimal(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(decimal("007.50"), decimal("7.5"));
        assert_eq!(decimal("0.0"), decimal("000"));
        assert_ne!(decimal("7.5"), decimal("7.50000000000000000001"));
    }

    #[test]
    fn values_are_exact_up_to_the_last_that_fits() {
        for (text, billionths) in [
            ("9999999999.9999999999", 9_999_999_999_999_999_999),
            ("10000000000.5", 10_000_000_000_500_000_000),
            ("18446744073.709551614", u64::MAX - 1),
            ("18446744073.709551616", u64::MAX),
            ("100000000000", u64::MAX),
        ] {
            assert_eq!(decimal(text).billionths(), billionths, "{text}");
        }
        assert_eq!(decimal("18446744073709551.6159").scaled(3), Some(u64::MAX));
        assert_eq!(decimal("18446744073709551.616").scaled(3), None);
        assert_eq!(decimal("18446744073709551616").scaled(0), None);
    }

    #[test]
    fn skews_have_a_sign_and_nine_decimals() {
        assert_eq!(skew(0, "0"), "+0.000000000");
        assert_eq!(skew(10_000, "0"), "+0.000010000");
        assert_eq!(skew(NANOS, "1.000000001"), "-0.000000001");
        assert_eq!(
            skew(1_621_464_828_223_000_000, "1621464827.959498503"),
            "+0.263501497"
        );
        assert_eq!(skew(5 * NANOS, "1.0000000009"), "+4.000000000");
    }

    #[test]
    fn a_far_future_is_subtracted_digit_by_digit() {
        assert_eq!(
            skew(1, "100000000000000000000"),
            "-99999999999999999999.999999999"
        );
        assert_eq!(skew(2 * NANOS, "18446744074"), "-18446744072.000000000");
        assert_eq!(skew(u64::MAX, "18446744073.8"), "-0.090448385");
        let far = "9".repeat(60_000);
        assert!(skew(9 * NANOS, &far).ends_with("90.000000000"));
    }

    #[test]
    fn far_and_near_subtraction_agree() {
        for (receipt, sent) in [
            (7, "8.000000009"),
            (123_456_789, "99.5"),
            (0, "18446744073.7"),
        ] {
            let mut far = Vec::new();
            write_far_skew(&mut far, Duration::from_nanos(receipt), decimal(sent));
            assert_eq!(skew(receipt, sent).as_bytes(), far, "{receipt} {sent}");
        }
    }
}
