//! A step of a case: what is done, and what must come of it. Pure.
//!
//! | step | what it is |
//! |---|---|
//! | `send a Clark "…" "…" end` | writes on connection `a`, opened for it if need be; `end`: and half-closes |
//! | `read a "…"` | the next line there |
//! | `places a "…" 5 MILLIS` | an AT line, and the frame of at most 5 places, within so long |
//! | `body a "…" 5` | the same, and the places are those that the stand-in for Google gave |
//! | `quiet a MILLIS` | nothing comes for so long |
//! | `end a` | the server closes, without another byte |
//! | `reset a` | we break the connection off |
//! | `ask Clark "…" "…" MILLIS` | on a connection of its own: a command and its answer, again and again for so long |
//! | `whatsat Clark "…" "…" 5 MILLIS` | the same with a WHATSAT |
//! | `google WORD` | how the stand-in for Google behaves from now on: see `places/manners.rs` |
//! | `asked LATITUDE LONGITUDE METRES` | it was asked for that |
//! | `by MILLIS` | no more than so long has passed since the case began |
//! | `crowd 200 10` | so many clients at once, so many reports of each |
//! | `burst Clark 3000 4000` | so many reports in a row, with an id of so many bytes |
//! | `kill`, `start`, `freeze`, `thaw Bona` | the process is killed, started, stopped, goes on |
//! | `stand Bona` | we listen in the place of one that was killed |
//! | `told Bona "…" 12 MILLIS` | within so long this was said to us there at most 12 times |
//! | `pause MILLIS` | time passes |

use std::time::Duration;

use super::text::Text;
use super::words::Words;

/// What is done, and what must come of it. A connection has a letter.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Sends pieces, one write each, on a connection that is opened for it if need be; `end`: and no more.
    Send {
        /// The connection.
        on: String,
        /// The server it is to.
        to: String,
        /// The writes.
        pieces: Vec<Text>,
        /// Half-close.
        end: bool,
    },
    /// The next line.
    Read {
        /// The connection.
        on: String,
        /// The line, its LF too.
        line: Text,
    },
    /// The answer to a WHATSAT: an AT line, and the frame of places.
    Places {
        /// The connection.
        on: String,
        /// The AT line.
        line: Text,
        /// Results that there may be.
        most: usize,
        /// True if they must be those that the stand-in gave.
        given: bool,
        /// `None`: as long as any answer may take.
        within: Option<Duration>,
    },
    /// Nothing comes for so long.
    Quiet {
        /// The connection.
        on: String,
        /// For so long.
        time: Duration,
    },
    /// The server closes, without another byte.
    End {
        /// The connection.
        on: String,
    },
    /// We break the connection off.
    Reset {
        /// The connection.
        on: String,
    },
    /// On a connection of its own: a command, and its answer; again and again within `time`.
    Ask {
        /// The server.
        to: String,
        /// The command.
        command: Text,
        /// One line, or the AT line of a WHATSAT.
        line: Text,
        /// Of a WHATSAT: results that there may be.
        most: Option<usize>,
        /// `None`: the first answer counts.
        within: Option<Duration>,
    },
    /// How the stand-in for Google behaves from now on.
    Google(String),
    /// The stand-in was asked for this.
    Asked {
        /// Degrees.
        latitude: f64,
        /// Degrees.
        longitude: f64,
        /// Metres.
        radius: f64,
    },
    /// No more than so long has passed since the case began.
    By(Duration),
    /// Many clients at once.
    Crowd {
        /// How many.
        clients: u64,
        /// Reports of each.
        reports: u64,
    },
    /// Many reports in a row.
    Burst {
        /// The server.
        to: String,
        /// How many.
        reports: u64,
        /// How many bytes the id has, and some more.
        length: u64,
    },
    /// Something is done to a server.
    Do {
        /// Which thing.
        act: Act,
        /// To whom.
        to: String,
    },
    /// We listen in a server's place.
    Stand {
        /// Whose.
        to: String,
    },
    /// What was said to us there.
    Told {
        /// In whose place.
        to: String,
        /// This.
        text: Text,
        /// So often at most.
        most: usize,
        /// We listen for so long.
        time: Duration,
    },
    /// Time passes.
    Pause(Duration),
}

/// What can be done to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// kill -9.
    Kill,
    /// It is started again, and waited for.
    Start,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
}

impl Step {
    /// Reads one, its first word taken off.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(kind: &str, words: &mut Words<'_>) -> Result<Step, String> {
        let name = |words: &mut Words<'_>| words.word().to_string();
        let time = |words: &mut Words<'_>| words.number().map(Duration::from_millis);
        Ok(match kind {
            "send" => send(words)?,
            "read" => Step::Read {
                on: name(words),
                line: words.text()?,
            },
            "places" | "body" => Step::Places {
                on: name(words),
                line: words.text()?,
                most: words.number()? as usize,
                given: kind == "body",
                within: words.time()?,
            },
            "quiet" => Step::Quiet {
                on: name(words),
                time: time(words)?,
            },
            "end" => Step::End { on: name(words) },
            "reset" => Step::Reset { on: name(words) },
            "ask" | "whatsat" => Step::Ask {
                to: name(words),
                command: words.text()?,
                line: words.text()?,
                most: match kind {
                    "whatsat" => Some(words.number()? as usize),
                    _ => None,
                },
                within: words.time()?,
            },
            "google" => Step::Google(name(words)),
            "asked" => Step::Asked {
                latitude: words.decimal()?,
                longitude: words.decimal()?,
                radius: words.decimal()?,
            },
            "by" => Step::By(time(words)?),
            "crowd" => Step::Crowd {
                clients: words.number()?,
                reports: words.number()?,
            },
            "burst" => Step::Burst {
                to: name(words),
                reports: words.number()?,
                length: words.number()?,
            },
            "stand" => Step::Stand { to: name(words) },
            "told" => Step::Told {
                to: name(words),
                text: words.text()?,
                most: words.number()? as usize,
                time: time(words)?,
            },
            "pause" => Step::Pause(time(words)?),
            other => Step::Do {
                act: act(other).ok_or_else(|| format!("{other:?} is no step"))?,
                to: name(words),
            },
        })
    }

    /// True if it takes whoever has started the servers.
    pub fn needs_processes(&self) -> bool {
        matches!(self, Step::Do { .. } | Step::Stand { .. })
    }

    /// True if it takes servers that ask the stand-in for places.
    pub fn needs_places(&self) -> bool {
        match self {
            Step::Places { given, .. } => *given,
            Step::Google(_) | Step::Asked { .. } => true,
            _ => false,
        }
    }
}

fn send(words: &mut Words<'_>) -> Result<Step, String> {
    let (on, to) = (words.word().to_string(), words.word().to_string());
    let mut pieces = Vec::new();
    while words.0.starts_with('"') {
        pieces.push(words.text()?);
    }
    let end = words.0 == "end";
    Ok(Step::Send {
        on,
        to,
        pieces,
        end,
    })
}

impl Act {
    const ALL: [Act; 4] = [Act::Kill, Act::Start, Act::Freeze, Act::Thaw];

    /// What files of cases call it.
    pub fn word(self) -> &'static str {
        match self {
            Act::Kill => "kill",
            Act::Start => "start",
            Act::Freeze => "freeze",
            Act::Thaw => "thaw",
        }
    }
}

fn act(word: &str) -> Option<Act> {
    Act::ALL.into_iter().find(|act| act.word() == word)
}
