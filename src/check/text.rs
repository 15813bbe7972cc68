//! The bytes of a case: what is sent, and what an answer must look like. Pure.
//!
//! ```text
//! "IAMAT ${id} +34.068930-118.445127 ${now}\n"      sent as it stands, the two values filled in
//! "AT Bailey ${skew} ${id} +34.068930-118.445127 ${now}\n"      a sign, digits, a point, nine digits
//! ```

use std::collections::BTreeMap;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A value of the case: `id`, `id2`, `now`, `now-100`, …
    Value(String),
    /// In an answer: a skew, of any value or about this one.
    Skew(Option<About>),
}

/// What a skew is to be, in milliseconds. If a case writes it with decimals, its fraction counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    least: i64,
    wanted: i64,
    most: i64,
}

impl About {
    fn parse(seconds: &str) -> Option<About> {
        let number: f64 = seconds.parse().ok()?;
        let wanted = (number * 1e3).round() as i64;
        let (below, above) = match seconds.contains('.') {
            true => FRACTION_TOLERANCE,
            false => (SKEW_TOLERANCE, SKEW_TOLERANCE),
        };
        Some(About {
            least: wanted - below,
            wanted,
            most: wanted + above,
        })
    }

    fn seconds(self) -> f64 {
        self.wanted as f64 / 1e3
    }
}

/// A text with values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Vec<Part>);

/// How far a skew may be from what is expected, in milliseconds: clocks are not set that well.
const SKEW_TOLERANCE: i64 = 5_000;
/// How far below and above if the fraction counts: a report takes a moment, and never less than none.
const FRACTION_TOLERANCE: (i64, i64) = (100, 2_000);

/// Why an answer is none that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The first byte of the answer that differs.
    pub at: usize,
    /// What was expected from there on.
    pub expected: String,
}

impl Text {
    /// Reads what stands between two quotation marks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(quoted: &str) -> Result<Text, String> {
        let mut parts = Vec::new();
        let mut bytes = Vec::new();
        let mut rest = quoted;
        while let Some(first) = rest.chars().next() {
            if let Some(behind) = rest.strip_prefix("${") {
                let (name, behind) = behind.split_once('}').ok_or("${ without }")?;
                if !bytes.is_empty() {
                    parts.push(Part::Bytes(std::mem::take(&mut bytes)));
                }
                parts.push(part(name)?);
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix('\\') {
                let (byte, length) = escaped(behind)?;
                bytes.push(byte);
                rest = &behind[length..];
            } else {
                bytes.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[first.len_utf8()..];
            }
        }
        if !bytes.is_empty() {
            parts.push(Part::Bytes(bytes));
        }
        Ok(Text(parts))
    }

    /// The bytes to send.
    pub fn bytes(&self, values: &Values) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in &self.0 {
            match part {
                Part::Bytes(plain) => bytes.extend_from_slice(plain),
                Part::Value(name) => bytes.extend_from_slice(values.get(name).as_bytes()),
                Part::Skew(_) => {}
            }
        }
        bytes
    }

    /// What is expected, for people.
    pub fn shown(&self, values: &Values) -> String {
        let part = |part: &Part| match part {
            Part::Bytes(plain) => plain.escape_ascii().to_string(),
            Part::Value(name) => values.get(name),
            Part::Skew(None) => String::from("(skew)"),
            Part::Skew(Some(about)) => format!("(skew of about {:+})", about.seconds()),
        };
        self.0.iter().map(part).collect()
    }

    /// Looks whether an answer is as graders take it: white space does not count, nor how a skew is printed.
    pub fn forgives(&self, answer: &[u8], values: &Values) -> bool {
        const NUMBER: u8 = 1;
        let mut wanted = Vec::new();
        for part in &self.0 {
            match part {
                Part::Bytes(plain) => wanted.extend_from_slice(plain),
                Part::Value(name) => wanted.extend_from_slice(values.get(name).as_bytes()),
                Part::Skew(_) => wanted.push(NUMBER),
            }
        }
        let (wanted, found) = (fields(&wanted), fields(answer));
        let is_same = |(wanted, found): (&&[u8], &&[u8])| match *wanted {
            [NUMBER] => str::from_utf8(found).is_ok_and(|it| it.parse::<f64>().is_ok()),
            plain => plain == *found,
        };
        wanted.len() == found.len() && wanted.iter().zip(&found).all(is_same)
    }

    /// Looks whether an answer is as expected.
    ///
    /// # Errors
    /// Where it differs first.
    pub fn matches(&self, answer: &[u8], values: &Values) -> Result<(), Mismatch> {
        let mut at = 0;
        for part in &self.0 {
            at += match part {
                Part::Bytes(plain) => literal(plain, answer, at)?,
                Part::Value(name) => literal(values.get(name).as_bytes(), answer, at)?,
                Part::Skew(wanted) => skew(*wanted, answer, at)?,
            };
        }
        match at == answer.len() {
            true => Ok(()),
            false => Err(mismatch(at, "the end of the line")),
        }
    }
}

