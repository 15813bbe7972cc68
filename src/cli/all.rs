//! `herd --all`: every server of the herd as a child process.
//!
//! Each child stops when its standard input ends, and this process holds the other ends: so the
//! herd stops on Ctrl-C, and no server is left behind if this process is killed. A server that ends
//! by itself is started again, later and later as long as that does not help.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use herd::herd::Roster;
use herd::server::{SIGINT, SIGTERM};

use super::say::say;
use super::words::quoted;

/// A server that ended is started again after this long; after twice as long, if it ends again.
const RESTART_FIRST: Duration = Duration::from_secs(1);
/// It is never longer.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// A server that ran for so long is well: its next end is a first one.
const WELL_AFTER: Duration = Duration::from_secs(60);

enum Report {
    /// A child printed that it listens.
    Listens(String),
    /// A child's standard output ended: the child did.
    Ended(usize),
    /// A signal asks to stop.
    Stop,
}

/// One server.
struct Server<'a> {
    name: &'a str,
    arguments: &'a [OsString],
    child: Option<Child>,
    started: Instant,
    /// When it is started again.
    due: Option<Instant>,
    /// How long that was put off the last time.
    put_off: Duration,
}

impl<'a> Server<'a> {
    fn new(server: &'a herd::herd::Server, arguments: &'a [OsString]) -> Server<'a> {
        Server {
            name: &server.name,
            arguments,
            child: None,
            started: Instant::now(),
            due: None,
            put_off: Duration::ZERO,
        }
    }
}

/// The herd's processes.
struct Herd<'a> {
    roster: &'a Roster,
    servers: Vec<Server<'a>>,
    restart: bool,
    sender: Sender<Report>,
    /// How many have listened; all of them did once the table was printed.
    listening: usize,
}

/// Starts all servers, waits for Ctrl-C, stops them all.
///
/// False if a server did not start, or lost something as it stopped; it has said why.
///
/// # Errors
/// A process could not be started, or no server is left.
pub fn all(roster: &Roster, pass_on: &[Vec<OsString>], restart: bool) -> Result<bool, String> {
    let (sender, reports) = channel();
    watch_signals(sender.clone()).map_err(|error| format!("cannot watch signals: {error}"))?;
    let servers = roster.servers.iter().zip(pass_on);
    let mut herd = Herd {
        roster,
        servers: servers
            .map(|(server, arguments)| Server::new(server, arguments))
            .collect(),
        restart,
        sender,
        listening: 0,
    };
    for index in 0..herd.servers.len() {
        if let Err(error) = herd.start(index) {
            herd.stop();
            let name = herd.servers[index].name;
            return Err(format!("{name} cannot be started: {error}"));
        }
    }
    let outcome = herd.supervise(&reports);
    let stopped = herd.stop();
    outcome.map(|whole| whole && stopped)
}

