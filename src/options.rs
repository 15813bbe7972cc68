//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use getopts::{Matches, Options};
use herd::config::{CONNECTIONS_MAX, Config};
use herd::herd::{RECORDS_MAX, Roster};
use herd::net::TlsClientConfig;

use crate::google;

/// What the command line asks for.
pub enum Task {
    /// Print this and exit with 0.
    Print(String),
    /// Run one server.
    One(Box<One>),
    /// Run every server of the herd, each as a child process.
    All {
        /// The herd.
        roster: Roster,
        /// Options that each child gets as well.
        pass_on: Vec<String>,
    },
}

/// One server to run.
pub struct One {
    /// Its configuration.
    pub config: Config,
    /// Where its journal goes.
    pub log: Option<PathBuf>,
    /// How connections to Places are secured, if there are any.
    pub tls: Option<TlsClientConfig>,
    /// Stop when standard input ends.
    pub until_stdin_ends: bool,
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optflag("", "all", "start every server of the herd as a child process")
        .optopt("", "herd", "the herd: {\"servers\": {NAME: ADDRESS, ...}, \"links\": [[NAME, NAME], ...], \"course\": [NAME, ...]} (default: the five of the course, on ports 10000 to 10004)", "FILE")
        .optopt("", "log", "the journal (default: NAME.log here; none: no journal)", "FILE")
        .optopt("", "max-log", "stop the journal at this size (default 0: no limit)", "BYTES")
        .optopt("", "places", "who answers WHATSAT: the embedded gazetteer, or one of Google's APIs (default: legacy if there is a key, else offline)", "offline|legacy|new")
        .optopt("", "places-url", "ask this base instead of Google; then no key is needed", "URL")
        .optopt("", "ca-file", "one more root that may vouch for Places, in PEM", "FILE")
        .optopt("", "key-file", "Google's key, in a file that only its owner can read (default: the variable GOOGLE_PLACES_API_KEY)", "FILE")
        .optopt("", "field-mask", "fields that the new API is asked for; they set its price", "MASK")
        .optflag("", "one-shot", "close a client's connection after one answer")
        .optflag("", "no-catch-up", "do not send the table when a link comes up, so that a partition leaves its mark")
        .optopt("", "max-ahead", "refuse an IAMAT whose time is further ahead of ours (default 0: none)", "SECONDS")
        .optopt("", "max-records", &format!("clients the table takes (default {RECORDS_MAX})"), "N")
        .optopt("", "max-connections", &format!("connections held at once (default {CONNECTIONS_MAX})"), "N")
        .optopt("", "client-idle", "close a client that sends no command for so long (default 0: never)", "SECONDS")
        .optflag("", "until-stdin-ends", "stop when standard input ends, so that no server outlives its parent")
        .optflag("h", "help", "print this")
        .optflag("V", "version", "print the version");
    options
}

const EXPECTED: &str = "expected herd NAME or herd --all (herd --help says more)";

/// Reads the command line, without the program's name, and the herd file it names.
///
/// # Errors
/// One line that says what was expected.
pub fn parse(arguments: &[String]) -> Result<Task, String> {
    let options = options();
    let matches = options
        .parse(arguments)
        .map_err(|problem| format!("{problem}; {EXPECTED}"))?;
    if matches.opt_present("help") {
        return Ok(Task::Print(help(&options)));
    }
    if matches.opt_present("version") {
        return Ok(Task::Print(format!("herd {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let upstream = google::upstream(&matches)?;
    let tls = google::tls(&matches, upstream.is_some())?;
    let roster = roster(&matches)?;
    if matches.opt_present("all") {
        return all(&matches, roster);
    }
    let name = match matches.free.as_slice() {
        [name] => name,
        [] => return Err(format!("no server is named; {EXPECTED}")),
        [_, extra, ..] => return Err(format!("{extra:?} is one argument too many; {EXPECTED}")),
    };
    let Some(me) = roster.index_of(name) else {
        let names = roster.names().join(", ");
        return Err(format!(
            "{name:?} is not a server of the herd; expected one of {names}"
        ));
    };
    let log = match matches.opt_str("log") {
        None => Some(PathBuf::from(format!("{name}.log"))),
        Some(file) if file == "none" => None,
        Some(file) => Some(PathBuf::from(file)),
    };
    Ok(Task::One(Box::new(One {
        config: Config {
            upstream,
            ..config(&matches, Config::new(roster, me), log.is_some())?
        },
        tls,
        log,
        until_stdin_ends: matches.opt_present("until-stdin-ends"),
    })))
}

fn config(matches: &Matches, defaults: Config, journal: bool) -> Result<Config, String> {
    Ok(Config {
        journal,
        max_log: number(matches, "max-log", defaults.max_log)?,
        one_shot: matches.opt_present("one-shot"),
        catch_up: !matches.opt_present("no-catch-up"),
        max_ahead: Duration::from_secs(number(matches, "max-ahead", 0)?),
        max_records: number(matches, "max-records", defaults.max_records)?,
        max_connections: number(matches, "max-connections", defaults.max_connections)?,
        client_idle: Duration::from_secs(number(matches, "client-idle", 0)?),
        ..defaults
    })
}

fn all(matches: &Matches, roster: Roster) -> Result<Task, String> {
    if let Some(name) = matches.free.first() {
        return Err(format!(
            "--all takes no name, {name:?} was given; {EXPECTED}"
        ));
    }
    if let Some(file) = matches.opt_str("log").filter(|file| file != "none") {
        return Err(format!(
            "--log {file} with --all: expected none, or no --log for a NAME.log each"
        ));
    }
    // Checked here, so that a mistake is said once and not by each child.
    config(matches, Config::new(roster.clone(), 0), true)?;
    let mut pass_on = Vec::new();
    for option in [
        "herd",
        "log",
        "max-log",
        "places",
        "places-url",
        "ca-file",
        "key-file",
        "field-mask",
        "max-ahead",
        "max-records",
        "max-connections",
        "client-idle",
    ] {
        if let Some(value) = matches.opt_str(option) {
            pass_on.push(format!("--{option}={value}"));
        }
    }
    for flag in ["one-shot", "no-catch-up"] {
        if matches.opt_present(flag) {
            pass_on.push(format!("--{flag}"));
        }
    }
    Ok(Task::All { roster, pass_on })
}

fn roster(matches: &Matches) -> Result<Roster, String> {
    let Some(path) = matches.opt_str("herd") else {
        return Ok(Roster::standard());
    };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("--herd {path}: {error}"))?;
    Roster::parse(&text).map_err(|error| format!("--herd {path}: {error}"))
}

fn number<T: std::str::FromStr>(matches: &Matches, name: &str, default: T) -> Result<T, String> {
    match matches.opt_str(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("--{name} {text}: expected a whole number, 0 or more")),
    }
}

fn help(options: &Options) -> String {
    let brief = "Usage: herd NAME [options]     run one server in the foreground\n       \
                 herd --all [options]    run the whole herd\n\n\
                 Clients say   IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1621464827.959498503\n\
                 and ask       WHATSAT kiwi.cs.ucla.edu 10 5";
    options.usage(brief)
}