fn fields(bytes: &[u8]) -> Vec<&[u8]> {
    let fields = bytes.split(u8::is_ascii_whitespace);
    fields.filter(|field| !field.is_empty()).collect()
}

fn part(name: &str) -> Result<Part, String> {
    if let Some(number) = name.strip_prefix("skew") {
        let seconds = match number.is_empty() {
            true => None,
            false => Some(About::parse(number).ok_or_else(|| format!("${{{name}}}"))?),
        };
        return Ok(Part::Skew(seconds));
    }
    match name.starts_with("id") || name.starts_with("now") || name == "t" || name == "at" {
        true => Ok(Part::Value(name.to_string())),
        false => Err(format!("${{{name}}} is nothing that a case knows")),
    }
}

fn escaped(behind: &str) -> Result<(u8, usize), String> {
    let byte = match behind.as_bytes().first() {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'f') => 0x0c,
        Some(b'v') => 0x0b,
        Some(b'0') => 0,
        Some(plain @ (b'\\' | b'"')) => *plain,
        Some(b'x') => {
            let hex = behind.get(1..3).unwrap_or_default();
            let byte = u8::from_str_radix(hex, 16);
            return byte.map(|byte| (byte, 3)).map_err(|_| format!("\\x{hex}"));
        }
        _ => return Err(format!("\\{behind}")),
    };
    Ok((byte, 1))
}

fn mismatch(at: usize, expected: &str) -> Mismatch {
    let expected = expected.to_string();
    Mismatch { at, expected }
}

fn literal(plain: &[u8], answer: &[u8], at: usize) -> Result<usize, Mismatch> {
    let rest = &answer[at.min(answer.len())..];
    if rest.starts_with(plain) {
        return Ok(plain.len());
    }
    let same = rest.iter().zip(plain).take_while(|(a, b)| a == b).count();
    Err(mismatch(
        at + same,
        &format!("\"{}\"", plain[same..].escape_ascii()),
    ))
}

fn skew(wanted: Option<About>, answer: &[u8], at: usize) -> Result<usize, Mismatch> {
    let rest = &answer[at.min(answer.len())..];
    let length = rest.iter().take_while(|byte| !byte.is_ascii_whitespace());
    let length = length.count();
    let text = String::from_utf8_lossy(&rest[..length]).into_owned();
    let form = "a skew: a sign, digits, a point, nine digits";
    let digits = text
        .strip_prefix(['+', '-'])
        .and_then(|it| it.split_once('.'));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !digits.is_some_and(|(a, b)| all_digits(a) && all_digits(b) && b.len() == 9) {
        return Err(mismatch(at, form));
    }
    let millis = text.parse().map_or(f64::NAN, |seconds: f64| seconds * 1e3);
    let is_far = |about: &About| millis < about.least as f64 || millis > about.most as f64;
    match wanted.filter(is_far) {
        Some(about) => {
            let seconds = about.seconds();
            let expected = format!("a skew of about {seconds:+} s (their clock to ours)");
            Err(mismatch(at, &expected))
        }
        None => Ok(length),
    }
}

