//! What this machine can run, and how to get what it cannot.
//!
//! ```text
//! let runtimes = Runtimes::find(None);
//! runtimes.node            // Some(Tool { version: "v20.20.2", ... })
//! runtimes.missing()       // [("uvloop", "package python3-uvloop, or pip install uvloop")]
//! ```

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program that answered to its name.
#[derive(Clone, Debug)]
pub struct Tool {
    pub path: PathBuf,
    pub version: String,
}

/// A CPython, and what it can import.
#[derive(Clone, Debug)]
pub struct Python {
    pub path: PathBuf,
    pub version: String,
    /// The version, as numbers that compare.
    pub number: (u32, u32),
    pub uvloop: Option<String>,
    pub mypy: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Runtimes {
    /// The one that `python3` means comes first, then the others by age.
    pub pythons: Vec<Python>,
    pub node: Option<Tool>,
    pub java: Option<Tool>,
    pub javac: Option<Tool>,
    pub tsc: Option<Tool>,
    pub mypy: Option<Tool>,
    pub strace: Option<Tool>,
    pub taskset: Option<Tool>,
    /// Redis or Valkey.
    pub redis: Option<Tool>,
    pub nats: Option<Tool>,
}

/// The first asyncio that the peers run on.
const OLDEST_PYTHON: (u32, u32) = (3, 8);

impl Runtimes {
    /// `python` stands in front of what is on the PATH.
    pub fn find(python: Option<&str>) -> Runtimes {
        Runtimes {
            pythons: pythons(python),
            node: tool("node", &["--version"]),
            java: tool("java", &["-version"]),
            javac: tool("javac", &["-version"]),
            tsc: tool("tsc", &["--version"]),
            mypy: tool("mypy", &["--version"]),
            strace: tool("strace", &["--version"]),
            taskset: tool("taskset", &["--version"]),
            redis: tool("redis-server", &["--version"])
                .or_else(|| tool("valkey-server", &["--version"])),
            nats: tool("nats-server", &["--version"]),
        }
    }

    pub fn python(&self) -> Option<&Python> {
        self.pythons.first()
    }

    /// The first that can import uvloop.
    pub fn uvloop_python(&self) -> Option<&Python> {
        self.pythons.iter().find(|python| python.uvloop.is_some())
    }

    /// A command that checks Python types: the program, or a Python's module.
    pub fn mypy_words(&self) -> Option<Vec<PathBuf>> {
        let module = || {
            let python = self.pythons.iter().find(|python| python.mypy.is_some())?;
            Some(vec![python.path.clone(), "-m".into(), "mypy".into()])
        };
        let program = self.mypy.as_ref().map(|tool| vec![tool.path.clone()]);
        program.or_else(module)
    }

    /// What is not here, and the package that has it on Debian and its kin.
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (self.pythons.is_empty(), "python3", "package python3"),
            (
                self.uvloop_python().is_none(),
                "uvloop",
                "package python3-uvloop, or uvloop in a venv named by --python",
            ),
            (
                self.mypy_words().is_none(),
                "mypy",
                "package mypy, or mypy in a venv named by --python",
            ),
            (self.node.is_none(), "node", "package nodejs"),
            (self.java.is_none(), "java", "package default-jre-headless"),
            (
                self.javac.is_none(),
                "javac",
                "package default-jdk-headless",
            ),
            (self.tsc.is_none(), "tsc", "package node-typescript"),
            (self.strace.is_none(), "strace", "package strace"),
            (self.taskset.is_none(), "taskset", "package util-linux"),
            (
                self.redis.is_none(),
                "Redis",
                "package redis-server or valkey-server",
            ),
            (self.nats.is_none(), "NATS", "package nats-server"),
        ];
        all.into_iter()
            .filter(|(missing, ..)| *missing)
            .map(|(_, name, package)| (name, package))
            .collect()
    }

    /// What is here: a name and a version.
    pub fn found(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for python in &self.pythons {
            let mut version = python.version.clone();
            for (module, has) in [("uvloop", &python.uvloop), ("mypy", &python.mypy)] {
                if let Some(has) = has {
                    version += &format!(", {module} {has}");
                }
            }
            found.push(("CPython".to_string(), version));
        }
        let tools = [
            ("Node", &self.node),
            ("Java", &self.java),
            ("javac", &self.javac),
            ("tsc", &self.tsc),
            ("mypy", &self.mypy),
            ("strace", &self.strace),
            ("Redis", &self.redis),
            ("NATS", &self.nats),
        ];
        for (name, tool) in tools {
            if let Some(tool) = tool {
                found.push((name.to_string(), tool.version.clone()));
            }
        }
        found
    }
}

