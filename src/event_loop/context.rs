//! What the loop tells about a callback that failed.

use std::error::Error;
use std::fmt;
use std::panic::Location;

/// What went wrong in a callback, and where. (asyncio: the context of `call_exception_handler`.)
#[derive(Debug)]
pub struct Context<C> {
    /// What failed, in words.
    pub message: &'static str,
    /// The failure.
    pub error: Box<dyn Error>,
    /// The callback that failed.
    pub callback: C,
    /// Where it was queued.
    pub location: &'static Location<'static>,
}

impl<C: fmt::Debug> fmt::Display for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context {
            message,
            error,
            callback,
            location,
        } = self;
        write!(
            f,
            "{message}: {error} (in {callback:?}, queued at {location})"
        )
    }
}
