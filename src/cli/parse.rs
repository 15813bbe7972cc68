//! From words to a task.

use getopts::Matches;
use herd::herd::Roster;
use herd::net::check_regular;

use super::checking::{CHECKS, checked};
use super::children::all;
use super::google;
use super::naming::{Named, distinct};
use super::one::{EXPECTED, files, one, regular};
use super::options::{address, help, options, path};
use super::task::{Look, Task};
use super::words::os;

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
    if matches.opt_present("check") {
        return checked(&matches, roster(&matches)?).map(Task::Check);
    }
    for option in CHECKS {
        if matches.opt_present(option) {
            let beside = match option {
                "json" => "--check or --ps ADDR",
                _ => "--check",
            };
            return Err(format!(
                "--{option}: expected {beside} beside it; {EXPECTED}"
            ));
        }
    }
    let look = look(&matches)?;
    if let Some(path) = path(&matches, "replay") {
        only("replay", &["step", "inspect", "trace"], arguments, &matches)?;
        regular("replay", Some(&path))?;
        regular("trace", look.trace.as_ref())?;
        let trace = look.trace.clone().map(|path| Named::written("trace", path));
        distinct(
            [Named::read("replay", path.clone())]
                .into_iter()
                .chain(trace),
        )?;
        return Ok(Task::Replay { path, look });
    }
    let upstream = google::upstream(&matches)?;
    let tls = google::tls(&matches, upstream.is_some())?;
    let roster = roster(&matches)?;
    if matches.opt_present("all") {
        return all(&matches, roster, &look);
    }
    if matches.opt_present("no-restart") {
        return Err(format!(
            "--no-restart: expected --all beside it; {EXPECTED}"
        ));
    }
    let mut one = one(&matches, &roster, named(&matches, &roster)?, look)?;
    distinct(files(&matches, &one))?;
    one.config.upstream = upstream;
    one.tls = tls;
    Ok(Task::One(Box::new(one)))
}

/// Which server of the herd is to run.
fn named(matches: &Matches, roster: &Roster) -> Result<usize, String> {
    let name = match matches.free.as_slice() {
        [name] => name,
        [] => return Err(format!("no server is named; {EXPECTED}")),
        [_, extra, ..] => {
            let extra = os(extra);
            return Err(format!("{extra:?} is one argument too many; {EXPECTED}"));
        }
    };
    roster.index_of(name).ok_or_else(|| {
        let (name, names) = (os(name), roster.names().join(", "));
        format!("{name:?} is not a server of the herd; expected one of {names}")
    })
}

fn look(matches: &Matches) -> Result<Look, String> {
    let inspect = matches.opt_str("inspect");
    Ok(Look {
        step: matches.opt_present("step"),
        inspect: inspect.map(|text| address("inspect", &text)).transpose()?,
        trace: path(matches, "trace"),
        record: path(matches, "record"),
    })
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

fn roster(matches: &Matches) -> Result<Roster, String> {
    let Some(path) = path(matches, "herd") else {
        return Ok(Roster::standard());
    };
    let say = |why: &dyn std::fmt::Display| format!("--herd {}: {why}", path.display());
    if matches.opt_present("all") {
        // A pipe is empty once it was read, and each server reads the file.
        check_regular(&path).map_err(|error| say(&error))?;
    }
    let text = std::fs::read_to_string(&path).map_err(|error| say(&error))?;
    Roster::parse(&text).map_err(|error| say(&error))
}
