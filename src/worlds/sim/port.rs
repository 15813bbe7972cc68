//! Where a node meets the network: its doors, and what has something new to tell.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::stream::End;
use crate::event_loop::Token;

/// Where a node listens, or has listened.
struct Door {
    address: SocketAddr,
    listens: bool,
    waiting: VecDeque<End>,
}

/// What has something new to tell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Listener(Token),
    Stream(End),
}

#[derive(Default)]
pub(super) struct Port {
    /// By the listener's token.
    doors: BTreeMap<Token, Door>,
    /// Jobs that are done, told at the next poll: names asked for, snapshots.
    pub jobs: Vec<(u64, Result<Vec<SocketAddr>, String>)>,
    pub answers: BTreeMap<u64, Result<Vec<SocketAddr>, String>>,
    /// How many more connections it may take; `None`: any number.
    pub descriptors: Option<usize>,
    /// Its next poll tells nothing.
    pub interrupted: bool,
    /// How long its turn has taken so far, by what it paid.
    pub spent: Duration,
    /// Signals that the next poll tells of.
    pub signals: Vec<i32>,
    /// epoll's ready list.
    pub ready: BTreeSet<Source>,
}

impl Port {
    /// The node dies: all it keeps are its addresses.
    pub fn unplug(&mut self) {
        let mut doors = std::mem::take(&mut self.doors);
        for door in doors.values_mut() {
            door.listens = false;
            door.waiting.clear();
        }
        *self = Port {
            doors,
            ..Port::default()
        };
    }

    /// Listens here too.
    pub fn open(&mut self, token: Token, address: SocketAddr) {
        let door = Door {
            address,
            listens: true,
            waiting: VecDeque::new(),
        };
        self.doors.insert(token, door);
    }

    /// Stops listening; the connections that waited.
    pub fn close(&mut self, token: Token) -> VecDeque<End> {
        let Some(door) = self.doors.get_mut(&token) else {
            return VecDeque::new();
        };
        door.listens = false;
        std::mem::take(&mut door.waiting)
    }

    /// The connections that wait at a door, if it is open.
    pub fn waiting(&mut self, token: Token) -> Option<&mut VecDeque<End>> {
        let door = self.doors.get_mut(&token)?;
        door.listens.then_some(&mut door.waiting)
    }

    /// The door that has this address, open or not.
    pub fn door_at(&self, address: SocketAddr) -> Option<Token> {
        let mut doors = self.doors.iter();
        doors.find_map(|(&token, door)| (door.address == address).then_some(token))
    }
}
