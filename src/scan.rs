//! Looks through bytes eight at a time. Pure.
//!
//! Every byte of every command is looked at for its line's end, its fields' ends and its digits. One
//! at a time, through iterators, that was two fifths of what an IAMAT cost us; eight in a `u64` it is
//! a tenth. Each function marks bytes by their highest bit. An addition or subtraction may carry from
//! a marked byte into the one above it, so only the lowest mark is believed.

/// One in each byte.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The highest bit of each byte.
const MARKS: u64 = ONES << 7;

/// The first of some bytes that `marks` marks, or else that `is` says to be one.
#[inline(always)]
fn first(bytes: &[u8], marks: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    let (eights, rest) = bytes.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        let marked = marks(u64::from_le_bytes(*eight)) & MARKS;
        if marked != 0 {
            return Some(index * 8 + marked.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|&byte| is(byte))?;
    Some(eights.len() * 8 + found)
}

/// Where the first LF stands.
#[inline]
pub fn line_feed(bytes: &[u8]) -> Option<usize> {
    let marks = |eight: u64| {
        let zero_where_lf = eight ^ (ONES * u64::from(b'\n'));
        zero_where_lf.wrapping_sub(ONES) & !zero_where_lf
    };
    first(bytes, marks, |byte| byte == b'\n')
}

/// Where the first byte stands that is a space or below: all that can separate fields, and more.
#[inline]
pub fn space_or_below(bytes: &[u8]) -> Option<usize> {
    let above = u64::from(b' ') + 1;
    let marks = |eight: u64| eight.wrapping_sub(ONES * above) & !eight;
    first(bytes, marks, |byte| byte <= b' ')
}

/// How many ASCII digits `bytes` begin with.
#[inline]
pub fn digits(bytes: &[u8]) -> usize {
    let marks = |eight: u64| {
        let value = eight ^ (ONES * u64::from(b'0'));
        value.wrapping_add(ONES * (0x80 - 10)) | value
    };
    first(bytes, marks, |byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// The number that some ASCII digits are, at most nineteen of them: so many fit.
#[inline]
pub fn number(digits: &[u8]) -> u64 {
    debug_assert!(digits.len() <= 19);
    let (eights, rest) = digits.as_chunks::<8>();
    let eights = eights.iter().fold(0, |value: u64, eight| {
        value.wrapping_mul(100_000_000) + eight_digits(*eight)
    });
    rest.iter().fold(eights, |value, digit| {
        value.wrapping_mul(10) + u64::from(digit & 0x0f)
    })
}

/// Neighbours are joined: digits to numbers of two, these to numbers of four, these to one of eight.
fn eight_digits(digits: [u8; 8]) -> u64 {
    let ones = u64::from_le_bytes(digits) & (ONES * 0x0f);
    let twos = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte at each place among each of some others: what is found is what one at a time finds.
    #[test]
    fn eight_at_a_time_finds_what_one_at_a_time_does() {
        for other in [
            b'x', b' ', b'\n', b'0', b'9', b'/', b':', 0x7f, 0x80, 0xff, 0x00,
        ] {
            for byte in 0..=u8::MAX {
                for place in 0..19 {
                    let mut bytes = [other; 19];
                    bytes[place] = byte;
                    let first = |is: fn(&u8) -> bool| bytes.iter().position(is);
                    assert_eq!(line_feed(&bytes), first(|&b| b == b'\n'), "{bytes:?}");
                    assert_eq!(space_or_below(&bytes), first(|&b| b <= b' '), "{bytes:?}");
                    let digits_due = first(|b| !b.is_ascii_digit()).unwrap_or(19);
                    assert_eq!(digits(&bytes), digits_due, "{bytes:?}");
                }
            }
        }
        assert_eq!(
            (line_feed(b""), space_or_below(b""), digits(b"")),
            (None, None, 0)
        );
    }

    #[test]
    fn digits_are_numbers() {
        let text = "9876543210987654321";
        for start in 0..text.len() {
            for end in start..=text.len() {
                let due = text[start..end].parse().unwrap_or(0);
                assert_eq!(number(text[start..end].as_bytes()), due);
            }
        }
        assert_eq!(number(b"9999999999999999999"), 9_999_999_999_999_999_999);
    }
}
