//! Servers in virtual time, where everything that can go wrong does; and the laws that no socket
//! is needed for.

mod bounds;
mod bounds_places;
mod bounds_written;
mod convergence;
mod deadlines;
mod disk;
mod doors;
mod fuzzing;
mod liveness;
mod lww;
mod places;
mod replay;
mod resources;
mod splits;
mod stage;
mod stopping;
mod told;
