//! The grammar of a line, said as plainly as it can be: byte after byte, and no number that is not text. It is
//! what the server's own reading, which takes lines in strides of eight bytes, is held to.

/// The fields of a valid line without its LF. `None`: it is invalid.
pub fn fields(line: &[u8]) -> Option<Vec<&[u8]>> {
    let between = |byte: &u8| b" \t\n\x0b\x0c\r".contains(byte);
    let fields: Vec<&[u8]> = line
        .split(between)
        .filter(|field| !field.is_empty())
        .collect();
    let is_valid = match fields[..] {
        [b"IAMAT", id, position, time] => is_report(id, position, time),
        [b"AT", _, skew, id, position, time] => is_skew(skew) && is_report(id, position, time),
        [b"WHATSAT", id, radius, bound] => {
            let bounded = is_digits(bound) && at_most(bound, b"", b"20");
            id.len() <= 4096 && is_decimal_at_most(radius, b"50") && bounded
        }
        [b"PEER", _] => true,
        _ => false,
    };
    is_valid.then_some(fields)
}

fn is_report(id: &[u8], position: &[u8], time: &[u8]) -> bool {
    let is_sign = |byte: &u8| b"+-".contains(byte);
    let Some(second) = position.iter().skip(1).position(is_sign) else {
        return false;
    };
    let (latitude, longitude) = position.split_at(second + 1);
    let within = |degrees: &[u8], limit: &[u8]| {
        degrees.first().is_some_and(is_sign) && is_decimal_at_most(&degrees[1..], limit)
    };
    id.len() <= 4096
        && within(latitude, b"90")
        && within(longitude, b"180")
        && decimal(time).is_some()
}

fn is_skew(text: &[u8]) -> bool {
    let Some((b'+' | b'-', number)) = text.split_first() else {
        return false;
    };
    let mut parts = number.splitn(2, |byte| b"eE".contains(byte));
    let exponent = parts.nth(1).is_none_or(|exponent| match exponent {
        [b'+' | b'-', digits @ ..] | digits => is_digits(digits),
    });
    let mut parts = number.splitn(2, |byte| b"eE".contains(byte));
    exponent && parts.next().and_then(decimal).is_some()
}

fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// What stands before the point and behind it.
fn decimal(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(point) = text.iter().position(|&byte| byte == b'.') else {
        return is_digits(text).then_some((text, b""));
    };
    let (whole, fraction) = (&text[..point], &text[point + 1..]);
    (is_digits(whole) && is_digits(fraction)).then_some((whole, fraction))
}

fn is_decimal_at_most(text: &[u8], limit: &[u8]) -> bool {
    decimal(text).is_some_and(|(whole, fraction)| at_most(whole, fraction, limit))
}

/// As at school: the longer number is greater, of two as long the one whose first other digit is.
fn at_most(whole: &[u8], fraction: &[u8], limit: &[u8]) -> bool {
    let zeros = whole.iter().take_while(|&&digit| digit == b'0').count();
    let whole = &whole[zeros..];
    let nothing_behind = fraction.iter().all(|&digit| digit == b'0');
    match (whole.len().cmp(&limit.len())).then_with(|| whole.cmp(limit)) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => nothing_behind,
        std::cmp::Ordering::Greater => false,
    }
}

/// A valid decimal in units of 10^-`places`, what is beyond them cut off. `None` beyond `u64`.
pub fn scaled(text: &[u8], places: usize) -> Option<u64> {
    let (whole, fraction) = decimal(text)?;
    let fraction = fraction.iter().chain(std::iter::repeat(&b'0')).take(places);
    let digits = whole.iter().chain(fraction);
    let value = digits.fold(0u128, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u128::from(digit - b'0'))
    });
    u64::try_from(value).ok()
}
