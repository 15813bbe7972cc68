//! From the task to who does it, and from how that went to the exit status.

use std::io;
use std::process::ExitCode;

use super::all::all;
use super::look::replay;
use super::options::parse;
use super::ps::ps;
use super::run::run;
use super::say::say;
use super::task::Task;

/// The command line was wrong.
const WRONG_USE: u8 = 2;

/// Does what the command line asks for, and says how it went.
pub fn main(arguments: &[String]) -> ExitCode {
    match parse(arguments) {
        Err(problem) => fail(WRONG_USE, &problem),
        Ok(Task::Print(text)) => {
            say(&mut io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Ok(Task::All { roster, pass_on }) => match all(&roster, &pass_on) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(problem) => fail(1, &problem),
        },
        Ok(Task::Ps { address, json }) => match ps(address, json) {
            Ok(text) => {
                say(&mut io::stdout(), &text);
                ExitCode::SUCCESS
            }
            Err(problem) => fail(1, &problem),
        },
        Ok(Task::Replay { path, look }) => match replay(&path, &look) {
            Ok(status) => ExitCode::from(status),
            Err(problem) => fail(WRONG_USE, &problem),
        },
        Ok(Task::One(one)) => match run(&one) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(problem) => fail(1, &problem),
        },
    }
}

fn fail(status: u8, problem: &str) -> ExitCode {
    say(&mut io::stderr(), &format!("herd: {problem}\n"));
    ExitCode::from(status)
}
