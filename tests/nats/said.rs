//! What a client says, read as a server reads it.

/// A frame of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Who it is, as JSON.
    Connect(&'a [u8]),
    /// Does the server live?
    Ping,
    /// It lives.
    Pong,
    /// A subscription: subject and number. (No queue group is ours.)
    Sub(&'a str, u64),
    /// The end of one.
    Unsub(u64),
    /// Subject, reply, headers, payload.
    Publish(&'a str, &'a str, &'a [u8], &'a [u8]),
}

/// The first frame of some bytes, and how long it is. `None`: it is not whole, or none of ours.
pub fn next(bytes: &[u8]) -> Option<(Said<'_>, usize)> {
    let end = memchr::memmem::find(bytes, b"\r\n")?;
    let line = &bytes[..end];
    let end = end + 2;
    if let Some(json) = line.strip_prefix(b"CONNECT ") {
        return Some((Said::Connect(json), end));
    }
    let line = std::str::from_utf8(line).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    let body = |headers: &str, total: &str| -> Option<(&[u8], &[u8], usize)> {
        let (headers, total): (usize, usize) = (headers.parse().ok()?, total.parse().ok()?);
        let whole = bytes.get(end..end + total)?;
        let after = bytes.get(end + total..end + total + 2)?;
        (headers <= total && after == b"\r\n")
            .then(|| (&whole[..headers], &whole[headers..], end + total + 2))
    };
    let published = |subject, reply, headers, total| {
        let (headers, payload, end) = body(headers, total)?;
        Some((Said::Publish(subject, reply, headers, payload), end))
    };
    match words[..] {
        ["PING"] => Some((Said::Ping, end)),
        ["PONG"] => Some((Said::Pong, end)),
        ["SUB", subject, sid] => Some((Said::Sub(subject, sid.parse().ok()?), end)),
        ["UNSUB", sid] => Some((Said::Unsub(sid.parse().ok()?), end)),
        ["PUB", subject, total] => published(subject, "", "0", total),
        ["PUB", subject, reply, total] => published(subject, reply, "0", total),
        ["HPUB", subject, reply, headers, total] => published(subject, reply, headers, total),
        _ => None,
    }
}
