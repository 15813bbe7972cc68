//! Just enough HTTP/1.1 for the inspection listener, and who may ask it. Pure.
//!
//! The listener is on loopback, but every page in a browser of this machine can send requests there.
//! So a request must name the listener as its Host (a name that was rebound to loopback is another
//! Host), and one that moves the loop must come from the listener's own page (its Origin), as JSON,
//! which no form of another page can send.

use std::net::SocketAddr;

use super::words::number;

/// The longest head of a request.
pub const HEAD_MAX: usize = 8 * 1024;
/// Header fields of a request.
pub const HEADERS_MAX: usize = 48;
/// The longest body of a request.
pub const BODY_MAX: usize = 4 * 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The page.
    Page,
    /// The view, once.
    View,
    /// The view, whenever it is new.
    Events,
    /// To do something: a command of the stepper's.
    Command(String),
}

/// Why a request is not answered: a status of RFC 9110, and what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// What was expected.
    pub why: &'static str,
}

fn refuse<T>(status: u16, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, why })
}

/// Reads a request from the bytes that came so far, at the listener at `own`. `None`: more must come.
///
/// # Errors
/// Why it is refused.
pub fn parse(bytes: &[u8], own: SocketAddr) -> Result<Option<Request>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        Ok(_) => return refuse(431, "a head of at most 8 KiB"),
        Err(httparse::Error::TooManyHeaders) => return refuse(431, "at most 48 header fields"),
        Err(httparse::Error::Version) => return refuse(505, "HTTP/1.1"),
        Err(_) => return refuse(400, "an HTTP/1.1 request"),
    };
    let head = Head {
        method: head.method.unwrap_or_default(),
        target: head.path.unwrap_or_default(),
        headers: head.headers,
    };
    head.check(own)?;
    let route = head.route()?;
    let body = &bytes[length..];
    let wanted = head.content_length()?;
    if body.len() < wanted {
        return Ok(None);
    }
    match route {
        Route::Command => command(&body[..wanted]).map(Some),
        Route::Get(request) => Ok(Some(request)),
    }
}

enum Route {
    Get(Request),
    Command,
}

struct Head<'a, 'b> {
    method: &'a str,
    target: &'a str,
    headers: &'a [httparse::Header<'b>],
}

impl Head<'_, '_> {
    /// The only value of a header field; twice is as bad as a wrong one.
    fn field(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        let first = values.next();
        if values.next().is_some() {
            return refuse(400, "each header field once");
        }
        match first.map(|field| str::from_utf8(field.value)) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value.trim())),
            Some(Err(_)) => refuse(400, "header fields in ASCII"),
        }
    }

    /// Whether it may ask at all.
    fn check(&self, own: SocketAddr) -> Result<(), Refusal> {
        let is_own = |authority: &str| {
            let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
            let ip = own.ip().to_string();
            let hosts = ["localhost", "127.0.0.1", "[::1]", &ip];
            hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
                && number(port) == Some(own.port())
        };
        if !self.field("host")?.is_some_and(is_own) {
            return refuse(403, "this listener's own address as the Host");
        }
        let origin = self.field("origin")?;
        let from_here = |origin: &str| origin.strip_prefix("http://").is_some_and(is_own);
        if !origin.is_none_or(from_here) {
            return refuse(403, "no Origin, or this listener's own");
        }
        let site = self.field("sec-fetch-site")?;
        let same = |site: &str| matches!(site, "same-origin" | "none");
        // To follow a link to the page is all that another site may have a reader do.
        let is_page = self.method == "GET" && self.target == "/";
        if !(is_page || site.is_none_or(same)) {
            return refuse(403, "a request from this listener's own page");
        }
        Ok(())
    }

    fn route(&self) -> Result<Route, Refusal> {
        let path = self.target.split('?').next().unwrap_or_default();
        let route = match path {
            "/" => Route::Get(Request::Page),
            "/view.json" => Route::Get(Request::View),
            "/events" => Route::Get(Request::Events),
            "/command" => Route::Command,
            _ => return refuse(404, "/, /view.json, /events or /command"),
        };
        match (&route, self.method) {
            (Route::Get(_), "GET") => Ok(route),
            (Route::Command, "POST") => match self.field("content-type")? {
                Some(kind) if is_json(kind) => Ok(route),
                _ => refuse(415, "a body of application/json"),
            },
            _ => refuse(405, "GET, or POST for /command"),
        }
    }

    fn content_length(&self) -> Result<usize, Refusal> {
        if self.field("transfer-encoding")?.is_some() {
            return refuse(501, "a Content-Length, no Transfer-Encoding");
        }
        match self.field("content-length")? {
            None => Ok(0),
            Some(digits) => match number::<usize>(digits) {
                Some(length) if length <= BODY_MAX => Ok(length),
                Some(_) => refuse(413, "a body of at most 4 KiB"),
                None => refuse(400, "a number as Content-Length"),
            },
        }
    }
}

/// The media type, whatever its parameters.
fn is_json(kind: &str) -> bool {
    let media = kind.split(';').next().unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}

