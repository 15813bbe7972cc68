//! From what is asked for to a verdict.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::case::Case;
use super::cases::all;
use super::gradescope;
use super::log::Log;
use super::places::StandIn;
use super::report::{self, Ran, Style};
use super::run::{Outcome, Stage, run};
use super::servers::{CannotRun, Servers};
use super::talk::Manner;
use super::wire::PATIENCE;
use crate::herd::Roster;

/// After so many cases without an answer, less is waited for the next.
const SILENT_MAX: usize = 10;
const IMPATIENCE: Duration = Duration::from_millis(300);
/// Between a connection's end and that of the process, if it is one.
const MOMENT: Duration = Duration::from_millis(50);
/// So often it is said that a server has ended by itself.
const ENDED_MAX: usize = 10;

/// What is to be checked, and how it is told.
#[derive(Clone, Debug)]
pub struct Check {
    /// The servers, their addresses and links.
    pub roster: Roster,
    /// What starts a server; empty: they are up already.
    pub command: Vec<String>,
    /// Only these cases; empty: all.
    pub only: Vec<String>,
    /// Say what there is, and run nothing.
    pub list: bool,
    /// Show all that went over the wires.
    pub verbose: bool,
    /// Count apart what graders forgive.
    pub lenient: bool,
    /// How it is reported.
    pub form: Form,
}

/// How a verdict is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// As the results.json of a Gradescope autograder.
    Gradescope,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All required cases pass.
    Right,
    /// Some do not.
    Wrong,
}

/// Checks servers, and prints how each case went.
///
/// # Errors
/// In words: why nothing could be checked.
pub fn check(check: &Check) -> Result<Verdict, String> {
    let cases = chosen(check)?;
    let mut output = io::stdout();
    let is_text = check.form == Form::Text;
    let style = Style::new(output.is_terminal() && is_text);
    let mut printed = Ok(());
    let mut say = |text: &str| {
        if printed.is_ok() {
            printed = output
                .write_all(text.as_bytes())
                .and_then(|()| output.flush());
        }
    };
    if check.list {
        cases.iter().for_each(|case| say(&listed(case)));
        return printed.map(|()| Verdict::Right).map_err(unprinted);
    }
    let (chosen, mut stage) = (cases, staged(check)?);
    stage.servers.start_all().map_err(|why| why.to_string())?;
    let (cases, mut notes) = runnable(&chosen, &stage.servers);
    let skipped = chosen.len() - cases.len();
    let mut told = |last: &Ran<'_>| {
        if is_text {
            say(&report::of_case(last, check.verbose, style));
        }
    };
    let ran = run_all(&cases, &mut stage, check.lenient, &mut notes, &mut told)?;
    let killed = stage.servers.stop();
    if !killed.is_empty() {
        let killed = killed.join(", ");
        notes.push(format!("{killed} did not end on SIGTERM, and were killed"));
    }
    match check.form {
        Form::Text => say(&report::summary(&ran, &notes, style)),
        Form::Json => say(&format!("{:#}\n", report::json(&ran, skipped, &notes))),
        Form::Gradescope => say(&format!("{:#}\n", gradescope::results(&ran, &notes))),
    }
    printed.map_err(unprinted)?;
    let [(passed, required), _] = report::counts(&ran);
    Ok(match passed == required {
        true => Verdict::Right,
        false => Verdict::Wrong,
    })
}

/// The servers, not yet started, and all that is around them.
fn staged(check: &Check) -> Result<Stage, String> {
    let stop = Arc::default();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&stop));
        registered.map_err(|error| format!("signal {signal}: {error}"))?;
    }
    let log = Log::new(check.verbose);
    let google = StandIn::start(&log)?;
    let servers = Servers::new(&check.roster, &check.command, google.urls(), &log, &stop);
    Ok(Stage {
        servers,
        google,
        log,
    })
}

