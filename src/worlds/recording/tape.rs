//! Reads a recording, comparing each question with the one that was asked then.

use std::fmt;
use std::io;
use std::rc::Rc;

use super::blocks::Records;
use super::codec::Decoder;
use super::format::{HEADER_MAX, MAGIC};
use super::question::{Kind, Question};
use crate::worlds::mix::mix;

/// Where the code did something else than it did when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where in the recording, in bytes.
    pub at: usize,
    /// How many callbacks had begun.
    pub callbacks: u64,
    /// What the server did then; empty if the bytes there are no record.
    pub then: String,
    /// What it does now.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference {
            at,
            callbacks,
            then,
            now,
        } = self;
        write!(
            f,
            "the first difference is in callback {callbacks} or the finish behind it (byte {at}):\n  \
             recorded: it {then}\n  now:      it {now}"
        )
    }
}

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server stopped in good order, as it did then.
    Complete,
    /// The recording ends in the middle: the server was killed, or its disk was full.
    Cut,
    /// From this byte on the recording is not what was written.
    Damaged(usize),
    /// The code does something else now.
    Different(Difference),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Complete => f.write_str("the replay is equal to the recording"),
            Ending::Cut => f.write_str("equal so far; the recording ends here, without a good end"),
            Ending::Damaged(at) => {
                write!(
                    f,
                    "equal so far; the recording is damaged from byte {at} on"
                )
            }
            Ending::Different(difference) => difference.fmt(f),
        }
    }
}

/// A recording that is being replayed.
pub struct Tape {
    records: Rc<Records>,
    decoder: Decoder<'static>,
    callbacks: u64,
    order: u64,
    ending: Option<Ending>,
}

impl Tape {
    /// The header of a recording, and where its records begin.
    ///
    /// # Errors
    /// In words: what was expected.
    pub fn header(bytes: &[u8]) -> Result<(&str, usize), String> {
        let line = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            let end = rest.iter().take(HEADER_MAX).position(|&byte| byte == b'\n');
            end.and_then(|end| Some((str::from_utf8(&rest[..end]).ok()?, from + end + 1)))
        };
        let (magic, second) = line(0)
            .filter(|(magic, _)| magic.starts_with("herd recording "))
            .ok_or_else(|| format!("no recording: expected it to begin with {MAGIC:?}"))?;
        if magic != MAGIC {
            return Err(format!(
                "{magic:?} is of another version: expected {MAGIC:?}"
            ));
        }
        line(second).ok_or_else(|| String::from("the header ends early: expected a line of JSON"))
    }

    /// Replays these records.
    pub fn new(records: Rc<Records>) -> Tape {
        Tape {
            records,
            decoder: Decoder::new(&[], 0),
            callbacks: 0,
            order: 0,
            ending: None,
        }
    }

    /// How far it is, and how long it is, in bytes.
    pub fn progress(&self) -> (usize, usize) {
        let at = self.records.place(self.decoder.position);
        (at, self.records.length)
    }

    /// How it ended, once it has.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// How many callbacks began, and a hash of which in which order.
    pub fn order(&self) -> (u64, u64) {
        (self.callbacks, self.order)
    }

    /// Asks a question and takes the recorded answer. `None` once the replay has ended.
    pub fn ask<T>(
        &mut self,
        question: Question,
        take: impl FnOnce(&mut Decoder<'_>) -> Option<T>,
    ) -> Option<T> {
        if self.ending.is_some() {
            return None;
        }
        let at = self.decoder.position;
        let mut decoder = self.decoder.moved(&self.records.bytes);
        if at == self.records.bytes.len() {
            self.break_off();
            return None;
        }
        let Some(recorded) = Question::take(&mut decoder) else {
            self.unreadable(at, decoder.starved, question);
            return None;
        };
        if recorded != question {
            self.differ(at, recorded.to_string(), question);
            return None;
        }
        let Some(answer) = take(&mut decoder) else {
            self.unreadable(at, decoder.starved, question);
            return None;
        };
        self.decoder = decoder.moved(&[]);
        Some(answer)
    }

    /// A callback begins: the same as then?
    pub fn begin(&mut self, callback: u32) {
        if self.ending.is_some() {
            return;
        }
        self.callbacks += 1;
        let question = Question::with(Kind::Begin, callback.into(), 0);
        match self.ask(question, |_| Some(())) {
            Some(()) => self.order = order(self.order, callback),
            // Another callback is a difference in it; a recording that ends here never knew of it.
            None if matches!(self.ending, Some(Ending::Different(_))) => {}
            None => self.callbacks -= 1,
        }
    }

    /// The server has stopped: had it then?
    pub fn finish(&mut self) {
        let mine = self.order();
        let question = Question::new(Kind::End);
        let at = self.decoder.position;
        let then = self.ask(question, |from| Some((from.number()?, from.number()?)));
        match then {
            Some(then) if then == mine => {
                let (at, length) = self.progress();
                let is_complete = at == length;
                self.ending = Some(match is_complete {
                    true => Ending::Complete,
                    false => Ending::Damaged(at),
                });
            }
            Some((count, _)) => {
                self.differ(at, format!("ends after {count} callbacks"), question);
            }
            None => {}
        }
    }

    fn differ(&mut self, at: usize, then: String, now: Question) {
        self.ending = Some(Ending::Different(Difference {
            at: self.records.place(at),
            callbacks: self.callbacks,
            then,
            now: now.to_string(),
        }));
    }

    /// A record that ends with the file was being written when the server died. One that cannot be read
    /// though its block is whole is of other code.
    fn unreadable(&mut self, at: usize, starved: bool, now: Question) {
        match starved {
            true => self.break_off(),
            false if at >= self.records.whole => {
                self.ending = Some(Ending::Damaged(self.records.place(at)));
            }
            false => self.differ(at, String::from("(these bytes are no record)"), now),
        }
    }

    /// There are no more records.
    fn break_off(&mut self) {
        let damaged = self.records.damaged.map(Ending::Damaged);
        self.ending = Some(damaged.unwrap_or(Ending::Cut));
    }
}

/// The hash of an order of callbacks, with one more.
pub(super) fn order(before: u64, callback: u32) -> u64 {
    mix(before.rotate_left(7) ^ u64::from(callback))
}

/// What a world says that has nothing more to say.
pub fn ended() -> io::Error {
    io::Error::other("the recording has ended")
}
