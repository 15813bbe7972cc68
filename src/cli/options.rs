//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use getopts::{Matches, Options};
use herd::config::{CONNECTIONS_MAX, Config, PER_ADDRESS_MAX, SNAPSHOT_EVERY};
use herd::herd::{RECORDS_MAX, Roster, Server};
use herd::net::check_regular;
use herd::probe;
use herd::server::{limits, limits_table};

use super::google;
use super::identity;
use super::task::{Look, One, Task};

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
        .optflag("", "plain-peers", "let links between servers be plain on addresses that others can reach: whoever reaches one can speak as a server")
        .optopt("", "peer-cert", "links between servers are TLS, and each proves its name: our certificate, in PEM ({name} stands for our name)", "FILE")
        .optopt("", "peer-key", "its private key, in PEM", "FILE")
        .optopt("", "peer-ca", "the authorities that may vouch for servers, in PEM", "FILE")
        .optopt("", "tls-cert", "the certificate for clients that speak TLS, on the same port (default: that of --peer-cert, if any)", "FILE")
        .optopt("", "tls-key", "its private key", "FILE")
        .optopt("", "snapshot", "keep the table in this file, and take it up at start ({name} stands for our name)", "FILE")
        .optopt("", "snapshot-every", &format!("a change is in the snapshot after so long (default {})", SNAPSHOT_EVERY.as_secs()), "SECONDS")
        .optflag("", "no-catch-up", "do not send the table when a link comes up, so that a partition leaves its mark")
        .optopt("", "max-ahead", "reject an IAMAT dated more than SECONDS ahead of our clock (default 0: no limit)", "SECONDS")
        .optopt("", "max-records", &format!("clients the table takes (default {RECORDS_MAX})"), "N")
        .optopt("", "max-connections", &format!("connections held at once (default {CONNECTIONS_MAX})"), "N")
        .optopt("", "max-per-address", &format!("of these, from one address that is not loopback (default {PER_ADDRESS_MAX})"), "N")
        .optopt("", "client-idle", "close a client that sends no command for so long (default 0: never)", "SECONDS")
        .optflag("", "step", "hold the loop before its first callback, and take commands: help lists them")
        .optopt("", "inspect", "let a browser on this machine look at the loop, hold it and step it (with --all: the first of as many ports)", "ADDR")
        .optopt("", "trace", "write Chrome trace events, for Perfetto (with --all: a folder); a disk that stands still stops the server", "FILE")
        .optopt("", "record", "write down everything the world tells the server (with --all: a folder); a disk that stands still stops it", "FILE")
        .optopt("", "replay", "run a server from a recording, with no network; exit 1 at the first difference, 3 if the file is damaged", "FILE")
        .optopt("", "ps", "print what a server with --inspect ADDR looks like", "ADDR")
        .optflag("", "json", "with --ps: as JSON")
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
    if let Some(text) = matches.opt_str("ps") {
        only("ps", &["json"], arguments, &matches)?;
        let address = address("ps", &text)?;
        let json = matches.opt_present("json");
        return Ok(Task::Ps { address, json });
    }
    if matches.opt_present("json") {
        return Err(format!("--json: expected --ps ADDR beside it; {EXPECTED}"));
    }
    let look = look(&matches)?;
    if let Some(path) = matches.opt_str("replay") {
        only("replay", &["step", "inspect", "trace"], arguments, &matches)?;
        let path = PathBuf::from(path);
        regular("replay", Some(&path))?;
        regular("trace", look.trace.as_ref())?;
        return Ok(Task::Replay { path, look });
    }
    let upstream = google::upstream(&matches)?;
    let tls = google::tls(&matches, upstream.is_some())?;
    let roster = roster(&matches)?;
    if matches.opt_present("all") {
        return all(&matches, roster, &look);
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
    let config = Config {
        upstream,
        ..config(&matches, Config::new(roster, me), log.is_some())?
    };
    plain_links(&matches, &config)?;
    regular("trace", look.trace.as_ref())?;
    regular("record", look.record.as_ref())?;
    Ok(Task::One(Box::new(One {
        identity: identity::files(&matches, name)?,
        snapshot: snapshot(&matches, name)?,
        config,
        tls,
        log,
        until_stdin_ends: until_stdin_ends(&matches, &look)?,
        look,
    })))
}

fn look(matches: &Matches) -> Result<Look, String> {
    let path = |option: &str| matches.opt_str(option).map(PathBuf::from);
    let inspect = matches.opt_str("inspect");
    Ok(Look {
        step: matches.opt_present("step"),
        inspect: inspect.map(|text| address("inspect", &text)).transpose()?,
        trace: path("trace"),
        record: path("record"),
    })
}

/// Refuses what a server could hang on, before anything of it is started or opened.
fn regular(option: &str, path: Option<&PathBuf>) -> Result<(), String> {
    let Some(path) = path else {
        return Ok(());
    };
    check_regular(path).map_err(|why| format!("--{option} {}: {why}", path.display()))
}

fn snapshot(matches: &Matches, name: &str) -> Result<Option<PathBuf>, String> {
    let path = identity::file(matches, "snapshot", name);
    regular("snapshot", path.as_ref()).map(|()| path)
}

