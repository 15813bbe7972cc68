//! The key of a client's id in a bucket. Pure.
//!
//! Every byte outside `[A-Za-z0-9_-]` is written as `=XX`, and so is a `_` in front: the key is one token of a
//! subject, every client of the bucket may ask for it, and no id has the key of another. What begins with
//! `_` is never an id's: such keys are reserved. The key of an id that would be longer than [`KEY_MAX`] is
//! `=H` and its SHA-256.

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::bounds::KEY_MAX;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The key of an id.
pub fn encode(id: &[u8]) -> String {
    let mut key = escaped(id);
    if key.len() > KEY_MAX {
        key = hashed(id);
    }
    key
}

/// The key under which a herd claims the name of a server.
pub fn of_name(name: &str) -> String {
    format!("{CLAIM}{}", escaped(name.as_bytes()))
}

/// What the keys of names begin with: no id's key does.
const CLAIM: &str = "_herd=";

/// The name whose claim a key is.
pub fn name_of(key: &[u8]) -> Option<Vec<u8>> {
    unescaped(key.strip_prefix(CLAIM.as_bytes())?)
}

/// True if no id has this key: somebody else's, or a claim.
pub fn is_reserved(key: &[u8]) -> bool {
    key.starts_with(b"_")
}

/// The id of a key. `None`: it is that of a longer id, or of none.
pub fn decode(key: &[u8]) -> Option<Vec<u8>> {
    unescaped(key).filter(|id| encode(id).as_bytes() == key)
}

fn escaped(bytes: &[u8]) -> String {
    let mut key = String::new();
    for (place, &byte) in bytes.iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-' || (byte == b'_' && place > 0);
        match plain {
            true => key.push(char::from(byte)),
            false => {
                key.push('=');
                push_hex(byte, &mut key);
            }
        }
    }
    key
}

fn unescaped(key: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: Option<&u8>| HEX.iter().position(|hex| Some(hex) == byte);
    let mut bytes = Vec::new();
    let mut rest = key.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'=' => (digit(rest.next())? << 4 | digit(rest.next())?) as u8,
            _ => byte,
        });
    }
    Some(bytes)
}

fn push_hex(byte: u8, key: &mut String) {
    for digit in [byte >> 4, byte & 15] {
        key.push(char::from(HEX[usize::from(digit)]));
    }
}

fn hashed(id: &[u8]) -> String {
    let mut key = String::from("=H");
    // The suite is one of TLS 1.3; without it there would be no hash, and no long id in a bucket.
    if let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() {
        let hash = suite.common.hash_provider.hash(id);
        hash.as_ref()
            .iter()
            .for_each(|&byte| push_hex(byte, &mut key));
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_ids_have_readable_keys() {
        for (id, key) in [
            (&b"kiwi.cs.ucla.edu"[..], "kiwi=2Ecs=2Eucla=2Eedu"),
            (b"a-b_9", "a-b_9"),
            (b"_kv", "=5Fkv"),
            (b"*", "=2A"),
            (b"\xff\x00", "=FF=00"),
            (b"a=b", "a=3Db"),
            (b"\x1f\x21", "=1F=21"),
        ] {
            assert_eq!(encode(id), key);
            assert_eq!(decode(key.as_bytes()).as_deref(), Some(id));
        }
    }

    #[test]
    fn long_ids_are_hashed() {
        let id = [b'a'; KEY_MAX + 1];
        assert_eq!(encode(&id[..KEY_MAX]).as_bytes(), &id[..KEY_MAX]);
        assert_eq!(encode(&id).len(), 66);
        assert_eq!(decode(encode(&id).as_bytes()), None);
        assert_eq!(encode(&[b'.'; KEY_MAX / 3]).len(), KEY_MAX / 3 * 3);
        assert!(encode(&[b'.'; KEY_MAX / 3 + 1]).starts_with("=H"));
        // The hash of "abc", from FIPS 180-4.
        let abc = "=HBA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        assert_eq!(hashed(b"abc"), abc);
    }

    #[test]
    fn no_key_but_an_ids_own_gives_it_back() {
        for key in [
            "_kv",
            "=2a",
            "=41",
            "a.b",
            "=",
            "=H",
            "=4",
            "a b",
            "_herd=Clark",
        ] {
            assert_eq!(decode(key.as_bytes()), None, "{key}");
        }
        assert_eq!(
            name_of(of_name("Clark.2").as_bytes()).as_deref(),
            Some(&b"Clark.2"[..])
        );
        assert_eq!(name_of(b"Clark"), None);
        assert!(is_reserved(of_name("Clark").as_bytes()) && !is_reserved(encode(b"_a").as_bytes()));
    }
}
