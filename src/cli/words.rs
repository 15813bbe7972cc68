//! The words of the command line. getopts takes text alone, and a file may have any name: a byte
//! that belongs to no text stands as one of the last 256 characters there are, and so does each byte
//! of those characters themselves. So every word comes back as it was.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The character that stands for byte 0; that for 255 is the last of all.
const BYTE_0: u32 = 0x10_ff00;

/// A word as text.
pub fn text(word: &OsStr) -> String {
    let mut text = String::new();
    for chunk in word.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match u32::from(character) < BYTE_0 {
                true => text.push(character),
                false => stand_for(character.encode_utf8(&mut [0; 4]).as_bytes(), &mut text),
            }
        }
        stand_for(chunk.invalid(), &mut text);
    }
    text
}

fn stand_for(bytes: &[u8], text: &mut String) {
    let standing = bytes.iter().map(|byte| BYTE_0 + u32::from(*byte));
    text.extend(standing.filter_map(char::from_u32));
}

/// The word that a text stands for.
pub fn os(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(u32::from(character).wrapping_sub(BYTE_0)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    OsString::from_vec(bytes)
}

/// A word as a shell takes it.
pub fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,+@%".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back() {
        let words: [&[u8]; 7] = [
            b"",
            b"Clark",
            b"\xff",
            b"j\xe9.log",
            "Zo\u{eb}.log".as_bytes(),
            // Characters that stand for bytes, and the beginning of one.
            "\u{10ffff}\u{10ff00}".as_bytes(),
            b"\xf4\x8f\xbf",
        ];
        for word in words {
            let word = OsStr::from_bytes(word);
            assert_eq!(os(&text(word)), word);
        }
        assert_eq!(text(OsStr::new("Zo\u{eb}.log")), "Zo\u{eb}.log");
    }

    #[test]
    fn a_shell_takes_it_as_one_word() {
        for (word, wanted) in [
            ("--herd=my.json", "--herd=my.json"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("{name}", "'{name}'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), wanted);
        }
    }
}
