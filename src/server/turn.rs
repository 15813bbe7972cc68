//! What one turn of the loop produced for clients.

use std::ops::Range;

use crate::event_loop::Token;

/// Bytes of answers that one turn may gather before they are sent in the middle of it.
pub const TURN_OUTPUT_MAX: usize = 1 << 20;

/// All answers of a turn in one buffer, so that a connection needs none of its own and gets all
/// its answers in one write.
#[derive(Default)]
pub struct Turn {
    /// The answers' bytes, connection after connection.
    pub out: Vec<u8>,
    touched: Vec<(Token, Range<usize>)>,
}

impl Turn {
    /// Notes that the bytes from `start` on are for `token`, which is also looked after at the end
    /// of the turn if there are none.
    pub fn touch(&mut self, token: Token, start: usize) {
        self.touched.push((token, start..self.out.len()));
    }

    /// True if nothing happened.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// True if it is time to send without waiting for the end of the turn.
    pub fn is_full(&self) -> bool {
        self.out.len() > TURN_OUTPUT_MAX
    }

    /// Takes everything out, for sending; give it back with [`Turn::reuse`].
    pub fn take(&mut self) -> Turn {
        std::mem::take(self)
    }

    /// The connections touched, in order, each with its bytes.
    pub fn touched(&self) -> impl Iterator<Item = (Token, &[u8])> {
        self.touched
            .iter()
            .map(|(token, range)| (*token, &self.out[range.clone()]))
    }

    /// Keeps the memory of a turn that was sent for the next one, unless it grew out of proportion
    /// or another turn has begun.
    pub fn reuse(&mut self, mut sent: Turn) {
        sent.out.clear();
        sent.out.shrink_to(TURN_OUTPUT_MAX / 4);
        sent.touched.clear();
        sent.touched.shrink_to(4096);
        if self.is_empty() && self.out.is_empty() {
            *self = sent;
        }
    }
}
