//! A watch of the bucket: which of its messages comes next, and whether it lives.

use std::time::Duration;

use super::super::delivery::Delivery;
use super::super::headers::Headers;
use super::super::request::HEARTBEAT;

/// A watch that says nothing for so long is dead: two heartbeats, and something for the road.
const SILENCE_MAX: Duration = Duration::from_millis(HEARTBEAT.as_millis() as u64 * 5 / 2);

/// One watch.
#[derive(Debug)]
pub struct Watch {
    /// The number of its subscription.
    pub sid: u64,
    /// The answer to the request for it, until it comes: its number, and when it is late.
    pub asked: Option<(u64, Duration)>,
    /// How the server calls it.
    pub consumer: Option<String>,
    /// True once all that the bucket held at its start has come.
    pub whole: bool,
    /// How many values it began with, once that is known.
    first: Option<u64>,
    delivered: u64,
    dead_at: Duration,
}

impl Watch {
    /// A watch that was asked for.
    pub fn new(sid: u64, number: u64, now: Duration, late: Duration) -> Watch {
        Watch {
            sid,
            asked: Some((number, late)),
            consumer: None,
            whole: false,
            first: None,
            delivered: 0,
            dead_at: now + SILENCE_MAX,
        }
    }

    /// It was made, with so many values to come first.
    pub fn made(&mut self, consumer: String, pending: u64) {
        self.asked = None;
        self.consumer = Some(consumer);
        self.first = Some(pending);
    }

    /// Something of it came.
    pub fn lives(&mut self, now: Duration) {
        self.dead_at = now + SILENCE_MAX;
    }

    /// The next message is this one; false if one is missing.
    pub fn follows(&mut self, delivery: &Delivery<'_>) -> bool {
        self.delivered += 1;
        delivery.delivered == self.delivered
    }

    /// True once: all that the bucket held at the start has come. Values that are overwritten before they
    /// come are not lost but come later, so their number tells as well as `pending` does.
    pub fn becomes_whole(&mut self, pending: Option<u64>) -> bool {
        let counted = self.first.is_some_and(|first| self.delivered >= first);
        let becomes = !self.whole && (counted || pending == Some(0));
        self.whole |= becomes;
        becomes
    }

    /// A heartbeat; false if it tells of more than came.
    pub fn beats(&self, headers: &Headers<'_>) -> bool {
        let last = headers.number("Nats-Last-Consumer");
        last.is_none_or(|last| last <= self.delivered)
    }

    /// When to look again whether it lives.
    pub fn deadline(&self) -> Duration {
        let late = self.asked.map(|(_, late)| late);
        late.map_or(self.dead_at, |late| late.min(self.dead_at))
    }
}
