//! What we say to a NATS server. Pure.

use std::fmt::Write;

/// Who we are; sent once, behind INFO and perhaps TLS.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// What the server's own views call us.
    pub name: &'a str,
    /// Our version.
    pub version: &'a str,
    /// The connection is secured.
    pub tls: bool,
    /// A user and a password.
    pub user: Option<(&'a str, &'a str)>,
}

impl Connect<'_> {
    /// Appends CONNECT. Without `verbose` nothing is answered, so a PING must follow: its PONG says that
    /// we are in.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Connect {
            name,
            version,
            tls,
            user,
        } = self;
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let user = user.map_or_else(String::new, |(user, password)| {
            format!(",\"user\":{},\"pass\":{}", quoted(user), quoted(password))
        });
        let text = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"tls_required\":{tls},\"lang\":\"herd\",\
             \"version\":{},\"name\":{},\"protocol\":1,\"echo\":true,\"headers\":true,\
             \"no_responders\":true{user}}}\r\n",
            quoted(version),
            quoted(name),
        );
        out.extend_from_slice(text.as_bytes());
    }
}

/// Asks whether the server lives.
pub fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PING\r\n");
}

/// Says that we live.
pub fn pong(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PONG\r\n");
}

/// Asks for what is published to a subject, under a number of our own.
pub fn subscribe(subject: &str, sid: u64, out: &mut Vec<u8>) {
    line(format_args!("SUB {subject} {sid}\r\n"), out);
}

/// Asks for no more of it.
pub fn unsubscribe(sid: u64, out: &mut Vec<u8>) {
    line(format_args!("UNSUB {sid}\r\n"), out);
}

/// Publishes. An empty `reply` asks for no answer.
pub fn publish(subject: &str, reply: &str, payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len();
    match reply {
        "" => line(format_args!("PUB {subject} {length}\r\n"), out),
        _ => line(format_args!("PUB {subject} {reply} {length}\r\n"), out),
    }
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// Publishes with one header.
pub fn publish_with(
    subject: &str,
    reply: &str,
    header: (&str, u64),
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let (name, value) = header;
    let headers = format!("NATS/1.0\r\n{name}: {value}\r\n\r\n");
    let total = headers.len() + payload.len();
    let lengths = format_args!("{} {total}\r\n{headers}", headers.len()).to_string();
    line(format_args!("HPUB {subject} {reply} {lengths}"), out);
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// Appends a line of ASCII.
fn line(text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    struct Bytes<'a>(&'a mut Vec<u8>);
    impl Write for Bytes<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    // Appending to memory cannot fail.
    let _ = Bytes(out).write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_we_are_is_json_whatever_the_password() {
        let mut out = Vec::new();
        let connect = Connect {
            name: "herd-Clark",
            version: "1",
            tls: true,
            user: Some(("herd", "a\"b\\\r\n")),
        };
        connect.write(&mut out);
        let json = out.strip_prefix(b"CONNECT ").expect("CONNECT");
        let json = json.strip_suffix(b"\r\n").expect("a line");
        let read: serde_json::Value = serde_json::from_slice(json).expect("JSON");
        assert_eq!(read["pass"], "a\"b\\\r\n");
        assert_eq!(read["tls_required"], true);
        assert_eq!(memchr::memchr_iter(b'\n', &out).count(), 1);
    }
}
