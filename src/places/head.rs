//! The head of a response: found byte by byte, read once. Pure.
//!
//! httparse begins at the first byte whenever it is asked, so it is asked only when the blank line
//! has come. It also forgives what nobody needs forgiven (LF alone, blank lines before the status
//! line), so the way there checks the form of the lines.

use httparse::{EMPTY_HEADER, Header};

use super::bounds::{HEAD_MAX, HEADERS_MAX};
use super::response_error::ResponseError;

/// How a status line begins; `d` stands for any digit, `v` for the version's.
const STATUS_LINE: [u8; 12] = *b"HTTP/1.v ddd";

/// Collects a head up to its blank line.
#[derive(Clone, Debug, Default)]
pub(super) struct Collector {
    bytes: Vec<u8>,
    /// Lines that have ended.
    lines: usize,
    /// The current line has something in it.
    in_line: bool,
}

/// What a head says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// The server will take another request on this connection, as far as the head says.
    pub(super) keep_alive: bool,
    pub(super) body: BodyEnd,
}

/// How the end of the body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// After so many bytes. No limit has been checked.
    Length(u64),
    Chunked,
    Close,
}

impl Collector {
    /// Takes bytes up to the end of the head, and returns the head and how many bytes it took;
    /// `None`: it took them all and wants more.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, ResponseError> {
        for (index, &byte) in bytes.iter().enumerate() {
            if self.bytes.len() == HEAD_MAX {
                return Err(ResponseError::HeadTooLong);
            }
            self.check(byte)?;
            self.bytes.push(byte);
            if byte != b'\n' {
                continue;
            }
            if !self.in_line {
                return Ok(Some((Head::parse(&self.bytes)?, index + 1)));
            }
            self.in_line = false;
            self.lines += 1;
            if self.lines > 1 + HEADERS_MAX {
                return Err(ResponseError::TooManyHeaders);
            }
        }
        Ok(None)
    }

    /// No byte has come.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Checks what httparse would forgive or would notice late.
    fn check(&mut self, byte: u8) -> Result<(), ResponseError> {
        let fits = match STATUS_LINE.get(self.bytes.len()) {
            Some(b'v') => matches!(byte, b'0' | b'1'),
            Some(b'd') => byte.is_ascii_digit(),
            Some(&wanted) => byte == wanted,
            None => self.bytes.len() > STATUS_LINE.len() || matches!(byte, b' ' | b'\r'),
        };
        let after_cr = self.bytes.last() == Some(&b'\r');
        match byte {
            _ if !fits => Err(ResponseError::NotHttp(byte)),
            b'\n' if after_cr => Ok(()),
            _ if after_cr => Err(ResponseError::BareCr(byte)),
            b'\n' => Err(ResponseError::BareLf),
            b'\r' => Ok(()),
            b' ' | b'\t' if !self.in_line => Err(ResponseError::ObsFold),
            _ => {
                self.in_line = true;
                Ok(())
            }
        }
    }
}

impl Head {
    /// Reads a whole head.
    fn parse(bytes: &[u8]) -> Result<Head, ResponseError> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        parsed.parse(bytes).map_err(|error| match error {
            httparse::Error::HeaderValue => ResponseError::HeaderValue,
            httparse::Error::TooManyHeaders => ResponseError::TooManyHeaders,
            httparse::Error::Status => ResponseError::Reason,
            _ => ResponseError::HeaderName,
        })?;
        let status = parsed.code.unwrap_or_default();
        if !(100..=599).contains(&status) {
            return Err(ResponseError::Status(status));
        }
        let is_old = parsed.version != Some(1);
        // An interim response has no body, and says nothing of the connection.
        if status < 200 {
            return Ok(Head {
                status,
                keep_alive: true,
                body: BodyEnd::Length(0),
            });
        }
        let body = body_end(parsed.headers, is_old)?;
        let has_none = matches!(status, 204 | 304);
        Ok(Head {
            status,
            keep_alive: !is_old && !asks_for_close(parsed.headers),
            body: if has_none { BodyEnd::Length(0) } else { body },
        })
    }
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
    let headers = headers.iter().filter(named);
    headers.map(|header| header.value.trim_ascii())
}

