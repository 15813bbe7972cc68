//! Runs a case against real servers.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::case::{Case, Step};
use super::servers::{CannotRun, Servers};
use super::text::{Text, Values};
use super::wire::{Quiet, Wire};

/// Between two tries of what is to come true soon.
const AGAIN: Duration = Duration::from_millis(20);
/// How long more newlines are waited for behind the two.
const NO_MORE: Duration = Duration::from_millis(60);

/// How a case is judged.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// As graders are.
    pub lenient: bool,
    /// How long an answer may take.
    pub patience: Duration,
}

/// What went over the wires, in order: when, to or from which server, what.
pub struct Heard {
    /// Since the case began.
    pub when: Duration,
    /// `> Bailey` or `< Bailey`.
    pub way: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a case failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The server that was spoken to.
    pub server: String,
    /// What was sent to it last on that connection.
    pub sent: Vec<u8>,
    /// What came.
    pub got: Vec<u8>,
    /// Why no more came, if more was due.
    pub quiet: Option<Quiet>,
    /// What was expected, in words or as bytes.
    pub expected: String,
    /// The first byte of what came that differs.
    pub at: usize,
}

/// How a case ended.
pub struct Outcome {
    /// `None`: it passed.
    pub failure: Option<Failure>,
    /// It failed, and a lenient grader would not mind.
    pub forgiven: bool,
    /// What went over the wires.
    pub heard: Vec<Heard>,
}

impl Outcome {
    /// True if it failed because nothing came.
    pub fn is_silent(&self) -> bool {
        let quiet = self.failure.as_ref().and_then(|failure| failure.quiet);
        quiet == Some(Quiet::Silence)
    }
}

struct Talk {
    wire: Wire,
    server: String,
    sent: Vec<u8>,
}

struct Run<'a> {
    servers: &'a mut Servers,
    talks: BTreeMap<String, Talk>,
    values: Values,
    begun: Instant,
    heard: Vec<Heard>,
    manner: Manner,
}

type Judged = Result<(), Failure>;

