//! Every limit of the server in one place: what is bounded, by how much, and what happens there.

use serde_json::{Value, json};

use crate::config::Config;
use crate::herd::{ID_MAX, STORE_BYTES_MAX};
use crate::net::{
    ACCEPT_BUDGET, ACCEPT_RETRY_DELAY, BACKOFF_MAX, CONNECT_DEADLINE, LINE_MAX, SNAPSHOT_BYTES_MAX,
};
use crate::places::{BODY_MAX, HEAD_MAX};
use crate::server::{
    CLIENT_LINE_DEADLINE, CLIENT_LINES_A_TURN, CLIENT_UNSENT_DEADLINE, JOURNAL_BUFFER_MAX,
    LINGER_DEADLINE, LINGER_MAX, LINK_UNSENT_MAX, LOOKUP_DEADLINE, PEER_LINES_A_TURN,
    SNAPSHOT_PIECE, STOP_DEADLINE, TURN_OUTPUT_MAX, UNSENT_HIGH, UPSTREAM_MAX, WAITING_MAX,
};

/// Something that is bounded.
pub struct Limit {
    /// What.
    pub what: &'static str,
    /// By how much.
    pub value: u64,
    /// Of what: bytes, s, ms, and so on.
    pub unit: &'static str,
    /// The option that changes it.
    pub option: Option<&'static str>,
    /// What happens at it.
    pub then: &'static str,
}

/// All limits of a server with this configuration. A value of 0 with an option: none.
pub fn limits(config: &Config) -> Vec<Limit> {
    let mut limits = of_clients(config);
    limits.extend(of_the_table(config));
    limits.extend(of_a_turn());
    limits.extend(of_links());
    limits.extend(of_places());
    limits.extend(of_the_end(config));
    limits
}

/// The same for the view.
pub fn rows(config: &Config) -> Vec<Value> {
    let row = |limit: Limit| {
        json!({
            "what": limit.what,
            "value": limit.value,
            "unit": limit.unit,
            "option": limit.option,
            "then": limit.then,
        })
    };
    limits(config).into_iter().map(row).collect()
}

/// The same as text, for `--help`.
pub fn table(config: &Config) -> String {
    let mut text = String::new();
    for limit in limits(config) {
        let value = match (limit.value, limit.option) {
            (0, Some(_)) => String::from("none"),
            (value, _) => format!("{value} {}", limit.unit),
        };
        let option = limit.option.map(|option| format!(" (--{option})"));
        text += &format!(
            "    {:<38} {value:>18}  {}{}\n",
            limit.what,
            limit.then,
            option.unwrap_or_default()
        );
    }
    text
}

fn limit(what: &'static str, value: u64, unit: &'static str, then: &'static str) -> Limit {
    Limit {
        what,
        value,
        unit,
        option: None,
        then,
    }
}

fn with(option: &'static str, limit: Limit) -> Limit {
    Limit {
        option: Some(option),
        ..limit
    }
}

fn of_clients(config: &Config) -> Vec<Limit> {
    let closed = "it is closed";
    vec![
        limit(
            "a line",
            LINE_MAX as u64,
            "bytes",
            "? and its first 128 bytes, then closed",
        ),
        limit(
            "a client's id",
            ID_MAX as u64,
            "bytes",
            "the command is invalid",
        ),
        with(
            "max-connections",
            limit(
                "connections",
                config.max_connections as u64,
                "",
                "closed without a word",
            ),
        ),
        with(
            "max-per-address",
            limit(
                "of these, from one far address",
                config.max_per_address as u64,
                "",
                "closed without a word",
            ),
        ),
        limit(
            "unsent answers of a client",
            UNSENT_HIGH as u64,
            "bytes",
            "nothing is read from it",
        ),
        limit(
            "a client that takes no byte",
            CLIENT_UNSENT_DEADLINE.as_secs(),
            "s",
            closed,
        ),
        limit(
            "an unfinished line or handshake",
            CLIENT_LINE_DEADLINE.as_secs(),
            "s",
            closed,
        ),
        with(
            "client-idle",
            limit("a silent client", config.client_idle.as_secs(), "s", closed),
        ),
        limit(
            "after our end, a silent client's own",
            LINGER_DEADLINE.as_secs(),
            "s",
            closed,
        ),
        limit(
            "the same, of one that goes on talking",
            LINGER_MAX.as_secs(),
            "s",
            closed,
        ),
    ]
}

