//! Accepting, some at a time. (asyncio: selector_events._accept_connection.)

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::network::{Network, out_of_descriptors};
use crate::event_loop::Token;

/// Connections taken in one callback; the rest wait behind everybody else's turn.
pub const ACCEPT_BUDGET: usize = 16;
/// With no descriptor left, the listener looks again after this long.
/// (asyncio: `constants.ACCEPT_RETRY_DELAY`.)
pub const ACCEPT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What one accept brought, and so what to do next.
#[derive(Debug)]
pub enum Accepted<S> {
    /// A connection; ask again.
    Stream(S, SocketAddr),
    /// None waits; an event will tell.
    Nothing,
    /// One could not be taken for a reason of its own; ask again.
    Failed(io::Error),
    /// No descriptor is left. One waiting connection was closed, if a spare allowed it; come back
    /// after [`ACCEPT_RETRY_DELAY`], since no event will tell of those that wait.
    OutOfDescriptors(Option<SocketAddr>),
}

/// Takes one connection, whose name will be `token`. asyncio goes on after EMFILE and makes a timer for each failure
/// (cpython#151615); here the caller makes one and returns.
pub fn accept<N: Network>(
    network: &mut N,
    listener: &mut N::Listener,
    token: Token,
) -> Accepted<N::Stream> {
    match network.accept(listener, token) {
        Ok((stream, address)) => Accepted::Stream(stream, address),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::Nothing,
        Err(error) if out_of_descriptors(&error) => {
            Accepted::OutOfDescriptors(network.shed(listener).ok())
        }
        Err(error) => Accepted::Failed(error),
    }
}
