//! The other end of links that end by themselves: lines of course servers, and the beginning and the end
//! of a neighbour's short link.

use super::conversation::{Conversation, about};
use super::inbound::Inbound;
use crate::herd::{Command, course_form};
use crate::net::{Host, LINE_MAX};
use crate::server::callback::Loop;
use crate::server::desk::Shared;
use crate::server::intent::Intent;

impl<H: Host> Conversation<'_, H> {
    /// What a course server may have written in its own way.
    #[cold]
    pub(super) fn heard_from_course(&mut self, line: &[u8]) -> bool {
        // With its sign the line may be longer than any neighbour takes.
        let form = course_form(line).filter(|form| form.len() <= LINE_MAX);
        match form.as_deref().map(Command::parse) {
            Some(Some(Command::At(at))) => self.heard(&at, None),
            _ => false,
        }
    }

    /// `PEER name` once more: with short links, it has started and wants our whole table.
    pub(super) fn asked(&mut self, index: usize, name: &[u8]) -> bool {
        let its = self.shared.neighbours[index].name.as_bytes();
        let asks = self.shared.config.short_links && name == its;
        if asks {
            self.shared.intend(Intent::Asked(index));
        }
        asks
    }
}

/// A neighbour has ended its short link, and all that it said was taken: so we say, as our own end alone
/// might mean anything.
#[cold]
pub fn all_is_taken<H: Host>(
    inbound: &Inbound<H::Stream>,
    shared: &mut Shared,
    event_loop: &mut Loop<H>,
) {
    let taken = [b"PEER ", shared.config.name().as_bytes(), b"\n"].concat();
    shared.answers.out.extend_from_slice(&taken);
    shared.goes(event_loop, about(inbound), &taken[..taken.len() - 1]);
}
