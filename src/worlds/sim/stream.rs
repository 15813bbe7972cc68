//! A simulated stream: two halves, and what travels between them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event_loop::Token;

/// Which end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// The stream.
    pub stream: usize,
    /// 0 dialled, 1 was dialled.
    pub side: usize,
}

impl End {
    pub(super) fn other(self) -> End {
        End {
            side: 1 - self.side,
            ..self
        }
    }
}

/// Who holds an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A node of the simulation.
    Node(usize),
    /// The driver, playing a client.
    Client,
    /// Nobody: closed, or its node died.
    Nobody,
}

#[derive(Debug)]
pub(super) enum Payload {
    Syn,
    SynAck,
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

pub(super) struct Half {
    pub owner: Owner,
    /// Where the owner sits in the network, also after it closed.
    pub node: Option<usize>,
    pub token: Option<Token>,
    pub connected: bool,
    pub received: VecDeque<u8>,
    /// The other side has begun TLS and not finished the handshake.
    pub handshaking: bool,
    /// Its own end was sent.
    pub ended: bool,
    pub fin: bool,
    pub reset: bool,
    /// Bytes sent by this half that the other has not read.
    pub outstanding: usize,
    pub blocked: bool,
    /// When the last piece sent by this half arrives: later pieces arrive later.
    pub last_arrival: Duration,
    /// Pieces that this half sent into a cut.
    pub held: Vec<Payload>,
}

impl Half {
    pub fn new(owner: Owner) -> Half {
        Half {
            owner,
            node: match owner {
                Owner::Node(node) => Some(node),
                _ => None,
            },
            token: None,
            connected: false,
            received: VecDeque::new(),
            handshaking: false,
            ended: false,
            fin: false,
            reset: false,
            outstanding: 0,
            blocked: false,
            last_arrival: Duration::ZERO,
            held: Vec::new(),
        }
    }
}
