//! What the machine works on in a turn, and what it wants of others.

use std::time::Duration;

use super::notice::Notice;
use crate::herd::{At, Replica};

/// What the machine is lent.
pub struct Turn<'a> {
    /// The time.
    pub now: Duration,
    /// The table.
    pub replica: &'a mut Replica,
    /// What is to be sent.
    pub out: &'a mut Vec<u8>,
    /// What others must know, in order: at most three a message.
    pub events: &'a mut Vec<Event>,
}

/// What others must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The record at this position is news: pass it on to every neighbour.
    News(u32),
    /// A line for the journal.
    Notice(Notice),
}

impl Turn<'_> {
    /// Says something about the machine.
    pub(super) fn say(&mut self, notice: Notice) {
        self.events.push(Event::Notice(notice));
    }

    /// The report at a position.
    pub(super) fn at(&self, position: u32) -> Option<At<'_>> {
        self.replica.store().at(position)
    }
}
