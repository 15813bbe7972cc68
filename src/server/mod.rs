//! One server of the herd: the only floor that knows both sockets and herd. Generic over its
//! world, so that the binary, the simulator and a replay run the same code.

mod asking;
mod breaker;
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

use crate::event_loop::{self, EventLoop, Readiness, Token};

pub use breaker::{BREAKER_FAILURES, BREAKER_OPEN};
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
pub use view::{CALLBACK_KINDS, ROWS_MAX, STORE_ROWS_MAX};

/// The loop that a server runs on.
pub type Loop<H> = EventLoop<H, Callback>;

/// Everything that a server ever has to do, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callback {
    /// A socket became ready: the listener, a client, a neighbour, Places.
    Ready(Token, Readiness),
    /// A connection has input that the last callback did not reach.
    Again(Token),
    /// More connections wait at the listener than one callback takes.
    Accept,
    /// Look at the listener again, now that a descriptor may be free.
    AcceptRetry,
    /// A deadline of an accepted connection has come.
    Deadline(Token),
    /// Dial a neighbour again (by its place among this server's neighbours).
    Redial(usize),
    /// A dial took too long.
    ConnectDeadline(Token),
    /// A link has room for more of what it owes.
    Dump(Token),
    /// Questions to Places wait for connections.
    StartLookups,
    /// A lookup has been in its state for too long.
    LookupDeadline(u64),
    /// A lookup's connect is slow: try the next address beside it.
    NextAddress(u64),
    /// The resolver has answered.
    Resolved(u64),
    /// A kept connection to Places was idle for long enough.
    UpstreamIdle(Token),
    /// A signal arrived.
    Signal(i32),
    /// Stopping took too long.
    StopDeadline,
    /// A snapshot is due, or has further to go. (New kinds stand at the end: a recording knows a
    /// callback by its hash, and that by its place here.)
    Snapshot,
    /// A snapshot is on disk, or failed.
    SnapshotDone,
}

impl event_loop::Callback for Callback {
    fn ready(token: Token, readiness: Readiness) -> Callback {
        Callback::Ready(token, readiness)
    }

    fn done(job: u64) -> Callback {
        match job {
            SNAPSHOT_JOB => Callback::SnapshotDone,
            job => Callback::Resolved(job),
        }
    }

    fn signal(number: i32) -> Callback {
        Callback::Signal(number)
    }
}
