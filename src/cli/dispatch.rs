//! From the task to who does it, and from how that went to the exit status.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use herd::check::{Verdict, check};

use super::all::all;
use super::look::replay;
use super::parse::parse;
use super::ps::ps;
use super::run::run;
use super::say::{print, say};
use super::task::Task;
use super::words::{os, text};

/// The command line was wrong.
const WRONG_USE: u8 = 2;

/// Does what the command line asks for, and says how it went.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<String> = arguments.map(|word| text(&word)).collect();
    let (wrong, outcome) = match parse(&arguments) {
        Err(problem) => (WRONG_USE, Err(problem)),
        Ok(Task::Print(text)) => (1, print(&text).map(|()| true)),
        Ok(Task::All {
            roster,
            pass_on,
            restart,
        }) => (1, all(&roster, &pass_on, restart)),
        Ok(Task::Ps { address, json }) => {
            let printed = ps(address, json).and_then(|text| print(&text));
            (1, printed.map(|()| true))
        }
        Ok(Task::Replay { path, look }) => match replay(&path, &look) {
            Ok(status) => return ExitCode::from(status),
            Err(problem) => (WRONG_USE, Err(problem)),
        },
        Ok(Task::Check(wanted)) => {
            let verdict = check(&wanted).map(|verdict| verdict == Verdict::Right);
            (WRONG_USE, verdict)
        }
        Ok(Task::One(one)) => (1, run(&one)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            // As the words were that it quotes.
            let problem = os(&problem);
            let text = format!("herd: {}\n", problem.to_string_lossy());
            say(&mut io::stderr(), &text);
            ExitCode::from(wrong)
        }
    }
}
