//! The secret that pays: a Places API key, shown to nobody. Pure.

use std::fmt::{self, Debug, Display, Formatter};

/// The longest key, in bytes. Google's have 39.
pub const KEY_MAX: usize = 256;

/// What stands where a key stood.
const STRUCK: &str = "***";

/// An API key. Prints as `***`, so that no log, error or panic can show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Reads a key as a file or an environment variable holds it: visible ASCII, 1 to [`KEY_MAX`]
    /// bytes, white space at the ends ignored. The error says what was expected and nothing of
    /// what came.
    pub fn parse(text: &[u8]) -> Result<Key, &'static str> {
        let text = text.trim_ascii();
        match str::from_utf8(text) {
            _ if text.is_empty() => Err("the Places key is empty"),
            _ if text.len() > KEY_MAX => Err("the Places key is longer than 256 bytes"),
            Ok(key) if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Key(key.to_string())),
            _ => Err("the Places key holds something else than visible ASCII characters"),
        }
    }

    /// The key itself, for the request and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Appends JSON text to `out` with `***` wherever the key stands in one of its strings: as it
    /// is, with any of its characters escaped as JSON may escape them, or percent-encoded as in an
    /// address. Text without the key comes out as it went in, and valid JSON stays valid.
    pub fn strike_out(&self, json: &str, out: &mut Vec<u8>) {
        let text = json.as_bytes();
        let mut copied = 0;
        let mut at = 0;
        let mut in_string = false;
        while let Some((unit, next)) = plain(text, at) {
            in_string ^= matches!(unit, Unit::Quote);
            let Some(end) = self.end_at(text, at).filter(|_| in_string) else {
                at = next;
                continue;
            };
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(STRUCK.as_bytes());
            copied = end;
            at = end;
        }
        out.extend_from_slice(&text[copied..]);
    }

    /// Where the key ends that begins at `at`, if one does: all of it percent-decoded or none.
    fn end_at(&self, text: &[u8], at: usize) -> Option<usize> {
        let end = |next_unit: NextUnit| {
            (self.0.bytes()).try_fold(at, |at, byte| match next_unit(text, at) {
                Some((Unit::Character(found), next)) if found == byte => Some(next),
                _ => None,
            })
        };
        end(plain).or_else(|| end(percent_decoded))
    }
}

impl Debug for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(STRUCK)
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(STRUCK)
    }
}

/// What JSON text holds at one place.
#[derive(Clone, Copy)]
enum Unit {
    /// A character of a string, unescaped, or a byte of one beyond ASCII; outside strings any byte.
    Character(u8),
    /// The beginning or the end of a string.
    Quote,
    /// An escape for what cannot be part of a key.
    Other,
}

/// The unit at a place of a text, and where the next one begins. `None` at the end of the text.
type NextUnit = fn(&[u8], usize) -> Option<(Unit, usize)>;

/// As JSON writes it.
fn plain(text: &[u8], at: usize) -> Option<(Unit, usize)> {
    let unit = match text.get(at..)? {
        [] => return None,
        [b'\\', b'u', a, b, c, d, ..] => {
            let code = [a, b, c, d]
                .iter()
                .try_fold(0, |code, &&digit| Some(code * 16 + hex(digit)?));
            let character = code.and_then(|code: u32| u8::try_from(code).ok());
            return Some((character.map_or(Unit::Other, Unit::Character), at + 6));
        }
        [b'\\', byte @ (b'"' | b'\\' | b'/'), ..] => return Some((Unit::Character(*byte), at + 2)),
        [b'\\', _, ..] => return Some((Unit::Other, at + 2)),
        [b'"', ..] => Unit::Quote,
        [byte, ..] => Unit::Character(*byte),
    };
    Some((unit, at + 1))
}

/// As JSON writes an address, where `%41` is one character.
fn percent_decoded(text: &[u8], at: usize) -> Option<(Unit, usize)> {
    let first = plain(text, at)?;
    let digit = |at| match plain(text, at) {
        Some((Unit::Character(digit), next)) => Some((hex(digit)?, next)),
        _ => None,
    };
    let (Unit::Character(b'%'), after) = first else {
        return Some(first);
    };
    let decoded = digit(after).and_then(|(high, after)| {
        let (low, next) = digit(after)?;
        let byte = u8::try_from(high * 16 + low).ok()?;
        Some((Unit::Character(byte), next))
    });
    Some(decoded.unwrap_or(first))
}

