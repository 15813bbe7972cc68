//! The event loop: asyncio's, piece by piece, with callbacks that are data.
//!
//! One turn is [`EventLoop::run_once`] = [`collect`](EventLoop::collect), then
//! [`run_next`](EventLoop::run_next) until the snapshot is used up, then
//! [`finish`](EventLoop::finish). To stop between callbacks, make these three calls
//! yourself; the loop knows nothing of debuggers.
//!
//! The loop knows no sockets either: it asks its [`World`] what time it is and what is ready, turns
//! the answers into callbacks, and hands each callback to the [`Application`] with `&mut` access to
//! everything. So there is no shared ownership anywhere.

mod base_events;
mod context;
mod executor;
mod handle;
mod inbox;
mod observe;
mod timers;
mod world;

pub use base_events::{Application, Callback, EventLoop, MAXIMUM_POLL_TIMEOUT};
pub use context::Context;
pub use executor::{EXECUTOR_QUEUE_MAX, EXECUTOR_THREADS, Executor, ExecutorError};
pub use handle::{Handle, Origin, Pending};
pub use inbox::{INBOX_MAX, InboxFull, Remote};
pub use observe::{Observation, SLOW_CALLBACK, SLOW_ITERATION};
pub use timers::COMPACT_ABOVE;
pub use world::{Event, Readiness, Token, Wake, World};
