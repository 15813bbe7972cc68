//! What bounds the page, in the same form as what bounds the server.

use super::http::{BODY_MAX, HEAD_MAX, HEADERS_MAX};
use super::inspector::{
    ACCEPTS_A_TURN, ANSWER_DEADLINE, NOISE_MAX, PUBLISH_EVERY, READS_A_TURN, REQUEST_DEADLINE,
    SUBSCRIBER_UNSENT_MAX,
};
use super::pace::{LOOK_MAX, LOOK_SHARE, REST_MIN};
use super::visitors::VISITORS_MAX;
use crate::server::{Limit, ROWS_MAX, limit};

/// All limits of the page.
#[rustfmt::skip]
pub fn limits() -> Vec<Limit> {
    let (refused, closed, later) = ("refused", "closed", "the rest waits for the next look");
    let stalest = "the one that asked least lately is closed";
    vec![
        limit!(LOOK_SHARE, "looks take one part of the time in", "", "they rest; all of the page's work is in them"),
        limit!(LOOK_MAX, "a look reads, and sends, for", "", later),
        limit!(REST_MIN, "between two looks, at least", "", "the page waits"),
        limit!(VISITORS_MAX, "visitors of the page", "", stalest),
        limit!(ACCEPTS_A_TURN, "of these, accepted at once", "", later),
        limit!(READS_A_TURN, "reads of a visitor at once, 4 KiB each", "", later),
        limit!(REQUEST_DEADLINE, "a request to the page", "", refused),
        limit!(HEAD_MAX, "its head", "bytes", refused),
        limit!(HEADERS_MAX, "its header fields", "", refused),
        limit!(BODY_MAX, "its body", "bytes", refused),
        limit!(NOISE_MAX, "noise behind it", "bytes", closed),
        limit!(ANSWER_DEADLINE, "a visitor that takes no answer", "", closed),
        limit!(PUBLISH_EVERY, "between two views for subscribers", "", "they get the newest"),
        limit!(SUBSCRIBER_UNSENT_MAX, "unsent to a subscriber", "bytes", "it misses views"),
        limit!(ROWS_MAX, "rows of a table in the view", "", "the total is told"),
    ]
}
