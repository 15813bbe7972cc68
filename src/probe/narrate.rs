//! One moment of the loop in words.

use std::fmt::Write;

use super::driver::Moved;
use super::tables::{duration, place, reason};
use crate::worlds::{Exchange, Way};

/// Bytes of one read or write that are shown.
pub const SHOWN_BYTES_MAX: usize = 120;

/// What one moment was, for people.
pub struct Account<'a> {
    /// What moved.
    pub moved: &'a Moved,
    /// The turn it was in.
    pub turn: u64,
    /// What the callback was, or what the poll brought, in words.
    pub says: &'a str,
    /// What was read and written, with the names of the connections.
    pub exchanges: &'a [(String, Exchange)],
    /// What changed because of it.
    pub changes: &'a [String],
}

/// The moment, a line or more.
pub fn narrate(account: &Account<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match account.moved {
        Moved::Polled => writeln!(text, "turn {}: poll: {}", account.turn, account.says),
        Moved::Finished => writeln!(
            text,
            "turn {}: finish: what the turn produced is sent",
            account.turn
        ),
        Moved::Ran(ran) => writeln!(
            text,
            "turn {}: ran: {}\n  queued by {} at {}, waited {}, ran {}",
            account.turn,
            account.says,
            reason(ran.origin),
            place(ran.location),
            duration(ran.waited()),
            duration(ran.took),
        ),
    };
    for (name, exchange) in account.exchanges {
        text.push_str("  ");
        text.push_str(&exchanged(name, exchange));
        text.push('\n');
    }
    for change in account.changes {
        let _ = writeln!(text, "  {change}");
    }
    if account.exchanges.is_empty() && account.changes.is_empty() {
        text.push_str("  nothing else changed\n");
    }
    text
}

fn exchanged(name: &str, exchange: &Exchange) -> String {
    let Exchange { length, bytes, .. } = exchange;
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let mut quoted = match shown.is_empty() {
        true => String::new(),
        false => format!(": \"{}\"", shown.escape_ascii()),
    };
    if shown.len() < *length && !shown.is_empty() {
        quoted.push_str(" ...");
    }
    match exchange.way {
        Way::Read => format!("read {length} bytes from {name}{quoted}"),
        Way::Written => format!("wrote {length} bytes to {name}{quoted}"),
        Way::Decrypted => format!("TLS of {name} gave {length} bytes{quoted}"),
        Way::End => format!("read the end of {name}'s stream"),
        Way::Failed => format!("{name} failed{quoted}"),
        Way::Closed => format!("closed {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_loop::Token;

    #[test]
    fn long_bytes_are_cut_and_strange_ones_escaped() {
        let exchange = |way, bytes: &[u8]| Exchange {
            token: Token::from_bits(3),
            way,
            length: bytes.len(),
            bytes: bytes.to_vec(),
        };
        let said = exchanged("client #3", &exchange(Way::Read, b"a\n\x1b[2J"));
        assert_eq!(said, "read 6 bytes from client #3: \"a\\n\\x1b[2J\"");
        let said = exchanged("client #3", &exchange(Way::Written, &[b'x'; 500]));
        assert!(said.len() < 200 && said.ends_with(" ..."), "{said}");
        let said = exchanged("link #1", &exchange(Way::Closed, b""));
        assert_eq!(said, "closed link #1");
    }
}
