//! Where Google is asked: an https address, or for a stand-in on this machine an http one. Pure.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::api::Api;

/// The longest address that [`Endpoint::parse`] takes, in bytes.
pub const URL_MAX: usize = 2048;
/// The port of https, left out of the Host header.
const HTTPS_PORT: u16 = 443;
/// The port of http.
const HTTP_PORT: u16 = 80;
/// The one name that stands for this machine.
const LOOPBACK_NAME: &str = "localhost";

/// A host, a port, and what the path of every request begins with. `Display` shows it as an
/// address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// HTTP without TLS.
    plain: bool,
    /// In lower case, without brackets.
    host: String,
    ip: Option<IpAddr>,
    port: u16,
    /// Empty, or `/` and more, without a `/` at the end.
    base: String,
}

impl Endpoint {
    /// Google's own host for an API.
    pub fn google(api: Api) -> Endpoint {
        let host = match api {
            Api::Legacy => "maps.googleapis.com",
            Api::New => "places.googleapis.com",
        };
        Endpoint {
            plain: false,
            host: host.to_string(),
            ip: None,
            port: HTTPS_PORT,
            base: String::new(),
        }
    }

    /// Reads `https://host[:port][/base/path]`, at most [`URL_MAX`] bytes. The host is a name, an
    /// IPv4 address or an IPv6 address in brackets; the API's own path comes after the base path.
    /// With `http://` the host must be of loopback: an address of it, or `localhost`.
    /// The error says what was expected and nothing of what came, which may hold a secret.
    pub fn parse(url: &str) -> Result<Endpoint, &'static str> {
        if url.len() > URL_MAX {
            return Err("expected an address of at most 2048 bytes");
        }
        let Some((plain, rest)) = split_scheme(url) else {
            return Err("expected an address that begins with https:// (http:// on loopback)");
        };
        if rest.contains(['?', '#']) {
            return Err("expected an address without a query and a fragment");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("expected an address without a user name and a password");
        }
        let Some((host, port)) = split_port(authority, default_port(plain)) else {
            return Err("expected a port from 1 to 65535 after the colon");
        };
        let Some((host, ip)) = read_host(host) else {
            return Err(
                "expected a host name in ASCII, an IPv4 address, or an IPv6 address in brackets",
            );
        };
        if plain && !is_of_loopback(&host, ip) {
            return Err(
                "expected https://, since plain http:// goes to loopback alone (127.0.0.0/8, [::1], \
                 localhost)",
            );
        }
        if !is_path(path) {
            return Err("expected a path of printable characters, all others as %XX");
        }
        Ok(Endpoint {
            plain,
            host,
            ip,
            port,
            base: path.trim_end_matches('/').to_string(),
        })
    }

    /// True for HTTP without TLS: then no key may be sent.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// True if this endpoint may be at such an address: plain HTTP is for loopback, whatever a
    /// resolver makes of `localhost`.
    pub fn may_be_at(&self, ip: IpAddr) -> bool {
        !self.plain || ip.is_loopback()
    }

    /// The host's name or IP address, without brackets: what is resolved and what the certificate
    /// must name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as an IP address, if it is one: no name needs resolving then.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The TCP port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What every request's path begins with: empty, or `/` and more, without a `/` at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The value of the Host header.
    pub(super) fn authority(&self) -> String {
        let bracketed = match self.ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.host.clone(),
        };
        match self.port == default_port(self.plain) {
            true => bracketed,
            false => format!("{bracketed}:{}", self.port),
        }
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scheme = if self.plain { "http" } else { "https" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base)
    }
}

/// Whether it is plain HTTP, and what follows the scheme. `None`: another scheme, or none.
fn split_scheme(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme.eq_ignore_ascii_case("http") {
        return Some((true, rest));
    }
    scheme
        .eq_ignore_ascii_case("https")
        .then_some((false, rest))
}

fn default_port(plain: bool) -> u16 {
    if plain { HTTP_PORT } else { HTTPS_PORT }
}

fn is_of_loopback(host: &str, ip: Option<IpAddr>) -> bool {
    ip.map_or(host == LOOPBACK_NAME, |ip| ip.is_loopback())
}

/// The host, brackets and all, and the port. `None`: the port is none.
fn split_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let after_brackets = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let is_open = authority.starts_with('[') && after_brackets == 0;
    let colon = authority[after_brackets..].rfind(':');
    let Some(colon) = colon.filter(|_| !is_open) else {
        return Some((authority, default));
    };
    let (host, port) = authority.split_at(after_brackets + colon);
    let digits = &port[1..];
    // `parse` alone would take a plus sign.
    let port = (digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()?;
    (port != 0).then_some((host, port))
}

fn read_host(text: &str) -> Option<(String, Option<IpAddr>)> {
    if let Some(inside) = text.strip_prefix('[') {
        let ip: Ipv6Addr = inside.strip_suffix(']')?.parse().ok()?;
        return Some((ip.to_string(), Some(IpAddr::V6(ip))));
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Some((text.to_string(), Some(IpAddr::V4(ip))));
    }
    is_name(text).then(|| (text.to_ascii_lowercase(), None))
}

/// Labels of letters, digits, hyphens and underscores. A last label that is a number would be read
/// as an odd way to write an IPv4 address (`127.1`, `0x7f000001`), so it is no name.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && (label.bytes())
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with("0x")
        || last.starts_with("0X")
        || last.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(is_label) && !is_number
}