fn address(option: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("--{option} {text}: expected an address such as 127.0.0.1:9000"))
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

/// Beside some options others make no sense: a recording holds its server's, and who looks at a
/// running server cannot change it. Better said than left aside.
fn only(
    option: &str,
    others: &[&str],
    arguments: &[String],
    matches: &Matches,
) -> Result<(), String> {
    let names = arguments.iter().filter_map(|text| text.strip_prefix("--"));
    let mut names = names.map(|text| text.split_once('=').map_or(text, |(name, _)| name));
    let odd =
        names.find(|name| matches.opt_defined(name) && *name != option && !others.contains(name));
    let odd = odd.map(|name| format!("--{name}"));
    match odd.or_else(|| matches.free.first().cloned()) {
        Some(odd) => Err(format!(
            "{odd} beside --{option}: expected no server and nothing but --{}",
            others.join(", --")
        )),
        None => Ok(()),
    }
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
        max_per_address: number(matches, "max-per-address", defaults.max_per_address)?,
        snapshot_every: snapshot_every(matches)?,
        secured: matches.opt_present("peer-cert"),
        tls: matches.opt_present("peer-cert") || matches.opt_present("tls-cert"),
        client_idle: Duration::from_secs(number(matches, "client-idle", 0)?),
        ..defaults
    })
}

fn snapshot_every(matches: &Matches) -> Result<Option<Duration>, String> {
    let every = number(matches, "snapshot-every", SNAPSHOT_EVERY.as_secs())?;
    match matches.opt_present("snapshot") {
        true => Ok(Some(Duration::from_secs(every))),
        false if matches.opt_present("snapshot-every") => Err(String::from(
            "--snapshot-every: expected --snapshot FILE beside it",
        )),
        false => Ok(None),
    }
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

/// Options with a value that each server of a herd gets as they are.
const PASSED_ON: [&str; 20] = [
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
    "max-per-address",
    "client-idle",
    "peer-cert",
    "peer-key",
    "peer-ca",
    "tls-cert",
    "tls-key",
    "snapshot",
    "snapshot-every",
];

fn all(matches: &Matches, roster: Roster, look: &Look) -> Result<Task, String> {
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
    if let Some(file) = matches
        .opt_str("snapshot")
        .filter(|file| !file.contains("{name}"))
    {
        return Err(format!(
            "--snapshot {file} with --all: expected {{name}} in it, or each server would write over \
             the others' tables"
        ));
    }
    // Checked here, so that a mistake is said once and not by each child.
    let first = config(matches, Config::new(roster.clone(), 0), true)?;
    for me in 0..roster.servers.len() {
        plain_links(
            matches,
            &Config {
                me,
                ..first.clone()
            },
        )?;
    }
    let mut pass_on = Vec::new();
    for option in PASSED_ON {
        if let Some(value) = matches.opt_str(option) {
            pass_on.push(format!("--{option}={value}"));
        }
    }
    for flag in ["one-shot", "no-catch-up", "plain-peers"] {
        if matches.opt_present(flag) {
            pass_on.push(format!("--{flag}"));
        }
    }
    let each = |(index, server): (usize, &Server)| {
        snapshot(matches, &server.name)?;
        let mut mine = pass_on.clone();
        mine.extend(look_of_one(look, index, &server.name)?);
        Ok(mine)
    };
    let pass_on: Result<_, String> = roster.servers.iter().enumerate().map(each).collect();
    Ok(Task::All {
        pass_on: pass_on?,
        roster,
    })
}

/// What one server of a herd that is looked at gets: a port, a file in a folder.
fn look_of_one(look: &Look, index: usize, name: &str) -> Result<Vec<String>, String> {
    if look.step {
        return Err(String::from(
            "--step with --all: expected a NAME, since one terminal steps one server",
        ));
    }
    let mut options = Vec::new();
    if let Some(first) = look.inspect {
        let port = u16::try_from(index)
            .ok()
            .and_then(|index| first.port().checked_add(index));
        let port = port.filter(|_| first.port() != 0);
        let port = port.ok_or_else(|| {
            format!(
                "--inspect {first} with --all: expected a port with room for one for each server"
            )
        })?;
        options.push(format!("--inspect={}", SocketAddr::new(first.ip(), port)));
    }
    for (option, folder, ending) in [
        ("trace", &look.trace, "trace.json"),
        ("record", &look.record, "recording"),
    ] {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("--{option} {}: {error}", folder.display()))?;
            let file = folder.join(format!("{name}.{ending}"));
            regular(option, Some(&file))?;
            options.push(format!("--{option}={}", file.display()));
        }
    }
    Ok(options)
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
                 herd --all [options]    run the whole herd\n       \
                 herd --replay FILE      run a server from a recording\n       \
                 herd --ps ADDR          look at a running server\n\n\
                 Clients say   IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1621464827.959498503\n\
                 and ask       WHATSAT kiwi.cs.ucla.edu 10 5";
    let mut limits = limits(&Config::new(Roster::standard(), 0));
    limits.extend(probe::limits());
    let limits = limits_table(&limits);
    format!(
        "{}\nLimits, as they are without options:\n{limits}",
        options.usage(brief)
    )
}
