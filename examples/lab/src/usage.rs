//! What a process has used so far, read from `/proc`: CPU time, context
//! switches, memory. A peer may work in several processes: those that it
//! started are counted with it.
//!
//! ```text
//! let before = Usage::of(pid)?;
//! ...
//! let used = Usage::of(pid)?.since(&before);
//! let memory = Memory::of(pid)?;
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::AddAssign;

/// CPU and context switches of all threads of a process and its children.
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
    pub fn of(pid: u32) -> io::Result<Usage> {
        let mut sum = Usage::of_one(pid)?;
        for child in descendants(pid) {
            // It may have ended since.
            sum += Usage::of_one(child).unwrap_or_default();
        }
        Ok(sum)
    }

    /// The threads' `schedstat` counts in nanoseconds, but only of those that
    /// live. The process's `stat` counts in ticks, also of those that ended:
    /// with a thread for each connection that is most of them. Neither says
    /// too much, so the greater counts. The switches of ended threads are lost.
    fn of_one(pid: u32) -> io::Result<Usage> {
        let mut sum = Usage::default();
        for task in tasks(pid)? {
            let of_task = || {
                let status = fs::read_to_string(format!("{task}/status"))?;
                Ok(Usage {
                    cpu_ns: first_number(&fs::read_to_string(format!("{task}/schedstat"))?)?,
                    voluntary: field(&status, "voluntary_ctxt_switches")?,
                    involuntary: field(&status, "nonvoluntary_ctxt_switches")?,
                })
            };
            if let Some(usage) = unless_ended(of_task())? {
                sum += usage;
            }
        }
        sum.cpu_ns = sum.cpu_ns.max(ticks(pid)? * NS_A_TICK);
        Ok(sum)
    }

    /// What was used between `earlier` and this reading. Ended threads may
    /// have taken some of it along.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
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

/// What a process and its children hold in memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What they have written to, without the pages of their programs:
    /// `RssAnon`.
    pub anonymous: u64,
    /// With those: `VmRSS`.
    pub resident: u64,
}

impl Memory {
    pub fn of(pid: u32) -> io::Result<Memory> {
        let mut sum = Memory::of_one(pid)?;
        for child in descendants(pid) {
            let memory = Memory::of_one(child).unwrap_or_default();
            sum.anonymous += memory.anonymous;
            sum.resident += memory.resident;
        }
        Ok(sum)
    }

    fn of_one(pid: u32) -> io::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Memory {
            anonymous: field(&status, "RssAnon")? * 1024,
            resident: field(&status, "VmRSS")? * 1024,
        })
    }
}

/// Linux counts a hundred ticks a second for its users, whatever its own are.
const NS_A_TICK: u64 = 10_000_000;

/// The user and system time of `/proc/PID/stat`, in ticks.
fn ticks(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; after it comes field 3.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let mut times = fields.split(' ').skip(14 - 3);
    let mut next = || first_number(times.next().unwrap_or_default());
    Ok(next()? + next()?)
}

/// The children of a process, their children ... as far as they can be read:
/// a kernel may be built without `children`, and any of them may end meanwhile.
fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for task in tasks(parent).unwrap_or_default() {
            let children = fs::read_to_string(format!("{task}/children")).unwrap_or_default();
            let pids = children.split_ascii_whitespace();
            parents.extend(pids.clone().filter_map(|pid| pid.parse::<u32>().ok()));
            found.extend(pids.filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    found
}

/// The directories of a process's threads.
fn tasks(pid: u32) -> io::Result<Vec<String>> {
    let all = format!("/proc/{pid}/task");
    fs::read_dir(&all)?
        .map(|task| Ok(format!("{all}/{}", task?.file_name().to_string_lossy())))
        .collect()
}

/// A thread may end between its listing and its reading.
fn unless_ended<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(e) => Err(e),
    }
}

/// "No such process", on Linux.
const ESRCH: i32 = 3;

/// The number after `name:` in the text of a `/proc/PID/status`.
fn field(status: &str, name: &str) -> io::Result<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn work_is_counted() {
        let us = std::process::id();
        let before = Usage::of(us).unwrap();
        let begun = Instant::now();
        let mut used = Usage::default();
        while used.cpu_ns < 20_000_000 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{used:?}");
            used = Usage::of(us).unwrap().since(&before);
        }
    }

    #[test]
    fn ended_threads_are_counted() {
        let us = std::process::id();
        let ended = std::thread::spawn(|| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(200) {}
        });
        let before = ticks(us).unwrap();
        ended.join().unwrap();
        // A core that others want may have given it a part of the time.
        assert!(ticks(us).unwrap() > before);
        assert!(Usage::of(us).unwrap().cpu_ns >= ticks(us).unwrap() * NS_A_TICK);
    }

    #[test]
    fn children_are_counted() {
        let us = std::process::id();
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let found = descendants(us).contains(&child.id());
        let alone = Memory::of_one(us).unwrap();
        let both = Memory::of(us).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
        assert!(both.resident > alone.resident);
    }

    #[test]
    fn a_process_that_has_ended_is_an_error() {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(Usage::of(child.id()).is_err());
        assert!(Memory::of(child.id()).is_err());
    }
}
