//! Process groups: each server has one, so that what it starts is found again. Ctrl-C is not heard there:
//! a checker that is told to end kills them first.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio, exit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The groups that have not been waited for, by their leaders.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// From now on Ctrl-C, a closed terminal and SIGTERM end all groups, and then this process, as one that could not finish.
///
/// # Errors
/// As the system says.
pub fn end_with_us() -> io::Result<()> {
    let (mut receiver, signals) = UnixStream::pair()?;
    for signal in [SIGINT, SIGHUP, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, signals.try_clone()?)?;
    }
    let watch = move || {
        if receiver.read_exact(&mut [0]).is_ok() {
            // It stays locked: nothing is started any more.
            let running = running();
            running.iter().for_each(|leader| kill("KILL", *leader));
            exit(2);
        }
    };
    thread::Builder::new().spawn(watch).map(|_| ())
}

/// Starts a process in a group of its own.
///
/// # Errors
/// As the system says.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut running = running();
    let child = command.process_group(0).spawn()?;
    running.push(child.id());
    Ok(child)
}

/// Sends a signal to all that a child has become.
pub fn signal(child: &Child, name: &str) {
    kill(name, child.id());
}

/// Waits for a child that has ended, or is about to. Its number may be another's soon.
pub fn bury(mut child: Child) {
    let _ = child.wait();
    running().retain(|leader| *leader != child.id());
}

fn running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kill(name: &str, leader: u32) {
    // The shell's own kill is everywhere; there is no safe call for it in the standard library.
    let line = format!("kill -s {name} -- -{leader}");
    let _ = Command::new("sh")
        .args(["-c", &line])
        .stderr(Stdio::null())
        .status();
}
