//! Why a response is refused. Pure.

use std::ascii::escape_default;
use std::error::Error;
use std::fmt::{self, Display, Formatter};

use super::bounds::{
    BODY_MAX, CHUNK_EXTENSIONS_MAX, CHUNK_LINE_MAX, HEAD_MAX, HEADERS_MAX, INTERIM_MAX,
    TRAILERS_MAX,
};

/// Why a response is refused; each is final, and the connection is of no further use. A byte in a
/// variant is the first that was wrong. `Display` says what was expected, and shows nothing else
/// of what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// Closed before the first byte: on a reused connection the server did not want the request.
    NoAnswer,
    /// Closed within the head, or after an interim response.
    TruncatedHead,
    /// Closed before the length that the head or the chunks promised.
    TruncatedBody,
    /// Only the close ends this body, and it was not a clean one: bytes may be missing.
    UncleanClose,
    /// The first bytes are not those of an HTTP/1 status line.
    NotHttp(u8),
    /// What follows the status code is not a reason phrase.
    Reason,
    /// The status code is not in 100 to 599.
    Status(u16),
    /// The head is longer than [`HEAD_MAX`].
    HeadTooLong,
    /// The head has more than [`HEADERS_MAX`] headers.
    TooManyHeaders,
    /// A line of the head ends with LF alone.
    BareLf,
    /// A CR in the head is not followed by LF but by this byte.
    BareCr(u8),
    /// A header goes on in the next line, as it might before 2014.
    ObsFold,
    /// A header's name is empty, or holds or is followed by a byte that no name may.
    HeaderName,
    /// A header's value holds a control character.
    HeaderValue,
    /// 101: the server wants to speak another protocol.
    SwitchingProtocols,
    /// More than [`INTERIM_MAX`] responses of 1xx.
    TooManyInterim,
    /// A Content-Length is something else than digits.
    ContentLength,
    /// Two headers give different lengths.
    ContentLengthsDiffer,
    /// Both a Content-Length and a Transfer-Encoding: two ways to find the end.
    TwoLengths,
    /// A Transfer-Encoding other than `chunked`, or in HTTP/1.0, or more than one.
    TransferEncoding,
    /// A Content-Encoding, though `identity` was asked for.
    ContentEncoding,
    /// The body is, or says that it is, longer than [`BODY_MAX`].
    BodyTooLong,
    /// There are bytes after the end of the body.
    BytesAfterBody,
    /// A chunk's size is not 1 to 8 hexadecimal digits.
    ChunkSize(u8),
    /// A chunk's first line is longer than [`CHUNK_LINE_MAX`].
    ChunkLineTooLong,
    /// A control character in a chunk's first line, or its CR or LF without the other.
    ChunkLine(u8),
    /// The extensions of all chunks are longer than [`CHUNK_EXTENSIONS_MAX`].
    ChunkExtensionsTooLong,
    /// A chunk's data is not followed by CR LF.
    ChunkEnd(u8),
    /// What follows the last chunk is neither a header's line nor the blank line.
    Trailer(u8),
    /// The trailers are longer than [`TRAILERS_MAX`].
    TrailersTooLong,
}

impl Display for ResponseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use ResponseError::*;
        let sentence = match *self {
            NoAnswer => "closed before the first byte of an answer",
            TruncatedHead => "closed before the end of the head",
            TruncatedBody => "closed before the end of the body",
            UncleanClose => "the body ends with the connection, which was not closed cleanly",
            NotHttp(byte) => return wrong(f, "HTTP/1.1 or HTTP/1.0 and a status code", byte),
            Reason => "expected a reason phrase of printable characters",
            Status(code) => return write!(f, "expected a status code in 100 to 599, not {code}"),
            HeadTooLong => return write!(f, "the head is longer than {HEAD_MAX} bytes"),
            TooManyHeaders => return write!(f, "the head has more than {HEADERS_MAX} headers"),
            BareLf => "a line of the head ends with LF, not CR LF",
            BareCr(byte) => return wrong(f, "LF after CR in the head", byte),
            ObsFold => "a line of the head begins with white space",
            HeaderName => "expected the name of a header and a colon",
            HeaderValue => "a header's value holds a control character",
            SwitchingProtocols => "status 101: nobody asked for another protocol",
            TooManyInterim => return write!(f, "more than {INTERIM_MAX} responses of 1xx"),
            ContentLength => "a Content-Length is something else than digits",
            ContentLengthsDiffer => "two Content-Lengths differ",
            TwoLengths => "both Content-Length and Transfer-Encoding",
            TransferEncoding => "a Transfer-Encoding other than a single chunked of HTTP/1.1",
            ContentEncoding => "a Content-Encoding, though identity was asked for",
            BodyTooLong => return write!(f, "the body is longer than {BODY_MAX} bytes"),
            BytesAfterBody => "bytes after the end of the body",
            ChunkSize(byte) => return wrong(f, "a chunk size of 1 to 8 hex digits", byte),
            ChunkLineTooLong => {
                return write!(
                    f,
                    "a chunk's first line is longer than {CHUNK_LINE_MAX} bytes"
                );
            }
            ChunkLine(byte) => return wrong(f, "a chunk extension or CR LF", byte),
            ChunkExtensionsTooLong => {
                return write!(
                    f,
                    "chunk extensions of more than {CHUNK_EXTENSIONS_MAX} bytes"
                );
            }
            ChunkEnd(byte) => return wrong(f, "CR LF after a chunk's data", byte),
            Trailer(byte) => return wrong(f, "a trailer or the blank line", byte),
            TrailersTooLong => return write!(f, "trailers of more than {TRAILERS_MAX} bytes"),
        };
        f.write_str(sentence)
    }
}

impl Error for ResponseError {}

fn wrong(f: &mut Formatter<'_>, expected: &str, byte: u8) -> fmt::Result {
    write!(f, "expected {expected}, not `{}`", escape_default(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences() {
        for (error, sentence) in [
            (
                ResponseError::NotHttp(b'\n'),
                "expected HTTP/1.1 or HTTP/1.0 and a status code, not `\\n`",
            ),
            (
                ResponseError::ChunkSize(0xff),
                "expected a chunk size of 1 to 8 hex digits, not `\\xff`",
            ),
            (
                ResponseError::HeadTooLong,
                "the head is longer than 16384 bytes",
            ),
            (
                ResponseError::Status(600),
                "expected a status code in 100 to 599, not 600",
            ),
        ] {
            assert_eq!(error.to_string(), sentence);
        }
    }
}