impl Herd<'_> {
    fn supervise(&mut self, reports: &Receiver<Report>) -> Result<bool, String> {
        loop {
            match self.next(reports) {
                None => self.start_due(),
                Some(Report::Stop) => {
                    tell("Stopping.\n");
                    return Ok(true);
                }
                Some(Report::Listens(_)) if self.listening < self.servers.len() => {
                    self.listening += 1;
                    if self.listening == self.servers.len() {
                        introduce(self.roster);
                    }
                }
                Some(Report::Listens(line)) => tell(&format!("{line}\n")),
                Some(Report::Ended(index)) => {
                    let Some(mut child) = self.servers[index].child.take() else {
                        continue;
                    };
                    let status = child.wait().map_err(|error| error.to_string())?;
                    if self.listening < self.servers.len() {
                        return Ok(false);
                    }
                    self.ended(index, status);
                    let is_gone = |server: &Server| server.child.is_none() && server.due.is_none();
                    if self.servers.iter().all(is_gone) {
                        return Err(String::from("no server is left"));
                    }
                }
            }
        }
    }

    /// What happens next; `None`: a server is due.
    fn next(&self, reports: &Receiver<Report>) -> Option<Report> {
        let due = self.servers.iter().filter_map(|server| server.due).min();
        let report = match due {
            None => reports.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => reports.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match report {
            Ok(report) => Some(report),
            Err(RecvTimeoutError::Timeout) => None,
            // It cannot be: we hold a sender ourselves.
            Err(RecvTimeoutError::Disconnected) => Some(Report::Stop),
        }
    }

    /// Says that a server has ended, and what becomes of it.
    fn ended(&mut self, index: usize, status: ExitStatus) {
        let Server {
            name, arguments, ..
        } = self.servers[index];
        let text = match self.restart {
            true => {
                let seconds = self.put_off(index);
                format!("{name} has ended ({status}); it is started again in {seconds} s.\n")
            }
            false => {
                let line = command_line(name, arguments);
                format!("{name} has ended ({status}). This starts it again:\n  {line}\n")
            }
        };
        tell(&text);
    }

    /// A server is to be started again; in how many seconds.
    fn put_off(&mut self, index: usize) -> u64 {
        let server = &mut self.servers[index];
        server.put_off = match server.started.elapsed() >= WELL_AFTER {
            true => RESTART_FIRST,
            false => (server.put_off * 2).clamp(RESTART_FIRST, RESTART_MAX),
        };
        server.due = Some(Instant::now() + server.put_off);
        server.put_off.as_secs()
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for index in 0..self.servers.len() {
            if self.servers[index].due.take_if(|due| *due <= now).is_none() {
                continue;
            }
            if let Err(error) = self.start(index) {
                let (name, seconds) = (self.servers[index].name, self.put_off(index));
                tell(&format!(
                    "{name} cannot be started, tried again in {seconds} s: {error}\n"
                ));
            }
        }
    }

    fn start(&mut self, index: usize) -> io::Result<()> {
        let server = &mut self.servers[index];
        let mut child = Command::new(std::env::current_exe()?)
            .arg(server.name)
            .arg("--until-stdin-ends")
            .args(server.arguments)
            // Ctrl-C reaches this process alone; it then lets the children finish.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        server.child = Some(child);
        server.started = Instant::now();
        let output = output.ok_or_else(|| io::Error::other("no standard output"))?;
        watch_output(index, output, self.sender.clone())
    }

    /// True if all that still ran ended well.
    fn stop(&mut self) -> bool {
        let children = self.servers.iter_mut().filter_map(|it| it.child.take());
        let is_running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        let mut running: Vec<Child> = children.collect();
        running.retain_mut(is_running);
        for child in &mut running {
            drop(child.stdin.take());
        }
        let failed = running.into_iter().filter_map(|mut child| {
            let ended = child.wait();
            (!ended.is_ok_and(|status| status.success())).then_some(())
        });
        failed.count() == 0
    }
}

/// Prints to standard output; nothing depends on whether somebody reads it.
fn tell(text: &str) {
    say(&mut io::stdout(), text);
}

/// What a user types to start a server of this herd.
fn command_line(name: &str, arguments: &[OsString]) -> String {
    let program = std::env::args_os().next();
    let program = program.unwrap_or_else(|| OsString::from("herd"));
    let words = [program, OsString::from(name)];
    let words = words.iter().chain(arguments).map(|word| quoted(word));
    words.collect::<Vec<_>>().join(" ")
}

/// A table of addresses and three lines to paste.
fn introduce(roster: &Roster) {
    let names = roster.names();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    for (index, server) in roster.servers.iter().enumerate() {
        let neighbours = roster.neighbours(index);
        let linked: Vec<_> = neighbours.iter().map(|&other| names[other]).collect();
        let (name, address) = (&server.name, server.address);
        let linked = linked.join(", ");
        tell(&format!("{name:width$}  {address}  linked with {linked}\n"));
    }
    tell("\nPaste, line by line (Ctrl-C here stops the herd):\n");
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
        tell(&format!("  echo {line} | nc -N {host} {port}\n"));
    }
}

fn watch_output(index: usize, output: ChildStdout, sender: Sender<Report>) -> io::Result<()> {
    let watch = move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        // A line that is no text is a line all the same; only the end is the end.
        while matches!(output.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            match text.contains(" listens on ") {
                true => drop(sender.send(Report::Listens(text))),
                false => tell(&format!("{text}\n")),
            }
            line.clear();
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
