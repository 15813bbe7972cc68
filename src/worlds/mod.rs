//! The implementations of the waist: the operating system, a simulation, a recording played back;
//! and one that watches another.

mod disk;
mod mix;
pub mod os;
pub mod recording;
pub mod replay;
pub mod sim;
mod stage;
mod tap;
pub mod watched;

pub use stage::Stage;
pub use tap::{EXCHANGED_BYTES_MAX, EXCHANGES_MAX, Exchange, Tap, Way};