/// The cases that these servers can be put to, and in words why not the others.
fn runnable<'a>(cases: &'a [Case], servers: &Servers) -> (Vec<&'a Case>, Vec<String>) {
    let (ours, know) = (servers.are_ours(), servers.know_google());
    let (mut notes, mut left) = (Vec::new(), cases.iter().collect::<Vec<_>>());
    let mut skip = |is_one: fn(&Case) -> bool, why: &str| {
        let before = left.len();
        left.retain(|case| !is_one(case));
        let count = before - left.len();
        let (cases, were) = if count == 1 {
            ("case", "was")
        } else {
            ("cases", "were")
        };
        if count > 0 {
            notes.push(format!("{count} {cases} {were} skipped: {why}"));
        }
    };
    if !ours {
        let why = "they kill or freeze servers, and need -- COMMAND, so that the servers are ours to kill";
        skip(Case::needs_processes, why);
    }
    if !know {
        let why = "they look at the places in WHATSAT's answers, and need {places_url} and {ca_file}, or \
                   {places_http}, in COMMAND: where a stand-in for Google Places is, by TLS or in plain text";
        skip(Case::needs_places, why);
    }
    (left, notes)
}

fn unprinted(error: io::Error) -> String {
    format!("standard output: {error}")
}

/// Runs these cases, one after the other.
///
/// # Errors
/// We are to stop.
fn run_all<'a>(
    cases: &[&'a Case],
    stage: &mut Stage,
    lenient: bool,
    notes: &mut Vec<String>,
    told: &mut impl FnMut(&Ran<'a>),
) -> Result<Vec<Ran<'a>>, String> {
    let (mut ran, mut silent, mut ended) = (Vec::new(), 0, 0);
    // Why no case can be run any more, if so: then the rest fails.
    let mut gone: Option<String> = None;
    for (number, &case) in cases.iter().enumerate() {
        let stopped = |CannotRun(why)| format!("{}: {why}; the rest was not run", case.id);
        stage.servers.go_on().map_err(stopped)?;
        // Whoever never answers is not waited for a hundred times.
        let patience = if silent < SILENT_MAX {
            PATIENCE
        } else {
            IMPATIENCE
        };
        let outcome = match &gone {
            Some(why) => Outcome::lost(why),
            None => judged(case, stage, number as u64, patience, lenient).unwrap_or_else(|why| {
                notes.push(stopped(CannotRun(why.0.clone())));
                let lost = Outcome::lost(&why.0);
                gone = Some(why.0);
                lost
            }),
        };
        stage.servers.go_on().map_err(stopped)?;
        silent += usize::from(outcome.is_silent());
        if outcome.is_broken_off() {
            // A process that ends closes its sockets first.
            thread::sleep(MOMENT);
        }
        let have_ended = match gone {
            None => stage.servers.ended(),
            Some(_) => Vec::new(),
        };
        for who in &have_ended {
            ended += 1;
            if ended <= ENDED_MAX {
                notes.push(format!("{}: {who}", case.id));
            }
        }
        if gone.is_none() && !have_ended.is_empty() {
            gone = stage.servers.mend().err().map(|CannotRun(why)| why);
            notes.extend(gone.iter().map(|why| stopped(CannotRun(why.clone()))));
        }
        let mut last = (case, outcome);
        told(&last);
        // It has been shown, if anybody wanted to see it.
        last.1.happened = Vec::new();
        ran.push(last);
    }
    if ended > ENDED_MAX {
        notes.push(format!("servers ended {ended} times by themselves"));
    }
    Ok(ran)
}

/// Runs one, and once more if a lenient grader might see it otherwise.
fn judged(
    case: &Case,
    stage: &mut Stage,
    number: u64,
    patience: Duration,
    lenient: bool,
) -> Result<Outcome, CannotRun> {
    let mut run = |lenient: bool| run(case, stage, number, Manner { lenient, patience });
    let mut outcome = run(false)?;
    if lenient && outcome.failure.is_some() {
        outcome.forgiven = run(true)?.failure.is_none();
    }
    Ok(outcome)
}

fn chosen(check: &Check) -> Result<Vec<Case>, String> {
    let mut cases = all(&check.roster.names())?;
    for id in &check.only {
        if !cases.iter().any(|case| case.id == *id) {
            return Err(format!(
                "--case {id}: there is none of that name (--check --list)"
            ));
        }
    }
    cases.retain(|case| check.only.is_empty() || check.only.contains(&case.id));
    Ok(cases)
}

fn listed(case: &Case) -> String {
    let source = if case.rule.of_the_course { "S" } else { "D" };
    let kind = if case.rule.required {
        "required"
    } else {
        "beyond"
    };
    format!("{:8} {source} {kind:8}  {}\n", case.id, case.title)
}
