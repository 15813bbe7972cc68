//! Turns moments of the loop into a trace, and follows each report from server to server.

use std::collections::BTreeMap;

use super::driver::{Driver, Moved};
use super::tables::{place, reason};
use super::trace::{Argument, FlowEnd, Trace};
use crate::event_loop::Token;
use crate::herd::Command;
use crate::net::LINE_MAX;
use crate::worlds::recording::Digest;
use crate::worlds::{Exchange, Stage, Way};

/// Connections of which half a line is remembered.
pub const PARTIAL_LINES_MAX: usize = 4096;

/// Bytes of input that label a slice.
const LABEL_MAX: usize = 120;

/// Writes the trace of one server.
pub struct Tracer {
    trace: Trace,
    /// Lines whose end has not come, by connection and way.
    partial: BTreeMap<(Token, bool), Vec<u8>>,
    /// What the counters showed last: how many were ready, how many timers there were.
    figures: (usize, usize),
    /// The last moment that was taken in.
    last: u64,
}

impl Tracer {
    /// Writes to `trace`.
    pub fn new(trace: Trace) -> Tracer {
        Tracer {
            trace,
            partial: BTreeMap::new(),
            figures: (0, 0),
            last: 0,
        }
    }

    /// Writes what waits to be written.
    pub fn flush(&mut self) {
        self.trace.flush();
    }

    /// The same, and the trace's end.
    pub fn end(&mut self) {
        self.trace.end();
    }

    /// Why the trace ended early. Told once.
    pub fn take_error(&mut self) -> Option<std::io::Error> {
        self.trace.take_error()
    }

    /// Takes in one moment; not again what a replay runs again because somebody went back.
    pub fn moment<H: Stage>(
        &mut self,
        driver: &Driver<H>,
        moved: &Moved,
        says: &str,
        exchanges: &[Exchange],
    ) {
        if driver.moment() <= self.last {
            return;
        }
        self.last = driver.moment();
        match moved {
            Moved::Polled => self.polled(driver),
            Moved::Finished => self.finished(driver, exchanges),
            Moved::Ran(ran) => {
                let place = place(ran.location);
                let label = label(exchanges);
                let kind = ran.callback.kind();
                let mut arguments = vec![
                    ("callback", Argument::Text(kind.as_bytes())),
                    ("queued by", Argument::Text(reason(ran.origin).as_bytes())),
                    ("queued at", Argument::Text(place.as_bytes())),
                    (
                        "waited ns",
                        Argument::Number(ran.waited().as_nanos() as u64),
                    ),
                    ("read", Argument::Number(sum(exchanges, Way::Read))),
                    ("wrote", Argument::Number(sum(exchanges, Way::Written))),
                ];
                if let Some(label) = label {
                    arguments.push(("input", Argument::Text(label)));
                }
                self.trace.slice(says, ran.began, ran.took, &arguments);
                self.hops(driver, exchanges);
            }
        }
    }

    fn polled<H: Stage>(&mut self, driver: &Driver<H>) {
        let poll = driver.last_poll();
        let arguments = [
            ("turn", Argument::Number(driver.event_loop().iteration())),
            ("events", Argument::Number(poll.events as u64)),
        ];
        self.trace.begin_turn(poll.began);
        self.trace.slice("poll", poll.began, poll.took, &arguments);
    }

    fn finished<H: Stage>(&mut self, driver: &Driver<H>, exchanges: &[Exchange]) {
        let event_loop = driver.event_loop();
        let last = driver.last_turn();
        let (began, took) = (last.flushed, last.ended.saturating_sub(last.flushed));
        let wrote = [("wrote", Argument::Number(sum(exchanges, Way::Written)))];
        self.trace.slice("finish", began, took, &wrote);
        let number = [
            ("turn", Argument::Number(event_loop.iteration())),
            ("callbacks", Argument::Number(last.ran as u64)),
        ];
        self.trace.end_turn(&number);
        let figures = (event_loop.ready_len(), event_loop.timer_heap_len());
        if std::mem::replace(&mut self.figures, figures) != figures {
            let named = [("ready", figures.0 as u64), ("timers", figures.1 as u64)];
            self.trace.counters("waiting", &named);
        }
        self.hops(driver, exchanges);
    }

    /// Arrows: an AT line that goes to a neighbour starts one, the neighbour that reads it ends it.
    fn hops<H: Stage>(&mut self, driver: &Driver<H>, exchanges: &[Exchange]) {
        let node = driver.node();
        for exchange in exchanges {
            let out = match exchange.way {
                Way::Written => true,
                Way::Read => false,
                Way::Closed => {
                    self.partial.remove(&(exchange.token, true));
                    self.partial.remove(&(exchange.token, false));
                    continue;
                }
                _ => continue,
            };
            let Some(other) = node.neighbour_at(exchange.token) else {
                continue;
            };
            for line in self.lines((exchange.token, out), &exchange.bytes) {
                let Some(Command::At(at)) = Command::parse(&line) else {
                    continue;
                };
                let (end, from, to) = match out {
                    true => (FlowEnd::Start, node.name(), other),
                    false => (FlowEnd::Finish, other, node.name()),
                };
                let id = flow_id(at.report.id, at.report.time.as_bytes(), from, to);
                let name = format!("AT {}", at.report.id.escape_ascii());
                self.trace.flow(end, id, &name);
            }
        }
    }

    /// The whole lines of a stream, with what came of it before.
    fn lines(&mut self, stream: (Token, bool), bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut text = self.partial.remove(&stream).unwrap_or_default();
        text.extend_from_slice(bytes);
        let mut lines: Vec<Vec<u8>> = text
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let rest = lines.pop().unwrap_or_default();
        let room = self.partial.len() < PARTIAL_LINES_MAX && rest.len() <= LINE_MAX;
        if !rest.is_empty() && room {
            self.partial.insert(stream, rest);
        }
        lines
    }
}

/// The number of an arrow: the same in the server that sends and in the one that receives.
pub fn flow_id(client: &[u8], time: &[u8], from: &str, to: &str) -> u64 {
    let parts = [client, time, from.as_bytes(), to.as_bytes()];
    let text = parts.join(&b' ');
    let digest = Digest::of(&text);
    digest.length << 32 | u64::from(digest.hash)
}

fn sum(exchanges: &[Exchange], way: Way) -> u64 {
    let mine = exchanges.iter().filter(|exchange| exchange.way == way);
    mine.map(|exchange| exchange.length as u64).sum()
}

/// The first line that a callback read.
fn label(exchanges: &[Exchange]) -> Option<&[u8]> {
    let mut reads = exchanges
        .iter()
        .filter(|exchange| exchange.way == Way::Read);
    let line = reads.next()?.bytes.split(|&byte| byte == b'\n').next()?;
    Some(&line[..line.len().min(LABEL_MAX)])
}
