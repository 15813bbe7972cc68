//! One server, as the options describe it.

use std::path::PathBuf;

use getopts::Matches;
use herd::config::{Config, SNAPSHOT_EVERY};
use herd::herd::Roster;
use herd::net::{check_regular, rotated};

use super::identity;
use super::naming::Named;
use super::options::{number, path, seconds};
use super::task::{Look, One};

/// What a command line that says too little is told.
pub const EXPECTED: &str = "expected herd NAME or herd --all (herd --help says more)";

/// One server, all but whom it asks for places.
///
/// # Errors
/// One line that says what was expected.
pub fn one(matches: &Matches, roster: &Roster, me: usize, look: Look) -> Result<One, String> {
    let name = &roster.servers[me].name;
    let log = match path(matches, "log") {
        None => Some(PathBuf::from(format!("{name}.log"))),
        Some(file) if file.as_os_str() == "none" => None,
        Some(file) => Some(file),
    };
    let config = config(matches, Config::new(roster.clone(), me), log.is_some())?;
    plain_links(matches, &config)?;
    regular("trace", look.trace.as_ref())?;
    regular("record", look.record.as_ref())?;
    let snapshot = identity::file(matches, "snapshot", name);
    regular("snapshot", snapshot.as_ref())?;
    Ok(One {
        identity: identity::files(matches, name)?,
        snapshot,
        config,
        tls: None,
        log,
        until_stdin_ends: until_stdin_ends(matches, &look)?,
        look,
    })
}

/// The files that one server writes and reads.
pub fn files(matches: &Matches, one: &One) -> Vec<Named> {
    let mut files = Vec::new();
    if let Some(log) = &one.log {
        files.push(Named::written("log", log.clone()));
        if one.config.max_log != 0 {
            files.push(Named::written("log", rotated(log)));
        }
    }
    let written = [
        ("snapshot", &one.snapshot),
        ("record", &one.look.record),
        ("trace", &one.look.trace),
    ];
    for (option, path) in written {
        files.extend(path.clone().map(|path| Named::written(option, path)));
    }
    let read = ["herd", "ca-file", "key-file"].map(|option| (option, path(matches, option)));
    let (peer, client) = (&one.identity.peer, &one.identity.client);
    let proofs = [
        ("peer-cert", peer.as_ref().map(|peer| &peer.certificate)),
        ("peer-key", peer.as_ref().map(|peer| &peer.key)),
        ("peer-ca", peer.as_ref().map(|peer| &peer.authorities)),
        ("tls-cert", client.as_ref().map(|client| &client.0)),
        ("tls-key", client.as_ref().map(|client| &client.1)),
    ];
    let proofs = proofs.map(|(option, path)| (option, path.cloned()));
    for (option, path) in read.into_iter().chain(proofs) {
        files.extend(path.map(|path| Named::read(option, path)));
    }
    files
}

/// Refuses what a server could hang on, before anything of it is started or opened.
///
/// # Errors
/// The file is none.
pub fn regular(option: &str, path: Option<&PathBuf>) -> Result<(), String> {
    let Some(path) = path else {
        return Ok(());
    };
    check_regular(path).map_err(|why| format!("--{option} {}: {why}", path.display()))
}

fn until_stdin_ends(matches: &Matches, look: &Look) -> Result<bool, String> {
    let asked = matches.opt_present("until-stdin-ends");
    match asked && look.step {
        true => Err(String::from(
            "--step reads standard input: expected no --until-stdin-ends",
        )),
        false => Ok(asked),
    }
}

fn config(matches: &Matches, defaults: Config, journal: bool) -> Result<Config, String> {
    Ok(Config {
        journal,
        max_log: number(matches, "max-log", defaults.max_log, 0)?,
        one_shot: matches.opt_present("one-shot"),
        catch_up: !matches.opt_present("no-catch-up"),
        short_links: matches.opt_present("short-links"),
        max_ahead: seconds(matches, "max-ahead", defaults.max_ahead)?,
        max_records: number(matches, "max-records", defaults.max_records, 1)?,
        max_connections: number(matches, "max-connections", defaults.max_connections, 1)?,
        max_per_address: number(matches, "max-per-address", defaults.max_per_address, 1)?,
        max_client_bytes: number(matches, "max-client-bytes", defaults.max_client_bytes, 1)?,
        snapshot_every: match matches.opt_present("snapshot") {
            true => Some(seconds(matches, "snapshot-every", SNAPSHOT_EVERY)?),
            false if matches.opt_present("snapshot-every") => {
                let text = "--snapshot-every: expected --snapshot FILE beside it";
                return Err(String::from(text));
            }
            false => None,
        },
        secured: matches.opt_present("peer-cert"),
        tls: matches.opt_present("peer-cert") || matches.opt_present("tls-cert"),
        client_idle: seconds(matches, "client-idle", defaults.client_idle)?,
        ..defaults
    })
}

/// Plain links are for loopback, unless the user says otherwise.
fn plain_links(matches: &Matches, config: &Config) -> Result<(), String> {
    match config.exposed_link() {
        Some(address) if !config.secured && !matches.opt_present("plain-peers") => Err(format!(
            "{} would have a plain link at {address}, and whoever reaches that could speak as a \
             server: expected --peer-cert, --peer-key and --peer-ca, loopback addresses, or --plain-peers",
            config.name()
        )),
        _ => Ok(()),
    }
}
