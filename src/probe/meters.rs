//! What the loop told of itself, summed up.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::histogram::Histogram;
use super::tables::{counted, duration};
use crate::event_loop::Observation;
use crate::server::Callback;

/// Moments that are remembered.
pub const RECENT_MAX: usize = 40;

/// How long things took, and the last of them.
#[derive(Default)]
pub struct Meters {
    wait: Histogram,
    run: Histogram,
    poll: Histogram,
    iteration: Histogram,
    /// The last poll.
    pub last_poll: LastPoll,
    /// The last turn that ended.
    pub last_turn: LastTurn,
    last_lap: Duration,
    /// Each with how many nobody saw before it.
    recent: VecDeque<(u64, Moment)>,
    /// Moments that nobody saw since the last of these.
    unseen: u64,
    since: Duration,
    /// What looks took since the last poll.
    looked: Duration,
    /// Those before the last poll lie between its beginning and this.
    looks_end: Duration,
    /// How long polls have slept that only a look ended: the next goes on where they did.
    slept: Duration,
}

/// What the last poll came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastPoll {
    /// The stopwatch when it began.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// How long it might have slept; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Events that it returned.
    pub events: usize,
    /// Callbacks that its turn runs.
    pub todo: usize,
}

/// What the last turn came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastTurn {
    /// Callbacks that ran in it.
    pub ran: usize,
    /// The stopwatch when its finish began.
    pub flushed: Duration,
    /// The stopwatch at its end.
    pub ended: Duration,
}

impl LastPoll {
    /// True if it ended for no reason of the server's: somebody looks, and its turn is empty.
    pub fn is_idle(&self) -> bool {
        self.events == 0 && self.todo == 0
    }

    /// In words.
    pub fn says(&self) -> String {
        format!(
            "took {}, told {}; {} will run",
            duration(self.took),
            counted(self.events as u64, "event"),
            counted(self.todo as u64, "callback"),
        )
    }
}

/// What a moment was. Words cost more than many a callback, so a loop that runs leaves them to who
/// makes a view: of all its moments that shows the last few.
#[derive(Clone, Debug)]
pub enum Says {
    /// Words that were made for somebody else anyhow.
    Words(String),
    /// This callback.
    Callback(Callback),
    /// This poll.
    Poll(LastPoll),
}

/// One moment that is past.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Its number.
    pub moment: u64,
    /// Its turn.
    pub iteration: u64,
    /// `poll`, `callback` or `finish`.
    pub what: &'static str,
    /// The callback's kind; empty for the others.
    pub kind: &'static str,
    /// What it was.
    pub says: Says,
    /// How long it took.
    pub took: Duration,
    /// Bytes that it read.
    pub read: usize,
    /// Bytes that it wrote.
    pub wrote: usize,
}

impl Meters {
    /// Takes in what the loop tells.
    pub fn observe(&mut self, observation: &Observation<'_, Callback>) {
        match observation {
            Observation::Polled {
                began,
                took,
                timeout,
                events,
                todo,
            } => {
                self.last_lap = *began + *took;
                self.last_poll = LastPoll {
                    began: *began,
                    took: *took,
                    timeout: *timeout,
                    events: *events,
                    todo: *todo,
                };
                let looked = std::mem::take(&mut self.looked);
                self.looks_end = *began + looked;
                self.slept += took.saturating_sub(looked);
                if !self.last_poll.is_idle() {
                    self.poll.record(std::mem::take(&mut self.slept));
                }
            }
            Observation::Started(_, pending) => self.since = pending.since,
            Observation::Finished { began, took, .. } => {
                self.wait.record(self.waited(*began));
                self.run.record(*took);
                self.last_lap = *began + *took;
            }
            Observation::Iteration { ran, began, took } => {
                if !self.last_poll.is_idle() {
                    self.iteration.record(*took);
                }
                self.last_turn = LastTurn {
                    ran: *ran,
                    flushed: self.last_lap,
                    ended: *began + *took,
                };
            }
            Observation::SlowCallback { .. } | Observation::SlowIteration { .. } => {}
        }
    }

