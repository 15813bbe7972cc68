//! The configuration of a server as the header of a recording, and back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{Config, Upstream};
use crate::herd::{Roster, Ties};
use crate::places::{Endpoint, FieldMask, Key};
use crate::portions::Portions;

/// What stands for each byte of the key in a replay.
const STAR: &str = "*";

/// Another version may ask its world other questions.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The header: one line of JSON. Of the key it holds the length.
pub fn header(config: &Config) -> String {
    // Spelled out, so that the compiler asks for a field that is added to it.
    let Config {
        roster,
        me,
        journal,
        max_log,
        one_shot,
        catch_up,
        short_links,
        max_ahead,
        max_records,
        max_connections,
        max_client_bytes,
        client_idle,
        max_per_address,
        snapshot_every,
        secured,
        tls,
        upstream,
        ties,
        // No server that is recorded has others.
        portions: _,
    } = config;
    let server = |server: &crate::herd::Server| {
        (server.name.clone(), Value::from(server.address.to_string()))
    };
    let name = |index: usize| roster.servers[index].name.clone();
    let course = roster.servers.iter().filter(|server| server.course);
    let upstream = upstream.as_ref().map(|upstream| {
        json!({
            "api": upstream.api.to_string(),
            "url": upstream.endpoint.to_string(),
            "key_length": upstream.key.as_ref().map(|key| key.expose().len()),
            "field_mask": upstream.field_mask.as_str(),
        })
    });
    json!({
        "version": VERSION,
        "server": name(*me),
        "herd": {
            "servers": roster.servers.iter().map(server).collect::<serde_json::Map<_, _>>(),
            "links": roster.links().iter().map(|&(a, b)| [name(a), name(b)]).collect::<Vec<_>>(),
            "course": course.map(|server| server.name.as_str()).collect::<Vec<_>>(),
        },
        "journal": journal,
        "max_log": max_log,
        "one_shot": one_shot,
        "catch_up": catch_up,
        "short_links": short_links,
        "max_ahead_ms": max_ahead.as_millis() as u64,
        "max_records": max_records,
        "max_connections": max_connections,
        "max_client_bytes": max_client_bytes,
        "client_idle_ms": client_idle.as_millis() as u64,
        "max_per_address": max_per_address,
        "snapshot_every_ms": snapshot_every.map(|every| every.as_millis() as u64),
        "secured": secured,
        "tls": tls,
        "first_arrival_wins": *ties == Ties::FirstArrival,
        "places": upstream,
    })
    .to_string()
}

/// The configuration in a header.
///
/// # Errors
/// In words: which part is missing or wrong.
pub fn config(header: &str) -> Result<Config, String> {
    let header: Value = serde_json::from_str(header).map_err(|error| error.to_string())?;
    let version = header["version"].as_str().unwrap_or("of no version");
    if version != VERSION {
        return Err(format!(
            "it was recorded by herd {version}, and only that herd replays it: this is herd {VERSION}"
        ));
    }
    let roster = Roster::parse(&header["herd"].to_string())
        .map_err(|error| format!("the herd in the header: {error}"))?;
    let name = header["server"].as_str().unwrap_or_default();
    let me = roster
        .index_of(name)
        .ok_or_else(|| format!("{name:?} is not a server of its herd"))?;
    let number = |key: &str| {
        let value = header[key].as_u64();
        value.ok_or_else(|| format!("{key} in the header: expected a number"))
    };
    let flag = |key: &str| {
        let value = header[key].as_bool();
        value.ok_or_else(|| format!("{key} in the header: expected true or false"))
    };
    Ok(Config {
        portions: Portions::default(),
        roster,
        me,
        journal: flag("journal")?,
        max_log: number("max_log")?,
        one_shot: flag("one_shot")?,
        catch_up: flag("catch_up")?,
        short_links: flag("short_links")?,
        max_ahead: Duration::from_millis(number("max_ahead_ms")?),
        max_records: number("max_records")? as usize,
        max_connections: number("max_connections")? as usize,
        max_client_bytes: number("max_client_bytes")? as usize,
        client_idle: Duration::from_millis(number("client_idle_ms")?),
        max_per_address: number("max_per_address")? as usize,
        snapshot_every: match header["snapshot_every_ms"].is_null() {
            true => None,
            false => Some(Duration::from_millis(number("snapshot_every_ms")?)),
        },
        secured: flag("secured")?,
        tls: flag("tls")?,
        ties: match flag("first_arrival_wins")? {
            true => Ties::FirstArrival,
            false => Ties::TotalOrder,
        },
        upstream: upstream(&header["places"])?,
    })
}

fn upstream(places: &Value) -> Result<Option<Upstream>, String> {
    if places.is_null() {
        return Ok(None);
    }
    let text = |key: &str| places[key].as_str().unwrap_or_default();
    let wrong = |key: &str| format!("places.{key} in the header: {:?}", places[key]);
    let key = match places["key_length"].as_u64() {
        None => None,
        Some(length) => {
            let stars = STAR.repeat(usize::try_from(length).map_err(|_| wrong("key_length"))?);
            Some(Key::parse(stars.as_bytes()).map_err(str::to_string)?)
        }
    };
    Ok(Some(Upstream {
        api: text("api").parse().map_err(|_| wrong("api"))?,
        endpoint: Endpoint::parse(text("url")).map_err(|_| wrong("url"))?,
        key,
        field_mask: FieldMask::parse(text("field_mask")).map_err(|_| wrong("field_mask"))?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Api;

    #[test]
    fn a_configuration_survives_and_the_key_does_not() {
        let mut config_in = Config::new(Roster::standard(), 3);
        config_in.max_log = 7;
        config_in.one_shot = true;
        config_in.max_ahead = Duration::from_secs(5);
        config_in.snapshot_every = Some(Duration::from_secs(3));
        config_in.secured = true;
        config_in.short_links = true;
        config_in.ties = Ties::FirstArrival;
        config_in.upstream = Some(Upstream {
            api: Api::New,
            endpoint: Endpoint::google(Api::New),
            key: Some(Key::parse(b"AIzaSecret").expect("a key")),
            field_mask: FieldMask::default(),
        });
        let text = header(&config_in);
        assert!(!text.contains("Secret") && !text.contains('\n'), "{text}");
        let config_out = config(&text).expect("it is ours");
        let expected = format!("{config_in:?}");
        assert_eq!(format!("{config_out:?}"), expected);
        let key = config_out.upstream.and_then(|upstream| upstream.key);
        assert_eq!(key.expect("a key").expose(), "*".repeat(10));
    }

    #[test]
    fn what_is_missing_is_said() {
        for (text, wanted) in [
            ("{", "EOF"),
            ("{}", "herd of no version, and only that herd replays it"),
            (r#"{"version": "0.0.9"}"#, "recorded by herd 0.0.9"),
            (r#"{"version": "V"}"#, "herd"),
            (
                r#"{"version": "V", "herd": {"servers": {"A": "127.0.0.1:1"}, "links": []}, "server": "B"}"#,
                "\"B\"",
            ),
            (
                r#"{"version": "V", "herd": {"servers": {"A": "127.0.0.1:1"}, "links": []}, "server": "A"}"#,
                "journal",
            ),
        ] {
            let text = &text.replace("\"V\"", &format!("{VERSION:?}"));
            let error = config(text).expect_err("not whole");
            assert!(error.contains(wanted), "{error}");
        }
    }
}
