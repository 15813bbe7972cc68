//! Who is at the inspection listener: where each one is with its request, and who goes when there
//! is no place left.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event_loop::{Handle, Token};
use crate::net::Transport;
use crate::worlds::os::OsStream;

/// Visitors at once; one more takes the place of the one that asked least lately.
pub const VISITORS_MAX: usize = 32;

/// Where a visitor is with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its request is not complete.
    Asking,
    /// Its command is with the driver.
    Waiting,
    /// It gets the next view.
    Curious,
    /// It gets every view.
    Subscribed,
    /// Its answer goes out, then the connection ends.
    Leaving,
}

/// One of them.
pub struct Visitor {
    /// Its connection.
    pub transport: Transport<OsStream>,
    /// Its request, as far as it has come.
    pub input: Vec<u8>,
    /// Bytes that came behind its request.
    pub noise: usize,
    /// Where it is.
    pub phase: Phase,
    /// A subscriber's unsent bytes when it was last looked after.
    pub stuck: Option<(usize, Duration)>,
    /// There is a view for it.
    pub owed: bool,
    /// Ends our patience with it.
    pub deadline: Handle,
    /// How many came or asked before it did last.
    asked: u64,
}

/// All of them.
#[derive(Default)]
pub struct Visitors {
    all: BTreeMap<Token, Visitor>,
    asked: u64,
}

impl Visitors {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// One came.
    pub fn insert(&mut self, transport: Transport<OsStream>, deadline: Handle) {
        self.asked += 1;
        let visitor = Visitor {
            input: Vec::new(),
            noise: 0,
            phase: Phase::Asking,
            stuck: None,
            owed: false,
            deadline,
            asked: self.asked,
            transport,
        };
        self.all.insert(visitor.transport.token(), visitor);
    }

    /// One of them.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut Visitor> {
        self.all.get_mut(&token)
    }

    /// One goes.
    pub fn remove(&mut self, token: Token) -> Option<Visitor> {
        self.all.remove(&token)
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut Visitor)> {
        self.all
            .iter_mut()
            .map(|(token, visitor)| (*token, visitor))
    }

    /// True if one is in this phase.
    pub fn any(&self, phase: Phase) -> bool {
        self.all.values().any(|one| one.phase == phase)
    }

    /// One has asked for something, or is answered.
    pub fn turn_to(&mut self, token: Token, phase: Phase) {
        self.asked += 1;
        if let Some(visitor) = self.all.get_mut(&token) {
            visitor.phase = phase;
            visitor.asked = self.asked;
            visitor.input = Vec::new();
        }
    }

    /// Who goes when one more comes and all places are taken: the one that has been here longest
    /// without asking for anything, be it idle, a subscriber or slow to take its answer. `None`: all
    /// wait for what they have asked.
    pub fn stalest(&self) -> Option<Token> {
        let waits = |one: &Visitor| matches!(one.phase, Phase::Waiting | Phase::Curious);
        let others = self.all.iter().filter(|(_, one)| !waits(one));
        others
            .min_by_key(|(_, one)| one.asked)
            .map(|(token, _)| *token)
    }
}
