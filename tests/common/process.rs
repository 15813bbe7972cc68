//! One process of the program, and a directory for what it leaves.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::unique;

/// How long a server may take to start or to stop, on a busy machine.
pub const LIFE: Duration = Duration::from_secs(10);

/// Where a server looks for its key.
const KEY_VARIABLE: &str = "GOOGLE_PLACES_API_KEY";

/// A directory that goes away with its value.
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes one that nobody else has.
    pub fn new() -> TempDir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("herd-test-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return TempDir(path),
                // A killed run with our process number has left its own.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts server A of `herd.json` so that none of its files grows beyond so many blocks of 512
/// bytes: to a program, that is a full disk. It ends when its standard input does.
pub fn on_a_full_disk(directory: &Path, blocks: u32, args: &[&str]) -> (Child, SocketAddr) {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.expect("a free port");
    let herd = format!(r#"{{"servers": {{"A": "{address}"}}, "links": []}}"#);
    fs::write(directory.join("herd.json"), herd).expect("a herd file");
    let script = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@""#);
    let mut child = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_herd"), "A"])
        .args(["--herd=herd.json", "--log=none", "--until-stdin-ends"])
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    super::wait_until(LIFE, "it listens", || {
        let ended = child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "{ended:?}");
        TcpStream::connect(address).is_ok()
    });
    (child, address)
}

/// Makes a pipe with a name.
pub fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo works");
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Exit {
    /// Its status, if it ended by itself.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// Runs the program to its end, for uses that end by themselves.
pub fn run_herd(directory: &Path, args: &[&str]) -> Exit {
    let out = directory.join(unique("run.out"));
    let err = directory.join(unique("run.err"));
    let mut child = spawn(directory, args, None, &out, &err);
    let status = wait_for_exit(&mut child, LIFE).unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("herd {args:?} did not end; {:?}", read_text(&out));
    });
    Exit {
        code: status.code(),
        stdout: read_text(&out),
        stderr: read_text(&err),
    }
}

/// Output goes to files: nothing blocks a child that talks much, and a test
/// can look at any time at what it has said.
pub fn spawn(directory: &Path, args: &[&str], key: Option<&str>, out: &Path, err: &Path) -> Child {
    // A peer in another language may take the program's place: the cases are the same for all.
    let program = std::env::var("HERD_PROGRAM");
    let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_herd").to_string());
    let mut words = program.split_whitespace();
    // A key of the person who runs the tests is none of their business.
    Command::new(words.next().expect("HERD_PROGRAM names a program"))
        .args(words)
        .env_remove(KEY_VARIABLE)
        .envs(key.map(|key| (KEY_VARIABLE, key)))
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(File::create(out).expect("a file for the output"))
        .stderr(File::create(err).expect("a file for the complaints"))
        .spawn()
        .expect("the herd program starts")
}

/// Waits for a process to end by itself.
pub fn wait_for_exit(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let until = std::time::Instant::now() + within;
    loop {
        let ended = child.try_wait().expect("a child can be asked");
        if ended.is_some() || std::time::Instant::now() >= until {
            return ended;
        }
        std::thread::sleep(super::GLANCE);
    }
}

/// A file's text; a file that is not there yet is empty.
pub fn read_text(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| super::latin1(&bytes))
        .unwrap_or_default()
}

/// An example. `cargo test` builds them too, beside the directory of the tests.
pub fn example(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("a test program has a path");
    let profile = me.ancestors().nth(2).expect("it stands in target/*/deps");
    let program = profile.join(format!("examples/{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "no {}: run `cargo build --example {name}`, in the profile of the tests",
        program.display()
    );
    program
}
