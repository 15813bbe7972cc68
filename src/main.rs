//! `herd NAME` runs one server, `herd --all` the whole herd.

mod all;
mod google;
mod identity;
mod look;
mod options;
mod ps;

use std::io::{self, Read, Write};
use std::process::ExitCode;

use herd::event_loop::EventLoop;
use herd::net::{Host, bears_name};
use herd::server::{Loop, Node, SIGHUP, SIGINT, SIGTERM};
use herd::worlds::os::OsWorld;
use options::{One, Task};

/// The command line was wrong.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match options::parse(&arguments) {
        Err(problem) => fail(WRONG_USE, &problem),
        Ok(Task::Print(text)) => {
            say(&mut io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Ok(Task::All { roster, pass_on }) => match all::run(&roster, &pass_on) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(problem) => fail(1, &problem),
        },
        Ok(Task::Ps { address, json }) => match ps::ps(address, json) {
            Ok(text) => {
                say(&mut io::stdout(), &text);
                ExitCode::SUCCESS
            }
            Err(problem) => fail(1, &problem),
        },
        Ok(Task::Replay { path, look }) => match look::replay(&path, &look) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(problem) => fail(WRONG_USE, &problem),
        },
        Ok(Task::One(one)) => match run(*one) {
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

/// Prints text that nothing depends on: a stream that is closed or full is no reason to stop.
fn say(stream: &mut impl Write, text: &str) {
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}

/// Runs one server until it is asked to stop. False if a second request cut the stopping short.
fn run(one: One) -> Result<bool, String> {
    let name = one.config.name().to_string();
    let world = || -> io::Result<OsWorld> {
        let mut world = OsWorld::new()?;
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // Ctrl-C in the stepper holds the loop; the server does not hear of it.
            if signal != SIGINT || !one.look.step {
                world.watch_signal(signal)?;
            }
        }
        Ok(world)
    };
    let mut world = world().map_err(|error| format!("{name} cannot start: {error}"))?;
    if let Some(tls) = &one.tls {
        world.use_tls(tls.clone());
    }
    if let Some(path) = &one.log {
        world.open_journal(path).map_err(|error| {
            format!(
                "{name} cannot write its journal {}: {error}",
                path.display()
            )
        })?;
    }
    world
        .use_identity(one.identity.clone())
        .map_err(|error| format!("{name} cannot start: {error}"))?;
    if let Some(path) = &one.snapshot {
        world.use_snapshots(path);
    }
    if !one.look.is_idle() {
        return look::run(world, &one);
    }
    let mut event_loop = EventLoop::new(world);
    let mut node = Node::new(one.config.clone());
    begin(&one, &mut node, &mut event_loop)?;
    event_loop
        .run_forever(&mut node)
        .map_err(|error| format!("{name} cannot poll any more: {error}"))?;
    Ok(!node.was_hurried())
}

/// Opens the listener, and says so.
fn begin<H: Host>(one: &One, node: &mut Node<H>, event_loop: &mut Loop<H>) -> Result<(), String> {
    let name = one.config.name();
    let address = one.config.roster.servers[one.config.me].address;
    node.start(event_loop).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{name} cannot listen on {address}: the port is in use")
        }
        io::ErrorKind::InvalidData => format!("{name} cannot start: {error}"),
        _ => format!("{name} cannot listen on {address}: {error}"),
    })?;
    let warnings = one.config.warnings();
    let mistakes = mistakes(one);
    let warnings = warnings.iter().chain(&mistakes);
    for warning in warnings.chain(node.restored()) {
        say(&mut io::stderr(), &format!("{name}: {warning}\n"));
    }
    say(&mut io::stdout(), &format!("{name} listens on {address}\n"));
    match one.until_stdin_ends {
        true => stop_when_stdin_ends(),
        false => Ok(()),
    }
}

/// Files that were likely named by mistake. The server runs all the same: they may be put right.
fn mistakes(one: &One) -> Vec<String> {
    let mut mistakes = Vec::new();
    let name = one.config.name();
    if let Some(peer) = &one.identity.peer
        && !bears_name(&peer.certificate, name)
    {
        mistakes.push(format!(
            "the certificate {} does not bear the name {name}: no neighbour will believe it",
            peer.certificate.display()
        ));
    }
    let folder = one.snapshot.as_ref().and_then(|path| path.parent());
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        mistakes.push(format!(
            "there is no folder {}: no snapshot can be written",
            folder.display()
        ));
    }
    mistakes
}

/// A thread reads standard input (a file or a terminal cannot always be polled) and turns its end
/// into the signal to stop, which comes out of the poll like any other.
fn stop_when_stdin_ends() -> Result<(), String> {
    let wait = || {
        let mut bytes = [0; 256];
        while matches!(io::stdin().read(&mut bytes), Ok(count) if count > 0) {}
        // It cannot fail for a signal that exists.
        let _ = signal_hook::low_level::raise(SIGTERM);
    };
    std::thread::Builder::new()
        .name(String::from("stdin"))
        .spawn(wait)
        .map(|_| ())
        .map_err(|error| format!("no thread to watch standard input: {error}"))
}
