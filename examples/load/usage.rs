//! What a process has used so far, read from `/proc`: CPU time, context
//! switches, memory.
//!
//! ```text
//! let before = Usage::of(pid)?;
//! ...
//! let used = Usage::of(pid)?.since(&before);
//! ```

use std::fs;
use std::io;
use std::ops::AddAssign;

/// CPU and context switches of all threads of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Nanoseconds on a CPU, user and kernel together.
    pub cpu_ns: u64,
    /// Times it went to sleep, as in a poll with nothing ready.
    pub voluntary: u64,
    /// Times another process took its CPU.
    pub involuntary: u64,
}

impl Usage {
    /// Reads `/proc/PID/task/*/schedstat` and `status`. `schedstat` counts in
    /// nanoseconds; `stat` would count in ticks.
    pub fn of(pid: u32) -> io::Result<Usage> {
        let mut sum = Usage::default();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            let status = fs::read_to_string(task.join("status"))?;
            sum += Usage {
                cpu_ns: first_number(&fs::read_to_string(task.join("schedstat"))?)?,
                voluntary: field(&status, "voluntary_ctxt_switches")?,
                involuntary: field(&status, "nonvoluntary_ctxt_switches")?,
            };
        }
        Ok(sum)
    }

    /// What was used between `earlier` and this reading.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns - earlier.cpu_ns,
            voluntary: self.voluntary - earlier.voluntary,
            involuntary: self.involuntary - earlier.involuntary,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.cpu_ns += other.cpu_ns;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }
}

/// The number after `name:` in the text of a `/proc/PID/status`.
pub fn field(status: &str, name: &str) -> io::Result<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .ok_or_else(|| io::Error::other(format!("no {name} in /proc/PID/status")))
        .and_then(first_number)
}

fn first_number(text: &str) -> io::Result<u64> {
    text.split_ascii_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| io::Error::other(format!("expected a number in /proc, not {text:?}")))
}
