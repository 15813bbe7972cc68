//! One connection: TLS, then one request after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use crate::answers::{Answer, answer};
use crate::{Manners, say};

/// A head with its body may be this long.
const REQUEST_MAX: usize = 64 * 1024;
/// Bytes of a chunk, for bodies in chunks.
const CHUNK: usize = 1000;

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// What a client asks.
pub struct Request {
    pub method: String,
    /// The path, without the query.
    pub path: String,
    query: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter in the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(found, _)| *found == name)
            .map(|(_, value)| decoded(value))
    }
}

/// Serves a connection to its end.
pub fn serve(number: u64, stream: TcpStream, config: Arc<ServerConfig>, manners: &Manners) {
    match handshake(stream, config) {
        Ok(mut tls) => {
            let how = match tls.conn.handshake_kind() {
                Some(HandshakeKind::Resumed) => "resumed",
                _ => "full",
            };
            say(format_args!("connection {number} {how}"));
            // A client may go away whenever it likes.
            let _ = converse(&mut tls, manners);
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        Err(error) => say(format_args!("connection {number} failed: {error}")),
    }
}

fn handshake(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Tls> {
    stream.set_nodelay(true)?;
    let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
    while session.is_handshaking() {
        if session.complete_io(&mut stream)?.0 == 0 && session.is_handshaking() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(StreamOwned::new(session, stream))
}

fn converse(tls: &mut Tls, manners: &Manners) -> io::Result<()> {
    let mut input = Vec::new();
    for served in 1.. {
        let Some(request) = next_request(tls, &mut input)? else {
            return Ok(());
        };
        let (kind, answer) = answer(&request, manners.key.as_deref());
        manners.count(kind);
        if manners.hang {
            // Until the client gives up.
            return io::copy(tls, &mut io::sink()).map(drop);
        }
        thread::sleep(manners.delay);
        let last = served >= manners.requests_per_connection;
        let goes = request
            .header("connection")
            .is_some_and(|value| value == "close");
        let announced = goes || (last && !manners.unannounced);
        tls.write_all(&head(&answer, announced, manners.chunked))?;
        if !manners.pause.is_zero() {
            tls.flush()?;
            thread::sleep(manners.pause);
        }
        tls.write_all(&body(answer.body, manners.chunked))?;
        tls.flush()?;
        if goes || last {
            if manners.abrupt {
                next_request(tls, &mut input)?;
            }
            return Ok(());
        }
    }
    Ok(())
}

/// Reads a request; none if the client has no more.
fn next_request(tls: &mut Tls, input: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let mut piece = [0; 4096];
    loop {
        if let Some((request, length)) = parse(input)? {
            input.drain(..length);
            return Ok(Some(request));
        }
        match tls.read(&mut piece)? {
            0 => return Ok(None),
            count => input.extend_from_slice(&piece[..count]),
        }
        if input.len() > REQUEST_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
    }
}

/// The request that `input` begins with, once it is whole, and its length.
fn parse(input: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let parsed = head.parse(input).map_err(io::Error::other)?;
    let httparse::Status::Complete(start) = parsed else {
        return Ok(None);
    };
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: head.method.unwrap_or_default().to_string(),
        path: path.to_string(),
        query: query.to_string(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for header in head.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        request.headers.push((header.name.to_string(), value));
    }
    let length = match request.header("content-length") {
        None => 0,
        // `parse` alone would take a sign.
        Some(text) if text.starts_with('+') => {
            return Err(io::Error::other("digits were expected"));
        }
        Some(text) => text.parse().map_err(io::Error::other)?,
    };
    let end = start.saturating_add(length);
    let Some(body) = input.get(start..end) else {
        return Ok(None);
    };
    request.body = body.to_vec();
    Ok(Some((request, end)))
}

/// A response as far as the blank line.
fn head(answer: &Answer, close: bool, chunked: bool) -> Vec<u8> {
    let reason = match answer.status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        _ => "Not Found",
    };
    let length = match chunked {
        true => String::from("Transfer-Encoding: chunked"),
        false => format!("Content-Length: {}", answer.body.len()),
    };
    let close = if close { "Connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\n{length}\r\n{close}\r\n",
        answer.status, answer.kind
    )
    .into_bytes()
}

/// The rest of it.
fn body(body: Vec<u8>, chunked: bool) -> Vec<u8> {
    if !chunked {
        return body;
    }
    let mut out = Vec::new();
    for chunk in body.chunks(CHUNK) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// A value of a query without its percent signs.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| str::from_utf8(hex).ok());
        let byte = hex.filter(|hex| !hex.starts_with('+'));
        let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