/// The first line that a command says, wherever it says it.
fn first_line(mut command: Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().next().map(|line| line.trim().to_string())
}

fn tool(name: &str, version: &[&str]) -> Option<Tool> {
    let path = on_path(name)?;
    let mut command = Command::new(&path);
    command.args(version);
    let version = first_line(command)?;
    Some(Tool { path, version })
}

/// On the PATH or where Debian keeps servers; of Java, that of JAVA_HOME comes first.
fn on_path(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").filter(|_| name.starts_with("java"));
    let home = home.map(|home| PathBuf::from(home).join("bin"));
    let path = std::env::var_os("PATH")?;
    home.into_iter()
        .chain(std::env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// What a Python says of itself. Its own path, too: a name on the PATH may be
/// a script that takes a while to find it.
const ABOUT: &str = "
import importlib.util, platform, sys
def version(module):
    if importlib.util.find_spec(module) is None:
        return '-'
    from importlib.metadata import version
    return version(module)
assert platform.python_implementation() == 'CPython'
print(sys.executable, platform.python_version(), version('uvloop'), version('mypy'), sep='\\t')
";

fn pythons(named: Option<&str>) -> Vec<Python> {
    let mut names: Vec<PathBuf> = named.map(PathBuf::from).into_iter().collect();
    names.extend(on_path("python3"));
    names.extend((8..20).filter_map(|minor| on_path(&format!("python3.{minor}"))));
    names.extend(of_pyenv());
    let mut pythons: Vec<Python> = Vec::new();
    for python in names.into_iter().filter_map(about) {
        let known = |other: &Python| other.version == python.version;
        if python.number >= OLDEST_PYTHON && !pythons.iter().any(known) {
            pythons.push(python);
        }
    }
    pythons
}

/// pyenv keeps versions that its scripts on the PATH start only when chosen.
fn of_pyenv() -> Vec<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv"));
    let root = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(home);
    let versions = root.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let each = versions.into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = each
        .map(|version| version.path().join("bin/python3"))
        .collect();
    found.sort();
    found
}

fn about(path: PathBuf) -> Option<Python> {
    let mut command = Command::new(path);
    command.args(["-c", ABOUT]);
    let line = first_line(command)?;
    let fields: Vec<&str> = line.split('\t').collect();
    let [path, version, uvloop, mypy] = fields[..] else {
        return None;
    };
    let module = |version: &str| (version != "-").then(|| version.to_string());
    Some(Python {
        path: path.into(),
        version: version.to_string(),
        number: number(version)?,
        uvloop: module(uvloop),
        mypy: module(mypy),
    })
}

/// 3.11 of `3.11.7`.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(number("3.8.18"), Some((3, 8)));
        assert!(number("3.10.1") > number("3.9.18"));
        assert_eq!(number("three"), None);
    }

    #[test]
    fn whatever_is_missing_says_how_to_get_it() {
        let nothing = Runtimes::default();
        assert!(nothing.missing().len() >= 9);
        assert!(
            nothing
                .missing()
                .iter()
                .all(|(_, how)| how.contains("package"))
        );
    }
}
