//! Transports over the loop: asyncio's, for an edge-triggered poller. Knows no herd.

mod buffer;
mod connect;
mod files;
mod input;
mod lines;
mod listen;
mod network;
mod tls;
mod transport;

pub use crate::backoff::{BACKOFF_FIRST, BACKOFF_MAX, Backoff};
pub use buffer::Buffer;
pub use connect::{BACKOFF_FORGIVEN, CONNECT_DEADLINE, GREETED_FLOOR};
pub use files::{check_regular, private_file, read_regular, real_path, rotated, with_ending};
pub use input::Input;
pub use lines::{LINE_MAX, Next, next_line};
pub use listen::{ACCEPT_BUDGET, ACCEPT_RETRY_DELAY, Accepted, accept};
pub use network::{Host, Network, SNAPSHOT_BYTES_MAX, Trust, out_of_descriptors};
pub use tls::{
    ALPN_HERD, Identity, IdentityFiles, Layered, PeerFiles, PlainEngine, RustlsEngine,
    TlsClientConfig, TlsEngine, TlsError, TlsState, bears_name,
};
pub use transport::{Read, Transport};
