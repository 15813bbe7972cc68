//! A disk that stands still: whoever writes to it waits in the kernel, and no signal ends that. The
//! journal and the snapshots are on it, and nobody who asks notices.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Client, PATIENCE, TempDir, wait_until};
use herd::server::SNAPSHOT_STALL;

const UPDATES: usize = 10_000;

/// A small file system in a file, frozen or not. It is thawed and gone whatever happens.
pub struct Disk(PathBuf);

impl Disk {
    /// `None`: this machine lets us mount nothing.
    pub fn mount(directory: &Path) -> Option<Disk> {
        let (image, disk) = (directory.join("image"), directory.join("disk"));
        std::fs::create_dir(&disk).expect("a folder");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(64 << 20).expect("room");
        run("mkfs.ext4", &["-q", text(&image)]).expect("mkfs.ext4, which .ci/run installs");
        let mounted = run("mount", &["-o", "loop", text(&image), text(&disk)]);
        let disk = mounted.ok().map(|()| Disk(disk))?;
        disk.freeze("--freeze").ok()?;
        disk.freeze("--unfreeze").ok()?;
        Some(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `--freeze` or `--unfreeze`.
    pub fn freeze(&self, how: &str) -> Result<(), String> {
        run("fsfreeze", &[how, text(&self.0)])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.freeze("--unfreeze");
        let _ = run("umount", &["--lazy", text(&self.0)]);
    }
}

/// For a command line.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Runs a program to its end; why it failed, if it did.
pub fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// One server, on that disk with all it writes.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(directory: &Path, words: &[&str]) -> Server {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address: SocketAddr = free.expect("a port");
        let herd = format!(r#"{{"servers": {{"Clark": "{address}"}}, "links": []}}"#);
        std::fs::write(directory.join("herd.json"), herd).expect("a herd file");
        let err = std::fs::File::create(directory.join("err")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_herd"))
            .args(["Clark", "--herd", "herd.json", "--until-stdin-ends"])
            .args(["--snapshot", "disk/Clark.snapshot", "--snapshot-every", "1"])
            .args(words)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stderr(err)
            .spawn()
            .expect("starts");
        wait_until(PATIENCE, "it listens", || {
            std::net::TcpStream::connect(address).is_ok()
        });
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NOT_TESTED: &str =
    "\n*** NOT TESTED: this machine lets us mount and freeze no file system ***\n";

/// The ninety-ninth percentile of so many IAMATs, one after the other.
fn p99(client: &mut Client, round: usize) -> Duration {
    let mut took: Vec<_> = (0..UPDATES)
        .map(|number| {
            let begun = Instant::now();
            let at = client.ask(format!("IAMAT id{} +34-118 {round}\n", number % 100));
            assert!(at.starts_with("AT Clark "), "{at:?}");
            begun.elapsed()
        })
        .collect();
    took.sort();
    took[UPDATES * 99 / 100]
}

#[test]
fn a_disk_that_stands_still_holds_nobody_up() {
    let directory = TempDir::new();
    let Some(disk) = Disk::mount(directory.path()) else {
        return println!("{NOT_TESTED}");
    };
    let server = Server::start(directory.path(), &["--log", "disk/Clark.log"]);
    let mut client = Client::connect(server.address);
    let before = p99(&mut client, 1);
    disk.freeze("--freeze").expect("froze before");
    let frozen = p99(&mut client, 2);
    disk.freeze("--unfreeze").expect("thaws");
    let after = p99(&mut client, 3);
    println!("p99 of {UPDATES} IAMATs: {before:?}, on a frozen disk {frozen:?}, then {after:?}");
    assert!(frozen < 5 * before.max(after) + Duration::from_millis(2));
    let log = disk.0.join("Clark.log");
    wait_until(PATIENCE, "the journal has all of it", || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        [1, 2, 3].iter().all(|round| {
            let line = format!(" < IAMAT id99 +34-118 {round}\n");
            log.matches(&line).count() == UPDATES / 100
        })
    });
    drop(server);
}

/// It waits for a disk that gets on, and not for one that does not: what is lost is said.
#[test]
fn a_stop_ends_though_the_disk_stands_still() {
    let directory = TempDir::new();
    let Some(disk) = Disk::mount(directory.path()) else {
        return println!("{NOT_TESTED}");
    };
    let mut server = Server::start(directory.path(), &["--log", "none"]);
    disk.freeze("--freeze").expect("froze before");
    Client::connect(server.address).ask("IAMAT kiwi +34-118 1\n");
    drop(server.child.stdin.take());
    let lost = "the one before still stands: the disk takes nothing of it";
    let longest = SNAPSHOT_STALL + Duration::from_secs(5);
    wait_until(longest, "what is lost is said", || {
        let said = std::fs::read_to_string(directory.path().join("err"));
        said.is_ok_and(|said| said.contains(lost))
    });
    // The kernel lets nobody go who waits there.
    disk.freeze("--unfreeze").expect("thaws");
    let status = server.child.wait().expect("it can be waited for");
    assert_eq!(status.code(), Some(1), "{status}");
    drop(server);
}
