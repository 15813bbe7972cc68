//! Takes a secret out of a stream of bytes, whatever pieces it comes in.

/// What stands for each byte of the secret.
const STAR: u8 = b'*';

/// With at least this much of the secret at the end of a piece, it is taken for the secret before
/// the rest has come. Less than this of it may be seen.
const SUSPECT: usize = 4;

/// Masks one secret in one stream.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    secret: Vec<u8>,
    /// How much of the secret stood at the end of the pieces so far.
    matched: usize,
}

impl Mask {
    /// Masks `secret`; an empty one: nothing.
    pub fn new(secret: &str) -> Mask {
        Mask {
            secret: secret.into(),
            matched: 0,
        }
    }

    /// Masks the next piece. A piece that ends in the beginning of the secret has that masked too,
    /// since it may be written before the rest comes; so a stream that only begins to look like the
    /// secret can lose a few bytes of what it said.
    pub fn apply(&mut self, piece: &mut [u8]) {
        if self.secret.is_empty() {
            return;
        }
        for end in 1..=piece.len() {
            self.matched = self.extended(piece[end - 1]);
            if self.matched == self.secret.len() {
                piece[end.saturating_sub(self.matched)..end].fill(STAR);
                self.matched = 0;
            }
        }
        if self.matched >= SUSPECT {
            let from = piece.len().saturating_sub(self.matched);
            piece[from..].fill(STAR);
        }
    }

    /// The longest beginning of the secret that ends with what was matched and `byte`.
    fn extended(&self, byte: u8) -> usize {
        let fits = |length: &usize| {
            let before = length - 1;
            self.secret[before] == byte
                && self.secret[..before] == self.secret[self.matched - before..self.matched]
        };
        (1..=self.matched + 1).rev().find(fits).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn the_secret_is_gone_at_every_split() {
        let secret = "AIzaAIzbAIza0";
        let text = format!("x {secret}, AIzaAIzb{secret}{secret} AIz");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut mask = Mask::new(secret);
                let mut bytes = text.clone().into_bytes();
                for range in [0..first, first..second, second..text.len()] {
                    mask.apply(&mut bytes[range]);
                }
                let masked = String::from_utf8(bytes).expect("ASCII");
                assert_eq!(masked.len(), text.len());
                assert!(!masked.contains(&secret[4..]), "{first} {second} {masked}");
                assert!(
                    masked.starts_with("x ") && masked.contains(", "),
                    "{masked}"
                );
            }
        }
    }

    #[test]
    fn without_the_secret_nothing_is_lost() {
        let mut bytes = b"AI AIz a key, AIzaSy".to_vec();
        Mask::new("AIza-12345").apply(&mut bytes[..17]);
        assert_eq!(bytes, b"AI AIz a key, AIzaSy");
        Mask::new("").apply(&mut bytes);
        assert_eq!(bytes, b"AI AIz a key, AIzaSy");
    }
}
