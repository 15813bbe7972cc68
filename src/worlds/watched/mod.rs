//! A world whose every answer is written to a recording, and whose bytes are kept for whoever
//! looks: it asks another world, and notes what it says.

mod notes;
mod tls;
mod world;

pub use tls::WatchedTls;
pub use world::{Watched, WatchedListener, WatchedStream};
