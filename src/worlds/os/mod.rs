//! The real world: mio, the system's clocks, files and signals.

mod appender;
mod disk;
mod journal_file;
mod resolving;
mod saver;
mod signals;
mod sockets;
mod waker;
mod world;

pub use appender::{APPENDER_BUFFER_MAX, APPENDER_PATIENCE, LOOK_EVERY};
pub use disk::{keep_aside, remove_unfinished};
pub use resolving::Resolver;
pub use sockets::{KEEPALIVE_DEAD, Listener, NOT_SENT_MAX, OsStream};
pub use waker::OsWaker;
pub use world::{EVENTS_MAX, OsWorld};
