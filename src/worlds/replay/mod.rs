//! The replayed world: it says what a recording holds, and notices when it is asked something else.
//! No network, no clock, no disk.

mod tls;
mod world;

pub use tls::ReplayTls;
pub use world::{ReplayStream, ReplayWorld};
