//! The headers of a message. Pure.

use super::frame::number;

/// Headers, borrowed from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    /// What the server says instead of a value: 404, 503, ...
    pub status: Option<u16>,
    /// The words behind the status.
    pub description: &'a [u8],
    /// The lines `Name: value`, each with its CR LF.
    lines: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Reads headers. Those of a message without any say nothing. `None`: they are none.
    pub fn parse(headers: &'a [u8]) -> Option<Headers<'a>> {
        if headers.is_empty() {
            return Some(Headers {
                status: None,
                description: b"",
                lines: b"",
            });
        }
        let end = memchr::memmem::find(headers, b"\r\n")?;
        let first = headers[..end].strip_prefix(b"NATS/1.0")?;
        let lines = headers[end + 2..].strip_suffix(b"\r\n")?;
        if !lines.is_empty() && !lines.ends_with(b"\r\n") {
            return None;
        }
        let (status, description) = match first.trim_ascii() {
            b"" => (None, &b""[..]),
            text => {
                let (code, description) = text.split_at(text.len().min(3));
                (
                    Some(u16::try_from(number(code)?).ok()?),
                    description.trim_ascii(),
                )
            }
        };
        Some(Headers {
            status,
            description,
            lines,
        })
    }

    /// The value of a header. A writer's headers come before the server's and can bear the same name, so
    /// the last one counts.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let lines = self.lines.split(|&byte| byte == b'\n').rev();
        let mut values = lines.filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let (said, value) = line.split_at(colon);
            let ours = said.eq_ignore_ascii_case(name.as_bytes());
            ours.then(|| value[1..].trim_ascii())
        });
        values.next()
    }

    /// The value of a header that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        number(self.get(name)?)
    }

    /// True if the message says that its key has no value any more: deleted, purged, or expired.
    pub fn is_marker(&self) -> bool {
        let operation = self.get("KV-Operation");
        operation.is_some_and(|operation| operation != b"PUT")
            || self.get("Nats-Marker-Reason").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_the_first_line() {
        let parsed =
            Headers::parse(b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\n\r\n");
        let headers = parsed.expect("headers");
        assert_eq!(headers.status, Some(100));
        assert_eq!(headers.description, b"Idle Heartbeat");
        assert_eq!(headers.number("Nats-Last-Consumer"), Some(3));
        assert_eq!(headers.number("Nats-Last-Stream"), None);
        let bare = Headers::parse(b"NATS/1.0 503\r\n\r\n").expect("headers");
        assert_eq!((bare.status, bare.description), (Some(503), &b""[..]));
    }

    #[test]
    fn the_servers_own_header_counts_where_the_writer_repeats_it() {
        let text = b"NATS/1.0\r\nNats-Sequence: 99\r\nother: a:b\r\nNats-Sequence: 2\r\n\r\n";
        let headers = Headers::parse(text).expect("headers");
        assert_eq!(headers.number("Nats-Sequence"), Some(2));
        assert_eq!(headers.get("Other"), Some(&b"a:b"[..]));
        assert!(!headers.is_marker());
    }

    #[test]
    fn markers_are_told_from_values() {
        for (line, marker) in [
            ("KV-Operation: DEL", true),
            ("KV-Operation: PURGE", true),
            ("KV-Operation: PUT", false),
            ("Nats-Marker-Reason: MaxAge", true),
            ("Nats-TTL: 1s", false),
        ] {
            let text = format!("NATS/1.0\r\n{line}\r\n\r\n");
            let headers = Headers::parse(text.as_bytes()).expect("headers");
            assert_eq!(headers.is_marker(), marker, "{line}");
        }
    }

    #[test]
    fn what_are_no_headers() {
        for text in [
            "NATS/1.0",
            "NATS/1.0\r\n",
            "HTTP/1.0\r\n\r\n",
            "NATS/1.0 abc\r\n\r\n",
            "NATS/1.0 50\u{b2}\r\n\r\n",
            "NATS/1.0\r\na: b\r\n",
            "\r\n\r\n",
        ] {
            assert_eq!(Headers::parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
