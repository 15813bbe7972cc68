//! One server of the herd: the only floor that knows both sockets and herd. Generic over its
//! world, so that the binary, the simulator and a replay run the same code.

mod asking;
mod breaker;
mod callback;
mod connections;
mod deadlines;
mod inbound;
mod journal;
mod limits;
mod lines;
mod link;
mod lookup;
mod node;
mod snapshots;
mod turn;
mod upstream;
mod view;

pub use breaker::{BREAKER_FAILURES, BREAKER_OPEN};
pub use callback::{CALLBACK_KINDS, Callback, Loop};
pub use deadlines::{CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, LINGER_DEADLINE, LINGER_MAX};
pub use inbound::{UNSENT_HIGH, UNSENT_LOW};
pub use journal::{JOURNAL_BUFFER_MAX, Journal, Who};
pub use limits::{Limit, limits, table as limits_table};
pub use lines::{CLIENT_LINES_A_TURN, PEER_LINES_A_TURN, TOO_LONG_ECHO};
pub use link::{LINK_UNSENT_LOW, LINK_UNSENT_MAX};
pub use lookup::{
    ADDRESSES_KEPT, ADDRESSES_MAX, CONNECT_STAGGER, HANDSHAKE_DEADLINE, LOOKUP_CONNECT_DEADLINE,
    LOOKUP_DEADLINE, RESOLVE_DEADLINE, State, UPSTREAM_IDLE, UPSTREAM_IDLE_MAX, UPSTREAM_MAX,
    WAITING_MAX,
};
pub use node::{Node, SIGHUP, SIGINT, SIGTERM, STOP_DEADLINE};
pub use snapshots::{SNAPSHOT_JOB, SNAPSHOT_PIECE, SNAPSHOT_RETRY};
pub use turn::TURN_OUTPUT_MAX;
pub use view::{ROWS_MAX, STORE_ROWS_MAX};
