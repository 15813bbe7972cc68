//! What a NATS server says of itself. Pure.

use serde_json::{Map, Value};

use super::bounds::{CONNECT_URL_MAX, CONNECT_URLS_MAX};

/// The version of a server, its three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// The fields of an INFO that matter to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// What it is called.
    pub server_name: String,
    /// 0.0.0 if what it says is no version.
    pub version: Version,
    /// The longest message that it takes, headers included.
    pub max_payload: usize,
    /// It knows headers.
    pub headers: bool,
    /// It keeps streams, or its cluster does.
    pub jetstream: bool,
    /// TLS must begin now.
    pub tls_required: bool,
    /// And we must show a certificate.
    pub tls_verify: bool,
    /// CONNECT must say who we are, or a certificate must.
    pub auth_required: bool,
    /// It will close before long.
    pub lame_duck: bool,
    /// Where else its cluster is to be had: hosts and ports, at most [`CONNECT_URLS_MAX`].
    pub connect_urls: Vec<String>,
}

impl Info {
    /// Reads an INFO. `None`: it is no JSON object, or a field that we know is of another kind.
    pub fn parse(json: &[u8]) -> Option<Info> {
        let object: Map<String, Value> = serde_json::from_slice(json).ok()?;
        let flag = |name: &str| object.get(name).map_or(Some(false), Value::as_bool);
        let text = |name: &str| object.get(name).map_or(Some(""), Value::as_str);
        let urls = match object.get("connect_urls") {
            None | Some(Value::Null) => &[][..],
            Some(urls) => urls.as_array()?,
        };
        let urls = urls.iter().filter_map(Value::as_str);
        let urls = urls.filter(|url| url.len() <= CONNECT_URL_MAX);
        Some(Info {
            server_name: text("server_name")?.to_string(),
            version: version(text("version")?).unwrap_or_default(),
            max_payload: match object.get("max_payload") {
                None => 0,
                Some(bytes) => usize::try_from(bytes.as_u64()?).ok()?,
            },
            headers: flag("headers")?,
            jetstream: flag("jetstream")?,
            tls_required: flag("tls_required")?,
            tls_verify: flag("tls_verify")?,
            auth_required: flag("auth_required")?,
            lame_duck: flag("ldm")?,
            connect_urls: urls.take(CONNECT_URLS_MAX).map(str::to_string).collect(),
        })
    }
}

/// `2.10.23`, perhaps with something behind a hyphen.
fn version(text: &str) -> Option<Version> {
    let numbers = text.split('-').next()?;
    let mut numbers = numbers.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Version(next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let of = |text: &str| {
            let json = format!(r#"{{"version":"{text}"}}"#);
            Info::parse(json.as_bytes()).expect("an INFO").version
        };
        assert!(of("2.9.10") < of("2.10.23") && of("2.10.23") < of("2.15.1"));
        assert_eq!(of("2.12.0-RC.1"), Version(2, 12, 0));
        assert_eq!(of("next"), Version(0, 0, 0));
        assert_eq!(of("2.9"), Version(0, 0, 0));
    }

    #[test]
    fn what_is_no_info() {
        for json in [
            "",
            "[]",
            "{",
            r#"{"ldm":1}"#,
            r#"{"max_payload":-1}"#,
            r#"{"connect_urls":"a"}"#,
        ] {
            assert_eq!(Info::parse(json.as_bytes()), None, "{json}");
        }
        assert_eq!(
            Info::parse(br#"{"connect_urls":null}"#),
            Some(Info::default())
        );
    }

    #[test]
    fn so_many_addresses_of_a_cluster_are_remembered() {
        let url = |n: usize| format!("\"{}\"", "h".repeat(n));
        let urls = |each: String, count: usize| {
            let json = format!(r#"{{"connect_urls":[{}]}}"#, vec![each; count].join(","));
            Info::parse(json.as_bytes())
                .expect("an INFO")
                .connect_urls
                .len()
        };
        assert_eq!(
            urls(url(CONNECT_URL_MAX), CONNECT_URLS_MAX + 1),
            CONNECT_URLS_MAX
        );
        assert_eq!(urls(url(CONNECT_URL_MAX + 1), 3), 0);
    }
}