/// What RFC 3986 allows in a path.
fn is_path(mut text: &str) -> bool {
    while let Some(byte) = text.bytes().next() {
        let allowed = byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        let length = match text.as_bytes() {
            _ if allowed => 1,
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => 3,
            _ => return false,
        };
        text = &text[length..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_endpoint() {
        for (url, host, port, base, authority) in [
            (
                "https://places.googleapis.com",
                "places.googleapis.com",
                443,
                "",
                "places.googleapis.com",
            ),
            (
                "HTTPS://Localhost:8443/",
                "localhost",
                8443,
                "",
                "localhost:8443",
            ),
            ("https://a.b:443/x/y//", "a.b", 443, "/x/y", "a.b"),
            (
                "https://127.0.0.1:1/%2f~",
                "127.0.0.1",
                1,
                "/%2f~",
                "127.0.0.1:1",
            ),
            ("https://[::1]:65535/x", "::1", 65535, "/x", "[::1]:65535"),
            (
                "https://[2001:DB8:0::1]",
                "2001:db8::1",
                443,
                "",
                "[2001:db8::1]",
            ),
            (
                "https://xn--bcher-kva.example_1",
                "xn--bcher-kva.example_1",
                443,
                "",
                "xn--bcher-kva.example_1",
            ),
            ("https://3com", "3com", 443, "", "3com"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.host(), host);
            assert_eq!(endpoint.ip(), host.parse().ok(), "{url}");
            assert_eq!((endpoint.port(), endpoint.base()), (port, base), "{url}");
            assert_eq!(endpoint.authority(), authority);
            assert_eq!(endpoint.to_string(), format!("https://{authority}{base}"));
            assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
        }
    }

    #[test]
    fn what_is_none_says_what_was_expected() {
        let long_label = format!("https://{}.com", "a".repeat(64));
        let long_name = format!("https://{}com", "a.".repeat(126));
        for (url, expected) in [
            ("", "https://"),
            ("https:/", "https://"),
            ("http://192.0.2.1", "loopback alone"),
            ("http://localhost.example", "loopback alone"),
            ("http://128.0.0.1:8080", "loopback alone"),
            ("http://[::2]", "loopback alone"),
            ("http://[::ffff:127.0.0.1]", "loopback alone"),
            ("http://maps.googleapis.com", "loopback alone"),
            ("http://127.1", "a host name"),
            ("http://user:secret@localhost", "a user name"),
            ("ftp://localhost", "https://"),
            ("httpsé//a", "https://"),
            ("localhost:8443", "https://"),
            ("https://a?b", "a query"),
            ("https://a/#b", "a fragment"),
            ("https://user:secret@host/", "a user name"),
            ("https://a:", "a port"),
            ("https://a:0", "a port"),
            ("https://a:+1", "a port"),
            ("https://a:65536", "a port"),
            ("https://a:b:1", "a host name"),
            ("https://::1", "a host name"),
            ("https://[::1]:x", "a port"),
            ("https://", "a host name"),
            ("https:///path", "a host name"),
            ("https://:443", "a host name"),
            ("https://[::1", "a host name"),
            ("https://[::1]x", "a host name"),
            ("https://[fe80::1%25eth0]", "a host name"),
            ("https://[127.0.0.1]", "a host name"),
            ("https://127.1", "a host name"),
            ("https://127.0.0.1.5", "a host name"),
            ("https://0x7f000001", "a host name"),
            ("https://a..b", "a host name"),
            ("https://a.b.", "a host name"),
            ("https://-a.b", "a host name"),
            ("https://a-.b", "a host name"),
            ("https://b\u{fc}cher.example", "a host name"),
            ("https://a b", "a host name"),
            ("https://a\\b", "a host name"),
            ("https://a%41", "a host name"),
            (&long_label, "a host name"),
            (&long_name, "a host name"),
            ("https://a/b c", "a path"),
            ("https://a/b\r\nX: y", "a path"),
            ("https://a/%4", "a path"),
            ("https://a/%4g", "a path"),
            ("https://a/é", "a path"),
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(error.contains(expected), "{url}: {error}");
        }
        assert!(Endpoint::parse(&format!("https://a/{}", "x".repeat(URL_MAX))).is_err());
    }

    #[test]
    fn plain_http_is_for_loopback() {
        for (url, host, port, authority) in [
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
            ("HTTP://LocalHost/", "localhost", 80, "localhost"),
            ("http://127.8.9.1:443", "127.8.9.1", 443, "127.8.9.1:443"),
            ("http://[::1]:80", "::1", 80, "[::1]"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert!(endpoint.is_plain(), "{url}");
            assert_eq!((endpoint.host(), endpoint.port()), (host, port), "{url}");
            assert_eq!(endpoint.to_string(), format!("http://{authority}"));
            assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint.clone()));
            for (ip, may) in [("127.3.2.1", true), ("::1", true), ("192.0.2.7", false)] {
                assert_eq!(endpoint.may_be_at(ip.parse().unwrap()), may, "{ip}");
            }
        }
        let secured = Endpoint::parse("https://localhost").unwrap();
        assert!(!secured.is_plain() && secured.may_be_at("192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn the_hosts_of_google() {
        assert_eq!(
            Endpoint::google(Api::Legacy).to_string(),
            "https://maps.googleapis.com"
        );
        assert_eq!(
            Endpoint::google(Api::New).to_string(),
            "https://places.googleapis.com"
        );
    }
}
