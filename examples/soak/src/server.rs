//! The server under test, and what it uses.

use std::error::Error;
use std::fs;
use std::time::Duration;

use lab::herd::Herd;
use lab::servers::{Lab, Server, Start};
use lab::usage::{self, Memory};

/// Starts a server of its own.
///
/// # Errors
/// It does not come up.
pub fn start(lab: &Lab) -> Result<Server, Box<dyn Error>> {
    let start = Start::new("Clark").journal(true);
    start
        .args(&["--max-log", "1000000"])
        .run(lab, &Herd::alone("Clark")?)
}

/// What the server holds and has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory of its own, in bytes.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Time on a core.
    pub cpu: Duration,
}

impl Usage {
    /// What it holds now.
    ///
    /// # Errors
    /// It has ended.
    pub fn of(server: &Server) -> Result<Usage, Box<dyn Error>> {
        let pid = server.pid();
        Ok(Usage {
            memory: Memory::of(pid)?.anonymous,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            cpu: Duration::from_nanos(usage::Usage::of(pid)?.cpu_ns),
        })
    }
}
