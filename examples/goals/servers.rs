//! Real servers in a directory of their own: herd files with free ports,
//! processes that die with their handle, cores to pin them to.
//!
//! ```text
//! let herd = Herd::standard()?;
//! let clark = Start::new("Clark").pinned().run(&lab, &herd)?;
//! let client = Client::connect(clark.addr)?;
//! ```

use crate::{Result, guard};
use serde_json::json;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The course's five servers, and who talks to whom.
pub const NAMES: [&str; 5] = ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"];
pub const LINKS: [(&str, &str); 6] = [
    ("Clark", "Jaquez"),
    ("Clark", "Bona"),
    ("Campbell", "Bailey"),
    ("Campbell", "Bona"),
    ("Campbell", "Jaquez"),
    ("Bona", "Bailey"),
];

/// Where to find and how to place what is measured.
pub struct Lab {
    herd: PathBuf,
    load: PathBuf,
    /// Removed at the end, with the herd files and journals in it.
    pub directory: PathBuf,
    /// The servers' core, if there are two.
    core: Option<String>,
}

impl Lab {
    /// Finds the binaries and moves this process to a core of its own.
    pub fn new(binary: Option<String>) -> Result<Lab> {
        let examples = std::env::current_exe()?
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let herd = match binary {
            Some(path) => std::path::absolute(path)?,
            None => examples.with_file_name("herd"),
        };
        let load = examples.join("load");
        for needed in [&herd, &load] {
            if !needed.exists() {
                return Err(format!(
                    "{} is missing: cargo build --release --bins --examples",
                    needed.display()
                )
                .into());
            }
        }
        let cores = allowed_cores()?;
        let core = match cores.as_slice() {
            [servers, ours, ..] => {
                pin_ourselves(ours)?;
                Some(servers.clone())
            }
            _ => None,
        };
        let directory = std::env::temp_dir().join(format!("herd-goals-{}", std::process::id()));
        fs::create_dir(&directory)?;
        Ok(Lab {
            herd,
            load,
            directory,
            core,
        })
    }

    /// A command that runs the load generator against `addr`.
    pub fn load(&self, addr: SocketAddr) -> Command {
        let mut command = Command::new(&self.load);
        command.arg("--addr").arg(addr.to_string());
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The cores of `Cpus_allowed_list`, as in `0-1` or `2,4-7`.
fn allowed_cores() -> Result<Vec<String>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .ok_or("no Cpus_allowed_list in /proc/self/status")?;
    let mut cores = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend((first.parse::<u32>()?..=last.parse()?).map(|core| core.to_string()));
    }
    Ok(cores)
}

fn pin_ourselves(core: &str) -> Result<()> {
    let pid = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["--all-tasks", "--pid", "--cpu-list", core, &pid])
        .stdout(Stdio::null())
        .status()
        .map_err(|e| format!("taskset (of util-linux) is needed: {e}"))?;
    if !done.success() {
        return Err(format!("taskset cannot move us to core {core}").into());
    }
    Ok(())
}

/// Ten thousand connections take as many descriptors, here and in each
/// server, which inherits our limit.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Too low a limit shows when connecting.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// What a herd file says.
#[derive(Clone, Default)]
pub struct Herd {
    pub addrs: HashMap<String, SocketAddr>,
    pub links: Vec<(String, String)>,
}

impl Herd {
    /// A herd on free ports. They are all bound before the first is let go,
    /// so no two are the same.
    pub fn new(names: &[&str], links: &[(&str, &str)]) -> Result<Herd> {
        let listeners: Vec<TcpListener> = names
            .iter()
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<std::io::Result<_>>()?;
        let mut herd = Herd::default();
        for (name, listener) in names.iter().zip(&listeners) {
            herd.addrs.insert(name.to_string(), listener.local_addr()?);
        }
        for &(one, other) in links {
            herd.link(one, other);
        }
        Ok(herd)
    }

    /// The five of the course.
    pub fn standard() -> Result<Herd> {
        Herd::new(&NAMES, &LINKS)
    }

    pub fn link(&mut self, one: &str, other: &str) {
        self.links.push((one.to_string(), other.to_string()));
    }

    pub fn addr(&self, name: &str) -> SocketAddr {
        self.addrs[name]
    }

