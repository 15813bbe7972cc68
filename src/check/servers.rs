//! The servers that are checked: started here, or up already.

use std::fmt;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::log::Log;
use super::places::Urls;
use super::step::Act;
use crate::herd::Roster;

/// A server listens within this time, or it is not going to.
const START: Duration = Duration::from_secs(15);
/// One that was asked to end is killed after this long.
const STOP: Duration = Duration::from_secs(3);
/// Between two looks.
const GLANCE: Duration = Duration::from_millis(20);
/// So much of what a server prints is kept: its last words.
const LAST_WORDS: usize = 2_000;

/// What a server printed, the last of it.
type Printed = Arc<Mutex<Vec<u8>>>;

/// One server.
struct Server {
    name: String,
    address: SocketAddr,
    child: Option<Child>,
    printed: Printed,
}

/// All of a herd.
pub struct Servers {
    command: Vec<String>,
    servers: Vec<Server>,
    google: Urls,
    log: Log,
    /// Somebody wants us to stop.
    stop: Arc<AtomicBool>,
}

/// Why there is nothing to check.
#[derive(Debug)]
pub struct CannotRun(pub String);

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Servers {
    /// Those of this herd. `command` starts each, with `{name}` in it for its name; without one they are
    /// up already. Once `stop` is set, nothing more is waited for.
    pub fn new(
        roster: &Roster,
        command: &[String],
        google: Urls,
        log: &Log,
        stop: &Arc<AtomicBool>,
    ) -> Servers {
        let server = |server: &crate::herd::Server| Server {
            name: server.name.clone(),
            address: server.address,
            child: None,
            printed: Printed::default(),
        };
        Servers {
            command: command.to_vec(),
            servers: roster.servers.iter().map(server).collect(),
            google,
            log: log.clone(),
            stop: Arc::clone(stop),
        }
    }

    /// True if COMMAND tells them where the stand-in for Google is.
    pub fn know_google(&self) -> bool {
        let told = self.google.told();
        let names = |word: &String| {
            let mut told = told.iter();
            told.any(|(name, variable, _)| word.contains(name) || word.contains(variable))
        };
        self.command.iter().any(names)
    }

    /// The servers' names.
    pub fn names(&self) -> Vec<String> {
        let names = self.servers.iter().map(|server| server.name.clone());
        names.collect()
    }

    /// Looks whether we may go on.
    ///
    /// # Errors
    /// Somebody wants us to stop.
    pub fn go_on(&self) -> Result<(), CannotRun> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(CannotRun(String::from("stopped by a signal"))),
            false => Ok(()),
        }
    }

    /// True if they were started here, so that they can be killed.
    pub fn are_ours(&self) -> bool {
        !self.command.is_empty()
    }

    /// Where a server listens.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        let server = self.servers.iter().find(|server| server.name == name)?;
        Some(server.address)
    }

    /// Starts all, if they are to be started, and waits until they listen.
    ///
    /// # Errors
    /// Which one does not, and its last words.
    pub fn start_all(&mut self) -> Result<(), CannotRun> {
        if self.are_ours() {
            for server in &self.servers {
                if TcpStream::connect_timeout(&server.address, GLANCE).is_ok() {
                    let (name, address) = (&server.name, server.address);
                    let text = "somebody listens there already: stop that, or say --running";
                    return Err(CannotRun(format!("{name} at {address}: {text}")));
                }
            }
        }
        for index in 0..self.servers.len() {
            self.spawn(index)?;
        }
        (0..self.servers.len()).try_for_each(|index| self.wait(index))
    }

    /// Does something to a server.
    ///
    /// # Errors
    /// It does not start again.
    pub fn act(&mut self, act: Act, name: &str) -> Result<(), CannotRun> {
        let found = self.servers.iter().position(|server| server.name == name);
        let index = found.ok_or_else(|| CannotRun(format!("{name} is no server")))?;
        self.log.note(&format!("{} {name}", act.word()), b"");
        match act {
            Act::Kill => {
                if let Some(mut child) = self.servers[index].child.take() {
                    signal(&child, "KILL");
                    // If there was no shell to say it: it would be waited for in vain.
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
            Act::Start if self.servers[index].child.is_none() => {
                self.spawn(index)?;
                self.wait(index)?;
            }
            Act::Start => {}
            Act::Freeze | Act::Thaw => {
                let word = if act == Act::Freeze { "STOP" } else { "CONT" };
                if let Some(child) = &self.servers[index].child {
                    signal(child, word);
                }
            }
        }
        Ok(())
    }

    /// After a case that may have left some down: all are up again.
    ///
    /// # Errors
    /// One does not start any more.
    pub fn mend(&mut self) -> Result<(), CannotRun> {
        for index in 0..self.servers.len() {
            let Some(child) = &mut self.servers[index].child else {
                if self.are_ours() {
                    self.spawn(index)?;
                    self.wait(index)?;
                }
                continue;
            };
            signal(child, "CONT");
            if matches!(child.try_wait(), Ok(Some(_))) {
                // Whatever it has started itself goes with it.
                signal(child, "KILL");
                self.servers[index].child = None;
                self.spawn(index)?;
                self.wait(index)?;
            }
        }
        Ok(())
    }

    /// The names of those that have ended by themselves, and how.
    pub fn ended(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        for server in &mut self.servers {
            let status = server
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok());
            if let Some(status) = status.flatten() {
                let words = last_words(&server.printed);
                ended.push(format!("{} has ended ({status}){words}", server.name));
            }
        }
        ended
    }

    /// Ends all that were started; the names of those that had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        let children = self.servers.iter_mut();
        let mut running: Vec<(String, Child)> = children
            .filter_map(|server| Some((server.name.clone(), server.child.take()?)))
            .collect();
        for (_, child) in &running {
            signal(child, "CONT");
            signal(child, "TERM");
        }
        let until = Instant::now() + STOP;
        let mut killed = Vec::new();
        for (name, child) in &mut running {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
                thread::sleep(GLANCE);
            }
            if matches!(child.try_wait(), Ok(None)) {
                killed.push(name.clone());
            }
            // Whatever it has started itself goes with it.
            signal(child, "KILL");
            let _ = child.kill();
            let _ = child.wait();
        }
        killed
    }

    fn spawn(&mut self, index: usize) -> Result<(), CannotRun> {
        let server = &mut self.servers[index];
        let told = self.google.told();
        let filled = |word: &String| {
            let word = word.replace("{name}", &server.name);
            let fill =
                |word: String, (name, _, value): &(&str, &str, &str)| word.replace(name, value);
            told.iter().fold(word, fill)
        };
        let words: Vec<String> = self.command.iter().map(filled).collect();
        let Some((program, arguments)) = words.split_first() else {
            return Ok(());
        };
        let variables = told.map(|(_, variable, value)| (variable, value));
        let mut child = Command::new(program)
            .args(arguments)
            .envs(variables)
            // A group of its own: what it starts is found again, and Ctrl-C is ours.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| CannotRun(format!("{program}: {error}")))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let what = format!("{} prints", server.name);
        let printed = &server.printed;
        stdout
            .into_iter()
            .for_each(|output| listen(output, printed, self.log.clone(), what.clone()));
        stderr
            .into_iter()
            .for_each(|output| listen(output, printed, self.log.clone(), what.clone()));
        server.child = Some(child);
        Ok(())
    }

    fn wait(&mut self, index: usize) -> Result<(), CannotRun> {
        let until = Instant::now() + START;
        loop {
            self.go_on()?;
            let server = &mut self.servers[index];
            let (name, address) = (&server.name, server.address);
            if TcpStream::connect_timeout(&address, GLANCE * 10).is_ok() {
                return Ok(());
            }
            let ended = server
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok());
            if let Some(status) = ended.flatten() {
                // What it printed may come behind its end.
                thread::sleep(GLANCE * 5);
                let words = last_words(&server.printed);
                return Err(CannotRun(format!(
                    "{name} ended ({status}) before it listened{words}"
                )));
            }
            if Instant::now() >= until {
                let words = last_words(&server.printed);
                let seconds = START.as_secs();
                return Err(CannotRun(format!(
                    "{name} does not listen on {address} after {seconds} s{words}"
                )));
            }
            thread::sleep(GLANCE);
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends a signal to all that a child has become.
fn signal(child: &Child, name: &str) {
    // The shell's own kill is everywhere; there is no safe call for it in the standard library.
    let line = format!("kill -s {name} -- -{}", child.id());
    let _ = Command::new("sh")
        .args(["-c", &line])
        .stderr(Stdio::null())
        .status();
}

/// Keeps the last of what a server prints, so that it never waits for somebody to read.
fn listen(mut output: impl Read + Send + 'static, printed: &Printed, log: Log, what: String) {
    let printed = Arc::clone(printed);
    let _ = thread::Builder::new().spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count) = output.read(&mut piece) {
            if count == 0 {
                break;
            }
            log.note(&what, &piece[..count]);
            let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
            printed.extend_from_slice(&piece[..count]);
            let old = printed.len().saturating_sub(LAST_WORDS);
            printed.drain(..old);
        }
    });
}

fn last_words(printed: &Printed) -> String {
    let printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&printed);
    let printable = |line: &str| line.replace(|c: char| c.is_control() && c != '\t', "?");
    let lines: Vec<String> = text.lines().map(printable).collect();
    let last = &lines[lines.len().saturating_sub(5)..];
    match last.is_empty() {
        true => String::from("; it printed nothing"),
        false => format!("; its last words:\n    {}", last.join("\n    ")),
    }
}
