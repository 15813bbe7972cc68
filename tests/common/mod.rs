//! What the integration tests share: a herd of real processes, a blocking
//! client, and waiting for a condition instead of for a while.
//!
//! Every test crate compiles this module for itself and uses its own part of
//! it, so what one of them leaves aside is no mistake.
#![allow(dead_code, unused_imports)]

pub mod certificates;
mod client;
mod fake;
pub mod gradescope;
mod herd;
mod places;
mod ports;
mod process;
mod proxy;
pub mod sockets;

pub use client::{Client, PATIENCE, Quiet, Whatsat, latin1, to_latin1};
pub use fake::Fake;
pub use herd::{Herd, LINKS, NAMES, Plan};
pub use places::Places;
pub use ports::free_ports;
pub use process::{Exit, TempDir, example, fifo, on_a_full_disk, run_herd, wait_for_exit};
pub use proxy::{Proxy, Road};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long we look away between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(2);

/// A position for tests to which any position will do: the course's own.
pub const UCLA: &str = "+34.068930-118.445127";

/// Asks until there is something, and panics with `what` after the deadline.
pub fn wait_for<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + deadline;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < until, "not within {deadline:?}: {what}");
        std::thread::sleep(GLANCE);
    }
}

/// Waits until the condition holds, and panics with `what` after the deadline.
pub fn wait_until(deadline: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(deadline, what, || holds().then_some(()));
}

/// So much of a text as a message about a failure needs.
pub fn short(text: &str) -> String {
    const ENOUGH: usize = 240;
    match text.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_string(),
    }
}

/// An id that no other call of this test program gets.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Nanoseconds of the wall clock.
pub fn nanos() -> i128 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    i128::try_from(since.as_nanos()).expect("nanoseconds fit")
}

/// A moment as the protocol writes it: seconds with nine decimals.
pub fn as_time(nanos: i128) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// The present as the protocol writes it.
pub fn now() -> String {
    as_time(nanos())
}

/// The present and so many seconds (fewer than none for the past).
pub fn now_plus(seconds: i64) -> String {
    as_time(nanos() + i128::from(seconds) * 1_000_000_000)
}

/// An `IAMAT` line for now, at a position to which any other would do.
pub fn iamat(id: &str) -> String {
    format!("IAMAT {id} {UCLA} {}\n", now())
}

/// The shape of an AT line, its last three fields given.
pub fn is_at(line: &str, server: &str, rest: &str) -> bool {
    line.strip_prefix(&format!("AT {server} "))
        .and_then(|line| line.strip_suffix(&format!(" {rest}\n")))
        .is_some_and(is_skew)
}

/// A sign, digits, a point, exactly nine digits.
pub fn is_skew(text: &str) -> bool {
    let Some((whole, fraction)) = text
        .strip_prefix(['+', '-'])
        .and_then(|digits| digits.split_once('.'))
    else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !whole.is_empty() && digits(whole) && fraction.len() == 9 && digits(fraction)
}
