//! Responses that Google never gives: each must be refused, for the right reason, however its
//! bytes fall.

use ResponseError::*;
use herd::places::{
    BODY_MAX, HEAD_MAX, HEADERS_MAX, INTERIM_MAX, Progress, Response, ResponseError,
};
use proptest::prelude::*;

/// A status line and more.
macro_rules! ok {
    ($rest:literal) => {
        concat!("HTTP/1.1 200 OK\r\n", $rest)
    };
}

/// A body of chunks.
macro_rules! chunks {
    ($body:literal) => {
        concat!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            $body
        )
    };
}

/// What is evil about it, the bytes up to a clean close, what they are refused for.
type Case = (&'static str, &'static str, ResponseError);

#[rustfmt::skip]
const HEADS: &[Case] = &[
    ("nothing", "", NoAnswer),
    ("garbage", "\x16\x03\x01\x02", NotHttp(0x16)),
    ("a TLS alert", "\x15\x03\x03\x00\x02\x02\x46", NotHttp(0x15)),
    ("HTML", "<html>", NotHttp(b'<')),
    ("HTTP/0.9", "hello", NotHttp(b'h')),
    ("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\n", NotHttp(b'P')),
    ("a request", "GET / HTTP/1.1\r\n\r\n", NotHttp(b'G')),
    ("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", NotHttp(b'2')),
    ("HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", NotHttp(b'2')),
    ("HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\n", NotHttp(b'0')),
    ("lower case", "http/1.1 200 OK\r\n\r\n", NotHttp(b'h')),
    ("a blank line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", NotHttp(b'\r')),
    ("LF first", "\nHTTP/1.1 200 OK\r\n\r\n", NotHttp(b'\n')),
    ("two spaces", "HTTP/1.1  200 OK\r\n\r\n", NotHttp(b' ')),
    ("a tab", "HTTP/1.1\t200 OK\r\n\r\n", NotHttp(b'\t')),
    ("two digits", "HTTP/1.1 20 OK\r\n\r\n", NotHttp(b' ')),
    ("four digits", "HTTP/1.1 2000 OK\r\n\r\n", NotHttp(b'0')),
    ("a signed status", "HTTP/1.1 +20 OK\r\n\r\n", NotHttp(b'+')),
    ("LF ends the status line", "HTTP/1.1 200\nA: b\r\n\r\n", NotHttp(b'\n')),
    ("status 099", "HTTP/1.1 099 Odd\r\n\r\n", Status(99)),
    ("status 600", "HTTP/1.1 600 Odd\r\n\r\n", Status(600)),
    ("NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", Reason),
    ("LF after the reason", "HTTP/1.1 200 OK\nA: b\r\n\r\n", BareLf),
    ("LF after a header", ok!("A: b\nC: d\r\n\r\n"), BareLf),
    ("LF for the blank line", ok!("A: b\r\n\n"), BareLf),
    ("CR in a value", ok!("A: b\rc\r\n\r\n"), BareCr(b'c')),
    ("CR CR LF", ok!("A: b\r\r\n\r\n"), BareCr(b'\r')),
    ("CR for the blank line", ok!("A: b\r\n\rx"), BareCr(b'x')),
    ("obs-fold", ok!("A: b\r\n c\r\n\r\n"), ObsFold),
    ("obs-fold with a tab", ok!("A: b\r\n\tc\r\n\r\n"), ObsFold),
    ("white space before the first header", ok!(" A: b\r\n\r\n"), ObsFold),
    ("white space before the colon", ok!("Content-Length : 5\r\n\r\n"), HeaderName),
    ("no colon", ok!("A\r\n\r\n"), HeaderName),
    ("no name", ok!(": b\r\n\r\n"), HeaderName),
    ("a name beyond ASCII", ok!("\u{c4}: b\r\n\r\n"), HeaderName),
    ("NUL in a name", ok!("A\0: b\r\n\r\n"), HeaderName),
    ("NUL in a value", ok!("A: b\0\r\n\r\n"), HeaderValue),
    ("a head without an end", ok!("A: b\r\n"), TruncatedHead),
    ("101", "HTTP/1.1 101 Up\r\nUpgrade: h2c\r\n\r\n", SwitchingProtocols),
    ("100, then 101", "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 101 Up\r\n\r\n", SwitchingProtocols),
    ("100 and no more", "HTTP/1.1 100 Go\r\n\r\n", TruncatedHead),
    ("100, then a blank line", "HTTP/1.1 100 Go\r\n\r\n\r\n", NotHttp(b'\r')),
];

