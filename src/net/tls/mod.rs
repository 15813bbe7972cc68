//! TLS as a machine of bytes: ciphertext in, plaintext and ciphertext out. It owns no socket and
//! no clock; deadlines are its caller's. (asyncio: sslproto.SSLProtocol.)
//!
//! A caller does three things, in any order and as often as it likes:
//! - what the socket gave goes to [`receive`](TlsEngine::receive), its end to
//!   [`end_of_stream`](TlsEngine::end_of_stream);
//! - what shall be said goes to [`send`](TlsEngine::send), the end of it to
//!   [`close`](TlsEngine::close);
//! - after each of these, [`output`](TlsEngine::output) goes to the socket: after an error too,
//!   since the alert that tells the other side is in it.
//!
//! `receive` takes all it is given and `output` gives all there is, so after the two nothing waits
//! in either direction inside the engine, and only the socket can bring news. On an edge-triggered
//! poller that is what matters: bytes left in the middle would bring no event.

mod config;
mod engine;
mod error;
mod identity;
mod names;
mod plain;
mod state;
mod stream;

pub use config::TlsClientConfig;
pub use engine::RustlsEngine;
pub use error::TlsError;
pub use identity::{ALPN_HERD, Identity, IdentityFiles, PeerFiles, bears_name};
pub use plain::PlainEngine;
pub use state::{TlsEngine, TlsState};
pub use stream::Layered;