    fn save(&self, path: &Path) -> std::io::Result<()> {
        let servers: HashMap<_, _> = self
            .addrs
            .iter()
            .map(|(name, addr)| (name, addr.to_string()))
            .collect();
        let file = json!({ "servers": servers, "links": self.links });
        fs::write(path, file.to_string())
    }
}

/// How to start one server.
pub struct Start<'a> {
    name: &'a str,
    pinned: bool,
    journal: bool,
    straced: bool,
    args: &'a [&'a str],
}

impl<'a> Start<'a> {
    /// Without a journal, wherever the scheduler likes.
    pub fn new(name: &'a str) -> Start<'a> {
        Start {
            name,
            pinned: false,
            journal: false,
            straced: false,
            args: &[],
        }
    }

    /// On the servers' core, away from us.
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// With a journal, or not.
    pub fn journal(mut self, journal: bool) -> Self {
        self.journal = journal;
        self
    }

    /// Under `strace --summary-only`, whose table comes from `Server::traced`.
    pub fn straced(mut self) -> Self {
        self.straced = true;
        self
    }

    /// With more options.
    pub fn args(mut self, args: &'a [&'a str]) -> Self {
        self.args = args;
        self
    }

    /// Starts the server and returns when it listens.
    pub fn run(self, lab: &Lab, herd: &Herd) -> Result<Server> {
        let file = |ending| lab.directory.join(format!("{}.{ending}", self.name));
        let herd_file = file("json");
        herd.save(&herd_file)?;
        let mut command = self.under(lab);
        command.arg(self.name).arg("--herd").arg(herd_file);
        command.args(self.args);
        match self.journal {
            true => command.arg("--log").arg(file("log")),
            false => command.args(["--log", "none"]),
        };
        // It says nothing there but in trouble, and a tracer its summary.
        let stderr = match self.straced {
            true => Stdio::piped(),
            false => File::create(file("err"))?.into(),
        };
        let child = command
            .current_dir(&lab.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|e| format!("cannot run {:?}: {e}", command.get_program()))?;
        guard::enter(child.id());
        let server = Server {
            child,
            name: self.name.to_string(),
            addr: herd.addr(self.name),
            killed: false,
            stderr: file("err"),
            stdout: None,
        };
        server.listening()
    }

    /// The binary, under the programs that pin and trace it.
    fn under(&self, lab: &Lab) -> Command {
        let mut words: Vec<&str> = Vec::new();
        if let (true, Some(core)) = (self.pinned, &lab.core) {
            words.extend(["taskset", "--cpu-list", core]);
        }
        if self.straced {
            // The tracer as a grandchild: the child is the server itself.
            words.extend(["strace", "--daemonize", "--follow-forks", "--summary-only"]);
        }
        let Some((program, arguments)) = words.split_first() else {
            return Command::new(&lab.herd);
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(&lab.herd);
        command
    }
}

/// A running server, killed when this is dropped.
pub struct Server {
    child: Child,
    pub name: String,
    pub addr: SocketAddr,
    /// By us, not by itself.
    killed: bool,
    /// The file with its complaints.
    stderr: PathBuf,
    /// Held open: a server may print more.
    stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Waits for the line that says so.
    fn listening(mut self) -> Result<Server> {
        let mut stdout = BufReader::new(self.child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        self.stdout = Some(stdout);
        let expected = format!("{} listens on {}", self.name, self.addr);
        if line.trim_end() != expected {
            self.child.kill()?;
            self.child.wait()?;
            self.killed = true;
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            return Err(format!("expected {expected:?} on stdout, got {line:?}\n{said}").into());
        }
        Ok(self)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the server and returns what its tracer then has to say.
    pub fn traced(mut self) -> Result<String> {
        let mut summary = String::new();
        let stderr = self.child.stderr.take().ok_or("it is not traced")?;
        self.child.kill()?;
        self.killed = true;
        // Ends when the tracer, too, has closed it.
        BufReader::new(stderr).read_to_string(&mut summary)?;
        Ok(summary)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (false, Ok(Some(status))) = (self.killed, self.child.try_wait()) {
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            eprintln!("{} ended by itself, {status}:\n{said}", self.name);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        guard::leave(self.child.id());
    }
}
