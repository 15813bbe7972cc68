//! Accepted connections: clients, and neighbours once they have greeted.

mod conversation;
mod deadlines;
mod inbound;
mod part;

pub use conversation::{CLIENT_LINES_A_TURN, PEER_LINES_A_TURN, TOO_LONG_ECHO};
pub use deadlines::{CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, LINGER_DEADLINE, LINGER_MAX};
pub use inbound::{Inbound, UNSENT_HIGH, UNSENT_LOW};
pub use part::Clients;
