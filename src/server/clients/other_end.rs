//! The other end of links that end by themselves: lines of course servers, and the beginning and the end
//! of a neighbour's short link.

use super::conversation::{Conversation, about};
use crate::herd::{Command, course_form};
use crate::net::{Host, LINE_MAX};
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

    /// `PEER` from a neighbour that has greeted, on its short link. Its own name once more: it has started,
    /// and wants our whole table. Ours: it has said all, and asks whether we took it. So we did, line by
    /// line, and say the same.
    #[cold]
    pub(super) fn heard_on_short_link(&mut self, index: usize, name: &[u8]) -> bool {
        let shared = &mut *self.shared;
        if !shared.config.short_links {
            return false;
        }
        if name == shared.neighbours[index].name.as_bytes() {
            shared.intend(Intent::Asked(index));
            return true;
        }
        let ours = shared.config.name().as_bytes();
        if name != ours {
            return false;
        }
        let taken = [b"PEER ", ours, b"\n"].concat();
        shared.answers.out.extend_from_slice(&taken);
        let about = about(self.inbound);
        shared.goes(self.event_loop, about, taken.trim_ascii_end());
        true
    }
}
