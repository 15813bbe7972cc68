//! Looks through bytes eight at a time. Pure.
//!
//! Every byte of every command is looked at for its fields' ends and its digits. One at a time, through
//! iterators, an IAMAT cost 3,549 instructions at depth 16; eight in a `u64`, 2,100; and fields that are
//! read where they are found, 1,201. Each function marks bytes by their highest bit. An addition or
//! subtraction may carry from a marked byte into the one above it, so only the lowest mark is believed.

/// One in each byte.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The highest bit of each byte.
const MARKS: u64 = ONES << 7;

/// So many digits always fit in a `u64`.
pub const DIGITS_MAX: usize = 19;

/// Powers of ten.
pub const TENS: [u64; DIGITS_MAX + 1] = {
    let mut tens = [1; DIGITS_MAX + 1];
    let mut power = 1;
    while power <= DIGITS_MAX {
        tens[power] = tens[power - 1] * 10;
        power += 1;
    }
    tens
};

/// How many bytes of `eight` stand before the first that `marks` has marked: all eight if none is.
#[inline(always)]
fn unmarked(marks: u64) -> usize {
    (marks & MARKS).trailing_zeros() as usize / 8
}

/// Where the first byte stands that is a space or below: all that can separate fields, and more.
#[inline(always)]
pub fn space_or_below(bytes: &[u8]) -> Option<usize> {
    let above = ONES * (u64::from(b' ') + 1);
    let mut rest = bytes;
    while let Some((eight, behind)) = rest.split_first_chunk() {
        let eight = u64::from_le_bytes(*eight);
        let found = unmarked(eight.wrapping_sub(above) & !eight);
        if found < 8 {
            return Some(bytes.len() - rest.len() + found);
        }
        rest = behind;
    }
    let found = rest.iter().position(|&byte| byte <= b' ')?;
    Some(bytes.len() - rest.len() + found)
}

/// How many ASCII digits `bytes` begin with.
#[inline(always)]
pub fn digits(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((eight, behind)) = rest.split_first_chunk() {
        let found = unmarked(not_digits(u64::from_le_bytes(*eight)));
        if found < 8 {
            return bytes.len() - rest.len() + found;
        }
        rest = behind;
    }
    let found = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.len() - rest.len() + found
}

/// Which of 32 bytes are no digits: bit n is set if byte n is none. Where a run of digits ends is then one
/// step, however long it is.
#[inline(always)]
pub fn other_than_digits(bytes: &[u8; 32]) -> u32 {
    let (eights, _) = bytes.as_chunks();
    let bits = eights
        .iter()
        .rev()
        .map(|eight| bits_of(not_digits(u64::from_le_bytes(*eight))));
    bits.fold(0, |others, bits| others << 8 | bits as u32)
}

/// The number that ten digits are, such as the seconds of all times until the year 2286. `None`: not all of
/// the bytes are digits.
#[inline(always)]
pub fn ten_digits(bytes: &[u8; 10]) -> Option<u64> {
    let [tens, ones, eight @ ..] = *bytes;
    let eight = u64::from_le_bytes(eight);
    let are_digits =
        not_digits(eight) & MARKS == 0 && tens.is_ascii_digit() && ones.is_ascii_digit();
    let front = u64::from(tens & 0x0f) * 10 + u64::from(ones & 0x0f);
    are_digits.then(|| front * TENS[8] + eight_digits(eight))
}

/// The digits that eight bytes begin with: how many, and the number that they are.
#[inline(always)]
pub fn front_digits(bytes: &[u8; 8]) -> (usize, u64) {
    let eight = u64::from_le_bytes(*bytes);
    let count = unmarked(not_digits(eight));
    // What follows the digits is shifted out, and zeros in before them.
    let digits = eight.checked_shl(64 - 8 * count as u32).unwrap_or(0);
    (count, eight_digits(digits))
}

