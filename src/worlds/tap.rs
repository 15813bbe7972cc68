//! What one step of the loop read and wrote, kept for whoever looks.

use crate::event_loop::Token;

/// Exchanges kept for one step; later ones are dropped.
pub const EXCHANGES_MAX: usize = 256;
/// Bytes kept of all exchanges of one step; what is more is counted only.
pub const EXCHANGED_BYTES_MAX: usize = 256 * 1024;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the other side to us.
    Read,
    /// From us to the other side.
    Written,
    /// What TLS made of what was read.
    Decrypted,
    /// The other side ended.
    End,
    /// The connection failed.
    Failed,
    /// We closed the connection.
    Closed,
}

/// One read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Whose connection.
    pub token: Token,
    /// Which way.
    pub way: Way,
    /// How many bytes.
    pub length: usize,
    /// The bytes, as far as they are kept; none of a TLS connection's ciphertext. Why it failed, if
    /// it did.
    pub bytes: Vec<u8>,
}

/// Keeps the exchanges of one step.
#[derive(Debug, Default)]
pub struct Tap {
    exchanges: Vec<Exchange>,
    kept: usize,
}

impl Tap {
    /// Notes one; `bytes` may be fewer than `length`.
    pub fn note(&mut self, token: Token, way: Way, length: usize, bytes: &[u8]) {
        if self.exchanges.len() >= EXCHANGES_MAX {
            return;
        }
        let room = EXCHANGED_BYTES_MAX - self.kept;
        let bytes = &bytes[..bytes.len().min(room)];
        self.kept += bytes.len();
        self.exchanges.push(Exchange {
            token,
            way,
            length,
            bytes: bytes.to_vec(),
        });
    }

    /// Takes all out.
    pub fn take(&mut self) -> Vec<Exchange> {
        self.kept = 0;
        std::mem::take(&mut self.exchanges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let mut tap = Tap::default();
        let token = Token::from_bits(1);
        let piece = vec![0; EXCHANGED_BYTES_MAX / 2 + 1];
        for _ in 0..2 * EXCHANGES_MAX {
            tap.note(token, Way::Read, piece.len(), &piece);
        }
        let exchanges = tap.take();
        assert_eq!(exchanges.len(), EXCHANGES_MAX);
        let kept: usize = exchanges.iter().map(|exchange| exchange.bytes.len()).sum();
        assert_eq!(kept, EXCHANGED_BYTES_MAX);
        assert_eq!(exchanges[2].length, piece.len());
        tap.note(token, Way::Written, 1, b"x");
        assert_eq!(tap.take()[0].bytes, b"x");
        assert!(tap.take().is_empty());
    }
}
