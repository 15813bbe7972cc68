//! The programs: ours, Redis or Valkey, nats-server; each by itself on the
//! servers' core, with its journal in a directory of its own.
//!
//! ```text
//! let (kinds, missing) = Kind::found(&bench.runtimes);
//! let guest = Guest::start(&bench, &kinds[0])?;
//! guest.journal_bytes()
//! ```

use super::wire::Wire;
use crate::bench::Bench;
use crate::runtimes::{Runtimes, Tool};
use lab::herd::Herd;
use lab::servers::{Server, Start};
use lab::talk::PATIENCE;
use lab::usage::Memory;
use lab::{Result, guard};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A journal that has not grown for so long is written: Redis takes a turn of its loop, ours 20 ms.
const STILL: Duration = Duration::from_millis(200);

pub enum Kind {
    Ours,
    Redis(Tool),
    Nats(Tool),
}

impl Kind {
    /// Those that are here, ours first, and what to say of the others.
    pub fn found(runtimes: &Runtimes) -> (Vec<Kind>, Vec<String>) {
        let mut kinds = vec![Kind::Ours];
        let mut missing = Vec::new();
        match &runtimes.redis {
            Some(tool) => kinds.push(Kind::Redis(tool.clone())),
            None => missing.push("Neither redis-server nor valkey-server is here.".to_string()),
        }
        match &runtimes.nats {
            Some(tool) => kinds.push(Kind::Nats(tool.clone())),
            None => missing.push("No nats-server is here.".to_string()),
        }
        (kinds, missing)
    }

    pub fn label(&self) -> &'static str {
        match self {
            Kind::Ours => "herd (mio)",
            Kind::Redis(tool) if tool.path.ends_with("valkey-server") => "Valkey",
            Kind::Redis(_) => "Redis",
            Kind::Nats(_) => "NATS KV",
        }
    }

    pub fn wire(&self) -> Wire {
        match self {
            Kind::Ours => Wire::Herd,
            Kind::Redis(_) => Wire::Resp,
            Kind::Nats(_) => Wire::Nats,
        }
    }

    /// What it gives that ours does not, and the reverse.
    pub fn exchange(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Kind::Ours => None,
            Kind::Redis(_) => Some((
                "Who is near whom (GEOSEARCH); any other data; expiry, transactions, scripts; replicas that \
                 take over; clients in every language.",
                "Every server takes reports and passes them on, and all end with the newest by the client's own \
                 clock: there is no primary. Places near a client without another service. A link that comes \
                 back catches up by itself.",
            )),
            Kind::Nats(_) => Some((
                "Watchers that hear of each change; history and revisions; a Raft group that has stored a put when \
                 it acknowledges it; accounts.",
                "Every server answers and takes reports without a quorum, in a herd that is cut in two as well. \
                 Places near a client.",
            )),
        }
    }
}

pub struct Guest {
    process: Process,
    /// A file, or a directory of them.
    journal: PathBuf,
}

enum Process {
    Ours(Server),
    Theirs(Theirs),
}

/// Killed when this is dropped.
struct Theirs {
    child: Child,
    addr: SocketAddr,
}

impl Guest {
    pub fn start(bench: &Bench, kind: &Kind) -> Result<Guest> {
        let directory = bench.lab.directory.join("instead");
        let journal = match kind {
            Kind::Ours => bench.lab.directory.join("Clark.log"),
            _ => directory.clone(),
        };
        // What the round before left.
        let _ = fs::remove_dir_all(&directory);
        let _ = fs::remove_file(&journal);
        fs::create_dir(&directory)?;
        let process = match kind {
            Kind::Ours => {
                let start = Start::new("Clark").pinned().journal(true);
                let start = start.args(&["--places", "offline"]);
                Process::Ours(start.run(&bench.lab, &Herd::alone("Clark")?)?)
            }
            Kind::Redis(tool) => {
                let words = ["--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""];
                Process::Theirs(Theirs::start(
                    bench, tool, &directory, "--port", "--dir", &words,
                )?)
            }
            Kind::Nats(tool) => {
                let words = ["--addr", "127.0.0.1", "--jetstream"];
                let start = Theirs::start(bench, tool, &directory, "--port", "--store_dir", &words);
                Process::Theirs(start?)
            }
        };
        Ok(Guest { process, journal })
    }

    pub fn addr(&self) -> SocketAddr {
        match &self.process {
            Process::Ours(server) => server.addr,
            Process::Theirs(theirs) => theirs.addr,
        }
    }

    pub fn pid(&self) -> u32 {
        match &self.process {
            Process::Ours(server) => server.pid(),
            Process::Theirs(theirs) => theirs.child.id(),
        }
    }

    pub fn memory(&self) -> Result<u64> {
        Ok(Memory::of(self.pid())?.anonymous)
    }

    /// Once it no longer grows: it is written beside the answers.
    pub fn journal_bytes(&self) -> u64 {
        let mut seen = size(&self.journal);
        loop {
            thread::sleep(STILL);
            let now = size(&self.journal);
            if now == seen {
                return now;
            }
            seen = now;
        }
    }
}

/// Of a file, or of all below a directory. One may go while we look.
fn size(path: &Path) -> u64 {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| size(&entry.path())).sum()
        }
        Ok(about) => about.len(),
        Err(_) => 0,
    }
}

impl Theirs {
    fn start(
        bench: &Bench,
        tool: &Tool,
        directory: &Path,
        port: &str,
        store: &str,
        words: &[&str],
    ) -> Result<Theirs> {
        let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = bench.lab.beside(&tool.path.display().to_string());
        command.args([port, &addr.port().to_string(), store]);
        command.arg(directory).args(words);
        let child = command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", tool.path.display()))?;
        guard::enter(child.id());
        let theirs = Theirs { child, addr };
        theirs.listening()
    }

    fn listening(mut self) -> Result<Theirs> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.addr).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended at once, {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("it does not listen after {PATIENCE:?}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(self)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        guard::leave(self.child.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(path: &str) -> Tool {
        Tool {
            path: path.into(),
            version: "1".into(),
        }
    }

    #[test]
    fn who_is_absent_is_told_of_and_no_error() {
        let (kinds, missing) = Kind::found(&Runtimes::default());
        assert_eq!((kinds.len(), missing.len()), (1, 2));
        let all = Runtimes {
            redis: Some(tool("/usr/bin/valkey-server")),
            nats: Some(tool("/usr/sbin/nats-server")),
            ..Runtimes::default()
        };
        let (kinds, missing) = Kind::found(&all);
        let labels: Vec<&str> = kinds.iter().map(Kind::label).collect();
        assert_eq!(labels, ["herd (mio)", "Valkey", "NATS KV"]);
        assert!(missing.is_empty());
    }

    #[test]
    fn a_journal_is_as_large_as_its_files() {
        let root = std::env::temp_dir().join(format!("herd-size-{}", std::process::id()));
        fs::create_dir_all(root.join("below")).unwrap();
        fs::write(root.join("one"), "12345").unwrap();
        fs::write(root.join("below/two"), "123").unwrap();
        let sizes = [root.clone(), root.join("one"), root.join("none")].map(|path| size(&path));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(sizes, [8, 5, 0]);
    }
}
