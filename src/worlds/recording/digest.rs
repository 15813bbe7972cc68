//! A digest of bytes: equal bytes have equal digests in every build of every version.

use std::hash::{Hash, Hasher};

use crate::worlds::mix::mix;

/// How many bytes, and 32 bits of hash: enough to notice a difference, not to keep a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Number of bytes.
    pub length: u64,
    /// Their hash.
    pub hash: u32,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Fixed::default();
        hasher.write(bytes);
        Digest {
            length: bytes.len() as u64,
            hash: hasher.finish() as u32,
        }
    }

    /// The hash of a value that can be hashed.
    pub fn value(value: &impl Hash) -> u32 {
        let mut hasher = Fixed::default();
        value.hash(&mut hasher);
        hasher.finish() as u32
    }
}

/// The standard library promises no algorithm for its hashers; this one stays.
#[derive(Clone, Default)]
pub(super) struct Fixed(u64);

impl Hasher for Fixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ word);
    }

    // Otherwise these would go through `write` with the machine's byte order and word size.
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn equal_bytes_and_only_they_are_equal() {
        let texts: [&[u8]; 8] = [
            b"",
            b"\0",
            b"\0\0",
            b"a",
            b"12345678",
            b"12345678\0",
            b"123456789",
            b"123456798",
        ];
        for (i, one) in texts.iter().enumerate() {
            for (j, other) in texts.iter().enumerate() {
                assert_eq!(
                    Digest::of(one) == Digest::of(other),
                    i == j,
                    "{one:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn it_is_the_same_in_every_build() {
        // A changed figure here means that older recordings cannot be replayed any more.
        assert_eq!(Digest::of(b"AT Clark").hash, FIXED);
    }

    const FIXED: u32 = 1_556_926_820;
}