fn command(body: &[u8]) -> Result<Request, Refusal> {
    let body: serde_json::Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(_) => return refuse(400, "a body of JSON"),
    };
    match body["command"].as_str() {
        Some(command) if !command.trim().is_empty() => Ok(Request::Command(command.to_string())),
        _ => refuse(400, "{\"command\": \"...\"}"),
    }
}

/// The head of an answer whose body has `length` bytes; `None`: it has no end.
pub fn head(status: u16, content_type: &str, length: Option<usize>) -> String {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        _ => "HTTP Version Not Supported",
    };
    let length = length.map(|length| format!("Content-Length: {length}\r\n"));
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\n{}\
         Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
         Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; \
         style-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'none'\r\n\r\n",
        length.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> SocketAddr {
        "127.0.0.1:9000".parse().expect("an address")
    }

    fn get(target: &str, more: &str) -> Result<Option<Request>, Refusal> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost:9000\r\n{more}\r\n");
        parse(head.as_bytes(), own())
    }

    fn post(body: &str, more: &str) -> Result<Option<Request>, Refusal> {
        let length = body.len();
        let head = format!(
            "POST /command HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nContent-Length: {length}\r\n{more}\r\n{body}"
        );
        parse(head.as_bytes(), own())
    }

    const JSON: &str = "Content-Type: application/json\r\n";

    fn status<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> u16 {
        answer.expect_err("refused").status
    }

    #[test]
    fn routes() {
        assert_eq!(get("/", ""), Ok(Some(Request::Page)));
        assert_eq!(get("/?x=1", ""), Ok(Some(Request::Page)));
        assert_eq!(get("/view.json", ""), Ok(Some(Request::View)));
        assert_eq!(
            get("/events", "Origin: http://127.0.0.1:9000\r\n"),
            Ok(Some(Request::Events))
        );
        let step = Ok(Some(Request::Command("step".to_string())));
        assert_eq!(post("{\"command\": \"step\"}", JSON), step);
        for (target, wanted) in [("/x", 404), ("/../etc", 404), ("/command", 405)] {
            assert_eq!(status(get(target, "")), wanted);
        }
    }

    #[test]
    fn a_request_is_read_at_every_split() {
        let body = "{\"command\":\"next\"}";
        let text = format!(
            "POST /command HTTP/1.1\r\nHost: [::1]:9000\r\n{JSON}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        for end in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end], own()), Ok(None), "{end}");
        }
        let whole = parse(text.as_bytes(), own());
        assert_eq!(whole, Ok(Some(Request::Command("next".to_string()))));
    }

    #[test]
    fn who_may_not_ask() {
        for host in [
            "evil.example:9000",
            "localhost:9001",
            "localhost",
            "",
            "127.0.0.1.evil:9000",
            "localhost:+9000",
            "localhost: 9000",
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(status(parse(head.as_bytes(), own())), 403, "{host}");
        }
        assert_eq!(status(parse(b"GET / HTTP/1.1\r\n\r\n", own())), 403);
        for origin in [
            "http://evil.example",
            "null",
            "https://localhost:9000",
            "http://localhost:1",
            "http://localhost:+9000",
        ] {
            assert_eq!(
                status(get("/view.json", &format!("Origin: {origin}\r\n"))),
                403,
                "{origin}"
            );
        }
        assert_eq!(
            status(get("/view.json", "Sec-Fetch-Site: cross-site\r\n")),
            403
        );
        assert_eq!(
            get("/", "Sec-Fetch-Site: cross-site\r\n"),
            Ok(Some(Request::Page))
        );
        let command = "{\"command\":\"step\"}";
        assert_eq!(status(post(command, "")), 415);
        for kind in [
            "text/plain",
            "application/jsonx",
            "text/plain; application/json",
        ] {
            let field = format!("Content-Type: {kind}\r\n");
            assert_eq!(status(post(command, &field)), 415, "{kind}");
        }
        assert_eq!(
            status(post(
                command,
                &format!("{JSON}Sec-Fetch-Site: same-site\r\n")
            )),
            403
        );
    }

    #[test]
    fn what_is_no_request() {
        assert_eq!(
            status(parse(b"\x16\x03\x01\x02\x00\x01\x00\x01", own())),
            400
        );
        assert_eq!(
            status(parse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", own())),
            505
        );
        assert_eq!(status(parse(&vec![b'A'; HEAD_MAX], own())), 431);
        let many = "X: 1\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(status(get("/", &many)), 431);
        assert_eq!(
            status(get("/", &format!("X: {}\r\n", "1".repeat(HEAD_MAX)))),
            431
        );
        assert_eq!(status(get("/", "Host: localhost:9000\r\n")), 400);
        for (field, wanted) in [
            ("Content-Length: 5000\r\n", 413),
            ("Content-Length: x\r\n", 400),
            ("Content-Length: +0\r\n", 400),
            ("Content-Length: -0\r\n", 400),
            ("Content-Length:\r\n", 400),
            ("Content-Length: 1\r\nContent-Length: 2\r\n", 400),
            ("Transfer-Encoding: chunked\r\n", 501),
        ] {
            assert_eq!(status(get("/", field)), wanted, "{field}");
        }
        for body in ["", "{", "{}", "{\"command\": 3}", "{\"command\": \" \"}"] {
            assert_eq!(status(post(body, JSON)), 400, "{body}");
        }
    }
}
