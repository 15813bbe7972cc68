//! A conversation with a server: what is said, and whether the answer is right.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::failure::{Failure, Judged};
use super::log::Log;
use super::text::{Text, Values};
use super::wire::{Quiet, Wire};

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

/// A connection, and what was said on it last.
pub struct Talk {
    wire: Wire,
    server: String,
    /// The connection's letter, for the log.
    on: String,
    sent: Vec<u8>,
    log: Log,
}

impl Talk {
    /// Connects to a server.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn open(
        on: &str,
        to: &str,
        address: Option<SocketAddr>,
        log: &Log,
    ) -> Result<Talk, Failure> {
        let refused = |why: String| Failure::nothing(to, &format!("a connection ({why})"));
        let address = address.ok_or_else(|| refused(String::from("there is no such server")))?;
        let wire = Wire::connect(address).map_err(|error| refused(error.to_string()))?;
        Ok(Talk {
            wire,
            server: to.to_string(),
            on: on.to_string(),
            sent: Vec::new(),
            log: log.clone(),
        })
    }

    /// Says these pieces, one write each.
    ///
    /// # Errors
    /// The server takes no more.
    pub fn say(&mut self, pieces: &[Vec<u8>]) -> Judged {
        self.sent = pieces.concat();
        for piece in pieces {
            self.log
                .note(&format!("{} > {}", self.on, self.server), piece);
        }
        let sent = self.wire.send(pieces);
        sent.map_err(|error| self.failed(Vec::new(), &format!("that it reads on ({error})"), 0))
    }

    /// Nothing more will be said. If the connection is gone, the next read says so.
    pub fn half_close(&mut self) {
        self.log
            .note(&format!("{} > {} ends", self.on, self.server), b"");
        let _ = self.wire.end();
    }

    /// Breaks the connection off: the server hears a reset.
    pub fn reset(self) {
        self.log
            .note(&format!("{} > {} breaks off", self.on, self.server), b"");
        self.wire.reset();
    }

    /// The next line. An AT line is remembered as the value `at`.
    ///
    /// # Errors
    /// It does not come, or another one does.
    pub fn line(&mut self, expected: &Text, values: &mut Values, manner: Manner) -> Judged {
        let forgives =
            |bytes: &[u8], values: &Values| manner.lenient && expected.forgives(bytes, values);
        let wanted = format!("\"{}\"", expected.shown(values));
        let line = match self.wire.up_to(b"\n", manner.patience) {
            Ok(line) => line,
            Err(_) if forgives(&self.wire.pending, values) => {
                std::mem::take(&mut self.wire.pending)
            }
            Err(quiet) => {
                let got = std::mem::take(&mut self.wire.pending);
                let at = expected.matches(&got, values);
                let at = at.err().map_or(got.len(), |mismatch| mismatch.at);
                return Err(self.fell_silent(got, &wanted, at, quiet));
            }
        };
        self.heard(&line);
        if !forgives(&line, values)
            && let Err(mismatch) = expected.matches(&line, values)
        {
            let expected = format!("{} from there on, in {}", mismatch.expected, wanted);
            return Err(self.failed(line, &expected, mismatch.at));
        }
        if line.starts_with(b"AT ") {
            let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            values.set("at", text);
        }
        Ok(())
    }

    /// The frame of places: a JSON object with at most so many results, and two newlines, no less and no
    /// more. The frame's bytes.
    ///
    /// # Errors
    /// It does not come, or is not like that.
    pub fn places(&mut self, most: usize, patience: Duration) -> Result<Vec<u8>, Failure> {
        let body = self.wire.up_to(b"\n\n", patience);
        let body = body.map_err(|quiet| {
            let got = std::mem::take(&mut self.wire.pending);
            let at = got.len();
            self.fell_silent(
                got,
                "a JSON object, and then exactly two newlines",
                at,
                quiet,
            )
        })?;
        self.heard(&body);
        let json: Result<Value, _> = serde_json::from_slice(&body[..body.len() - 2]);
        let value = json.map_err(|error| {
            let expected = format!("a JSON object, newlines in it never two in a row ({error})");
            self.failed(body.clone(), &expected, body.len() - 2)
        })?;
        let results = value.get("results").or_else(|| value.get("places"));
        let count = results.and_then(Value::as_array).map_or(0, Vec::len);
        if !value.is_object() || count > most {
            let expected = format!("an object with at most {most} results, not {count}");
            return Err(self.failed(body, &expected, 0));
        }
        // Newlines that are too many come with the rest, or soon behind it.
        let more = self
            .wire
            .read(NO_MORE, |bytes| (!bytes.is_empty()).then_some(1));
        match more {
            Ok(byte) if byte == b"\n" => {
                let expected = "exactly two newlines at the end, not more";
                Err(self.failed(byte, expected, 0))
            }
            Ok(byte) => {
                self.wire.pending.splice(0..0, byte);
                Ok(body)
            }
            Err(_) => Ok(body),
        }
    }

    /// Nothing comes for so long.
    ///
    /// # Errors
    /// Something does, or the connection ends.
    pub fn quiet(&mut self, time: Duration) -> Judged {
        match self.anything(time) {
            Ok(got) => Err(self.failed(got, "nothing: no answer is due here", 0)),
            Err(Quiet::Silence) => Ok(()),
            Err(quiet) => Err(self.fell_silent(Vec::new(), "an open connection", 0, quiet)),
        }
    }

    /// The server closes, without another byte.
    ///
    /// # Errors
    /// It does not.
    pub fn end(&mut self, patience: Duration) -> Judged {
        match self.anything(patience) {
            Err(Quiet::Closed) => Ok(()),
            Ok(got) => Err(self.failed(got, "the end of the connection, and nothing more", 0)),
            Err(quiet) => Err(self.fell_silent(Vec::new(), "the end of the connection", 0, quiet)),
        }
    }

    /// What came is not what was expected.
    pub fn failed(&self, got: Vec<u8>, expected: &str, at: usize) -> Failure {
        Failure::new(&self.server, &self.sent, got, expected, at)
    }

    fn anything(&mut self, time: Duration) -> Result<Vec<u8>, Quiet> {
        let got = self
            .wire
            .read(time, |bytes| (!bytes.is_empty()).then_some(bytes.len()));
        if let Ok(got) = &got {
            self.heard(got);
        }
        got
    }

    fn fell_silent(&self, got: Vec<u8>, expected: &str, at: usize, quiet: Quiet) -> Failure {
        self.heard(&got);
        let mut failure = self.failed(got, expected, at);
        failure.quiet = Some(quiet);
        failure
    }

    fn heard(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.log
                .note(&format!("{} < {}", self.on, self.server), bytes);
        }
    }
}
