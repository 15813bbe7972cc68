//! Why the bytes of a NATS server are refused. Pure.

use std::ascii::escape_default;
use std::error::Error;
use std::fmt::{self, Display, Formatter};

use super::bounds::{CONTROL_LINE_MAX, HEADERS_MAX, INFO_MAX, PAYLOAD_MAX};

/// So much of the line is shown.
const SHOWN_MAX: usize = 48;

/// Why bytes are refused, and the line where; it is final, and the connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// What is wrong.
    pub flaw: Flaw,
    shown: [u8; SHOWN_MAX],
    length: usize,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The line begins with no word that a server says.
    Verb,
    /// The line is longer than [`CONTROL_LINE_MAX`], or an INFO longer than [`INFO_MAX`].
    LineTooLong,
    /// The line ends with LF alone.
    BareLf,
    /// MSG or HMSG has another number of fields.
    Fields,
    /// A subscription's number or a length is not some digits.
    Number,
    /// The headers are longer than the whole of the message.
    HeadersBeyondTotal,
    /// The headers are longer than [`HEADERS_MAX`].
    HeadersTooLong,
    /// The payload is longer than [`PAYLOAD_MAX`].
    PayloadTooLong,
    /// The payload is not followed by CR LF.
    End,
}

impl FrameError {
    /// An error about a frame that begins with these bytes.
    pub(super) fn new(flaw: Flaw, frame: &[u8]) -> FrameError {
        let end = memchr::memchr(b'\n', frame).unwrap_or(frame.len());
        let line = &frame[..end.min(SHOWN_MAX)];
        let mut shown = [0; SHOWN_MAX];
        shown[..line.len()].copy_from_slice(line);
        FrameError {
            flaw,
            shown,
            length: line.len(),
        }
    }
}

impl Display for FrameError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let expected = match self.flaw {
            Flaw::Verb => "INFO, MSG, HMSG, PING, PONG, +OK or -ERR",
            Flaw::LineTooLong => {
                return write!(
                    f,
                    "expected a line of at most {CONTROL_LINE_MAX} bytes, or an INFO of {INFO_MAX}: {}",
                    self.line()
                );
            }
            Flaw::BareLf => "a line that ends with CR LF",
            Flaw::Fields => {
                "MSG subject sid [reply] bytes, or HMSG subject sid [reply] headers total"
            }
            Flaw::Number => "digits for sid and lengths",
            Flaw::HeadersBeyondTotal => "headers no longer than the message",
            Flaw::HeadersTooLong => {
                return write!(
                    f,
                    "expected headers of at most {HEADERS_MAX} bytes: {}",
                    self.line()
                );
            }
            Flaw::PayloadTooLong => {
                return write!(
                    f,
                    "expected a payload of at most {PAYLOAD_MAX} bytes: {}",
                    self.line()
                );
            }
            Flaw::End => "CR LF behind the payload",
        };
        write!(f, "expected {expected}: {}", self.line())
    }
}

impl FrameError {
    fn line(&self) -> String {
        let bytes = self.shown[..self.length].iter().copied();
        bytes.flat_map(escape_default).map(char::from).collect()
    }
}

impl Error for FrameError {}
