//! `herd --all`: every server of the herd as a child process.
//!
//! Each child stops when its standard input ends, and this process holds the other ends: so the
//! herd stops on Ctrl-C, and no server is left behind if this process is killed.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use herd::herd::Roster;
use herd::server::{SIGINT, SIGTERM};

use super::say::say;

enum Report {
    /// A child printed that it listens.
    Listens,
    /// A child's standard output ended: the child did.
    Ended(usize),
    /// A signal asks to stop.
    Stop,
}

/// Starts all servers, waits for Ctrl-C, stops them all.
///
/// False if a server did not start, or lost something as it stopped; it has said why.
///
/// # Errors
/// A process could not be started, or no server is left.
pub fn all(roster: &Roster, pass_on: &[Vec<String>]) -> Result<bool, String> {
    let (sender, reports) = channel();
    watch_signals(sender.clone()).map_err(|error| format!("cannot watch signals: {error}"))?;
    let mut children = Vec::new();
    for (index, server) in roster.servers.iter().enumerate() {
        let started = start(&server.name, &pass_on[index]).and_then(|(child, output)| {
            children.push(child);
            watch_output(index, output, sender.clone())
        });
        if let Err(error) = started {
            stop(&mut children);
            return Err(format!("{} cannot be started: {error}", server.name));
        }
    }
    let outcome = supervise(roster, &mut children, &reports);
    let stopped = stop(&mut children);
    outcome.map(|whole| whole && stopped)
}

fn supervise(
    roster: &Roster,
    children: &mut [Child],
    reports: &Receiver<Report>,
) -> Result<bool, String> {
    let mut listening = 0;
    let mut alive = children.len();
    for report in reports {
        match report {
            Report::Stop => {
                say(&mut io::stdout(), "Stopping.\n");
                return Ok(true);
            }
            Report::Listens => {
                listening += 1;
                if listening == children.len() {
                    introduce(roster);
                }
            }
            Report::Ended(index) => {
                let name = &roster.servers[index].name;
                let status = children[index].wait().map_err(|error| error.to_string())?;
                if listening < children.len() {
                    return Ok(false);
                }
                alive -= 1;
                say(
                    &mut io::stdout(),
                    &format!("{name} has ended ({status}); herd {name} starts it again.\n"),
                );
                if alive == 0 {
                    return Err(String::from("no server is left"));
                }
            }
        }
    }
    Ok(true)
}

/// A table of addresses and three lines to paste.
fn introduce(roster: &Roster) {
    let names = roster.names();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    for (index, server) in roster.servers.iter().enumerate() {
        let neighbours = roster.neighbours(index);
        let linked: Vec<_> = neighbours.iter().map(|&other| names[other]).collect();
        let (name, address) = (&server.name, server.address);
        say(
            &mut io::stdout(),
            &format!(
                "{name:width$}  {address}  linked with {}\n",
                linked.join(", ")
            ),
        );
    }
    say(
        &mut io::stdout(),
        "\nPaste, line by line (Ctrl-C here stops the herd):\n",
    );
    let (first, last) = (
        &roster.servers[0],
        &roster.servers[roster.servers.len() - 1],
    );
    for (server, line) in [
        (
            first,
            "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 $(date +%s.%N)",
        ),
        (last, "WHATSAT kiwi.cs.ucla.edu 10 5"),
        (last, "HELLO"),
    ] {
        let (host, port) = (server.address.ip(), server.address.port());
        say(
            &mut io::stdout(),
            &format!("  echo {line} | nc -N {host} {port}\n"),
        );
    }
}

/// Prints to standard output; nothing depends on whether somebody reads it.
fn start(name: &str, pass_on: &[String]) -> io::Result<(Child, ChildStdout)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(name)
        .arg("--until-stdin-ends")
        .args(pass_on)
        // Ctrl-C reaches this process alone; it then lets the children finish.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("no standard output"))?;
    Ok((child, output))
}

/// True if all that still ran ended well.
fn stop(children: &mut [Child]) -> bool {
    let mut running: Vec<&mut Child> = Vec::new();
    for child in children {
        if matches!(child.try_wait(), Ok(None)) {
            running.push(child);
        }
    }
    for child in &mut running {
        drop(child.stdin.take());
    }
    let failed = running.into_iter().filter_map(|child| {
        let ended = child.wait();
        (!ended.is_ok_and(|status| status.success())).then_some(())
    });
    failed.count() == 0
}

fn watch_output(index: usize, output: ChildStdout, sender: Sender<Report>) -> io::Result<()> {
    let watch = move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match line.contains(" listens on ") {
                true => drop(sender.send(Report::Listens)),
                false => say(&mut io::stdout(), &format!("{line}\n")),
            }
        }
        let _ = sender.send(Report::Ended(index));
    };
    thread::Builder::new().spawn(watch).map(|_| ())
}

fn watch_signals(sender: Sender<Report>) -> io::Result<()> {
    let (mut receiver, signals) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGINT, signals.try_clone()?)?;
    signal_hook::low_level::pipe::register(SIGTERM, signals)?;
    let watch = move || {
        let mut byte = [0];
        let mut asked = false;
        while receiver.read_exact(&mut byte).is_ok() {
            if std::mem::replace(&mut asked, true) {
                // A child hangs. It stops by itself once this process is gone.
                std::process::exit(1);
            }
            let _ = sender.send(Report::Stop);
        }
    };
    thread::Builder::new().spawn(watch).map(|_| ())
}
