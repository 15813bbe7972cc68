//! The options about Places: which API, where, with which key.

use std::os::unix::fs::PermissionsExt;

use getopts::Matches;
use herd::config::Upstream;
use herd::net::{TlsClientConfig, read_regular};
use herd::places::{Api, Endpoint, FieldMask, Key};

use super::options::path;

/// Where the key is looked for without `--key-file`. Never on the command line: everybody can read
/// that.
const KEY_VARIABLE: &str = "GOOGLE_PLACES_API_KEY";

/// Who is asked for places; `None`: the gazetteer.
///
/// # Errors
/// One line that says what was expected.
pub fn upstream(matches: &Matches) -> Result<Option<Upstream>, String> {
    let key = key(matches)?;
    let url = matches.opt_str("places-url");
    let api = match matches.opt_str("places").as_deref() {
        None if key.is_some() || url.is_some() => Api::Legacy,
        None | Some("offline") => return offline(matches),
        Some(mode) => mode
            .parse()
            .map_err(|_| format!("--places {mode}: expected offline, legacy or new"))?,
    };
    let endpoint = match &url {
        Some(url) => Endpoint::parse(url).map_err(|why| format!("--places-url: {why}"))?,
        None if key.is_none() => {
            return Err(format!(
                "Google needs a key: expected one in {KEY_VARIABLE} or --key-file"
            ));
        }
        None => Endpoint::google(api),
    };
    let field_mask = match matches.opt_str("field-mask") {
        Some(mask) => {
            FieldMask::parse(&mask).map_err(|why| format!("--field-mask {mask}: {why}"))?
        }
        None => FieldMask::default(),
    };
    Ok(Some(Upstream {
        api,
        endpoint,
        key,
        field_mask,
    }))
}

/// Without an upstream, options that are about one are a mistake.
fn offline(matches: &Matches) -> Result<Option<Upstream>, String> {
    for option in ["places-url", "ca-file", "field-mask"] {
        if matches.opt_present(option) {
            return Err(format!(
                "--{option}: expected --places legacy or new beside it"
            ));
        }
    }
    Ok(None)
}

/// How connections to Places are secured.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn tls(matches: &Matches, wanted: bool) -> Result<Option<TlsClientConfig>, String> {
    if !wanted {
        return Ok(None);
    }
    let Some(path) = path(matches, "ca-file") else {
        return TlsClientConfig::new(None).map(Some);
    };
    let say = |why: &dyn std::fmt::Display| format!("--ca-file {}: {why}", path.display());
    let pem = read_regular(&path).map_err(|error| say(&error))?;
    TlsClientConfig::new(Some(&pem))
        .map(Some)
        .map_err(|why| say(&why))
}

fn key(matches: &Matches) -> Result<Option<Key>, String> {
    let Some(path) = path(matches, "key-file") else {
        let Some(text) = std::env::var_os(KEY_VARIABLE).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let key = Key::parse(text.as_encoded_bytes());
        return key
            .map(Some)
            .map_err(|why| format!("{KEY_VARIABLE}: {why}"));
    };
    let say = |why: &dyn std::fmt::Display| format!("--key-file {}: {why}", path.display());
    let mode = std::fs::metadata(&path)
        .map_err(|error| say(&error))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(say(&"others can read it; expected a file with mode 600"));
    }
    let text = read_regular(&path).map_err(|error| say(&error))?;
    Key::parse(text.trim_ascii())
        .map(Some)
        .map_err(|why| say(&why))
}
