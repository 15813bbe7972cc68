//! A disk that stands still: whoever writes to it waits in the kernel, and no signal ends that. The
//! journal and the snapshots are on it, and nobody who asks notices.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Client, PATIENCE, TempDir, wait_until};

const UPDATES: usize = 10_000;

/// A small file system in a file, frozen or not. It is thawed and gone whatever happens.
struct Disk(PathBuf);

impl Disk {
    /// `None`: this machine lets us mount nothing.
    fn mount(directory: &Path) -> Option<Disk> {
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

    fn freeze(&self, how: &str) -> Result<(), String> {
        run("fsfreeze", &[how, text(&self.0)])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.freeze("--unfreeze");
        let _ = run("umount", &["--lazy", text(&self.0)]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
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
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
        println!("\n*** NOT TESTED: this machine lets us mount and freeze no file system ***\n");
        return;
    };
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address: SocketAddr = free.expect("a port");
    let herd = format!(r#"{{"servers": {{"Clark": "{address}"}}, "links": []}}"#);
    std::fs::write(directory.path().join("herd.json"), herd).expect("a herd file");
    let child = Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(["Clark", "--herd", "herd.json", "--log", "disk/Clark.log"])
        .args(["--snapshot", "disk/Clark.snapshot", "--snapshot-every", "1"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .spawn();
    let server = Server(child.expect("starts"));
    wait_until(PATIENCE, "it listens", || {
        std::net::TcpStream::connect(address).is_ok()
    });
    let mut client = Client::connect(address);
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
