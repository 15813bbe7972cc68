//! Google's answer as it arrives: a strict HTTP/1.1 response parser, fed any way the bytes fall.
//! Pure.
//!
//! It looks at each byte once, whatever the pieces, and what it makes of them does not depend on
//! the pieces.

use super::bounds::{BODY_MAX, INTERIM_MAX};
use super::chunked::Chunked;
use super::head::{BodyEnd, Collector, Head};
use super::response_error::ResponseError;

/// One response to one request that was not HEAD.
#[derive(Clone, Debug)]
pub struct Response {
    state: State,
    /// Interim responses skipped.
    interim: usize,
    head: Option<Head>,
    body: Vec<u8>,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The head is not complete.
    NeedMore,
    /// The head is complete, the body is not: or only the close will tell.
    HeadDone,
    /// All is there.
    Complete,
}

#[derive(Clone, Debug)]
enum State {
    Head(Collector),
    /// So many bytes of the body are missing, never 0.
    Length(usize),
    Chunked(Chunked),
    UntilClose,
    Complete,
    Failed(ResponseError),
}

impl Response {
    /// A response of which nothing has come.
    pub fn new() -> Response {
        Response {
            state: State::Head(Collector::default()),
            interim: 0,
            head: None,
            body: Vec::new(),
        }
    }

    /// Takes the next bytes, any number of them. An error is final: it is returned ever after.
    /// Bytes beyond the end are one, as nothing else was asked for.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, ResponseError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.take(rest) {
                Ok(used) => rest = &rest[used..],
                Err(error) => self.state = State::Failed(error),
            }
            if let State::Failed(error) = self.state {
                return Err(error);
            }
        }
        self.progress()
    }

    /// Nothing more will come. `clean`: the server said so itself (with TLS: close_notify), and
    /// neither a reset nor a bare end of the stream. Ok if the response is complete.
    pub fn end_of_stream(&mut self, clean: bool) -> Result<(), ResponseError> {
        let error = match &self.state {
            State::Complete => return Ok(()),
            State::UntilClose if clean => {
                self.state = State::Complete;
                return Ok(());
            }
            State::Failed(error) => *error,
            State::UntilClose => ResponseError::UncleanClose,
            State::Length(_) | State::Chunked(_) => ResponseError::TruncatedBody,
            State::Head(_) if self.has_begun() => ResponseError::TruncatedHead,
            State::Head(_) => ResponseError::NoAnswer,
        };
        self.state = State::Failed(error);
        Err(error)
    }

    /// Any byte has come, be it of an interim response: if none has, a request on a reused
    /// connection may be tried again on another.
    pub fn has_begun(&self) -> bool {
        match &self.state {
            State::Head(collector) => self.interim > 0 || !collector.is_empty(),
            State::Failed(error) => *error != ResponseError::NoAnswer,
            _ => true,
        }
    }

    /// The status code, 200 to 599, once the head is complete.
    pub fn status(&self) -> Option<u16> {
        self.head.map(|head| head.status)
    }

    /// The body as far as it has come; whole when the response is complete.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The response is complete, its end did not depend on a close, and the server will take
    /// another request on this connection. HTTP/1.0 is never asked twice.
    pub fn keep_alive(&self) -> bool {
        let is_complete = matches!(self.state, State::Complete);
        let may = |head: Head| head.keep_alive && head.body != BodyEnd::Close;
        is_complete && self.head.is_some_and(may)
    }

    fn progress(&self) -> Result<Progress, ResponseError> {
        match self.state {
            State::Head(_) => Ok(Progress::NeedMore),
            State::Length(_) | State::Chunked(_) | State::UntilClose => Ok(Progress::HeadDone),
            State::Complete => Ok(Progress::Complete),
            State::Failed(error) => Err(error),
        }
    }

    /// Takes some of the bytes, at least one, and says how many.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ResponseError> {
        let used = match &mut self.state {
            State::Head(collector) => {
                let Some((head, used)) = collector.feed(bytes)? else {
                    return Ok(bytes.len());
                };
                self.begin_body(head)?;
                used
            }
            State::Length(missing) => {
                let data = &bytes[..bytes.len().min(*missing)];
                self.body.extend_from_slice(data);
                *missing -= data.len();
                if *missing == 0 {
                    self.state = State::Complete;
                }
                data.len()
            }
            State::Chunked(decoder) => {
                let used = decoder.feed(bytes, &mut self.body)?;
                if decoder.is_complete() {
                    self.state = State::Complete;
                }
                used
            }
            State::UntilClose if bytes.len() > BODY_MAX - self.body.len() => {
                return Err(ResponseError::BodyTooLong);
            }
            State::UntilClose => {
                self.body.extend_from_slice(bytes);
                bytes.len()
            }
            State::Complete => return Err(ResponseError::BytesAfterBody),
            State::Failed(error) => return Err(*error),
        };
        Ok(used)
    }

    fn begin_body(&mut self, head: Head) -> Result<(), ResponseError> {
        if head.status == 101 {
            return Err(ResponseError::SwitchingProtocols);
        }
        if head.status < 200 {
            self.interim += 1;
            if self.interim > INTERIM_MAX {
                return Err(ResponseError::TooManyInterim);
            }
            self.state = State::Head(Collector::default());
            return Ok(());
        }
        self.head = Some(head);
        self.state = match head.body {
            BodyEnd::Length(0) => State::Complete,
            // It fits: it is at most BODY_MAX.
            BodyEnd::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= BODY_MAX => State::Length(length),
                _ => return Err(ResponseError::BodyTooLong),
            },
            BodyEnd::Chunked => State::Chunked(Chunked::default()),
            BodyEnd::Close => State::UntilClose,
        };
        Ok(())
    }
}

