//! Accepted connections: clients, and neighbours once they have greeted.

mod conversation;
mod deadlines;
mod inbound;
mod other_end;
mod part;
mod progress;

pub use conversation::TOO_LONG_ECHO;
pub use deadlines::{CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, LINGER_DEADLINE, LINGER_MAX};
pub use inbound::Inbound;
pub use part::Clients;
pub use progress::Again;