fn body_end(headers: &[Header<'_>], is_old: bool) -> Result<BodyEnd, ResponseError> {
    let is_encoded = |value: &[u8]| !value.is_empty() && !value.eq_ignore_ascii_case(b"identity");
    if values(headers, "Content-Encoding").any(is_encoded) {
        return Err(ResponseError::ContentEncoding);
    }
    let length = content_length(headers)?;
    let mut encodings = values(headers, "Transfer-Encoding");
    match (length, encodings.next(), encodings.next()) {
        (Some(_), Some(_), _) => Err(ResponseError::TwoLengths),
        (Some(length), None, _) => Ok(BodyEnd::Length(length)),
        (None, None, _) => Ok(BodyEnd::Close),
        (None, Some(value), None) if value.eq_ignore_ascii_case(b"chunked") && !is_old => {
            Ok(BodyEnd::Chunked)
        }
        _ => Err(ResponseError::TransferEncoding),
    }
}

/// All Content-Lengths as one. What a u64 cannot hold is too long by far, so it is cut to that.
fn content_length(headers: &[Header<'_>]) -> Result<Option<u64>, ResponseError> {
    let mut found: Option<&[u8]> = None;
    for value in values(headers, "Content-Length") {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(ResponseError::ContentLength);
        }
        let zeros = value.iter().take_while(|&&digit| digit == b'0').count();
        let digits = &value[zeros..];
        if found.is_some_and(|found| found != digits) {
            return Err(ResponseError::ContentLengthsDiffer);
        }
        found = Some(digits);
    }
    let number = |digits: &[u8]| {
        digits.iter().fold(0u64, |number, digit| {
            (number.saturating_mul(10)).saturating_add(u64::from(digit - b'0'))
        })
    };
    Ok(found.map(number))
}

fn asks_for_close(headers: &[Header<'_>]) -> bool {
    values(headers, "Connection")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, ResponseError> {
        let (head, used) = Collector::default().feed(text.as_bytes())?.unwrap();
        assert_eq!(used, text.len());
        Ok(head)
    }

    #[test]
    fn how_the_body_ends() {
        for (headers, body) in [
            ("", BodyEnd::Close),
            ("Content-Length: 5\r\n", BodyEnd::Length(5)),
            (
                "content-length:\t005 \r\nCONTENT-LENGTH: 5\r\n",
                BodyEnd::Length(5),
            ),
            ("Content-Length: 0\r\n", BodyEnd::Length(0)),
            (
                "Content-Length: 99999999999999999999999999\r\n",
                BodyEnd::Length(u64::MAX),
            ),
            ("Transfer-Encoding: Chunked\r\n", BodyEnd::Chunked),
            (
                "Content-Encoding: identity\r\nContent-Encoding:\r\n",
                BodyEnd::Close,
            ),
        ] {
            let head = read(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).unwrap();
            assert_eq!(
                (head.body, head.status, head.keep_alive),
                (body, 200, true),
                "{headers}"
            );
        }
        for status in [100, 103, 199, 204, 304] {
            let head = read(&format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n")).unwrap();
            assert_eq!((head.status, head.body), (status, BodyEnd::Length(0)));
        }
    }

    #[test]
    fn who_closes() {
        for (rest, keep_alive) in [
            ("1 200 OK\r\n", true),
            ("1 200\r\nConnection: keep-alive\r\n", true),
            ("1 200 \r\nConnection: disclose\r\nX: close\r\n", true),
            ("1 200 OK\r\nconnection: x , CLOSE\r\n", false),
            (
                "1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n",
                false,
            ),
            ("0 200 OK\r\n", false),
            ("0 200 OK\r\nConnection: keep-alive\r\n", false),
        ] {
            let head = read(&format!("HTTP/1.{rest}\r\n")).unwrap();
            assert_eq!(head.keep_alive, keep_alive, "{rest}");
        }
    }

    #[test]
    fn heads_have_limits() {
        let head = |headers: usize, filler: usize| {
            let headers = "A: b\r\n".repeat(headers);
            read(&format!(
                "HTTP/1.1 200 {}\r\n{headers}\r\n",
                "x".repeat(filler)
            ))
        };
        assert!(head(HEADERS_MAX, 0).is_ok());
        assert_eq!(head(HEADERS_MAX + 1, 0), Err(ResponseError::TooManyHeaders));
        assert!(head(0, HEAD_MAX - 17).is_ok());
        assert_eq!(head(0, HEAD_MAX - 16), Err(ResponseError::HeadTooLong));
    }

    #[test]
    fn garbage_is_noticed_at_its_first_byte() {
        for (garbage, good) in [
            ("\r\nHTTP/1.1 200", 0),
            ("http/1.1", 0),
            ("HTTP/2", 5),
            ("HTTP/1.2", 7),
            ("HTTP/1.1  200", 9),
            ("HTTP/1.1 20x", 11),
            ("HTTP/1.1 2000", 12),
        ] {
            let mut collector = Collector::default();
            assert_eq!(collector.feed(&garbage.as_bytes()[..good]), Ok(None));
            let byte = garbage.as_bytes()[good];
            assert_eq!(collector.feed(&[byte]), Err(ResponseError::NotHttp(byte)));
        }
    }
}
