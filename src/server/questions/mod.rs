//! Questions to Places.

mod asking;
mod breaker;
mod connecting;
mod lookup;
mod shown;
mod talking;
mod upstream;

pub use asking::Questions;
pub use breaker::{BREAKER_FAILURES, BREAKER_OPEN};
pub use lookup::{
    ADDRESSES_KEPT, ADDRESSES_MAX, CONNECT_STAGGER, HANDSHAKE_DEADLINE, LOOKUP_CONNECT_DEADLINE,
    LOOKUP_DEADLINE, RESOLVE_DEADLINE, State, UPSTREAM_IDLE, UPSTREAM_IDLE_MAX, UPSTREAM_MAX,
    WAITING_MAX,
};
pub use upstream::Upstream;
