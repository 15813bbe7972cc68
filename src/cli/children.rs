//! What each server of `herd --all` is started with.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use getopts::Matches;
use herd::herd::Roster;

use super::naming::distinct;
use super::one::{EXPECTED, files, one};
use super::options::path;
use super::task::{Look, Task};
use super::words::os;

/// Options with a value that each server of a herd gets as they are.
const PASSED_ON: [&str; 21] = [
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
    "max-client-bytes",
    "client-idle",
    "peer-cert",
    "peer-key",
    "peer-ca",
    "tls-cert",
    "tls-key",
    "snapshot",
    "snapshot-every",
];

/// Every server of the herd, each checked as if it were started alone: a mistake is said once, and
/// before any of them runs.
///
/// # Errors
/// One line that says what was expected.
pub fn all(matches: &Matches, roster: Roster, look: &Look) -> Result<Task, String> {
    refuse(matches, look)?;
    let mut pass_on = Vec::new();
    for option in PASSED_ON {
        if let Some(value) = path(matches, option) {
            pass_on.push(argument(option, value));
        }
    }
    for flag in ["one-shot", "no-catch-up", "short-links", "plain-peers"] {
        if matches.opt_present(flag) {
            pass_on.push(os(&format!("--{flag}")));
        }
    }
    let (mut children, mut named) = (Vec::new(), Vec::new());
    for (me, server) in roster.servers.iter().enumerate() {
        let look = look_of(look, me, &server.name)?;
        let mut mine = pass_on.clone();
        let inspect = look
            .inspect
            .map(|address| PathBuf::from(address.to_string()));
        let looks = [
            ("inspect", inspect),
            ("trace", look.trace.clone()),
            ("record", look.record.clone()),
        ];
        let looks = looks.into_iter();
        mine.extend(looks.filter_map(|(option, value)| Some(argument(option, value?))));
        let one = one(matches, &roster, me, look)?;
        // What all of them read is named once.
        named.extend(
            files(matches, &one)
                .into_iter()
                .filter(|file| me == 0 || file.is_written()),
        );
        children.push(mine);
    }
    distinct(named)?;
    Ok(Task::All {
        pass_on: children,
        roster,
        restart: !matches.opt_present("no-restart"),
    })
}

fn argument(option: &str, value: PathBuf) -> OsString {
    let mut argument = OsString::from(format!("--{option}="));
    argument.push(value);
    argument
}

/// What makes no sense for a whole herd.
fn refuse(matches: &Matches, look: &Look) -> Result<(), String> {
    if let Some(name) = matches.free.first() {
        let name = os(name);
        return Err(format!(
            "--all takes no name, {name:?} was given; {EXPECTED}"
        ));
    }
    if look.step {
        return Err(String::from(
            "--step with --all: expected a NAME, since one terminal steps one server",
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
    Ok(())
}

/// How one server of a herd is looked at: a port, a file in a folder.
fn look_of(look: &Look, index: usize, name: &str) -> Result<Look, String> {
    let mut mine = look.clone();
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
        mine.inspect = Some(SocketAddr::new(first.ip(), port));
    }
    for (option, file, ending) in [
        ("trace", &mut mine.trace, "trace.json"),
        ("record", &mut mine.record, "recording"),
    ] {
        if let Some(folder) = file {
            std::fs::create_dir_all(&*folder)
                .map_err(|error| format!("--{option} {}: {error}", folder.display()))?;
            *folder = folder.join(format!("{name}.{ending}"));
        }
    }
    Ok(mine)
}
