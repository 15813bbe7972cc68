//! A simulated world: a virtual clock, a network of many nodes, one seed.
//!
//! Each node runs the same loop and the same server as the binary. A poll never waits: the
//! [`Simulation`] asks every loop for its next deadline, moves the clock to the earliest thing that
//! happens, and runs the nodes it concerns.

mod disk;
mod faults;
mod net;
mod port;
mod simulation;
mod stream;
mod trace;
mod world;

pub use net::{Net, Price, Weather};
pub use simulation::Simulation;
pub use stream::End;
pub use trace::{TRACE_LINES_MAX, Trace};
pub use world::{SimWorld, WALL_CLOCK_START};