#[rustfmt::skip]
const LENGTHS: &[Case] = &[
    ("a signed length", ok!("Content-Length: +5\r\n\r\nhello"), ContentLength),
    ("a negative length", ok!("Content-Length: -1\r\n\r\n"), ContentLength),
    ("a hexadecimal length", ok!("Content-Length: 0x5\r\n\r\nhello"), ContentLength),
    ("a length with a point", ok!("Content-Length: 5.0\r\n\r\nhello"), ContentLength),
    ("two lengths in one", ok!("Content-Length: 5, 5\r\n\r\nhello"), ContentLength),
    ("an empty length", ok!("Content-Length: \r\n\r\n"), ContentLength),
    ("lengths that differ", ok!("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), ContentLengthsDiffer),
    ("a third length that differs", ok!("Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello"), ContentLengthsDiffer),
    ("a length of 2^64", ok!("Content-Length: 18446744073709551616\r\n\r\n"), BodyTooLong),
    ("a length over the limit", ok!("Content-Length: 1048577\r\n\r\n"), BodyTooLong),
    ("a length and chunks", ok!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), TwoLengths),
    ("chunks and a length", ok!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), TwoLengths),
    ("a length and another encoding", ok!("Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\nhello"), TwoLengths),
    ("gzip on the wire", ok!("Transfer-Encoding: gzip\r\n\r\n"), TransferEncoding),
    ("gzip, chunked", ok!("Transfer-Encoding: gzip, chunked\r\n\r\n"), TransferEncoding),
    ("chunked, chunked", ok!("Transfer-Encoding: chunked, chunked\r\n\r\n"), TransferEncoding),
    ("chunked twice", ok!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), TransferEncoding),
    ("identity", ok!("Transfer-Encoding: identity\r\n\r\n"), TransferEncoding),
    ("an empty encoding", ok!("Transfer-Encoding: \r\n\r\n"), TransferEncoding),
    ("almost chunked", ok!("Transfer-Encoding: xchunked\r\n\r\n"), TransferEncoding),
    ("a quoted encoding", ok!("Transfer-Encoding: \"chunked\"\r\n\r\n"), TransferEncoding),
    ("gzip unasked", ok!("Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\nx"), ContentEncoding),
    ("a short body", ok!("Content-Length: 5\r\n\r\nhell"), TruncatedBody),
    ("no body", ok!("Content-Length: 5\r\n\r\n"), TruncatedBody),
    ("a byte too many", ok!("Content-Length: 5\r\n\r\nhello!"), BytesAfterBody),
    ("a newline too many", ok!("Content-Length: 5\r\n\r\nhello\r\n"), BytesAfterBody),
    ("a second response", ok!("Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n"), BytesAfterBody),
    ("a body where none is", ok!("Content-Length: 0\r\n\r\nx"), BytesAfterBody),
    ("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", TransferEncoding),
    ("a body after 204", "HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\nx", BytesAfterBody),
    ("a body after 304", "HTTP/1.1 304 No\r\n\r\nx", BytesAfterBody),
];