/// Runs a case.
///
/// # Errors
/// A server is gone for good.
pub fn run(
    case: &Case,
    servers: &mut Servers,
    number: u64,
    manner: Manner,
) -> Result<Outcome, CannotRun> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.unwrap_or_default().as_nanos() as i128;
    let unique = format!("{}.{number}", nanos / 1_000_000 % 1_000_000_000);
    let mut run = Run {
        servers,
        talks: BTreeMap::new(),
        values: Values::new(&unique, nanos),
        begun: Instant::now(),
        heard: Vec::new(),
        manner,
    };
    let mut failure = None;
    for step in &case.steps {
        if let Step::Do { act, to } = step {
            run.servers.act(*act, to)?;
        } else if let Err(why) = run.step(step) {
            failure = Some(why);
            break;
        }
    }
    let heard = run.heard;
    if case.needs_processes() {
        servers.mend()?;
    }
    Ok(Outcome {
        failure,
        forgiven: false,
        heard,
    })
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Judged {
        match step {
            Step::Send {
                on,
                to,
                pieces,
                end,
            } => self.send(on, to, pieces, *end),
            Step::Read { on, line } => self.with(on, |run, talk| run.line(talk, line)),
            Step::Places { on, line, most } => self.with(on, |run, talk| {
                run.line(talk, line)?;
                run.places(talk, *most)
            }),
            Step::Quiet { on, time } => self.with(on, |run, talk| run.quiet(talk, *time)),
            Step::End { on } => self.with(on, |run, talk| run.end(talk)),
            Step::Ask {
                to,
                command,
                line,
                within,
            } => self.until(*within, |run| {
                let mut talk = run.open(to)?;
                run.say(&mut talk, &[command.bytes(&run.values)])?;
                run.line(&mut talk, line)
            }),
            Step::Whatsat {
                to,
                command,
                line,
                most,
                within,
            } => self.until(*within, |run| {
                let mut talk = run.open(to)?;
                run.say(&mut talk, &[command.bytes(&run.values)])?;
                run.line(&mut talk, line)?;
                run.places(&mut talk, *most)
            }),
            Step::Pause(time) => {
                thread::sleep(*time);
                Ok(())
            }
            Step::Do { .. } => Ok(()),
        }
    }

    /// Again and again, on new connections, until it is right or the time is over.
    fn until(
        &mut self,
        within: Option<Duration>,
        mut one: impl FnMut(&mut Self) -> Judged,
    ) -> Judged {
        let until = within.map(|within| Instant::now() + within);
        loop {
            let judged = one(self);
            let is_over = until.is_none_or(|until| Instant::now() >= until);
            if judged.is_ok() || is_over {
                return judged;
            }
            thread::sleep(AGAIN);
        }
    }

    fn with(&mut self, on: &str, what: impl FnOnce(&mut Self, &mut Talk) -> Judged) -> Judged {
        let Some(mut talk) = self.talks.remove(on) else {
            return Err(nothing(
                "",
                &format!("a connection {on:?}: the case never opened it"),
            ));
        };
        let judged = what(self, &mut talk);
        self.talks.insert(on.to_string(), talk);
        judged
    }

    fn open(&mut self, to: &str) -> Result<Talk, Failure> {
        let refused = |why: String| nothing(to, &format!("a connection ({why})"));
        let address = self.servers.address(to);
        let address = address.ok_or_else(|| refused(String::from("there is no such server")))?;
        let wire = Wire::connect(address).map_err(|error| refused(error.to_string()))?;
        Ok(Talk {
            wire,
            server: to.to_string(),
            sent: Vec::new(),
        })
    }

    fn send(&mut self, on: &str, to: &str, pieces: &[Text], end: bool) -> Judged {
        let mut talk = match self.talks.remove(on) {
            Some(talk) => talk,
            None => self.open(to)?,
        };
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|text| text.bytes(&self.values)).collect();
        let said = self.say(&mut talk, &pieces);
        if end {
            // If it is gone, the next read says so.
            let _ = talk.wire.end();
        }
        self.talks.insert(on.to_string(), talk);
        said
    }

    fn say(&mut self, talk: &mut Talk, pieces: &[Vec<u8>]) -> Judged {
        talk.sent = pieces.concat();
        for piece in pieces {
            self.note(format!("> {}", talk.server), piece);
        }
        let sent = talk.wire.send(pieces);
        sent.map_err(|error| failed(talk, Vec::new(), &format!("that it reads on ({error})"), 0))
    }

    fn line(&mut self, talk: &mut Talk, expected: &Text) -> Judged {
        let wanted = format!("\"{}\"", expected.shown(&self.values));
        let line = match talk.wire.line(self.manner.patience) {
            Ok(line) => line,
            Err(_)
                if self.manner.lenient && expected.forgives(&talk.wire.pending, &self.values) =>
            {
                std::mem::take(&mut talk.wire.pending)
            }
            Err(quiet) => {
                let got = std::mem::take(&mut talk.wire.pending);
                let at = expected.matches(&got, &self.values);
                let at = at.err().map_or(got.len(), |mismatch| mismatch.at);
                let mut failure = failed(talk, got, &wanted, at);
                failure.quiet = Some(quiet);
                self.note(format!("< {}", talk.server), &failure.got);
                return Err(failure);
            }
        };
        self.note(format!("< {}", talk.server), &line);
        let judged = match self.manner.lenient && expected.forgives(&line, &self.values) {
            true => Ok(()),
            false => expected.matches(&line, &self.values),
        };
        judged.map_err(|mismatch| {
            let expected = format!("{} from there on, in {}", mismatch.expected, wanted);
            failed(talk, line.clone(), &expected, mismatch.at)
        })?;
        if line.starts_with(b"AT ") {
            let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            self.values.set("at", text);
        }
        Ok(())
    }

    /// The frame of places: a JSON object, and two newlines, no less and no more.
    fn places(&mut self, talk: &mut Talk, most: usize) -> Judged {
        let frame = |bytes: &[u8]| {
            let end = bytes.windows(2).position(|pair| pair == b"\n\n");
            end.map(|at| at + 2)
        };
        let body = talk.wire.read(self.manner.patience, frame);
        let body = body.map_err(|quiet| {
            let got = std::mem::take(&mut talk.wire.pending);
            let at = got.len();
            let expected = "a JSON object, and then exactly two newlines";
            let mut failure = failed(talk, got, expected, at);
            failure.quiet = Some(quiet);
            failure
        })?;
        self.note(format!("< {}", talk.server), &body);
        let json: Result<Value, _> = serde_json::from_slice(&body[..body.len() - 2]);
        let value = json.map_err(|error| {
            let expected = format!("a JSON object, newlines in it never two in a row ({error})");
            failed(talk, body.clone(), &expected, body.len() - 2)
        })?;
        let results = value.get("results").or_else(|| value.get("places"));
        let count = results.and_then(Value::as_array).map_or(0, Vec::len);
        if !value.is_object() || count > most {
            let expected = format!("an object with at most {most} results, not {count}");
            return Err(failed(talk, body, &expected, 0));
        }
        // Newlines that are too many come with the rest, or soon behind it.
        let more = talk
            .wire
            .read(NO_MORE, |bytes| (!bytes.is_empty()).then_some(1));
        match more {
            Ok(byte) if byte == b"\n" => {
                let expected = "exactly two newlines at the end, not more";
                Err(failed(talk, byte, expected, 0))
            }
            Ok(byte) => {
                talk.wire.pending.splice(0..0, byte);
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    fn quiet(&mut self, talk: &mut Talk, time: Duration) -> Judged {
        match talk
            .wire
            .read(time, |bytes| (!bytes.is_empty()).then_some(bytes.len()))
        {
            Ok(got) => {
                self.note(format!("< {}", talk.server), &got);
                Err(failed(talk, got, "nothing: no answer is due here", 0))
            }
            Err(Quiet::Silence) => Ok(()),
            Err(quiet) => {
                let mut failure = failed(talk, Vec::new(), "an open connection", 0);
                failure.quiet = Some(quiet);
                Err(failure)
            }
        }
    }

    fn end(&mut self, talk: &mut Talk) -> Judged {
        match talk.wire.read(self.manner.patience, |bytes| {
            (!bytes.is_empty()).then_some(bytes.len())
        }) {
            Err(Quiet::Closed) => Ok(()),
            Ok(got) => Err(failed(
                talk,
                got,
                "the end of the connection, and nothing more",
                0,
            )),
            Err(quiet) => {
                let mut failure = failed(talk, Vec::new(), "the end of the connection", 0);
                failure.quiet = Some(quiet);
                Err(failure)
            }
        }
    }

    fn note(&mut self, way: String, bytes: &[u8]) {
        self.heard.push(Heard {
            when: self.begun.elapsed(),
            way,
            bytes: bytes.to_vec(),
        });
    }
}

fn failed(talk: &Talk, got: Vec<u8>, expected: &str, at: usize) -> Failure {
    Failure {
        server: talk.server.clone(),
        sent: talk.sent.clone(),
        got,
        quiet: None,
        expected: expected.to_string(),
        at,
    }
}

fn nothing(server: &str, expected: &str) -> Failure {
    Failure {
        server: server.to_string(),
        sent: Vec::new(),
        got: Vec::new(),
        quiet: Some(Quiet::Closed),
        expected: expected.to_string(),
        at: 0,
    }
}
