//! A place of its own for the storm: mounts, ports, processes and files that end with it.
//!
//! The test starts itself once more under `unshare`, as the first process of a namespace: whatever ends
//! it ends all servers and takes every mount away. It ends when its standard input does, so that it does
//! not outlive the test that started it either. Disks are thawed first: no signal ends a process that
//! waits for a frozen one.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::disks;
use crate::common::TempDir;

/// Says to the second process that it is the one inside.
const INSIDE: &str = "HERD_INSIDE";

/// Storms load the machine: one after the other.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `storm` inside, and fails as it does. `test` is the full name of the test that calls this.
pub fn inside(test: &str, storm: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_none() {
        return enter(test);
    }
    let folder = std::env::temp_dir();
    disks::run("mount", &["-t", "tmpfs", "herd", disks::text(&folder)])
        .expect("a folder of our own");
    // Nobody else takes the port of a server that is down.
    disks::run("ip", &["link", "set", "lo", "up"]).expect("ip, which .ci/run installs");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        disks::thaw_all();
        std::process::exit(1);
    });
    storm();
}

fn enter(test: &str) {
    const OURS: [&str; 6] = [
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
    ];
    let _alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = TempDir::new();
    let mut command = Command::new("unshare");
    command.args(OURS);
    // Root mounts more than one who only is root in a namespace: a file system that can be frozen.
    let tried = Command::new("unshare").args(OURS).arg("true").output();
    let tried = tried.expect("unshare, which .ci/run installs");
    if !tried.status.success() {
        command.arg("--map-root-user");
    }
    let mut child = command
        .arg(std::env::current_exe().expect("a test program has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("TMPDIR", directory.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("unshare");
    // Held until it has ended by itself: its end would be the end inside.
    let input = child.stdin.take();
    let status = child.wait().expect("it can be waited for");
    drop(input);
    assert!(status.success(), "{test}, inside: {status}");
}
