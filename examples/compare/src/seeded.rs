//! A copy of a peer's source in which a mistake can be made, compiled,
//! checked and run.

use crate::bench::Bench;
use crate::peers::{Peer, Platform, root};
use crate::writing::{copy_crates, copy_folder};
use lab::Result;
use lab::servers::Program;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a compiler, or what only parses, said.
#[derive(Debug, PartialEq, Eq)]
pub enum Compiled {
    Silent,
    Warned,
    Refused,
}

pub struct Workshop<'b> {
    bench: &'b Bench,
    platform: Platform,
    /// As they stand in the repository.
    sources: PathBuf,
    /// The copy of them.
    copy: PathBuf,
    /// Where the copy is compiled to, or the crate around it.
    directory: PathBuf,
    /// How the peer is started as it is.
    argv: Vec<OsString>,
    /// What the checker says without a mistake.
    usual: BTreeSet<String>,
}

impl<'b> Workshop<'b> {
    pub fn new(bench: &'b Bench, peer: &Peer, folder: &str) -> Result<Workshop<'b>> {
        let directory = bench.lab.directory.join(format!("mistakes-{}", peer.key));
        let mut workshop = Workshop {
            bench,
            platform: peer.platform,
            sources: root().join(folder),
            copy: directory.join("copy"),
            directory,
            argv: peer.program.argv.clone(),
            usual: BTreeSet::new(),
        };
        if peer.platform == Platform::Tokio {
            copy_crates(&workshop.directory)?;
            workshop.copy = workshop.directory.join("tokio_herd/src");
        }
        workshop.restore()?;
        let first = peer.sources.first().and_then(|path| path.file_name());
        let any = workshop.copy.join(first.ok_or("no sources")?);
        if workshop.compile(&any)? != Compiled::Silent {
            return Err("the peer as it is does not compile silently".into());
        }
        workshop.usual = workshop.complaints()?;
        Ok(workshop)
    }

    /// Without any mistake again.
    pub fn restore(&self) -> Result<()> {
        copy_folder(&self.sources, &self.copy)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.copy.join(file)
    }

    /// What stands between an editor and a run.
    pub fn compile(&self, changed: &Path) -> Result<Compiled> {
        let output = match self.platform {
            Platform::Python => {
                let python = self.bench.runtimes.python().ok_or("no python3")?;
                run(Command::new(&python.path)
                    .args(["-m", "py_compile"])
                    .arg(changed))?
            }
            Platform::Node => {
                let node = self.bench.runtimes.node.as_ref().ok_or("no node")?;
                run(Command::new(&node.path).arg("--check").arg(changed))?
            }
            Platform::Java => {
                let javac = self.bench.runtimes.javac.as_ref().ok_or("no javac")?;
                let mut command = Command::new(&javac.path);
                command
                    .arg("-d")
                    .arg(self.directory.join("classes"))
                    .args(sources(&self.copy, "java")?);
                run(&mut command)?
            }
            _ => {
                let mut command = Command::new("taskset");
                command.args([
                    "--cpu-list",
                    &self.bench.cores,
                    "cargo",
                    "build",
                    "--offline",
                    "--quiet",
                ]);
                command.current_dir(self.directory.join("tokio_herd"));
                run(command.env_remove("CARGO_TARGET_DIR"))?
            }
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let warned = self.platform == Platform::Tokio && said.contains("warning: unused");
        Ok(match (output.status.success(), warned) {
            (false, _) => Compiled::Refused,
            (true, true) => Compiled::Warned,
            (true, false) => Compiled::Silent,
        })
    }

    /// Whether a type checker says what it does not say of the peer as it is.
    pub fn checker_complains(&self) -> Result<bool> {
        Ok(self.complaints()?.difference(&self.usual).next().is_some())
    }

    fn complaints(&self) -> Result<BTreeSet<String>> {
        let output = match self.platform {
            Platform::Python => match self.bench.runtimes.mypy_words() {
                Some(words) => {
                    let mut command = Command::new(&words[0]);
                    command.args(&words[1..]).args([
                        "--strict",
                        "--no-error-summary",
                        "--no-color-output",
                    ]);
                    command
                        .args(["--cache-dir"])
                        .arg(self.directory.join("mypy"));
                    command
                        .current_dir(&self.copy)
                        .args(sources(&self.copy, "py")?);
                    Some(run(&mut command)?)
                }
                None => None,
            },
            Platform::Node => match &self.bench.runtimes.tsc {
                Some(tsc) => Some(run(&mut tsc_command(&tsc.path, &self.copy)?)?),
                None => None,
            },
            _ => None,
        };
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        Ok(said
            .unwrap_or_default()
            .lines()
            .map(without_places)
            .collect())
    }

    /// How the copy is started.
    pub fn program(&self) -> Program {
        let mut argv = self.argv.clone();
        match self.platform {
            Platform::Tokio => {
                let binary = self.directory.join("tokio_herd/target/debug/tokio_herd");
                argv[0] = binary.into_os_string();
            }
            Platform::Java => {
                for word in &mut argv {
                    if Path::new(word) == self.bench.lab.directory.join("classes") {
                        *word = self.directory.join("classes").into_os_string();
                    }
                }
            }
            _ => {
                for word in &mut argv {
                    if let Ok(inside) = Path::new(word).strip_prefix(&self.sources) {
                        *word = self.copy.join(inside).into_os_string();
                    }
                }
            }
        }
        Program::new("with a mistake", argv)
    }
}

/// A complaint without the numbers of its line: they move.
fn without_places(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn run(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null());
    let output = command.output();
    Ok(output.map_err(|error| format!("{:?}: {error}", command.get_program()))?)
}

fn sources(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// tsc as the peer's jsconfig.json wants it; with Node's own types, if they
/// stand beside it.
fn tsc_command(tsc: &Path, copy: &Path) -> Result<Command> {
    let mut command = Command::new(tsc);
    command.args([
        "--noEmit",
        "--pretty",
        "false",
        "--project",
        "jsconfig.json",
    ]);
    let program = fs::canonicalize(tsc)?;
    // node_modules/typescript/bin/tsc
    let modules = program.ancestors().nth(3).unwrap_or(Path::new("/"));
    let types = modules.join("@types");
    if types.join("node").is_dir() {
        command
            .arg("--typeRoots")
            .arg(&types)
            .args(["--types", "node"]);
    }
    command.current_dir(copy);
    Ok(command)
}
