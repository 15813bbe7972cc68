//! When to dial again.

use std::time::Duration;

/// A connect that takes longer is given up.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// A link that stayed up this long starts again from the first wait when it is lost.
pub const BACKOFF_FORGIVEN: Duration = Duration::from_secs(10);

/// Each greeting of a neighbour has it dialled at once, but not sooner than this after the one
/// before (or than [`Backoff::ceiling`](super::Backoff::ceiling)): it may greet and hang up as often
/// as it likes.
pub const GREETED_FLOOR: Duration = Duration::from_secs(1);
