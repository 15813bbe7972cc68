//! The slab of connections.

use slab::Slab;

use super::clients::Inbound;
use super::links::Link;
use super::neighbour::Neighbour;
use super::questions::Upstream;
use crate::event_loop::Token;
use crate::net::Network;

/// One connection: a state machine of its kind.
pub enum Connection<N: Network> {
    /// Accepted: a client, or a neighbour once it has greeted.
    Inbound(Inbound<N::Stream>),
    /// Dialled: our link to a neighbour. Boxed, since there are few and they are large.
    Link(Box<Link<N::Stream>>),
    /// Dialled: a connection to Places. Boxed, since there are few and they are large.
    Upstream(Box<Upstream<N::Stream>>),
}

impl<N: Network> Connection<N> {
    /// The neighbour at its other end, by its place among this server's.
    pub fn neighbour(&self) -> Option<usize> {
        match self {
            Connection::Inbound(inbound) => inbound.neighbour(),
            Connection::Link(link) => Some(link.neighbour()),
            Connection::Upstream(_) => None,
        }
    }

    /// The queued callback to read on runs. (`Callback::Again`.)
    pub fn again_comes(&mut self) {
        match self {
            Connection::Inbound(inbound) => inbound.again_comes(),
            Connection::Link(link) => link.again_comes(),
            Connection::Upstream(upstream) => upstream.again_comes(),
        }
    }

    /// As people call it: `client #3 (127.0.0.1:51234)`.
    pub fn name(&self, token: Token, neighbours: &[Neighbour]) -> String {
        let neighbour = self.neighbour().map(|index| &neighbours[index].name);
        match (self, neighbour) {
            (Connection::Inbound(_), Some(name)) => format!("peer {token:?} ({name})"),
            (Connection::Inbound(inbound), None) => {
                format!("client {token:?} ({})", inbound.address())
            }
            (Connection::Link(_), name) => {
                format!("link {token:?} to {}", name.map_or("nobody", |name| name))
            }
            (Connection::Upstream(_), _) => format!("connection {token:?} to Places"),
        }
    }
}

/// All connections of a server, under tokens that never name two of them.
pub struct Connections<N: Network> {
    slab: Slab<(u32, Connection<N>)>,
    inbound: usize,
    next_generation: u32,
}

impl<N: Network> Connections<N> {
    /// An empty table.
    pub fn new() -> Connections<N> {
        Connections {
            slab: Slab::new(),
            inbound: 0,
            next_generation: 1,
        }
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Number of accepted connections.
    pub fn inbound_len(&self) -> usize {
        self.inbound
    }

    /// The token that the next [`insert`](Connections::insert) will give.
    pub fn next_token(&self) -> Token {
        Token {
            index: self.slab.vacant_key() as u32,
            generation: self.next_generation,
        }
    }

    /// Adds a connection under [`next_token`](Connections::next_token).
    pub fn insert(&mut self, connection: Connection<N>) -> Token {
        let token = self.next_token();
        self.inbound += usize::from(matches!(connection, Connection::Inbound(_)));
        self.slab.insert((token.generation, connection));
        // Zero is never given, so that a token of zeros names nothing.
        self.next_generation = self.next_generation.checked_add(1).unwrap_or(1);
        token
    }

    /// The connection, unless it is closed.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut Connection<N>> {
        match self.slab.get_mut(token.index as usize) {
            Some((generation, connection)) if *generation == token.generation => Some(connection),
            _ => None,
        }
    }

    /// The connection, if it is an accepted one.
    pub fn inbound(&mut self, token: Token) -> Option<&mut Inbound<N::Stream>> {
        match self.get_mut(token)? {
            Connection::Inbound(inbound) => Some(inbound),
            _ => None,
        }
    }

    /// The connection, if it is a link.
    pub fn link(&mut self, token: Token) -> Option<&mut Link<N::Stream>> {
        match self.get_mut(token)? {
            Connection::Link(link) => Some(link),
            _ => None,
        }
    }

    /// The connection, if it is one to Places.
    pub fn upstream(&mut self, token: Token) -> Option<&mut Upstream<N::Stream>> {
        match self.get_mut(token)? {
            Connection::Upstream(upstream) => Some(upstream),
            _ => None,
        }
    }

    /// The connection, to look at.
    pub fn get(&self, token: Token) -> Option<&Connection<N>> {
        let (generation, connection) = self.slab.get(token.index as usize)?;
        (*generation == token.generation).then_some(connection)
    }

    /// The link, to look at.
    pub fn get_link(&self, token: Token) -> Option<&Link<N::Stream>> {
        match self.get(token)? {
            Connection::Link(link) => Some(link),
            _ => None,
        }
    }

    /// All connections, by their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &Connection<N>)> {
        let token = |index: usize, generation: u32| Token {
            index: index as u32,
            generation,
        };
        let slots = self.slab.iter();
        slots.map(move |(index, (generation, connection))| (token(index, *generation), connection))
    }

    /// Takes a connection out.
    pub fn remove(&mut self, token: Token) -> Option<Connection<N>> {
        self.get_mut(token)?;
        let (_, connection) = self.slab.try_remove(token.index as usize)?;
        self.inbound -= usize::from(matches!(connection, Connection::Inbound(_)));
        Some(connection)
    }

    /// The tokens of all accepted connections.
    pub fn inbound_tokens(&self) -> Vec<Token> {
        let inbound = |(_, connection): &(Token, &Connection<N>)| {
            matches!(connection, Connection::Inbound(_))
        };
        self.iter()
            .filter(inbound)
            .map(|(token, _)| token)
            .collect()
    }
}
