//! What a NATS server sends, out of bytes that arrive in any pieces. Pure.

use std::ops::Range;

use super::bounds::{CONTROL_LINE_MAX, HEADERS_MAX, INFO_MAX, PAYLOAD_MAX};
use super::frame_error::{Flaw, FrameError};

/// What a server says, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// What the server is, as JSON: first of all, and again whenever something of it changes.
    Info(&'a [u8]),
    /// A message of a subscription.
    Message(Message<'a>),
    /// We are asked whether we live.
    Ping,
    /// We have asked, and it does.
    Pong,
    /// What we said was understood. (We never ask to be told.)
    Ok,
    /// An error: its text, without the quotes around it.
    Error(&'a [u8]),
}

/// A message of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it was published to.
    pub subject: &'a [u8],
    /// The subscription, by the number that we gave it.
    pub sid: u64,
    /// Where an answer is expected; empty if nowhere.
    pub reply: &'a [u8],
    /// The headers as they stand, `NATS/1.0` and the blank line included; empty if it has none.
    pub headers: &'a [u8],
    /// What was published.
    pub payload: &'a [u8],
}

/// Gathers bytes and gives back frames. Each byte is looked at once for the end of its line, whatever
/// the pieces, and what is made of them does not depend on the pieces.
#[derive(Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// So many bytes of the frame's line hold no LF.
    Line(usize),
    /// The line of a message is there, its body is not.
    Body(Head),
    Failed(FrameError),
}

impl Default for State {
    fn default() -> State {
        State::Line(0)
    }
}

/// The line of a message; places count from where the frame begins.
#[derive(Clone, Debug)]
struct Head {
    subject: Range<usize>,
    reply: Range<usize>,
    sid: u64,
    body: usize,
    headers: usize,
    total: usize,
}

impl Frames {
    /// Takes the next bytes. What is held stays bounded if all frames are taken before more is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(bytes);
    }

    /// How many bytes wait for the rest of their frame, or to be taken.
    pub fn held(&self) -> usize {
        self.held.len() - self.at
    }

    /// The next frame, once it is whole. An error is final: it is returned ever after.
    ///
    /// # Errors
    /// The bytes are no frame, or one that is longer than we take.
    // Not an iterator: a frame borrows from here.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let start = self.at;
        match self.advance() {
            Ok(None) => Ok(None),
            Ok(Some(Whole::Line(line))) => Ok(Some(frame_of(&self.held[line]))),
            Ok(Some(Whole::Message(head))) => {
                let frame = &self.held[start..];
                let body = &frame[head.body..head.body + head.total];
                let (headers, payload) = body.split_at(head.headers);
                Ok(Some(Frame::Message(Message {
                    subject: &frame[head.subject],
                    sid: head.sid,
                    reply: &frame[head.reply],
                    headers,
                    payload,
                })))
            }
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// Steps over a frame, if all of it is there.
    fn advance(&mut self) -> Result<Option<Whole>, FrameError> {
        let frame = &self.held[self.at..];
        let head = match &self.state {
            State::Failed(error) => return Err(*error),
            State::Body(head) => head.clone(),
            State::Line(scanned) => {
                let Some(end) = line_end(frame, *scanned)? else {
                    self.state = State::Line(frame.len());
                    return Ok(None);
                };
                let Some(head) = head(frame, end)? else {
                    let line = self.at..self.at + end - 2;
                    self.at += end;
                    self.state = State::Line(0);
                    return Ok(Some(Whole::Line(line)));
                };
                head
            }
        };
        let end = head.body + head.total;
        match frame.get(end..end + 2) {
            None => {
                self.state = State::Body(head);
                Ok(None)
            }
            Some(b"\r\n") => {
                self.at += end + 2;
                self.state = State::Line(0);
                Ok(Some(Whole::Message(head)))
            }
            Some(_) => Err(FrameError::new(Flaw::End, frame)),
        }
    }
}

enum Whole {
    /// Where a line stands, without its CR LF.
    Line(Range<usize>),
    Message(Head),
}

/// Where the line at the front ends, its LF included; the first bytes are known to hold none.
fn line_end(frame: &[u8], scanned: usize) -> Result<Option<usize>, FrameError> {
    let most = match frame.starts_with(b"INFO") {
        true => INFO_MAX,
        false => CONTROL_LINE_MAX,
    };
    let window = &frame[..frame.len().min(most)];
    let from = scanned.min(window.len());
    match memchr::memchr(b'\n', &window[from..]) {
        Some(at) if (from + at).checked_sub(1).and_then(|cr| window.get(cr)) == Some(&b'\r') => {
            Ok(Some(from + at + 1))
        }
        Some(_) => Err(FrameError::new(Flaw::BareLf, frame)),
        None if window.len() == most => Err(FrameError::new(Flaw::LineTooLong, frame)),
        None => Ok(None),
    }
}

/// The lines that are a frame each, by how they begin.
fn is_line(line: &[u8]) -> bool {
    line.starts_with(b"INFO ")
        || line.starts_with(b"-ERR")
        || [&b"PING"[..], b"PONG", b"+OK"].contains(&line)
}

fn frame_of(line: &[u8]) -> Frame<'_> {
    match line {
        b"PING" => Frame::Ping,
        b"PONG" => Frame::Pong,
        b"+OK" => Frame::Ok,
        _ => match line.strip_prefix(b"INFO ") {
            Some(json) => Frame::Info(json.trim_ascii()),
            None => {
                let text = line.strip_prefix(b"-ERR").unwrap_or(line).trim_ascii();
                let inner = text
                    .strip_prefix(b"'")
                    .and_then(|text| text.strip_suffix(b"'"));
                Frame::Error(inner.unwrap_or(text))
            }
        },
    }
}