    /// How long a callback that begins has waited; looks that came between are no part of it.
    fn waited(&self, began: Duration) -> Duration {
        let from = self.since.max(self.last_poll.began);
        let looked = self.looks_end.saturating_sub(from);
        began.saturating_sub(self.since).saturating_sub(looked)
    }

    /// A look took so long, between two turns: the loop's clock went on, but nothing of the server ran.
    pub fn looked(&mut self, took: Duration) {
        self.looked += took;
    }

    /// Remembers a moment, and forgets the oldest.
    pub fn remember(&mut self, moment: Moment) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        let unseen = std::mem::take(&mut self.unseen);
        self.recent.push_back((unseen, moment));
    }

    /// Counts a moment that nobody saw.
    pub fn miss(&mut self) {
        self.unseen += 1;
    }

    /// How many moments nobody saw since the last that is remembered.
    pub fn unseen(&self) -> u64 {
        self.unseen
    }

    /// The histograms.
    pub fn histograms(&self) -> Value {
        json!({
            "wait": self.wait.to_json(),
            "run": self.run.to_json(),
            "poll": self.poll.to_json(),
            "iteration": self.iteration.to_json(),
        })
    }

    /// The moments that are remembered, oldest first.
    pub fn recent(&self, describe: impl Fn(&Callback) -> String) -> Value {
        let row = |(unseen, moment): &(u64, Moment)| {
            let says = match &moment.says {
                Says::Words(words) => words.clone(),
                Says::Callback(callback) => describe(callback),
                Says::Poll(poll) => poll.says(),
            };
            json!({
                "unseen": unseen,
                "moment": moment.moment,
                "iteration": moment.iteration,
                "what": moment.what,
                "kind": moment.kind,
                "says": says,
                "took": moment.took.as_secs_f64(),
                "read": moment.read,
                "wrote": moment.wrote,
            })
        };
        self.recent.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_moments_are_forgotten() {
        let mut meters = Meters::default();
        for moment in 0..RECENT_MAX as u64 + 5 {
            meters.remember(Moment {
                moment,
                iteration: 1,
                what: "poll",
                kind: "",
                says: Says::Words(String::new()),
                took: Duration::ZERO,
                read: 0,
                wrote: 0,
            });
        }
        let recent = meters.recent(|callback| callback.kind().to_string());
        let rows = recent.as_array().expect("an array");
        assert_eq!(rows.len(), RECENT_MAX);
        assert_eq!(rows[0]["moment"], 5);
    }

    #[test]
    fn a_look_is_no_part_of_a_wait() {
        let at = Duration::from_secs;
        let mut meters = Meters::default();
        meters.looked(at(5));
        meters.observe(&Observation::Polled {
            began: at(10),
            took: at(6),
            timeout: Some(Duration::ZERO),
            events: 0,
            todo: 3,
        });
        // Queued in the turn before; a timer that was due during the look; told by the poll.
        for (since, wanted) in [(8, 4), (13, 2), (16, 1)] {
            meters.since = at(since);
            assert_eq!(meters.waited(at(17)), at(wanted), "{since}");
        }
    }

    #[test]
    fn a_sleep_that_looks_cut_is_one_and_what_they_took_is_no_part_of_it() {
        let mut meters = Meters::default();
        let second = Duration::from_secs(1);
        let mut poll = |began: u32, took: u32, todo: usize| {
            meters.observe(&Observation::Polled {
                began: began * second,
                took: took * second,
                timeout: None,
                events: todo,
                todo,
            });
            meters.observe(&Observation::Iteration {
                ran: todo,
                began: (began + took) * second,
                took: Duration::ZERO,
            });
            meters.looked(second);
            let json = meters.histograms();
            let figure = |name: &str| (json[name]["count"].clone(), json[name]["sum"].clone());
            assert_eq!(figure("iteration").0, figure("poll").0);
            figure("poll")
        };
        // No look came before the first; each of the others begins with one.
        assert_eq!(poll(0, 5, 0), (0.into(), 0.0.into()));
        assert_eq!(poll(5, 3, 0), (0.into(), 0.0.into()));
        assert_eq!(poll(8, 4, 1), (1.into(), 10.0.into()));
        assert_eq!(poll(12, 2, 1), (2.into(), 11.0.into()));
    }
}
