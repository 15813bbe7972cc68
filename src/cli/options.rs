//! The options: what there is, what help says of them, and their values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use getopts::{Matches, Options};
use herd::config::{
    CLIENT_BYTES_MAX, CONNECTIONS_MAX, Config, MAX_LOG, PER_ADDRESS_MAX, SNAPSHOT_EVERY,
};
use herd::herd::{RECORDS_MAX, Roster};
use herd::probe;
use herd::server::{limits, limits_table};

use super::words::os;

/// The longest time that an option takes: more than thirty years, and far from where clocks end.
const SECONDS_MAX: u64 = 1_000_000_000;

/// All options.
pub fn options() -> Options {
    let mut options = Options::new();
    options
        .optflag("", "all", "start every server of the herd as a child process; one that ends is started again")
        .optflag("", "no-restart", "with --all: say how a server that has ended is started again, and leave it to you")
        .optopt("", "herd", "the herd: {\"servers\": {NAME: ADDRESS, ...}, \"links\": [[NAME, NAME], ...], \"course\": [NAME, ...]} (default: the five of the course, on ports 10000 to 10004)", "FILE")
        .optopt("", "log", "the journal (default: NAME.log here; none: no journal)", "FILE")
        .optopt("", "max-log", &format!("a journal of this size becomes FILE.1, and a new one begins (default {MAX_LOG}; 0: never)"), "BYTES")
        .optopt("", "places", "who answers WHATSAT: the embedded gazetteer, or one of Google's APIs (default: legacy if there is a key, else offline)", "offline|legacy|new")
        .optopt("", "places-url", "ask this base instead of Google; then no key is needed (http:// on loopback alone, where none is sent)", "URL")
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
        .optflag("", "short-links", "end a link once all is said on it, so that no connection stands between idle servers (for all servers of a herd, or none)")
        .optopt("", "max-ahead", "reject an IAMAT dated more than SECONDS ahead of our clock (default 0: no limit)", "SECONDS")
        .optopt("", "max-records", &format!("clients the table takes (default {RECORDS_MAX})"), "N")
        .optopt("", "max-connections", &format!("connections held at once (default {CONNECTIONS_MAX})"), "N")
        .optopt("", "max-per-address", &format!("of these, from one address that is not loopback, of IPv6 from one /64 (default {PER_ADDRESS_MAX})"), "N")
        .optopt("", "max-client-bytes", &format!("bytes held for all clients together; the greediest are closed (default {CLIENT_BYTES_MAX})"), "BYTES")
        .optopt("", "client-idle", "close a client that sends no command for so long (default 0: never)", "SECONDS")
        .optflag("", "step", "hold the loop before its first callback, and take commands: help lists them")
        .optopt("", "inspect", "let a browser on this machine look at the loop, hold it and step it (with --all: the first of as many ports)", "ADDR")
        .optopt("", "trace", "write Chrome trace events, for Perfetto (with --all: a folder); a disk that stands still stops the server", "FILE")
        .optopt("", "record", "write down everything the world tells the server (with --all: a folder); a disk that stands still stops it", "FILE")
        .optopt("", "replay", "run a server from a recording, with no network; exit 1 at the first difference, 3 if the file is damaged", "FILE")
        .optopt("", "ps", "print what a server with --inspect ADDR looks like", "ADDR")
        .optflag("", "json", "with --ps or --check: as JSON")
        .optflag("", "check", "check five servers of anybody's: herd --check -- COMMAND, with {name} in it for each one's name")
        .optflag("", "running", "with --check: the servers are up already")
        .optmulti("", "case", "with --check: only this one", "ID")
        .optflag("", "list", "with --check: say what cases there are")
        .optflag("", "lenient", "with --check: count apart what graders forgive")
        .optflag("", "gradescope", "with --check: report as the results.json of an autograder")
        .optflag("", "verbose", "with --check: show all that goes over the wires")
        .optflag("", "until-stdin-ends", "stop when standard input ends, so that no server outlives its parent")
        .optflag("h", "help", "print this")
        .optflag("V", "version", "print the version");
    options
}

/// A file that an option names.
pub fn path(matches: &Matches, option: &str) -> Option<PathBuf> {
    matches.opt_str(option).map(|text| PathBuf::from(os(&text)))
}

/// An address that an option names.
///
/// # Errors
/// It is none.
pub fn address(option: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("--{option} {text}: expected an address such as 127.0.0.1:9000"))
}

/// A whole number, digits and nothing else.
///
/// # Errors
/// It is none, or below `least`.
pub fn number<T>(matches: &Matches, name: &str, default: T, least: T) -> Result<T, String>
where
    T: std::str::FromStr + std::fmt::Display + PartialOrd,
{
    let Some(text) = matches.opt_str(name) else {
        return Ok(default);
    };
    // `parse` alone would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number
        .filter(|number| *number >= least)
        .ok_or_else(|| format!("--{name} {text}: expected a whole number, {least} or more"))
}

/// A time in whole seconds.
///
/// # Errors
/// It is none, or beyond every clock.
pub fn seconds(matches: &Matches, name: &str, default: Duration) -> Result<Duration, String> {
    let seconds = number(matches, name, default.as_secs(), 0)?;
    match seconds <= SECONDS_MAX {
        true => Ok(Duration::from_secs(seconds)),
        false => Err(format!(
            "--{name} {seconds}: expected at most {SECONDS_MAX} seconds"
        )),
    }
}

/// What no option says.
const BEHAVIOUR: &str = "In the COMMAND of --check:
    {name} is each server's name; {places_http} is where a stand-in for Google is, in plain text;
    {places_url} where it is by TLS, and {ca_file} the authority that vouches for it. The last three
    are in HERD_PLACES_HTTP, HERD_PLACES_URL and HERD_CA_FILE, too.
Signals:
    SIGTERM and SIGINT stop a server; the second one at once. SIGHUP reads its certificates again and
    opens its journal anew; it stops a server whose terminal is gone (not one that nohup started).
Exit status:
    0: done; 1: something failed or is lost, and standard error says what; 2: used wrongly.
    --check: 0: all required cases pass; 1: some do not; 2: nothing could be run.
    --replay: 0: the same; 1: a difference; 2: no recording; 3: a damaged one.
";

/// What `--help` prints.
pub fn help(options: &Options) -> String {
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
        "{}\n{BEHAVIOUR}\nLimits, as they are without options:\n{limits}",
        options.usage(brief)
    )
}