/// Reads the line of a message, which ends before `end`. `None`: the line is a frame of its own.
fn head(frame: &[u8], end: usize) -> Result<Option<Head>, FrameError> {
    let line = &frame[..end - 2];
    if is_line(line) {
        return Ok(None);
    }
    let wrong = |flaw| FrameError::new(flaw, frame);
    // The fields stand at runs of white space: an old server writes two spaces for an empty reply.
    let mut fields = [const { 0..0 }; 6];
    let mut count = 0;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    let mut at = 0;
    let mut word = || {
        words.next().map(|word| {
            let place = at..at + word.len();
            at = place.end + 1;
            place
        })
    };
    while let Some(place) = word() {
        if !place.is_empty() {
            *fields.get_mut(count).ok_or(wrong(Flaw::Fields))? = place;
            count += 1;
        }
    }
    let lengths = match &line[fields[0].clone()] {
        b"MSG" => 1,
        b"HMSG" => 2,
        _ => return Err(wrong(Flaw::Verb)),
    };
    let reply = match count - 1 {
        fields if fields == 2 + lengths => 0..0,
        more if more == 3 + lengths => fields[3].clone(),
        _ => return Err(wrong(Flaw::Fields)),
    };
    let number = |place: &Range<usize>| number(&line[place.clone()]).ok_or(wrong(Flaw::Number));
    let total = length(number(&fields[count - 1])?);
    let headers = match lengths {
        1 => 0,
        _ => length(number(&fields[count - 2])?),
    };
    let flaw = match total.checked_sub(headers) {
        None => Some(Flaw::HeadersBeyondTotal),
        Some(_) if headers > HEADERS_MAX => Some(Flaw::HeadersTooLong),
        Some(payload) if payload > PAYLOAD_MAX => Some(Flaw::PayloadTooLong),
        Some(_) => None,
    };
    match flaw {
        Some(flaw) => Err(wrong(flaw)),
        None => Ok(Some(Head {
            subject: fields[1].clone(),
            reply,
            sid: number(&fields[2])?,
            body: end,
            headers,
            total,
        })),
    }
}

/// Digits, as many as surely fit.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit);
    let value = |value: u64, digit: &u8| value * 10 + u64::from(digit - b'0');
    plain.then(|| digits.iter().fold(0, value))
}

/// A length; of one that no memory holds, the greatest.
fn length(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Result<String, Flaw> {
        let mut frames = Frames::default();
        frames.push(bytes);
        match frames.next() {
            Ok(frame) => Ok(format!("{frame:?}")),
            Err(error) => Err(error.flaw),
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_for_its_reason() {
        for (bytes, flaw) in [
            (&b"PUB a 0\r\n"[..], Flaw::Verb),
            (b"\r\n", Flaw::Verb),
            (b"ping\r\n", Flaw::Verb),
            (b"PING\n", Flaw::BareLf),
            (b"\n", Flaw::BareLf),
            (b"MSG a 1\r\n", Flaw::Fields),
            (b"MSG\r\n", Flaw::Fields),
            (b"MSG a 1 r 1 1\r\n", Flaw::Fields),
            (b"HMSG a 1 12\r\n", Flaw::Fields),
            (b"HMSG a 1 r x 1 1\r\n", Flaw::Fields),
            (b"MSG a b 1\r\n", Flaw::Number),
            (b"MSG a 1 -1\r\n", Flaw::Number),
            (b"MSG a 1 99999999999999999999\r\n", Flaw::Number),
            (b"HMSG a 1 3 2\r\n", Flaw::HeadersBeyondTotal),
            (b"HMSG a 1 16385 16385\r\n", Flaw::HeadersTooLong),
            (b"MSG a 1 131073\r\n", Flaw::PayloadTooLong),
            (b"MSG a 1 1\r\nab\r\n", Flaw::End),
        ] {
            assert_eq!(one(bytes), Err(flaw), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn lines_and_bodies_have_their_bounds() {
        let line = |start: &str, length: usize| {
            let mut line = format!("{start}{}", "x".repeat(length - start.len() - 2)).into_bytes();
            line.extend_from_slice(b"\r\n");
            one(&line)
        };
        assert!(line("-ERR ", CONTROL_LINE_MAX).is_ok());
        assert_eq!(line("-ERR ", CONTROL_LINE_MAX + 1), Err(Flaw::LineTooLong));
        assert!(line("INFO ", INFO_MAX).is_ok());
        assert_eq!(line("INFO ", INFO_MAX + 1), Err(Flaw::LineTooLong));
        let body = format!(
            "HMSG a 1 {HEADERS_MAX} {}\r\n{}\r\n",
            HEADERS_MAX + PAYLOAD_MAX,
            "x".repeat(HEADERS_MAX + PAYLOAD_MAX)
        );
        assert!(one(body.as_bytes()).is_ok());
    }

    #[test]
    fn an_error_shows_the_line_and_says_what_was_expected() {
        let mut frames = Frames::default();
        frames.push(b"PING\r\nHTTP/1.1 400\xff\r\nmore");
        assert_eq!(frames.next(), Ok(Some(Frame::Ping)));
        let error = frames.next().expect_err("no frame");
        let wanted = "expected INFO, MSG, HMSG, PING, PONG, +OK or -ERR: HTTP/1.1 400\\xff\\r";
        assert_eq!(error.to_string(), wanted);
        frames.push(b"PING\r\n");
        assert_eq!(frames.next(), Err(error), "an error is final");
    }
}
