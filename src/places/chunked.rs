//! A strict decoder of chunked bodies (RFC 9112, 7.1). Pure.
//!
//! httparse has one for the size lines, but it reads `"\r\n"`, `";x\r\n"` and `" \r\n"` as the size
//! 0, which is the end, forgives LF alone, and sets no limit to extensions.

use super::bounds::{BODY_MAX, CHUNK_EXTENSIONS_MAX, CHUNK_LINE_MAX, TRAILERS_MAX};
use super::response_error::ResponseError;

/// The most digits of a chunk's size.
const SIZE_DIGITS_MAX: usize = 8;

/// A decoder for one body.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunked {
    expects: Expects,
    /// Bytes of the current first line.
    line: usize,
    /// The size of the current chunk, as far as it has been read, then what is left of its data.
    size: usize,
    /// Bytes of all extensions.
    extensions: usize,
    /// Bytes of the trailers.
    trailers: usize,
}

/// What the next byte must belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Nothing,
}

impl Chunked {
    /// Takes bytes up to the end of the body, appends the data to `body`, and returns how many it
    /// took. The data never makes `body` longer than [`BODY_MAX`].
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        body: &mut Vec<u8>,
    ) -> Result<usize, ResponseError> {
        let mut at = 0;
        while at < bytes.len() && self.expects != Expects::Nothing {
            if self.expects == Expects::Data {
                let data = &bytes[at..bytes.len().min(at + self.size)];
                body.extend_from_slice(data);
                at += data.len();
                self.size -= data.len();
                if self.size == 0 {
                    self.expects = Expects::DataCr;
                }
            } else {
                self.expects = self.next(bytes[at], body.len())?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The blank line after the last chunk has come.
    pub(super) fn is_complete(&self) -> bool {
        self.expects == Expects::Nothing
    }

    /// What follows a byte that is not data, after `body_len` bytes of it.
    fn next(&mut self, byte: u8, body_len: usize) -> Result<Expects, ResponseError> {
        use Expects::*;
        match (self.expects, byte) {
            (Size | Extension | SizeLf, _) => self.next_in_line(byte, body_len),
            (DataCr, b'\r') => Ok(DataLf),
            (DataLf, b'\n') => Ok(Size),
            (DataCr | DataLf, _) => Err(ResponseError::ChunkEnd(byte)),
            _ => self.next_in_trailers(byte),
        }
    }

    fn next_in_line(&mut self, byte: u8, body_len: usize) -> Result<Expects, ResponseError> {
        use Expects::*;
        let digits = self.line;
        self.line += 1;
        if self.line > CHUNK_LINE_MAX {
            return Err(ResponseError::ChunkLineTooLong);
        }
        match (self.expects, byte) {
            (Size, b'\r') if digits > 0 => Ok(SizeLf),
            (Size, b';') if digits > 0 => self.next_in_extension(),
            (Size, _) => {
                let digit = char::from(byte).to_digit(16);
                let digit = digit.filter(|_| digits < SIZE_DIGITS_MAX);
                let digit = digit.ok_or(ResponseError::ChunkSize(byte))?;
                self.size = self.size << 4 | digit as usize;
                Ok(Size)
            }
            (Extension, b'\r') => Ok(SizeLf),
            (Extension, byte) if is_text(byte) => self.next_in_extension(),
            (SizeLf, b'\n') => {
                self.line = 0;
                match self.size {
                    0 => Ok(TrailerStart),
                    size if size > BODY_MAX - body_len => Err(ResponseError::BodyTooLong),
                    _ => Ok(Data),
                }
            }
            _ => Err(ResponseError::ChunkLine(byte)),
        }
    }

    fn next_in_extension(&mut self) -> Result<Expects, ResponseError> {
        self.extensions += 1;
        if self.extensions > CHUNK_EXTENSIONS_MAX {
            return Err(ResponseError::ChunkExtensionsTooLong);
        }
        Ok(Expects::Extension)
    }

    /// Trailers are checked for their form and forgotten.
    fn next_in_trailers(&mut self, byte: u8) -> Result<Expects, ResponseError> {
        use Expects::*;
        self.trailers += 1;
        if self.trailers > TRAILERS_MAX {
            return Err(ResponseError::TrailersTooLong);
        }
        match (self.expects, byte) {
            (TrailerStart, b'\r') => Ok(LastLf),
            (LastLf, b'\n') => Ok(Nothing),
            (TrailerStart | TrailerName, byte) if is_name(byte) => Ok(TrailerName),
            (TrailerName, b':') => Ok(TrailerValue),
            (TrailerValue, b'\r') => Ok(TrailerLf),
            (TrailerValue, byte) if is_text(byte) => Ok(TrailerValue),
            (TrailerLf, b'\n') => Ok(TrailerStart),
            _ => Err(ResponseError::Trailer(byte)),
        }
    }
}

/// What may stand in an extension or a value: anything but control characters; tab may.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// RFC 9110's tchar.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and how many bytes it took, or why not; `None`: more is wanted. Fed at once and
    /// byte by byte, which must agree.
    fn decode(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ResponseError> {
        let mut whole = (Chunked::default(), Vec::new());
        let at_once = whole.0.feed(bytes, &mut whole.1);
        let mut drip = (Chunked::default(), Vec::new());
        let dripped = bytes.iter().try_fold(0, |used, &byte| {
            Ok(used + drip.0.feed(&[byte], &mut drip.1)?)
        });
        assert_eq!(at_once, dripped);
        assert_eq!(whole.1, drip.1);
        at_once.map(|used| whole.0.is_complete().then_some((whole.1, used)))
    }

    #[test]
    fn good_bodies() {
        for (text, body, rest) in [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n0\r\n\r\nHTTP", "hello", "HTTP"),
            (
                "1\r\nh\r\n0000000A\r\n0123456789\r\n00000000\r\n\r\n",
                "h0123456789",
                "",
            ),
            (
                "a;x=\"y z\";\tw\r\n0123456789\r\n0;end\r\n\r\n",
                "0123456789",
                "",
            ),
            ("2\r\n\r\n\r\n0\r\nExpires: now\r\nX-1:\r\n\r\n", "\r\n", ""),
        ] {
            let used = text.len() - rest.len();
            assert_eq!(
                decode(text.as_bytes()),
                Ok(Some((body.into(), used))),
                "{text:?}"
            );
            for cut in 0..used {
                assert_eq!(decode(&text.as_bytes()[..cut]), Ok(None), "{text:?} {cut}");
            }
        }
    }

    #[test]
    fn evil_bodies() {
        use ResponseError::*;
        for (text, error) in [
            ("\r\n", ChunkSize(b'\r')),
            (";x\r\n", ChunkSize(b';')),
            (" \r\n", ChunkSize(b' ')),
            (" 5\r\n", ChunkSize(b' ')),
            ("5 \r\n", ChunkSize(b' ')),
            ("5 ;x\r\n", ChunkSize(b' ')),
            ("+5\r\n", ChunkSize(b'+')),
            ("-1\r\n", ChunkSize(b'-')),
            ("0x5\r\n", ChunkSize(b'x')),
            ("5_0\r\n", ChunkSize(b'_')),
            ("5\n", ChunkSize(b'\n')),
            ("g\r\n", ChunkSize(b'g')),
            ("000000005\r\n", ChunkSize(b'5')),
            ("100000000\r\n", ChunkSize(b'0')),
            ("5\rx", ChunkLine(b'x')),
            ("5\r\r\n", ChunkLine(b'\r')),
            ("5;x\n", ChunkLine(b'\n')),
            ("5;\0\r\n", ChunkLine(0)),
            ("100001\r\n", BodyTooLong),
            ("ffffffff\r\n", BodyTooLong),
            ("1\r\nxx", ChunkEnd(b'x')),
            ("1\r\nx\n", ChunkEnd(b'\n')),
            ("1\r\nx\rx", ChunkEnd(b'x')),
            ("1\r\nx0\r\n\r\n", ChunkEnd(b'0')),
            ("0\r\n\n", Trailer(b'\n')),
            ("0\r\n\r\r", Trailer(b'\r')),
            ("0\r\n X: y\r\n", Trailer(b' ')),
            ("0\r\nX : y\r\n", Trailer(b' ')),
            ("0\r\n: y\r\n", Trailer(b':')),
            ("0\r\nX\r\n", Trailer(b'\r')),
            ("0\r\nX: y\n", Trailer(b'\n')),
            ("0\r\nX: \0\r\n", Trailer(0)),
            ("0\r\nX: y\r\r\n", Trailer(b'\r')),
        ] {
            assert_eq!(decode(text.as_bytes()), Err(error), "{text:?}");
        }
    }

    #[test]
    fn limits() {
        let line = |length: usize| format!("1;{}\r\nx\r\n", "e".repeat(length - 4));
        let with = |text: String| decode(text.as_bytes());
        assert_eq!(with(line(CHUNK_LINE_MAX)), Ok(None));
        assert_eq!(
            with(line(CHUNK_LINE_MAX + 1)),
            Err(ResponseError::ChunkLineTooLong)
        );
        // 16 bytes of extension each.
        let many = |count| "1;123456789abcdef\r\nx\r\n".repeat(count);
        assert_eq!(with(many(CHUNK_EXTENSIONS_MAX / 16)), Ok(None));
        let more = many(CHUNK_EXTENSIONS_MAX / 16 + 1);
        assert_eq!(with(more), Err(ResponseError::ChunkExtensionsTooLong));
        let trailers = |length: usize| with(format!("0\r\nX:{}\r\n\r\n", "y".repeat(length - 6)));
        assert!(trailers(TRAILERS_MAX).unwrap().is_some());
        assert_eq!(
            trailers(TRAILERS_MAX + 1),
            Err(ResponseError::TrailersTooLong)
        );
    }

    #[test]
    fn the_body_has_a_limit() {
        let half = format!("{:x}\r\n{}\r\n", BODY_MAX / 2, "x".repeat(BODY_MAX / 2));
        let mut decoder = Chunked::default();
        let mut body = Vec::new();
        decoder.feed(half.repeat(2).as_bytes(), &mut body).unwrap();
        assert_eq!(body.len(), BODY_MAX);
        assert_eq!(decoder.clone().feed(b"0\r\n\r\n", &mut body), Ok(5));
        assert_eq!(
            decoder.feed(b"1\r\n", &mut body),
            Err(ResponseError::BodyTooLong)
        );
    }
}
