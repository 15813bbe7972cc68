//! The server under test, and what it uses.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server of its own, in a folder of its own. It ends with its value, or with this process.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    folder: PathBuf,
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

impl Server {
    /// Starts it and waits until it listens.
    pub fn start(name: &str) -> Result<Server, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("herd-soak-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let herd = format!(r#"{{"servers": {{"Clark": "{address}"}}, "links": []}}"#);
        fs::write(folder.join("herd.json"), herd)?;
        let program = std::env::current_exe()?;
        let program = program.parent().and_then(|path| path.parent());
        let program = program
            .ok_or("examples lie beside the program")?
            .join("herd");
        let mut child = Command::new(&program)
            .args([
                "Clark",
                "--herd",
                "herd.json",
                "--until-stdin-ends",
                "--max-log",
                "1000000",
            ])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!(
                    "{}: {error} (cargo build --release --bins)",
                    program.display()
                )
            })?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if !line.contains("listens on") {
            return Err(format!("it said {line:?}").into());
        }
        Ok(Server {
            child,
            address,
            folder,
        })
    }

    /// What it holds now.
    pub fn usage(&self) -> Result<Usage, Box<dyn Error>> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(process.join("status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.and_then(|rest| rest.trim().split(' ').next());
        let kilobytes: u64 = kilobytes.ok_or("no RssAnon")?.parse()?;
        let schedule = fs::read_to_string(process.join("schedstat"))?;
        let nanos: u64 = schedule.split(' ').next().unwrap_or_default().parse()?;
        Ok(Usage {
            memory: kilobytes * 1024,
            descriptors: fs::read_dir(process.join("fd"))?.count(),
            cpu: Duration::from_nanos(nanos),
        })
    }

    /// True if it has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
