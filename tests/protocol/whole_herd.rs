//! `herd --all`: five processes that start, stop and are started again together.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::sockets::holders;
use crate::common::{Client, PATIENCE, TempDir, fifo, iamat, run_herd, wait_for, wait_until};
use rustix::process::{Pid, Signal};

/// Within what time a server that is asked to stop has stopped.
const STOP: Duration = Duration::from_secs(6);

/// The addresses stand in the table, and questions get answers.
#[test]
fn all_starts_a_whole_herd_and_stops_it() {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut whole, addresses) = all_of_them(&[]);
        for address in &addresses {
            let mut client = Client::connect(address.parse().expect("an address"));
            assert_eq!(client.ask("hello\n"), "? hello\n");
        }
        rustix::process::kill_process(whole.pid, signal).expect("a signal");
        let status = whole.child.wait().expect("it can be waited for");
        assert_eq!(status.code(), Some(0), "after {signal:?}: {status}");
        for address in &addresses {
            assert!(
                TcpStream::connect(address).is_err(),
                "{address} still listens"
            );
        }
    }
}

#[test]
fn all_leaves_nobody_behind_when_it_is_killed() {
    let (mut whole, addresses) = all_of_them(&[]);
    whole.child.kill().expect("kill -9");
    whole.child.wait().expect("it can be waited for");
    for address in &addresses {
        let what = format!("nobody listens on {address}");
        wait_until(STOP, &what, || TcpStream::connect(address).is_err());
    }
}

/// A program that is asked to stop at the latest when the test ends.
struct Running {
    child: Child,
    pid: Pid,
    /// Kept for as long as the program runs in it.
    directory: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process(self.pid, Signal::INT);
            let _ = self.child.wait();
        }
    }
}

impl Running {
    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("all.out")).unwrap_or_default()
    }
}

/// Starts it and waits until it has introduced itself.
fn all_of_them(words: &[&str]) -> (Running, Vec<String>) {
    let (directory, addresses) = five_addresses();
    let out = directory.path().join("all.out");
    let child = Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(["--all", "--herd", "herd.json"])
        .args(words)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).expect("a file for the output"))
        .spawn()
        .expect("the herd program starts");
    let pid = Pid::from_child(&child);
    let whole = Running {
        child,
        pid,
        directory,
    };
    let said = || fs::read_to_string(&out).unwrap_or_default();
    wait_until(PATIENCE, "three lines to paste are printed", || {
        said().lines().filter(|line| line.contains("nc ")).count() == 3
    });
    for (name, address) in crate::common::NAMES.iter().zip(&addresses) {
        let listed = said()
            .lines()
            .any(|line| line.contains(name) && line.contains(address));
        assert!(listed, "{name} and {address} in {:?}", said());
    }
    (whole, addresses)
}

/// A herd file with five free ports, and their addresses in the order of names.
fn five_addresses() -> (TempDir, Vec<String>) {
    let directory = TempDir::new();
    let held = crate::common::NAMES.map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let addresses: Vec<String> = held
        .iter()
        .map(|held| held.local_addr().expect("its address").to_string())
        .collect();
    let servers: std::collections::BTreeMap<_, _> =
        crate::common::NAMES.iter().zip(&addresses).collect();
    let file = serde_json::json!({"servers": servers, "links": crate::common::LINKS});
    fs::write(directory.path().join("herd.json"), file.to_string()).expect("a herd file");
    (directory, addresses)
}

/// The process that listens at this address, and has this name in its arguments.
fn process_of(parent: Pid, name: &str) -> Pid {
    let parent = parent.as_raw_nonzero();
    let children = format!("/proc/{parent}/task/{parent}/children");
    let find = || {
        let children = fs::read_to_string(&children).expect("a live process");
        children.split_whitespace().find_map(|pid| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let is_it = words.split(|&byte| byte == 0).nth(1) == Some(name.as_bytes());
            is_it.then(|| Pid::from_raw(pid.parse().expect("a number")).expect("no kernel"))
        })
    };
    wait_for(PATIENCE, name, find)
}

#[test]
fn a_server_that_ends_is_started_again_and_later_each_time() {
    let (whole, addresses) = all_of_them(&[]);
    let bona: std::net::SocketAddr = addresses[1].parse().expect("an address");
    for (round, seconds) in [(1, 1), (2, 2)] {
        rustix::process::kill_process(process_of(whole.pid, "Bona"), Signal::KILL).expect("ours");
        wait_until(PATIENCE, "its end is said", || {
            whole.said().matches("Bona has ended (signal: 9").count() == round
        });
        assert!(
            whole
                .said()
                .contains(&format!("it is started again in {seconds} s."))
        );
        wait_until(PATIENCE, "it is said to listen", || {
            whole.said().matches("Bona listens on ").count() == round
        });
        assert_eq!(Client::connect(bona).ask("hello\n"), "? hello\n");
    }
}

/// As `lsof -ti:PORT | xargs kill -9` does it.
#[test]
fn with_short_links_killing_by_port_ends_one_of_them() {
    let (whole, addresses) = all_of_them(&["--short-links"]);
    let [bailey, bona, ..] = &addresses[..] else {
        panic!("five addresses");
    };
    let bona: SocketAddr = bona.parse().expect("an address");
    let bailey = bailey.parse().expect("an address");
    let at = Client::connect(bailey).ask(iamat("kiwi"));
    let knows = || {
        let mut client = Client::connect(bona);
        let answer = client.send("WHATSAT kiwi 1 0\n").whatsat_or_refusal();
        answer.is_some_and(|answer| answer.at == at)
    };
    wait_until(PATIENCE, "Bona knows", knows);
    let process = process_of(whole.pid, "Bona");
    let its = [process.as_raw_nonzero().get()];
    wait_until(PATIENCE, "Bona alone has sockets on its port", || {
        holders(bona.port()).into_iter().eq(its)
    });
    rustix::process::kill_process(process, Signal::KILL).expect("ours");
    wait_until(PATIENCE, "it is said to listen again", || {
        whole.said().contains("Bona listens on ")
    });
    wait_until(PATIENCE, "Bona is told again", knows);
    assert_eq!(
        whole.said().matches(" has ended").count(),
        1,
        "{}",
        whole.said()
    );
}

#[test]
fn without_restart_the_whole_command_line_is_said() {
    let (whole, _) = all_of_them(&["--no-restart", "--max-records", "7"]);
    rustix::process::kill_process(process_of(whole.pid, "Bona"), Signal::KILL).expect("ours");
    let line = format!(
        "  {} Bona --herd=herd.json --max-records=7\n",
        env!("CARGO_BIN_EXE_herd")
    );
    wait_until(PATIENCE, "the line is said", || {
        whole.said().contains(&line)
    });
}

/// The children could not read it: the first reader has emptied it.
#[test]
fn a_herd_file_for_all_is_a_regular_file() {
    let folder = TempDir::new();
    fifo(&folder.path().join("pipe"));
    for file in ["pipe", "/dev/stdin"] {
        let exit = run_herd(folder.path(), &["--all", "--herd", file]);
        let said = format!("herd: --herd {file}: expected a regular file\n");
        assert_eq!((exit.code, exit.stderr), (Some(2), said));
    }
}

/// One server reads it once.
#[test]
fn a_herd_file_for_one_may_be_a_pipe() {
    let (folder, _) = five_addresses();
    let script = r#"cat herd.json | "$0" Nobody --herd /dev/stdin"#;
    let exit = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_herd")])
        .current_dir(folder.path())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&exit.stderr);
    assert!(said.contains("expected one of Bailey, Bona"), "{said}");
}