fn of_the_table(config: &Config) -> Vec<Limit> {
    let refused = "new clients are refused, said once a minute";
    vec![
        with(
            "max-records",
            limit("records", config.max_records as u64, "", refused),
        ),
        limit(
            "the records' lines",
            STORE_BYTES_MAX as u64,
            "bytes",
            refused,
        ),
        with(
            "max-ahead",
            limit(
                "a report from the future",
                config.max_ahead.as_secs(),
                "s",
                "invalid",
            ),
        ),
        limit(
            "a snapshot that is read",
            SNAPSHOT_BYTES_MAX,
            "bytes",
            "the server does not start",
        ),
        with(
            "snapshot-every",
            limit(
                "a change without a snapshot",
                config.snapshot_every.map_or(0, |every| every.as_secs()),
                "s",
                "one is written",
            ),
        ),
    ]
}

fn of_a_turn() -> Vec<Limit> {
    let waits = "the rest waits for the next turn";
    vec![
        limit("accepts a turn", ACCEPT_BUDGET as u64, "", waits),
        limit(
            "lines of a client a turn",
            CLIENT_LINES_A_TURN as u64,
            "",
            waits,
        ),
        limit(
            "lines of a neighbour a turn",
            PEER_LINES_A_TURN as u64,
            "",
            waits,
        ),
        limit(
            "answers of a turn",
            TURN_OUTPUT_MAX as u64,
            "bytes",
            "sent in the middle of it",
        ),
        limit(
            "a snapshot's piece a turn",
            SNAPSHOT_PIECE as u64,
            "bytes",
            waits,
        ),
    ]
}

fn of_links() -> Vec<Limit> {
    vec![
        limit(
            "unsent bytes of a link",
            LINK_UNSENT_MAX as u64,
            "bytes",
            "it keeps positions instead",
        ),
        limit(
            "a connect to a neighbour",
            CONNECT_DEADLINE.as_secs(),
            "s",
            "dialled again later",
        ),
        limit(
            "between two diallings",
            BACKOFF_MAX.as_secs(),
            "s",
            "dialled again",
        ),
        limit(
            "no descriptor left",
            ACCEPT_RETRY_DELAY.as_secs(),
            "s",
            "it is looked again",
        ),
    ]
}

fn of_places() -> Vec<Limit> {
    let unknown = "UNKNOWN_ERROR";
    vec![
        limit(
            "questions that wait for Places",
            WAITING_MAX as u64,
            "",
            "UNKNOWN_ERROR at once",
        ),
        limit(
            "connections to Places",
            UPSTREAM_MAX as u64,
            "",
            "the question waits",
        ),
        limit(
            "a question to Places",
            LOOKUP_DEADLINE.as_secs(),
            "s",
            unknown,
        ),
        limit("a response's head", HEAD_MAX as u64, "bytes", unknown),
        limit("a response's body", BODY_MAX as u64, "bytes", unknown),
    ]
}

fn of_the_end(config: &Config) -> Vec<Limit> {
    let dropped = "lines are dropped and counted";
    vec![
        limit(
            "a journal that is not written",
            JOURNAL_BUFFER_MAX as u64,
            "bytes",
            dropped,
        ),
        with(
            "max-log",
            limit("a journal's file", config.max_log, "bytes", dropped),
        ),
        limit(
            "stopping",
            STOP_DEADLINE.as_secs(),
            "s",
            "it ends with what is unsent",
        ),
    ]
}