impl Default for Response {
    fn default() -> Response {
        Response::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_comes_in_pieces() {
        let mut response = Response::new();
        assert_eq!(response.feed(b""), Ok(Progress::NeedMore));
        assert!(!response.has_begun());
        assert_eq!(
            response.feed(b"HTTP/1.1 103 Hints\r\n\r\n"),
            Ok(Progress::NeedMore)
        );
        assert!(response.has_begun() && response.status().is_none());
        assert_eq!(
            response.feed(b"HTTP/1.1 200 OK\r\nContent-"),
            Ok(Progress::NeedMore)
        );
        assert_eq!(response.feed(b"Length: 3\r\n\r\na"), Ok(Progress::HeadDone));
        assert_eq!((response.status(), response.body()), (Some(200), &b"a"[..]));
        assert!(!response.keep_alive());
        assert_eq!(response.feed(b"bc"), Ok(Progress::Complete));
        assert_eq!(response.body(), b"abc");
        assert!(response.keep_alive());
        assert_eq!(response.clone().end_of_stream(false), Ok(()));
        assert_eq!(response.feed(b""), Ok(Progress::Complete));
        for bytes in ["\r\n", "", "x"] {
            assert_eq!(
                response.feed(bytes.as_bytes()),
                Err(ResponseError::BytesAfterBody)
            );
        }
        assert_eq!(
            response.end_of_stream(true),
            Err(ResponseError::BytesAfterBody)
        );
        assert!(!response.keep_alive());
    }

    #[test]
    fn a_close_ends_only_what_waits_for_it() {
        for (text, clean, unclean) in [
            (
                "",
                Err(ResponseError::NoAnswer),
                Err(ResponseError::NoAnswer),
            ),
            (
                "H",
                Err(ResponseError::TruncatedHead),
                Err(ResponseError::TruncatedHead),
            ),
            (
                "HTTP/1.1 100\r\n\r\n",
                Err(ResponseError::TruncatedHead),
                Err(ResponseError::TruncatedHead),
            ),
            (
                "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nx",
                Err(ResponseError::TruncatedBody),
                Err(ResponseError::TruncatedBody),
            ),
            (
                "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
                Err(ResponseError::TruncatedBody),
                Err(ResponseError::TruncatedBody),
            ),
            (
                "HTTP/1.1 200\r\n\r\nx",
                Ok(()),
                Err(ResponseError::UncleanClose),
            ),
            (
                "HTTP/1.0 200\r\n\r\n",
                Ok(()),
                Err(ResponseError::UncleanClose),
            ),
            ("HTTP/1.1 204\r\n\r\n", Ok(()), Ok(())),
            ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Ok(()), Ok(())),
        ] {
            for (is_clean, wanted) in [(true, clean), (false, unclean)] {
                let mut response = Response::new();
                response.feed(text.as_bytes()).unwrap();
                assert_eq!(response.end_of_stream(is_clean), wanted, "{text:?}");
                assert_eq!(response.end_of_stream(is_clean), wanted, "{text:?} again");
                assert_eq!(response.has_begun(), !text.is_empty());
            }
        }
    }

    #[test]
    fn interim_responses_have_a_limit() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_MAX);
        let text = format!("{interim}HTTP/1.1 204\r\n\r\n");
        assert_eq!(
            Response::new().feed(text.as_bytes()),
            Ok(Progress::Complete)
        );
        let text = format!("{interim}HTTP/1.1 102 More\r\n\r\n");
        assert_eq!(
            Response::new().feed(text.as_bytes()),
            Err(ResponseError::TooManyInterim)
        );
    }

    #[test]
    fn bodies_have_a_limit() {
        let fed = |head: &str, body: usize| {
            let text = [head.as_bytes(), b"\r\n\r\n", &vec![b'x'; body]].concat();
            Response::new().feed(&text)
        };
        let length = |n: usize| format!("HTTP/1.1 200\r\nContent-Length: {n}");
        assert_eq!(fed(&length(BODY_MAX), BODY_MAX), Ok(Progress::Complete));
        assert_eq!(
            fed(&length(BODY_MAX + 1), 0),
            Err(ResponseError::BodyTooLong)
        );
        assert_eq!(fed("HTTP/1.1 200", BODY_MAX), Ok(Progress::HeadDone));
        assert_eq!(
            fed("HTTP/1.1 200", BODY_MAX + 1),
            Err(ResponseError::BodyTooLong)
        );
    }
}
