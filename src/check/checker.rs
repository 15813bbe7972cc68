//! From what is asked for to a verdict.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::case::Case;
use super::cases::all;
use super::gradescope;
use super::groups;
use super::report::{self, Ran, Style};
use super::run::{Manner, run};
use super::servers::{CannotRun, Servers};
use super::wire::PATIENCE;
use crate::herd::Roster;

/// After so many cases without an answer, less is waited for the next.
const SILENT_MAX: usize = 10;
const IMPATIENCE: Duration = Duration::from_millis(300);

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
    let mut servers = Servers::new(&check.roster, &check.command);
    groups::end_with_us().map_err(|error| format!("signals: {error}"))?;
    servers.start_all().map_err(|why| why.to_string())?;
    let mut notes = Vec::new();
    let runnable = |case: &&Case| servers.are_ours() || !case.needs_processes();
    let (cases, skipped): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(runnable);
    let mut told = |last: &Ran<'_>| {
        if is_text {
            say(&report::of_case(last, check.verbose, style));
        }
    };
    let ran = run_all(&cases, &mut servers, check.lenient, &mut notes, &mut told)?;
    if !skipped.is_empty() {
        let count = skipped.len();
        notes.push(format!(
            "{count} cases kill or freeze servers and were skipped: they need -- COMMAND, so that the \
             servers are ours to kill"
        ));
    }
    let killed = servers.stop();
    if !killed.is_empty() {
        notes.push(format!(
            "{} did not end on SIGTERM, and were killed",
            killed.join(", ")
        ));
    }
    match check.form {
        Form::Text => say(&report::summary(&ran, &notes, style)),
        Form::Json => say(&format!("{:#}\n", report::json(&ran, &notes))),
        Form::Gradescope => say(&format!("{:#}\n", gradescope::results(&ran, &notes))),
    }
    printed.map_err(unprinted)?;
    let [(passed, required), _] = report::counts(&ran);
    Ok(match passed == required {
        true => Verdict::Right,
        false => Verdict::Wrong,
    })
}

fn unprinted(error: io::Error) -> String {
    format!("standard output: {error}")
}

/// Runs these cases, one after the other.
fn run_all<'a>(
    cases: &[&'a Case],
    servers: &mut Servers,
    lenient: bool,
    notes: &mut Vec<String>,
    told: &mut impl FnMut(&Ran<'a>),
) -> Result<Vec<Ran<'a>>, String> {
    let (mut ran, mut silent) = (Vec::new(), 0);
    for (number, &case) in cases.iter().enumerate() {
        let gone = |CannotRun(why)| format!("{}: {why}; the rest was not run", case.id);
        // Whoever never answers is not waited for a hundred times.
        let patience = if silent < SILENT_MAX {
            PATIENCE
        } else {
            IMPATIENCE
        };
        let mut run = |lenient: bool| {
            let manner = Manner { lenient, patience };
            run(case, servers, number as u64, manner).map_err(gone)
        };
        let mut outcome = run(false)?;
        if lenient && outcome.failure.is_some() {
            outcome.forgiven = run(true)?.failure.is_none();
        }
        silent += usize::from(outcome.is_silent());
        let ended = servers.ended();
        if !ended.is_empty() {
            notes.extend(ended.iter().map(|who| format!("{}: {who}", case.id)));
            servers.mend().map_err(gone)?;
        }
        let last = (case, outcome);
        told(&last);
        ran.push(last);
    }
    Ok(ran)
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
