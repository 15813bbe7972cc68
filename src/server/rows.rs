//! What all connections look like from outside, whatever their kind.

use serde_json::{Value, json};

use crate::net::Transport;

/// Rows of one table that a view shows; its `total` tells how many there are.
pub const ROWS_MAX: usize = 1000;

/// A row with what a transport knows of itself.
pub fn row<S>(transport: &Transport<S>, kind: &str, state: &str) -> Value {
    let token = transport.token();
    json!({
        "id": token.generation,
        "slot": token.index,
        "kind": kind,
        "who": "",
        "state": state,
        "readable": transport.may_read(),
        "writable": transport.may_write(),
        "at_end": transport.at_end(),
        "unsent": transport.unsent(),
        "partial": 0,
        "flags": [],
        "deadline": null,
        "neighbour": null,
        "lookup": null,
    })
}
