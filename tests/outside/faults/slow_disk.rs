//! A disk that takes its time: each sync of a snapshot does.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Client, TempDir, UCLA, wait_for, wait_until};
use herd::server::STOP_DEADLINE;
use rustix::process::{Pid, Signal, kill_process};

const RECORDS: usize = 2_500;

/// A server under strace, which does to its calls what `options` say.
struct Server {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    fn start(options: &[&str]) -> Server {
        let directory = TempDir::new();
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address: SocketAddr = free.expect("a port");
        let herd = format!(r#"{{"servers": {{"A": "{address}"}}, "links": []}}"#);
        fs::write(directory.path().join("herd.json"), herd).expect("a herd file");
        let child = Command::new("strace")
            .args(["-f", "-qqq", "-o", "calls"])
            .args(options)
            .arg(env!("CARGO_BIN_EXE_herd"))
            .args(["A", "--herd=herd.json", "--until-stdin-ends"])
            .args(["--snapshot=A.snapshot", "--snapshot-every=3600"])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("err")).expect("a file"))
            .spawn()
            .expect("strace, which .ci/run installs");
        Server {
            child,
            address,
            directory,
        }
    }

    /// Tells it of so many clients.
    fn fill(&self, records: usize) {
        let stream = wait_for(Duration::from_secs(10), "it listens", || {
            TcpStream::connect(self.address).ok()
        });
        let mut client = Client::on(stream);
        for number in 0..records {
            let id = format!("{number}{}", "x".repeat(4_000));
            client.ask(format!("IAMAT {id} {UCLA} 1621464827.5\n"));
        }
    }

    fn stop(&mut self) -> (ExitStatus, Duration) {
        drop(self.child.stdin.take());
        let begun = Instant::now();
        let status = self.child.wait().expect("it can be waited for");
        (status, begun.elapsed())
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    fn is_clean(&self) -> bool {
        unfinished(self.directory.path()) == 0
    }
}

fn unfinished(folder: &Path) -> usize {
    let files = fs::read_dir(folder).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name());
    let unfinished = names.filter(|name| name.to_string_lossy().ends_with(".new"));
    unfinished.count()
}

/// Four of them take longer than a server stops for other reasons, three not as long as it waits for a disk.
const SLOW: &str = "inject=fsync:delay_enter=1400000";

#[test]
fn a_slow_disk_gets_the_whole_snapshot() {
    let mut server = Server::start(&["-e", "trace=fsync", "-e", SLOW]);
    server.fill(RECORDS);
    let (status, took) = server.stop();
    assert!(status.success(), "{status} after {took:?}");
    assert!(took > STOP_DEADLINE, "the disk was not slow: {took:?}");
    let text = server.file("A.snapshot");
    assert!(text.ends_with(&format!(" end {RECORDS}\n")));
    assert!(server.is_clean());
    println!("{} bytes were safe {took:?} after the stop", text.len());
}

#[test]
fn a_snapshot_that_a_second_signal_cuts_short_is_taken_away() {
    let mut server = Server::start(&["-e", "trace=fsync", "-e", SLOW]);
    server.fill(RECORDS);
    let strace = Pid::from_child(&server.child).as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"));
    let pid = children.expect("a live process").trim().parse();
    let pid = Pid::from_raw(pid.expect("one child")).expect("no kernel");
    kill_process(pid, Signal::TERM).expect("ours");
    wait_until(Duration::from_secs(10), "a snapshot is begun", || {
        !server.is_clean()
    });
    kill_process(pid, Signal::TERM).expect("ours");
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(1), "{status}");
    let lost = "the one before still stands: a second signal cut it short";
    assert!(server.file("err").contains(lost), "{}", server.file("err"));
    assert_eq!(server.file("A.snapshot"), "", "half a snapshot counts");
}

/// A name given before the bytes are safe is the name of half a file once the power has failed; and
/// one that the folder has not kept is gone.
#[test]
fn the_disk_is_asked_for_each_step_in_order() {
    let mut server = Server::start(&["-y", "-e", "trace=fsync,rename,renameat,renameat2"]);
    server.fill(10);
    let (status, _) = server.stop();
    assert!(status.success(), "{status}");
    let calls = server.file("calls");
    let is_call = |line: &&str| !line.contains(" --- ");
    let calls: Vec<&str> = calls.lines().filter(is_call).collect();
    let [sync, rename, folder] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    let is_of = |call: &str, word: &str, end: &str| call.contains(word) && call.contains(end);
    assert!(is_of(sync, "fsync(", ".new>)"), "{sync}");
    assert!(is_of(rename, "rename", "A.snapshot\""), "{rename}");
    let place = format!("{}>)", server.directory.path().display());
    assert!(is_of(folder, "fsync(", &place), "{folder}");
}
