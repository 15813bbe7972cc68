//! What is known of a neighbour before it is dialled.

use std::net::SocketAddr;

/// A neighbour, as the herd file has it.
pub struct Neighbour {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// It is a course server: no greeting.
    pub course: bool,
}