/// Gathers the highest bit of each byte: that of the first byte in bit 0. The product has a copy of each of
/// the eight bits in its highest byte, and no two bits in one place: nothing is carried.
#[inline(always)]
fn bits_of(marks: u64) -> u64 {
    ((marks & MARKS) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Marks all that is no digit: each byte for itself, since nothing is carried.
#[inline(always)]
fn not_digits(eight: u64) -> u64 {
    let value = eight ^ (ONES * u64::from(b'0'));
    ((value & !MARKS) + ONES * (0x80 - 10)) | value
}

/// The number that some digits are, at most [`DIGITS_MAX`] of them.
#[inline(always)]
pub fn number(digits: &[u8]) -> u64 {
    debug_assert!(digits.len() <= DIGITS_MAX);
    let (eights, rest) = digits.as_chunks();
    let eights = eights.iter().fold(0, |value: u64, eight| {
        value.wrapping_mul(TENS[8]) + eight_digits(u64::from_le_bytes(*eight))
    });
    rest.iter().fold(eights, |value, digit| {
        value.wrapping_mul(10) + u64::from(digit & 0x0f)
    })
}

/// The number that eight digits are. Neighbours are joined: digits to numbers of two, these to numbers of
/// four, these to one of eight.
#[inline(always)]
fn eight_digits(digits: u64) -> u64 {
    let ones = digits & (ONES * 0x0f);
    let twos = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// The last eight digits of `number`: `eight_digits` backwards. A division by a hundred or by ten
/// is a multiplication and a shift, exact for numbers that are so small.
#[inline]
pub fn last_eight_digits(number: u64) -> [u8; 8] {
    let number = number % 100_000_000;
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | (ONES * u64::from(b'0'))).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte at each place among each of some others: what is found is what one at a time finds.
    #[test]
    fn eight_at_a_time_finds_what_one_at_a_time_does() {
        for other in [b'x', b' ', b'0', b'9', b'/', b':', 0x7f, 0x80, 0xff, 0x00] {
            for byte in 0..=u8::MAX {
                for place in 0..19 {
                    let mut bytes = [other; 19];
                    bytes[place] = byte;
                    let first = |is: fn(&u8) -> bool| bytes.iter().position(is);
                    assert_eq!(space_or_below(&bytes), first(|&b| b <= b' '), "{bytes:?}");
                    let digits_due = first(|b| !b.is_ascii_digit()).unwrap_or(19);
                    assert_eq!(digits(&bytes), digits_due, "{bytes:?}");
                }
            }
        }
        assert_eq!((space_or_below(b""), digits(b"")), (None, 0));
    }

    /// Each byte at each place of a few digits.
    #[test]
    fn what_is_a_digit_and_what_is_none() {
        for byte in 0..=u8::MAX {
            for place in 0..32 {
                let mut bytes = *b"98765432109876543210987654321098";
                bytes[place] = byte;
                let others = u32::from(!byte.is_ascii_digit()) << place;
                assert_eq!(other_than_digits(&bytes), others, "{bytes:?}");
                let (ten, _) = bytes.split_first_chunk().expect("ten");
                let all = ten.iter().all(u8::is_ascii_digit);
                assert_eq!(ten_digits(ten), all.then(|| number(ten)), "{bytes:?}");
                let (eight, _) = bytes.split_first_chunk().expect("eight");
                let count = digits(eight);
                let due = (count, number(&eight[..count]));
                assert_eq!(front_digits(eight), due, "{bytes:?}");
            }
        }
    }

    #[test]
    fn digits_are_numbers() {
        let text = "9876543210987654321";
        for start in 0..text.len() {
            for end in start..=text.len() {
                let due = text[start..end].parse().unwrap_or(0);
                assert_eq!(number(&text.as_bytes()[start..end]), due);
            }
        }
        assert_eq!(number(b"9999999999999999999"), 9_999_999_999_999_999_999);
    }

    #[test]
    fn numbers_are_digits() {
        for number in (0..100_000_000)
            .step_by(997)
            .chain([9_999, 99_999_999, 100_000_001])
        {
            let due = format!("{:08}", number % 100_000_000);
            assert_eq!(last_eight_digits(number), due.as_bytes());
        }
    }
}
