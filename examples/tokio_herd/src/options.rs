//! The command line and the herd file.

use std::net::SocketAddr;
use std::path::PathBuf;

use herd::herd::{RECORDS_MAX, Roster};

/// How tokio is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Idiomatic, on one thread.
    CurrentThread,
    /// Idiomatic, on a worker for each core.
    MultiThread,
    /// On one thread, by somebody who counts system calls.
    Tuned,
}

/// What the command line said.
pub struct Options {
    pub flavor: Flavor,
    pub roster: Roster,
    /// Which server of the roster this is.
    pub me: usize,
    /// Who answers WHATSAT; without one, nobody does.
    pub places_url: Option<String>,
    /// One more root for it, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Clients that the table takes.
    pub max_records: usize,
    /// The journal's file.
    pub log: Option<PathBuf>,
    /// `BURN` is a command.
    pub burn: bool,
}

impl Options {
    /// This server's name.
    pub fn name(&self) -> &str {
        &self.roster.servers[self.me].name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.roster.servers[self.me].address
    }
}

/// Reads the command line.
///
/// # Errors
/// One line that says what was expected.
pub fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut known = getopts::Options::new();
    known
        .optopt("", "flavor", "how tokio is used", "FLAVOR")
        .optopt("", "herd", "the herd file, as JSON", "FILE")
        .optopt("", "places-url", "who answers WHATSAT", "URL")
        .optopt("", "ca-file", "one more root for it, in PEM", "PEM")
        .optopt("", "log", "the journal; none for no journal", "FILE")
        .optopt("", "max-records", "clients the table takes", "N")
        .optflag("", "burn", "take BURN: for the comparison only");
    let matches = known.parse(arguments).map_err(|error| error.to_string())?;
    let [name] = &matches.free[..] else {
        return Err(known.usage("expected one server's name: tokio_herd NAME [options]"));
    };
    let roster = match matches.opt_str("herd") {
        None => Roster::standard(),
        Some(path) => {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"));
            Roster::parse(&text?).map_err(|error| format!("{path}: {error}"))?
        }
    };
    let Some(me) = roster.index_of(name) else {
        return Err(format!("{name} is none of {}", roster.names().join(", ")));
    };
    let max_records = matches.opt_get("max-records");
    let max_records = max_records.map_err(|error| format!("--max-records: {error}"))?;
    let log = matches.opt_str("log").unwrap_or(format!("{name}.log"));
    Ok(Options {
        flavor: flavor(matches.opt_str("flavor").as_deref())?,
        roster,
        me,
        places_url: matches.opt_str("places-url"),
        ca_file: matches.opt_str("ca-file").map(PathBuf::from),
        max_records: max_records.unwrap_or(RECORDS_MAX),
        log: (log != "none").then(|| PathBuf::from(log)),
        burn: matches.opt_present("burn"),
    })
}

fn flavor(name: Option<&str>) -> Result<Flavor, String> {
    match name {
        None | Some("current_thread") => Ok(Flavor::CurrentThread),
        Some("multi_thread") => Ok(Flavor::MultiThread),
        Some("tuned") => Ok(Flavor::Tuned),
        Some(other) => Err(format!(
            "--flavor {other}: expected current_thread, multi_thread or tuned"
        )),
    }
}