/// The values of one run of a case.
#[derive(Clone, Debug, Default)]
pub struct Values {
    values: BTreeMap<String, String>,
    /// Nanoseconds since the Unix epoch.
    now: i128,
}

impl Values {
    /// Ids end in `unique`, so that no other case has them; times are as of `now`.
    pub fn new(unique: &str, now: i128) -> Values {
        let mut values = BTreeMap::new();
        values.insert(String::from("t"), seconds(now));
        values.insert(String::from("unique"), unique.to_string());
        Values { values, now }
    }

    /// Those of one client of many.
    pub fn of(&self, number: u64) -> Values {
        let mut values = self.clone();
        let unique = format!("{}.{number}", self.values.get("unique").map_or("", |it| it));
        values.set("unique", unique);
        values
    }

    /// A value that a case learned: `at`, the last AT line.
    pub fn set(&mut self, name: &str, value: String) {
        self.values.insert(name.to_string(), value);
    }

    fn get(&self, name: &str) -> String {
        if let Some(value) = self.values.get(name) {
            return value.clone();
        }
        if let Some(offset) = name.strip_prefix("now") {
            return seconds(self.now + offset_of(offset));
        }
        format!("{name}-{}", self.values.get("unique").map_or("", |it| it))
    }
}

fn offset_of(text: &str) -> i128 {
    let seconds: f64 = text.parse().unwrap_or(0.0);
    (seconds * 1e9).round() as i128
}

fn seconds(nanos: i128) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values::new("x1", 1_621_464_827_500_000_000)
    }

    #[test]
    fn values_and_escapes_are_filled_in() {
        let text = Text::parse(r#"IAMAT ${id}\t+1-1 ${now-100.25}\xff\0\n"#).expect("a text");
        let bytes = text.bytes(&values());
        assert_eq!(bytes, b"IAMAT id-x1\t+1-1 1621464727.250000000\xff\0\n");
        for wrong in ["${", "${what}", r"\q", r"\xz1"] {
            assert!(Text::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_byte_that_differs_is_found() {
        let text = Text::parse(r#"AT Bailey ${skew} ${id} +1-1 5\n"#).expect("a text");
        let matches = |answer: &str| text.matches(answer.as_bytes(), &values());
        assert_eq!(matches("AT Bailey +0.000000001 id-x1 +1-1 5\n"), Ok(()));
        for (answer, at, expected) in [
            ("AT Bona +0.000000001 id-x1 +1-1 5\n", 4, "\"ailey \""),
            (
                "AT Bailey 1e-05 id-x1 +1-1 5\n",
                10,
                "a skew: a sign, digits, a point, nine digits",
            ),
            (
                "AT Bailey +0.1 id-x1 +1-1 5\n",
                10,
                "a skew: a sign, digits, a point, nine digits",
            ),
            ("AT Bailey +0.000000001 id-x1 +1.0-1 5\n", 31, "\"-1 5\\n\""),
            ("AT Bailey +0.000000001 id-x1 +1-1 5", 35, "\"\\n\""),
            (
                "AT Bailey +0.000000001 id-x1 +1-1 5\nx",
                36,
                "the end of the line",
            ),
        ] {
            let found = matches(answer).expect_err(answer);
            assert_eq!(
                (found.at, found.expected.as_str()),
                (at, expected),
                "{answer}"
            );
        }
        let near = Text::parse("${skew-100}\\n").expect("a text");
        assert!(near.matches(b"-99.500000000\n", &values()).is_ok());
        assert!(near.matches(b"+99.500000000\n", &values()).is_err());
        let exact = Text::parse("${skew86400.25}\\n").expect("a text");
        assert!(exact.matches(b"+86400.250123456\n", &values()).is_ok());
        let cut = exact.matches(b"+86400.000000000\n", &values());
        let expected = cut.expect_err("its fraction is missing").expected;
        assert_eq!(
            expected,
            "a skew of about +86400.25 s (their clock to ours)"
        );
    }
}
