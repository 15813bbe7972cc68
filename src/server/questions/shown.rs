//! What questions look like from outside, what bounds them, and what must hold of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::asking::Questions;
use super::breaker::{BREAKER_FAILURES, BREAKER_OPEN};
use super::lookup::{
    ADDRESSES_KEPT, CONNECT_STAGGER, HANDSHAKE_DEADLINE, LOOKUP_CONNECT_DEADLINE, LOOKUP_DEADLINE,
    RESOLVE_DEADLINE, State, UPSTREAM_IDLE, UPSTREAM_IDLE_MAX, UPSTREAM_MAX, WAITING_MAX,
};
use super::upstream::Upstream;
use crate::net::Host;
use crate::places::{
    BODY_MAX, CHUNK_EXTENSIONS_MAX, CHUNK_LINE_MAX, HEAD_MAX, HEADERS_MAX, INTERIM_MAX,
    TRAILERS_MAX,
};
use crate::server::connections::Connection;
use crate::server::desk::Desk;
use crate::server::limits::{Limit, limit};
use crate::server::rows::ROWS_MAX;

impl Questions {
    /// What must hold between two callbacks. Checked in debug builds.
    pub fn check_invariants<H: Host>(&self, desk: &Desk<H>) {
        if !cfg!(debug_assertions) {
            return;
        }
        let upstream = |token| match desk.connections.get(token) {
            Some(Connection::Upstream(upstream)) => Some(upstream),
            _ => None,
        };
        debug_assert!(self.all.waiting() <= WAITING_MAX);
        debug_assert!(self.all.connections() <= UPSTREAM_MAX);
        for (number, lookup) in &self.all.table {
            let queued = self.all.queue.contains(number);
            let waits = lookup.state == State::Queued;
            debug_assert_eq!(queued, waits, "in the queue, or not: {lookup:?}");
            debug_assert!(!lookup.waiters.is_empty(), "nobody waits: {lookup:?}");
            debug_assert!(lookup.deadline.is_some(), "no deadline: {lookup:?}");
            for token in lookup.attempts.iter().chain(&lookup.connection) {
                let theirs = upstream(*token);
                debug_assert_eq!(
                    theirs.and_then(|theirs| theirs.lookup()),
                    Some(*number),
                    "its connection is another's: {lookup:?}"
                );
                theirs.iter().for_each(|theirs| theirs.check_invariants());
            }
        }
        for token in &self.all.idle {
            let idle = upstream(*token);
            debug_assert!(idle.is_some_and(|idle| idle.lookup().is_none()));
            idle.iter().for_each(|idle| idle.check_invariants());
        }
    }

    /// A connection, for the view.
    pub fn connection_row<S>(&self, upstream: &Upstream<S>) -> Value {
        upstream.row(self.all.upstream.endpoint.host())
    }

    /// All of them, for the view.
    pub fn row(&self, now: Duration) -> Value {
        let all = &self.all;
        let rows = all.table.iter().take(ROWS_MAX).map(|(number, lookup)| {
            json!({
                "number": number,
                "state": format!("{:?}", lookup.state),
                "age": now.saturating_sub(lookup.began).as_secs_f64(),
                "waiters": lookup.waiters.len(),
                "deadline": (lookup.began + LOOKUP_DEADLINE).as_secs_f64(),
                "connection": lookup.connection.map(|token| token.generation),
                "retried": lookup.retried,
            })
        });
        json!({
            "api": all.upstream.api.to_string(),
            "host": all.upstream.endpoint.host(),
            "breaker": all.breaker.state(),
            "idle": all.idle.len(),
            "queued": all.queue.len(),
            "waiting": all.waiting(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    /// How many wait, and how many connections there are.
    pub fn usage(&self) -> [(&'static str, usize, usize); 2] {
        let (waiting, connections) = (self.all.waiting(), self.all.connections());
        [
            ("clients that wait for Places", waiting, WAITING_MAX),
            ("connections to Places", connections, UPSTREAM_MAX),
        ]
    }

    /// What bounds a question.
    #[rustfmt::skip]
    pub fn limits() -> Vec<Limit> {
        let (unknown, closed) = ("UNKNOWN_ERROR", "closed");
        let (kept, next) = ("older addresses, if any", "the next is tried beside it");
        vec![
            limit!(WAITING_MAX, "clients that wait for Places", "", "UNKNOWN_ERROR at once"),
            limit!(UPSTREAM_MAX, "connections to Places", "", "the question waits"),
            limit!(UPSTREAM_IDLE_MAX, "of these, idle", "", closed),
            limit!(UPSTREAM_IDLE, "an idle connection to Places", "", closed),
            limit!(LOOKUP_DEADLINE, "a question to Places", "", unknown),
            limit!(RESOLVE_DEADLINE, "its name", "", kept),
            limit!(ADDRESSES_KEPT, "older addresses", "", unknown),
            limit!(LOOKUP_CONNECT_DEADLINE, "its connect", "", unknown),
            limit!(CONNECT_STAGGER, "its first address", "", next),
            limit!(HANDSHAKE_DEADLINE, "its TLS handshake", "", unknown),
            limit!(BREAKER_FAILURES, "failures in a row", "", "Places is left alone for a while"),
            limit!(BREAKER_OPEN, "Places left alone", "", "one question goes out"),
            limit!(HEAD_MAX, "a response's head", "bytes", unknown),
            limit!(HEADERS_MAX, "its headers", "", unknown),
            limit!(BODY_MAX, "a response's body", "bytes", unknown),
            limit!(INTERIM_MAX, "interim responses", "", unknown),
            limit!(CHUNK_LINE_MAX, "a chunk's line", "bytes", unknown),
            limit!(CHUNK_EXTENSIONS_MAX, "all extensions", "bytes", unknown),
            limit!(TRAILERS_MAX, "the trailers", "bytes", unknown),
        ]
    }
}