#[rustfmt::skip]
const CHUNKS: &[Case] = &[
    ("a blank line for a size", chunks!("\r\n\r\n"), ChunkSize(b'\r')),
    ("an extension without a size", chunks!(";x\r\n\r\n"), ChunkSize(b';')),
    ("a space for a size", chunks!(" \r\n\r\n"), ChunkSize(b' ')),
    ("a space after the size", chunks!("5 \r\nhello\r\n0\r\n\r\n"), ChunkSize(b' ')),
    ("a signed size", chunks!("+5\r\nhello\r\n0\r\n\r\n"), ChunkSize(b'+')),
    ("a size in C", chunks!("0x5\r\nhello\r\n0\r\n\r\n"), ChunkSize(b'x')),
    ("nine digits", chunks!("000000005\r\nhello\r\n0\r\n\r\n"), ChunkSize(b'5')),
    ("a size of 2^64", chunks!("10000000000000000\r\n"), ChunkSize(b'0')),
    ("a size that is no number", chunks!("hello"), ChunkSize(b'h')),
    ("the largest size", chunks!("ffffffff\r\n"), BodyTooLong),
    ("a size over the limit", chunks!("100001\r\n"), BodyTooLong),
    ("LF after the size", chunks!("5\nhello\r\n0\r\n\r\n"), ChunkSize(b'\n')),
    ("LF after an extension", chunks!("5;x\nhello\r\n"), ChunkLine(b'\n')),
    ("CR without LF after the size", chunks!("5\rhello"), ChunkLine(b'h')),
    ("NUL in an extension", chunks!("5;\0\r\n"), ChunkLine(0)),
    ("a chunk longer than its size", chunks!("5\r\nhello!\r\n"), ChunkEnd(b'!')),
    ("LF after the data", chunks!("5\r\nhello\n0\r\n\r\n"), ChunkEnd(b'\n')),
    ("no CR LF after the data", chunks!("5\r\nhello0\r\n\r\n"), ChunkEnd(b'0')),
    ("a folded trailer", chunks!("0\r\nA: b\r\n c\r\n\r\n"), Trailer(b' ')),
    ("a trailer without a colon", chunks!("0\r\nA\r\n\r\n"), Trailer(b'\r')),
    ("LF at the end", chunks!("0\r\n\n"), Trailer(b'\n')),
    ("a response for a trailer", chunks!("0\r\nHTTP/1.1 200 OK\r\n\r\n"), Trailer(b'/')),
    ("no last chunk", chunks!("5\r\nhello\r\n"), TruncatedBody),
    ("a short chunk", chunks!("5\r\nhell"), TruncatedBody),
    ("no blank line", chunks!("0\r\n"), TruncatedBody),
    ("half a blank line", chunks!("0\r\n\r"), TruncatedBody),
    ("bytes after the last chunk", chunks!("0\r\n\r\nx"), BytesAfterBody),
    ("a blank line after the last chunk", chunks!("0\r\n\r\n\r\n"), BytesAfterBody),
];

/// What is left of a response in the end: its status and body, or why it was refused.
type Outcome = Result<(u16, Vec<u8>), ResponseError>;

/// Feeds the pieces, then closes.
fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, clean: bool) -> Outcome {
    let mut response = Response::new();
    for piece in pieces {
        response.feed(piece)?;
    }
    response.end_of_stream(clean)?;
    let status = response.status().expect("a complete response has a status");
    Ok((status, response.body().to_vec()))
}

/// All at once, byte by byte, in sevens, and in two pieces: they must agree.
fn any_way(text: &str, clean: bool) -> Outcome {
    let bytes = text.as_bytes();
    let whole = outcome([bytes], clean);
    assert_eq!(outcome(bytes.chunks(1), clean), whole);
    assert_eq!(outcome(bytes.chunks(7), clean), whole);
    for at in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
        let (first, second) = bytes.split_at(at);
        assert_eq!(outcome([first, second], clean), whole, "at {at}");
    }
    whole
}

#[test]
fn each_evil_response_is_refused_for_the_right_reason() {
    for (what, text, error) in [HEADS, LENGTHS, CHUNKS].concat() {
        assert_eq!(any_way(text, true), Err(error), "{what}");
    }
}

#[test]
fn so_is_what_has_no_end() {
    let ok = |rest: String| ok!("").to_string() + &rest;
    let chunks = |body: String| chunks!("").to_string() + &body;
    let x = |count: usize| "x".repeat(count);
    let headers = |count: usize| ok("A: b\r\n".repeat(count) + "\r\n");
    for (text, error) in [
        (ok(format!("A: {}\r\n\r\n", x(70_000))), HeadTooLong),
        (format!("HTTP/1.1 200 {}", x(HEAD_MAX)), HeadTooLong),
        (headers(200), TooManyHeaders),
        (headers(HEADERS_MAX + 1), TooManyHeaders),
        (
            "HTTP/1.1 102 Wait\r\n\r\n".repeat(INTERIM_MAX + 1),
            TooManyInterim,
        ),
        (
            ok(format!("Content-Length: {}\r\n\r\n", "9".repeat(100))),
            BodyTooLong,
        ),
        (ok(format!("A: b\r\n\r\n{}", x(BODY_MAX + 1))), BodyTooLong),
        (
            chunks(format!("800\r\n{}\r\n", x(0x800)).repeat(0x201)),
            BodyTooLong,
        ),
        (
            chunks(format!("5;{}\r\nhello\r\n0\r\n\r\n", x(255))),
            ChunkLineTooLong,
        ),
        (chunks(format!("5;{}", x(70_000))), ChunkLineTooLong),
        (
            chunks(format!("1;{}\r\nx\r\n", x(200)).repeat(100)),
            ChunkExtensionsTooLong,
        ),
        (
            chunks("0\r\n".to_string() + &"A: b\r\n".repeat(1000)),
            TrailersTooLong,
        ),
        (chunks("0\r\nA: ".to_string() + &x(70_000)), TrailersTooLong),
    ] {
        let start = &text[..text.len().min(99)];
        let whole = outcome([text.as_bytes()], true);
        assert_eq!(whole, Err(error), "{start}");
        assert_eq!(outcome(text.as_bytes().chunks(1), true), whole, "{start}");
    }
}

