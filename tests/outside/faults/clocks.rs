//! Row 19: the wall clock jumps. The loop's clock is another one.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::rounds;
use crate::common::{Client, Quiet, TempDir, UCLA, now, wait_for};

/// They wait most of the time; but on a busy machine, more would wait for each other.
const AT_ONCE: usize = 10;
/// How long a client may be silent.
const IDLE: Duration = Duration::from_secs(3);

struct Server {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

fn library() -> PathBuf {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let library = folders
        .iter()
        .map(|folder| PathBuf::from(folder).join("faketime/libfaketime.so.1"))
        .find(|path| path.exists());
    library.expect("libfaketime, which .ci/run installs")
}

impl Server {
    fn start(address: SocketAddr) -> Server {
        let directory = TempDir::new();
        let herd = format!(
            r#"{{"servers": {{"Clark": "{address}", "Gone": "127.0.0.1:1"}}, "links": [["Clark", "Gone"]]}}"#
        );
        fs::write(directory.path().join("herd.json"), herd).expect("a herd file");
        fs::write(directory.path().join("clock"), "+0").expect("a clock");
        let child = Command::new(env!("CARGO_BIN_EXE_herd"))
            .args(["Clark", "--herd", "herd.json", "--client-idle", "3"])
            .current_dir(directory.path())
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", directory.path().join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        Server {
            child,
            address,
            directory,
        }
    }

    fn jump(&self, to: &str) {
        // Renamed into place: it is read at every question.
        let fresh = self.directory.path().join("fresh");
        fs::write(&fresh, to).expect("a clock");
        fs::rename(fresh, self.directory.path().join("clock")).expect("a clock");
    }

    /// Our report's skew: its clock minus ours, in seconds.
    fn skew(&self, client: &mut Client) -> f64 {
        let answer = client.ask(format!("IAMAT clock {UCLA} {}\n", now()));
        let skew = answer.split(' ').nth(2).and_then(|skew| skew.parse().ok());
        skew.unwrap_or_else(|| panic!("no skew in {answer:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The clock jumps by `seconds` while a client is silent: it is closed when it would have been.
fn jump(seconds: i64, address: SocketAddr) {
    let server = Server::start(address);
    wait_for(Duration::from_secs(10), "it listens", || {
        std::net::TcpStream::connect(server.address).ok()
    });
    let mut client = Client::connect(server.address);
    // On a busy machine the answer may be read long after the server's patience began.
    let asked = Instant::now();
    assert!(server.skew(&mut client).abs() < 2.0, "before the jump");
    let silent = Instant::now();
    server.jump(&format!("{seconds:+}"));
    let mut other = Client::connect(server.address);
    let skew = server.skew(&mut other);
    assert!(
        (skew - seconds as f64).abs() < 2.0,
        "it jumped by {skew}, not {seconds}"
    );
    let (bytes, why) = client.rest();
    let (at_most, took) = (asked.elapsed(), silent.elapsed());
    assert_eq!(
        (bytes.as_slice(), why),
        (&b""[..], Quiet::Closed),
        "{seconds:+}"
    );
    assert!(at_most >= IDLE, "{seconds:+}: closed after {at_most:?}");
    assert!(
        took < IDLE + Duration::from_secs(2),
        "{seconds:+}: closed after {took:?}"
    );
    // The diallings to nobody go on as before: never more often than their back-off allows.
    let diallings = wait_for(Duration::from_secs(10), "diallings", || {
        let journal = fs::read_to_string(server.directory.path().join("Clark.log"));
        let journal = journal.expect("a journal");
        let count = journal.matches("peer Gone * no link").count();
        (count >= 2).then_some(count)
    });
    assert!(diallings < 40, "{seconds:+}: {diallings} diallings");
}

#[test]
fn no_timer_heeds_the_wall_clock() {
    let (hour, day) = (3_600, 86_400);
    let jumps = [
        hour,
        -hour,
        day,
        -day,
        30 * day,
        -30 * day,
        1,
        -1,
        365 * day,
        90,
    ];
    let rounds = rounds(jumps.len());
    let jumps: Vec<_> = jumps.iter().cycle().take(rounds).copied().collect();
    for some in jumps.chunks(AT_ONCE) {
        // All ports are found before any is used: or one server would get another's.
        let held: Vec<_> = some
            .iter()
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
            .collect();
        let address = |held: &TcpListener| held.local_addr().expect("its address");
        let addresses: Vec<SocketAddr> = held.iter().map(address).collect();
        drop(held);
        let threads: Vec<_> = some
            .iter()
            .zip(addresses)
            .map(|(&seconds, address)| thread::spawn(move || jump(seconds, address)))
            .collect();
        for thread in threads {
            thread.join().expect("no timer misfires");
        }
    }
    println!("{rounds} jumps; no timer heeded them");
}
