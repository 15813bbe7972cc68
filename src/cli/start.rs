//! How a server comes up: its world, its listener, what it says at start.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use herd::net::{Host, Input, Trust, bears_name};
use herd::server::{Loop, Node, SIGHUP, SIGINT, SIGTERM};
use herd::worlds::os::{OsWorld, keep_aside, remove_unfinished};

use super::say::say;
use super::task::One;

/// The world that the options describe.
///
/// # Errors
/// In words: what could not be opened.
pub fn world(one: &One) -> Result<OsWorld, String> {
    let name = one.config.name();
    // Whoever has a parent ends with it; and nohup means to stay.
    let ends_with_terminal = !one.until_stdin_ends && has_terminal() && !is_ignored(SIGHUP);
    let watching = || -> io::Result<OsWorld> {
        let mut world = OsWorld::new()?;
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // Ctrl-C in the stepper holds the loop; the server does not hear of it.
            if signal != SIGINT || !one.look.step {
                world.watch_signal(signal)?;
            }
        }
        if ends_with_terminal {
            world.hear_instead(SIGHUP, SIGTERM, || !has_terminal());
        }
        Ok(world)
    };
    let mut world = watching().map_err(|error| format!("{name} cannot start: {error}"))?;
    if let Some(tls) = &one.tls {
        world.use_tls(Trust::Places, tls.clone());
    }
    if let Some(path) = &one.log {
        let opened = world.open_journal(path, one.config.max_log);
        opened.map_err(|error| {
            let path = path.display();
            format!("{name} cannot write its journal {path}: {error}")
        })?;
    }
    world
        .use_identity(one.identity.clone())
        .map_err(|error| format!("{name} cannot start: {error}"))?;
    if let Some(path) = &one.snapshot {
        world.use_snapshots(path);
    }
    Ok(world)
}

/// True if this process belongs to a terminal that is there.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// True if whoever started us wants this signal ignored. proc_pid_status(5).
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The end of a server: false if it was cut short, or if something of it is lost.
pub fn end<H: Host>(one: &One, node: &Node<H>) -> bool {
    if let Some(why) = node.lost() {
        let (name, before) = (one.config.name(), "the one before still stands");
        let text = format!("{name}: the last snapshot was not written, {before}: {why}\n");
        say(&mut io::stderr(), &text);
    }
    node.lost().is_none() && !node.stop_was_forced()
}

/// Opens the listener, and says so.
///
/// # Errors
/// In words: why it cannot listen.
pub fn begin<H: Host>(
    one: &One,
    node: &mut Node<H>,
    event_loop: &mut Loop<H>,
) -> Result<(), String> {
    let name = one.config.name();
    let address = one.config.roster.servers[one.config.me].address;
    node.start(event_loop).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{name} cannot listen on {address}: the port is in use")
        }
        io::ErrorKind::InvalidData => format!("{name} cannot start: {error}"),
        _ => format!("{name} cannot listen on {address}: {error}"),
    })?;
    one.log.iter().for_each(|path| remove_unfinished(path));
    let mut mistakes = mistakes(one);
    if let Some(path) = &one.snapshot {
        remove_unfinished(path);
        if !node.restored().is_empty() {
            mistakes.push(kept_aside(path).map_err(|why| format!("{name} cannot start: {why}"))?);
        }
    }
    let warnings = one.config.warnings();
    let warnings = warnings.iter().chain(node.restored());
    for warning in warnings.chain(&mistakes) {
        say(&mut io::stderr(), &format!("{name}: {warning}\n"));
    }
    say(&mut io::stdout(), &format!("{name} listens on {address}\n"));
    match one.until_stdin_ends {
        true => stop_when_stdin_ends(),
        false => Ok(()),
    }
}

/// The next snapshot lacks what was not taken of this one, so a copy of this one stays.
fn kept_aside(path: &Path) -> Result<String, String> {
    let aside = keep_aside(path);
    let aside = aside.map_err(|error| format!("the snapshot as it was cannot be kept: {error}"))?;
    let aside = aside.display();
    Ok(format!("the snapshot as it was is kept as {aside}"))
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
        let _ = io::copy(&mut Input::new(), &mut io::sink());
        // It cannot fail for a signal that exists.
        let _ = signal_hook::low_level::raise(SIGTERM);
    };
    std::thread::Builder::new()
        .name(String::from("stdin"))
        .spawn(wait)
        .map(|_| ())
        .map_err(|error| format!("no thread to watch standard input: {error}"))
}
