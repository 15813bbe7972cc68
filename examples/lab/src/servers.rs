//! Real servers in a directory of their own: ours or a peer's, pinned or not;
//! processes that die with their handle.
//!
//! ```text
//! let lab = Lab::new("goals", None)?;
//! let herd = Herd::standard()?;
//! let clark = Start::new("Clark").pinned().run(&lab, &herd)?;
//! let node = Program::new("Node", ["node", "/where/it/is/herd.mjs"]);
//! let bona = Start::new("Bona").program(&node).run(&lab, &herd)?;
//! let client = Client::connect(bona.addr)?;
//! ```

use super::herd::Herd;
use super::talk::PATIENCE;
use super::{Result, guard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

/// A herd server in some language. Its command line is `argv NAME --herd FILE
/// --log FILE|none ...`, and its first line on stdout, once it listens, `NAME
/// listens on HOST:PORT`.
#[derive(Clone, Debug)]
pub struct Program {
    /// What reports call it.
    pub name: String,
    /// The words before the server's name. It runs in the lab's directory:
    /// paths are absolute.
    pub argv: Vec<OsString>,
    /// Variables added to our environment.
    pub env: Vec<(OsString, OsString)>,
}

impl Program {
    pub fn new<W: Into<OsString>>(name: &str, argv: impl IntoIterator<Item = W>) -> Program {
        Program {
            name: name.to_string(),
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
        }
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Program {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// Where to find and how to place what is measured.
pub struct Lab {
    /// Our server, which `Start` starts unless it is told another.
    pub ours: Program,
    /// Where cargo puts binaries; examples are in a folder of it.
    profile: PathBuf,
    /// Removed at the end, with the herd files and journals in it.
    pub directory: PathBuf,
    /// The servers' core, once we have gone to another.
    core: Option<String>,
}

impl Lab {
    /// A lab of the program `name`, with our release binary or another.
    pub fn new(name: &str, binary: Option<String>) -> Result<Lab> {
        let profile = std::env::current_exe()?
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let herd = match binary {
            Some(path) => std::path::absolute(path)?,
            None => profile.join("herd"),
        };
        let directory = std::env::temp_dir().join(format!("herd-{name}-{}", std::process::id()));
        fs::create_dir(&directory)?;
        Ok(Lab {
            ours: Program::new("herd", [existing(herd)?]),
            profile,
            directory,
            core: None,
        })
    }

    /// Moves this process to a core of its own, if there are two: pinned
    /// servers get the other.
    pub fn on_own_core(mut self) -> Result<Lab> {
        if let [servers, ours, ..] = allowed_cores()?.as_slice() {
            pin_ourselves(ours)?;
            self.core = Some(servers.clone());
        }
        Ok(self)
    }

    /// An example of the package.
    pub fn example(&self, name: &str) -> Result<PathBuf> {
        existing(self.profile.join("examples").join(name))
    }

    /// Another tool, beside the one that runs.
    pub fn tool(&self, name: &str) -> Result<PathBuf> {
        existing(self.profile.join(name))
    }

    /// A command that runs a program of others on the servers' core.
    pub fn beside(&self, program: &str) -> Command {
        match &self.core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", core, program]);
                command
            }
            None => Command::new(program),
        }
    }

    /// A command that runs the load generator against `addr`.
    pub fn load(&self, addr: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.tool("load")?);
        command.arg("--addr").arg(addr.to_string());
        Ok(command)
    }
}

fn existing(program: PathBuf) -> Result<PathBuf> {
    match program.exists() {
        true => Ok(program),
        false => Err(format!(
            "{} is missing: cargo build --release --workspace --bins --examples",
            program.display()
        )
        .into()),
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

/// How to start one server.
pub struct Start<'a> {
    name: &'a str,
    program: Option<&'a Program>,
    pinned: bool,
    journal: bool,
    straced: bool,
    args: &'a [&'a str],
}

impl<'a> Start<'a> {
    /// Ours, without a journal, wherever the scheduler likes.
    pub fn new(name: &'a str) -> Start<'a> {
        Start {
            name,
            program: None,
            pinned: false,
            journal: false,
            straced: false,
            args: &[],
        }
    }

    /// Of this program instead of ours.
    pub fn program(mut self, program: &'a Program) -> Self {
        self.program = Some(program);
        self
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
        let program = self.program.unwrap_or(&lab.ours);
        let mut command = self.under(lab, program)?;
        command.envs(program.env.iter().map(|(name, value)| (name, value)));
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
            // A group of its own: whom it starts can be killed with it.
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot run {:?}: {e}", command.get_program()))?;
        guard::enter(child.id());
        let server = Server {
            child,
            name: self.name.to_string(),
            addr: herd.addr(self.name),
            end_told: false,
            stderr: file("err"),
            stdout: None,
        };
        server.listening()
    }

    /// The program, under those that pin and trace it.
    fn under(&self, lab: &Lab, program: &Program) -> Result<Command> {
        let mut words: Vec<OsString> = Vec::new();
        if let (true, Some(core)) = (self.pinned, &lab.core) {
            words.extend(["taskset", "--cpu-list", core].map(OsString::from));
        }
        if self.straced {
            // The tracer as a grandchild: the child is the server itself.
            let tracer = ["strace", "--daemonize", "--follow-forks", "--summary-only"];
            words.extend(tracer.map(OsString::from));
        }
        words.extend(program.argv.iter().cloned());
        let (first, rest) = words.split_first().ok_or("a program without words")?;
        let mut command = Command::new(first);
        command.args(rest);
        Ok(command)
    }
}

/// A running server, killed when this is dropped.
pub struct Server {
    child: Child,
    pub name: String,
    pub addr: SocketAddr,
    /// An error has already said that it ended.
    end_told: bool,
    /// The file with its complaints.
    stderr: PathBuf,
    /// Held open: a server may print more.
    stdout: Option<ChildStdout>,
}

impl Server {
    /// Waits for the line that says so.
    fn listening(mut self) -> Result<Server> {
        let mut stdout = self.child.stdout.take().ok_or("stdout is piped")?;
        let line = first_line(&mut stdout)?;
        self.stdout = Some(stdout);
        let expected = format!("{} listens on {}", self.name, self.addr);
        if line != expected {
            self.end_told = true;
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            return Err(format!("expected {expected:?} on stdout, got {line:?}\n{said}").into());
        }
        Ok(self)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// False if it has ended by itself.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the server and returns what its tracer then has to say.
    pub fn traced(mut self) -> Result<String> {
        let mut summary = String::new();
        let stderr = self.child.stderr.take().ok_or("it is not traced")?;
        // It alone: the tracer is of its group.
        self.child.kill()?;
        // Ends when the tracer, too, has closed it.
        BufReader::new(stderr).read_to_string(&mut summary)?;
        Ok(summary)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        guard::kill_group(self.child.id());
        let by_us = |status: &ExitStatus| status.signal() == Some(Signal::KILL.as_raw());
        if let Ok(status) = self.child.wait()
            && !by_us(&status)
            && !self.end_told
        {
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            eprintln!("{} ended by itself, {status}:\n{said}", self.name);
        }
        guard::leave(self.child.id());
    }
}

/// The first line, without its LF; what there is of it if it does not come.
fn first_line(stdout: &mut ChildStdout) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut ready = [PollFd::new(stdout, PollFlags::IN)];
        if poll(&mut ready, Some(&Timespec::try_from(left)?))? == 0 {
            break;
        }
        // Byte by byte: what follows is not ours.
        let mut byte = [0];
        if stdout.read(&mut byte)? == 0 {
            break;
        }
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_string())
}
