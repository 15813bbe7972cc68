//! The real world: mio, the system's clocks, files and signals.

mod resolving;
mod saver;
mod sockets;
mod waker;
mod world;

pub use resolving::Resolver;
pub use saver::remove_unfinished;
pub use sockets::{KEEPALIVE_DEAD, Listener, OsStream};
pub use waker::OsWaker;
pub use world::{EVENTS_MAX, OsWorld};
