//! `herd --ps ADDR`: asks a running server for its view, and prints it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that does not answer within this time is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is taken.
const ANSWER_MAX: u64 = 64 << 20;

/// The view of the server whose inspection listener is at `address`: tables, or as it came.
///
/// # Errors
/// In words: nobody listens there, or what answers is no inspection listener.
pub fn ps(address: SocketAddr, json: bool) -> Result<String, String> {
    let say = |why: &dyn std::fmt::Display| {
        format!("--ps {address}: {why} (expected a server with --inspect {address})")
    };
    let body = ask(address).map_err(|error| say(&error))?;
    if json {
        return Ok(body + "\n");
    }
    let view = serde_json::from_str(&body).map_err(|error| say(&error))?;
    Ok(herd::probe::tables(&view))
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /view.json HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    let other = |text: &str| std::io::Error::other(text.to_string());
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| other("no HTTP answer"))?;
    match head.starts_with("HTTP/1.1 200 ") {
        true => Ok(body.to_string()),
        false => Err(other(head.lines().next().unwrap_or_default())),
    }
}
