//! What one part wants of another, as data: the node carries it on behind the callback in which it
//! came up, so that no part calls another.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::event_loop::Token;

/// What a part wants of another.
#[derive(Debug)]
pub enum Intent {
    /// A client asks what is near somebody, and waits: a question to Places.
    Ask(Waiter, Inquiry),
    /// Places' answer to one who waits.
    Answer(Waiter, Rc<[u8]>),
    /// A neighbour has greeted us on this connection: it is worth dialling now.
    Greeted(usize, Token),
    /// A neighbour has greeted twice: it has started, and wants our whole table.
    Asked(usize),
    /// A descriptor is free again: that of an accepted connection, from this address, or another.
    Freed(Option<SocketAddr>),
}

/// A client that waits.
#[derive(Debug)]
pub struct Waiter {
    /// Its connection.
    pub token: Token,
    /// The AT line that its answer begins with, LF included.
    pub at: Vec<u8>,
    /// How many results it wants at most.
    pub bound: u8,
}

/// What is asked. Equal inquiries that are under way at the same time share one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Degrees, as the client wrote them.
    pub latitude: Vec<u8>,
    /// The same.
    pub longitude: Vec<u8>,
    /// How far around.
    pub radius_metres: u32,
    /// How many places; always the same for the legacy API, which cannot be asked for a number.
    pub bound: u8,
}
