//! A script that makes a small world, and does in it what it is told.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::common::TempDir;

/// One such world.
pub struct Script {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    directory: TempDir,
}

impl Script {
    /// Starts the script of this name under `unshare` with these options.
    pub fn start(name: &str, unshare: &[&str], herd: &str) -> Script {
        let directory = TempDir::new();
        std::fs::write(directory.path().join("herd.json"), herd).expect("a herd file");
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/outside/faults");
        let mut child = Command::new("unshare")
            // In a process namespace of its own: with its first process all others end.
            .args([
                "--map-root-user",
                "--pid",
                "--fork",
                "--mount-proc",
                "--kill-child",
            ])
            .args(unshare)
            .arg("bash")
            .arg(folder.join(name))
            .arg(env!("CARGO_BIN_EXE_herd"))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, which .ci/run installs");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut script = Script {
            child,
            input,
            output,
            directory,
        };
        assert_eq!(script.line(), "ready", "{name} did not start");
        script
    }

    /// Does what this line says; gives back what it answers.
    pub fn tell(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").expect("the script lives");
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_string()
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file there; empty if there is none yet.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory().join(name)).unwrap_or_default()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
