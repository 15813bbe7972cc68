//! Everything there is to see of a server and its loop, as one JSON value: what the page draws,
//! what `--ps` prints and what the stepper's `print` finds its way in.

use std::time::Duration;

use serde_json::{Value, json};

use super::meters::Meters;
use super::tables::{place, reason};
use crate::event_loop::{Handle, Pending};
use crate::net::Host;
use crate::server::{Callback, Loop, Node, ROWS_MAX};

/// Whether the loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Running,
    /// Somebody holds it between two moments.
    Held,
    /// It has ended.
    Over,
}

/// Which moment is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The poll.
    BeforePoll,
    /// A callback.
    BetweenCallbacks,
    /// The end of the turn.
    BeforeFinish,
}

/// Where a loop stands.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Whether it runs.
    pub state: State,
    /// Which moment is next.
    pub phase: Phase,
    /// Why it is held.
    pub why: Option<String>,
    /// Moments so far.
    pub moment: u64,
}

/// The view. Times are seconds since the loop was born.
pub fn view<H: Host>(
    event_loop: &Loop<H>,
    node: &Node<H>,
    meters: &Meters,
    stand: &Stand,
) -> Value {
    let mut view = node.view(event_loop);
    view["version"] = env!("CARGO_PKG_VERSION").into();
    view["loop"] = standing(event_loop, meters, stand);
    view["ready"] = ready(event_loop, node);
    view["timers"] = timers(event_loop, node);
    view["histograms"] = meters.histograms();
    view["unseen"] = meters.unseen().into();
    view["recent"] = meters.recent(|callback| node.describe(callback));
    view
}

fn standing<H: Host>(event_loop: &Loop<H>, meters: &Meters, stand: &Stand) -> Value {
    let poll = meters.last_poll;
    json!({
        "time": event_loop.time().as_secs_f64(),
        "iteration": event_loop.iteration(),
        "moment": stand.moment,
        "state": match stand.state {
            State::Running => "running",
            State::Held => "held",
            State::Over => "over",
        },
        "phase": match stand.phase {
            Phase::BeforePoll => "before the poll",
            Phase::BetweenCallbacks => "between callbacks",
            Phase::BeforeFinish => "before finish",
        },
        "todo": event_loop.todo(),
        "poll": {
            "began": poll.began.as_secs_f64(),
            "took": poll.took.as_secs_f64(),
            "timeout": poll.timeout.map(|timeout| timeout.as_secs_f64()),
            "events": poll.events,
            "todo": poll.todo,
        },
        "why": stand.why,
    })
}

fn handle_row<H: Host>(
    node: &Node<H>,
    handle: Handle,
    pending: &Pending<Callback>,
    now: Duration,
) -> Value {
    let callback = &pending.callback;
    json!({
        "handle": handle.serial(),
        "kind": callback.kind(),
        "callback": format!("{callback:?}"),
        "says": node.describe(callback),
        "origin": origin(pending),
        "reason": reason(pending.origin),
        "location": place(pending.location),
        "since": pending.since.as_secs_f64(),
        "waited": now.saturating_sub(pending.since).as_secs_f64(),
        "connection": callback.subject().map(|token| token.generation),
    })
}

fn origin(pending: &Pending<Callback>) -> String {
    format!("{:?}", pending.origin).to_lowercase()
}

fn ready<H: Host>(event_loop: &Loop<H>, node: &Node<H>) -> Value {
    let now = event_loop.time();
    let row = |(position, (handle, pending)): (usize, (Handle, &Pending<Callback>))| {
        let mut row = handle_row(node, handle, pending, now);
        row["this_turn"] = (position < event_loop.todo()).into();
        row
    };
    let rows = event_loop.ready().enumerate().take(ROWS_MAX).map(row);
    let rows: Vec<_> = rows.collect();
    // A queue that is longer than what is shown is not looked through for the cancelled.
    let total = match rows.len() < ROWS_MAX {
        true => rows.len(),
        false => event_loop.ready_len(),
    };
    json!({"total": total, "rows": rows})
}

fn timers<H: Host>(event_loop: &Loop<H>, node: &Node<H>) -> Value {
    let now = event_loop.time();
    let row = |(when, handle, pending): &(Duration, Handle, &Pending<Callback>)| {
        let mut row = handle_row(node, *handle, pending, now);
        row["when"] = when.as_secs_f64().into();
        row["left"] = when.saturating_sub(now).as_secs_f64().into();
        row
    };
    json!({
        "total": event_loop.timers_len(),
        "heap": event_loop.timer_heap_len(),
        "rows": event_loop.first_timers(ROWS_MAX).iter().map(row).collect::<Vec<_>>(),
    })
}
