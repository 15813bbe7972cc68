//! No server outlives this program, however it ends: `Drop` kills them where
//! it can; a signal or the time limit kills them here.
//!
//! ```text
//! guard::watch(&lab, Duration::from_secs(300))?;   // once
//! guard::enter(child.id());                        // after each spawn
//! guard::leave(child.id());                        // after its wait
//! ```

use super::servers::Lab;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Children that have not been waited for.
static ALIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Between a word to end and a kill.
const GRACE: Duration = Duration::from_millis(500);

/// Starts the thread that waits for a signal or the end of `limit`; it then
/// also removes the lab's directory.
pub fn watch(lab: &Lab, limit: Duration) -> io::Result<()> {
    let directory = lab.directory.clone();
    let (mut read_end, write_end) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, write_end.try_clone()?)?;
    }
    read_end.set_read_timeout(Some(limit))?;
    thread::spawn(move || {
        // Holds the other end open: only a signal or the time ends the read.
        let _write_end = write_end;
        let signalled = read_end.read_exact(&mut [0]).is_ok();
        let alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
        // A checker has servers in groups of their own: told to end, it ends them.
        alive.iter().for_each(|&pid| send(pid, Signal::TERM));
        thread::sleep(GRACE);
        for &pid in alive.iter() {
            send(pid, Signal::KILL);
            kill_group(pid);
        }
        let _ = fs::remove_dir_all(directory);
        if !signalled {
            eprintln!("not finished within {limit:?}");
        }
        process::exit(2);
    });
    Ok(())
}

/// From now on `pid` is killed if we are.
pub fn enter(pid: u32) {
    ALIVE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(pid);
}

/// `pid` has been waited for: its number may belong to another process soon.
pub fn leave(pid: u32) {
    ALIVE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|&other| other != pid);
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// Kills the process that leads a group of its own, and with it those that it
/// started.
pub fn kill_group(leader: u32) {
    if let Some(leader) = Pid::from_raw(leader as i32) {
        let _ = kill_process_group(leader, Signal::KILL);
    }
}
