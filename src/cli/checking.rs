//! The options of `herd --check`.

use getopts::Matches;
use herd::check::{Check, Form};
use herd::herd::Roster;

/// Options that make sense beside --check alone, or --ps.
pub const CHECKS: [&str; 7] = [
    "json",
    "running",
    "case",
    "list",
    "lenient",
    "gradescope",
    "verbose",
];

/// What is to be checked.
///
/// # Errors
/// One line that says what was expected.
pub fn checked(matches: &Matches, roster: Roster) -> Result<Check, String> {
    let (list, running) = (matches.opt_present("list"), matches.opt_present("running"));
    let command = matches.free.clone();
    if !list && running != command.is_empty() {
        return Err(String::from(
            "--check: expected -- COMMAND, such as -- python3 server.py {name}, or --running",
        ));
    }
    if !command.is_empty() && !command.iter().any(|word| word.contains("{name}")) {
        return Err(String::from(
            "--check: expected {name} in the command, for the name of each server",
        ));
    }
    Ok(Check {
        roster,
        command,
        only: matches.opt_strs("case"),
        list,
        verbose: matches.opt_present("verbose"),
        lenient: matches.opt_present("lenient"),
        form: match (
            matches.opt_present("json"),
            matches.opt_present("gradescope"),
        ) {
            (false, false) => Form::Text,
            (true, false) => Form::Json,
            (false, true) => Form::Gradescope,
            (true, true) => return Err(String::from("--json beside --gradescope: expected one")),
        },
    })
}
