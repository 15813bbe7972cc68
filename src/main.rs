//! `herd NAME` runs one server, `herd --all` the whole herd.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os().skip(1))
}
