//! The last snapshot of a server that stops, on a disk that takes a piece each fifth of a second.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Client, TempDir, UCLA, wait_for};
use herd::server::STOP_DEADLINE;

const RECORDS: usize = 2_500;

#[test]
fn a_slow_disk_gets_the_whole_snapshot() {
    let directory = TempDir::new();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address: SocketAddr = free.expect("a port");
    let herd = format!(r#"{{"servers": {{"A": "{address}"}}, "links": []}}"#);
    fs::write(directory.path().join("herd.json"), herd).expect("a herd file");
    let beside = directory.path().join("A.snapshot.new");
    let mut child = Command::new("strace")
        .args(["-f", "-qqq", "-o", "/dev/null", "-e", "trace=write", "-P"])
        .arg(&beside)
        .args(["-e", "inject=write:delay_enter=200000"])
        .arg(env!("CARGO_BIN_EXE_herd"))
        .args(["A", "--herd=herd.json", "--log=none", "--until-stdin-ends"])
        .args(["--snapshot=A.snapshot", "--snapshot-every=3600"])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("strace, which .ci/run installs");
    let stream = wait_for(Duration::from_secs(10), "it listens", || {
        TcpStream::connect(address).ok()
    });
    let mut client = Client::on(stream);
    for number in 0..RECORDS {
        let id = format!("{number}{}", "x".repeat(4_000));
        client.ask(format!("IAMAT {id} {UCLA} 1621464827.5\n"));
    }
    drop((client, child.stdin.take()));
    let begun = Instant::now();
    let status = child.wait().expect("it can be waited for");
    let took = begun.elapsed();
    assert!(status.success(), "{status} after {took:?}");
    assert!(took > STOP_DEADLINE, "the disk was not slow: {took:?}");
    let text = fs::read_to_string(directory.path().join("A.snapshot")).expect("a snapshot");
    assert!(text.ends_with(&format!(" end {RECORDS}\n")));
    assert!(!beside.exists());
    println!("{} bytes were safe {took:?} after the stop", text.len());
}
