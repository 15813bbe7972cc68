//! One server of the herd: the only floor that knows both sockets and herd. Generic over its
//! world, so that the binary, the simulator and a replay run the same code.
//!
//! It has parts: the door, clients, links, questions to Places, snapshots. Each keeps its state to
//! itself and gets the desk, where everything lies that they share, and the loop. What one wants
//! of another is data on the desk.

mod bounds;
mod callback;
mod clients;
mod connections;
mod desk;
mod door;
mod intent;
mod journal;
mod limits;
mod links;
mod neighbour;
mod node;
mod parts;
mod questions;
mod rows;
mod snapshots;
mod turn;
mod view;
mod work;

pub use bounds::{limits, table as limits_table};
pub use callback::{CALLBACK_KINDS, Callback, Loop, Part};
pub use clients::{
    CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, LINGER_DEADLINE, LINGER_MAX, TOO_LONG_ECHO,
};
pub use journal::{About, JOURNAL_BUFFER_MAX, Journal};
pub use limits::Limit;
pub(super) use limits::limit;
pub use links::{COURSE_ANSWER_MAX, COURSE_END, SHORT_LINK_END, SHORT_LINK_QUIET};
pub use node::{Node, SIGHUP, SIGINT, SIGTERM};
pub use parts::STOP_DEADLINE;
pub use questions::{
    ADDRESSES_KEPT, ADDRESSES_MAX, BREAKER_FAILURES, BREAKER_OPEN, CONNECT_STAGGER,
    HANDSHAKE_DEADLINE, LOOKUP_CONNECT_DEADLINE, LOOKUP_DEADLINE, RESOLVE_DEADLINE, State,
    UPSTREAM_IDLE, UPSTREAM_IDLE_MAX, UPSTREAM_MAX, WAITING_MAX,
};
pub use rows::ROWS_MAX;
pub use snapshots::{SNAPSHOT_PIECE, SNAPSHOT_RETRY, SNAPSHOT_STALL};
pub use turn::TURN_OUTPUT_MAX;
pub use view::STORE_ROWS_MAX;