fn hex(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(key: &str, json: &str) -> String {
        let mut out = b"before".to_vec();
        Key::parse(key.as_bytes())
            .unwrap()
            .strike_out(json, &mut out);
        String::from_utf8(out)
            .unwrap()
            .strip_prefix("before")
            .unwrap()
            .to_string()
    }

    #[test]
    fn what_is_a_key() {
        for good in ["AIzaSy-_09", " k\n", "!~", &"x".repeat(KEY_MAX)] {
            let key = Key::parse(good.as_bytes()).unwrap();
            assert_eq!(key.expose(), good.trim());
        }
        let long = "x".repeat(KEY_MAX + 1);
        for bad in ["", " \r\n", "two words", "a\tb", "a\0b", "clé", &long] {
            assert!(Key::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Key::parse(b"a\xff").is_err());
    }

    #[test]
    fn a_key_prints_as_stars() {
        let key = Key::parse(b"SENTINEL").unwrap();
        let shown = format!("{key} {key:?} {:?} {key:#?}", Some(&key));
        assert_eq!(shown, "*** *** Some(***) ***");
    }

    #[test]
    fn the_key_is_struck_out_in_every_form() {
        for (key, json, wanted) in [
            ("Key-1", r#"{"a":"no key"}"#, r#"{"a":"no key"}"#),
            ("Key-1", r#"["Key-1"]"#, r#"["***"]"#),
            ("Key-1", r#"["KKey-1Key-1y"]"#, r#"["K******y"]"#),
            (
                "Key-1",
                r#"["K\u0065y-1","\u004bey\u002D1"]"#,
                r#"["***","***"]"#,
            ),
            (
                "Key-1",
                r#"["?key=Key%2d1\u0026x"]"#,
                r#"["?key=***\u0026x"]"#,
            ),
            (
                "Key-1",
                r#"["Key\u00252D1","%4B%65y-%31"]"#,
                r#"["***","***"]"#,
            ),
            (
                "a/b+c",
                r#"["a\/b+c","a%2Fb%2Bc","a/b\u002bc"]"#,
                r#"["***","***","***"]"#,
            ),
            (r#"a"b\c"#, r#"["a\"b\\c"]"#, r#"["***"]"#),
            // The key has the form of an encoding.
            ("a%x", r#"["a%x","a%25x"]"#, r#"["***","***"]"#),
            ("a%2f", r#"["a%2f","a%252f","a/"]"#, r#"["***","***","a/"]"#),
            ("u0041b", r#"["\\u0041b"]"#, r#"["\\***"]"#),
            // The end of a string is not one of its characters, nor is half an escape.
            (r#"a","b"#, r#"["a","b"]"#, r#"["a","b"]"#),
            ("Ab", r#"["\\u0041b","\\Ab"]"#, r#"["\\u0041b","\\***"]"#),
            (
                "Key-1",
                "[\"Kl\u{e9} Key-\u{e9} \\u00e9 \\u4bff %zz %K\"]",
                "[\"Kl\u{e9} Key-\u{e9} \\u00e9 \\u4bff %zz %K\"]",
            ),
            (
                "n",
                r#"{"n":null,"a":"\n\\n"}"#,
                r#"{"***":null,"a":"\n\\***"}"#,
            ),
            ("12", r#"{"12":12,"a":"12"}"#, r#"{"***":12,"a":"***"}"#),
            (
                "a",
                r#"["a\u00e9\u0161\ud83d\ude00a"]"#,
                r#"["***\u00e9\u0161\ud83d\ude00***"]"#,
            ),
        ] {
            assert_eq!(struck(key, json), wanted, "{key} {json}");
        }
    }

    #[test]
    fn broken_text_does_no_harm() {
        for broken in ["\\", "\"\\", "\\u", "\\u00", "\\uzzzz", "%", "%4", "\"%"] {
            assert_eq!(struck("Key-1", broken), broken);
        }
    }
}