#[test]
fn a_reset_ends_no_body() {
    let until_close = ok!("A: b\r\n\r\n{}");
    assert_eq!(any_way(until_close, true), Ok((200, b"{}".to_vec())));
    assert_eq!(any_way(until_close, false), Err(UncleanClose));
    // Where the length is known, nothing is lost by it.
    for text in [
        ok!("Content-Length: 2\r\n\r\n{}"),
        chunks!("2\r\n{}\r\n0\r\n\r\n"),
    ] {
        assert_eq!(any_way(text, false), Ok((200, b"{}".to_vec())));
    }
}

#[test]
fn a_drip_costs_no_more_than_a_burst() {
    // A million chunks of one byte, fed byte by byte: only linear work ends soon.
    let text = chunks!("").to_string() + &"1\r\nx\r\n".repeat(BODY_MAX) + "0\r\n\r\n";
    let (status, body) = outcome(text.as_bytes().chunks(1), false).expect("a response");
    assert_eq!((status, body.len()), (200, BODY_MAX));
}

#[test]
fn progress_is_told() {
    let mut response = Response::new();
    assert_eq!(
        response.feed(b"HTTP/1.1 200 OK\r\n"),
        Ok(Progress::NeedMore)
    );
    assert_eq!(response.feed(b"\r\n"), Ok(Progress::HeadDone));
    assert_eq!(response.feed(b"{}"), Ok(Progress::HeadDone));
    assert_eq!(response.end_of_stream(true), Ok(()));
    assert_eq!(response.feed(b""), Ok(Progress::Complete));
    assert!(!response.keep_alive());
}

/// A response of either kind, perhaps with an interim one before it, perhaps hurt in a few places.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..200);
    let pieces = prop::collection::vec(1usize..40, 1..6);
    let hurt = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (body, pieces, hurt, any::<bool>(), 0usize..3).prop_map(
        |(body, pieces, hurt, interim, kind)| {
            let mut out = Vec::new();
            if interim {
                out.extend_from_slice(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n");
            }
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nServer: evil\r\n");
            match kind {
                0 => out.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                ),
                1 => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
                _ => out.extend_from_slice(b"\r\n"),
            }
            if kind == 1 {
                let mut sizes = pieces.iter().cycle();
                let mut rest = &body[..];
                while let Some(&size) = sizes.next().filter(|_| !rest.is_empty()) {
                    let (chunk, after) = rest.split_at(size.min(rest.len()));
                    out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                    rest = after;
                }
                out.extend_from_slice(b"0\r\n\r\n");
            } else {
                out.extend_from_slice(&body);
            }
            for (at, byte) in hurt {
                let at = at.index(out.len());
                out[at] = byte;
            }
            out
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_gives_the_same_outcome(
        bytes in bytes(),
        sizes in prop::collection::vec(0usize..50, 1..20),
        clean in any::<bool>(),
    ) {
        let whole = outcome([&bytes[..]], clean);
        prop_assert_eq!(&outcome(bytes.chunks(1), clean), &whole);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(&outcome(pieces, clean), &whole);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for prefix in ["", ok!(""), chunks!("")] {
            let all = [prefix.as_bytes(), &bytes].concat();
            prop_assert_eq!(outcome([&all[..]], true), outcome(all.chunks(1), true));
        }
    }
}
