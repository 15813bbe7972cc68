//! No server outlives this program, however it ends: `Drop` kills them where
//! it can; a signal or the time limit kills them here.
//!
//! ```text
//! guard::watch(directory)?;   // once
//! guard::enter(child.id());   // after each spawn
//! guard::leave(child.id());   // after its wait
//! ```

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// All measurements together take about a minute.
const LIMIT: Duration = Duration::from_secs(300);

/// Children that have not been waited for.
static ALIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Starts the thread that waits for a signal or the end of `LIMIT`; it then
/// also removes `directory`.
pub fn watch(directory: PathBuf) -> io::Result<()> {
    let (mut read_end, write_end) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, write_end.try_clone()?)?;
    }
    read_end.set_read_timeout(Some(LIMIT))?;
    thread::spawn(move || {
        // Holds the other end open: only a signal or the time ends the read.
        let _write_end = write_end;
        let signalled = read_end.read_exact(&mut [0]).is_ok();
        for &pid in ALIVE.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            kill(pid);
        }
        let _ = fs::remove_dir_all(directory);
        if !signalled {
            eprintln!("goals: not finished within {LIMIT:?}");
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

fn kill(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}
