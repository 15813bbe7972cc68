//! `herd NAME` runs one server, `herd --all` the whole herd.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    cli::main(&arguments)
}
