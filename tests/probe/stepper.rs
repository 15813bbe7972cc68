//! The stepper of the real program, driven through a pipe.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::common::{Client, PATIENCE, TempDir, iamat, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// A server that is stepped through, alone in its herd.
struct Stepped {
    child: Child,
    output: Receiver<String>,
    seen: String,
    address: std::net::SocketAddr,
    directory: TempDir,
}

impl Stepped {
    fn start(more: &[&str]) -> Stepped {
        let directory = TempDir::new();
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        let herd = format!("{{\"servers\": {{\"Clark\": \"{address}\"}}, \"links\": []}}");
        std::fs::write(directory.path().join("herd.json"), herd).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
            .args(["Clark", "--step", "--herd", "herd.json"])
            .args(more)
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let output = watch(child.stdout.take().expect("a pipe"));
        let mut stepped = Stepped {
            child,
            output,
            seen: String::new(),
            address,
            directory,
        };
        stepped.until("(herd) ");
        stepped
    }

    /// Waits until this was said, and forgets everything up to there.
    fn until(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(wanted) {
                let rest = self.seen.split_off(at + wanted.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            match self.output.recv_timeout(PATIENCE) {
                Ok(more) => self.seen.push_str(&more),
                Err(error) => panic!("{wanted:?} was due: {error} after {:?}", self.seen),
            }
        }
    }

    fn send(&mut self, command: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input
            .write_all(format!("{command}\n").as_bytes())
            .expect("it reads");
    }

    /// Gives a command; what is said until the next prompt.
    fn give(&mut self, command: &str) -> String {
        self.send(command);
        self.until(&format!("{command}\n"));
        self.until("(herd) ")
    }

    fn quit(mut self) -> bool {
        self.send("quit");
        self.ends()
    }

    fn ends(&mut self) -> bool {
        let status = wait_for(PATIENCE, "it ends", || {
            self.child.try_wait().expect("a child")
        });
        status.success()
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(mut output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let count = match output.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if count == 0 || sender.send(text).is_err() {
                break;
            }
        }
    });
    receiver
}

fn has(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} in:\n{text}");
    }
}

#[test]
fn it_shows_where_the_loop_stands_and_steps_through_a_turn() {
    let mut stepped = Stepped::start(&[]);
    has(
        &stepped.give("info loop"),
        &["Clark is held", "turn 1,", "next: callback: look whether"],
    );
    has(
        &stepped.give("info ready"),
        &[
            "look whether connections wait",
            "queued by call_soon at src/server/door.rs:",
        ],
    );
    has(&stepped.give("info timers"), &["none: only a socket"]);
    has(
        &stepped.give("s"),
        &["turn 1: ran: look whether", "next: finish"],
    );
    has(
        &stepped.give(""),
        &["turn 1: finish", "next: poll: nothing is ready"],
    );
    has(
        &stepped.give("help"),
        &["An event loop runs one thing at a time", "until WHAT"],
    );
    has(&stepped.give("jump"), &["\"jump\" is not a command"]);
    has(&stepped.give("break peer"), &["expected callback KIND"]);
    has(&stepped.give("back"), &["only a replay can go back"]);
    assert!(stepped.quit());
}

#[test]
fn breakpoints_and_watches_stop_a_running_loop() {
    let mut stepped = Stepped::start(&[]);
    stepped.give("break client kiwi");
    stepped.give("watch store.records");
    stepped.send("continue");
    let mut client = Client::connect(stepped.address);
    client.send(iamat("kiwi"));
    has(
        &stepped.until("(herd) "),
        &["held: breakpoint 1, client kiwi", "next: finish"],
    );
    has(&stepped.give("print kiwi"), &["AT Clark ", " kiwi "]);
    has(&stepped.give("info store"), &["store: 1 client of"]);
    has(
        &stepped.give("info connections"),
        &["client  open", "127.0.0.1:"],
    );
    let said = stepped.give("step");
    has(&said, &["finish", "wrote ", "to client #1: \"AT Clark"]);
    client.line();
    stepped.give("delete 1");
    stepped.send("continue");
    client.send(iamat("other"));
    has(
        &stepped.until("(herd) "),
        &["held: watch 2, store.records: 1 -> 2"],
    );
    stepped.give("delete");
    has(&stepped.give("info breakpoints"), &["no breakpoints"]);
    stepped.send("continue");
    client.line();
    stepped.send("break slow 0s");
    // A line that comes from a pipe waits until the loop is held: Ctrl-C holds it.
    let pid = Pid::from_child(&stepped.child);
    kill_process(pid, Signal::INT).expect("it runs");
    has(&stepped.until("(herd) "), &["held: Ctrl-C"]);
    stepped.until("(herd) ");
    stepped.send("continue");
    client.send(iamat("third"));
    has(&stepped.until("(herd) "), &["breakpoint 3, slow 0ns"]);
    has(
        &stepped.give("histogram"),
        &["callbacks ran: ", "99 % within", "###"],
    );
    assert!(stepped.quit());
}

/// A turn of many callbacks, each of them told, takes long: that is no reason to be deaf.
#[test]
fn a_long_turn_can_be_stopped_in_its_middle() {
    let mut stepped = Stepped::start(&[]);
    stepped.send("continue");
    let mut crowd: Vec<_> = (0..200).map(|_| Client::connect(stepped.address)).collect();
    for client in &mut crowd {
        client.ask("hello\n");
    }
    let pid = Pid::from_child(&stepped.child);
    kill_process(pid, Signal::INT).expect("it runs");
    has(&stepped.until("(herd) "), &["held: Ctrl-C"]);
    for client in &mut crowd {
        client.send("hello\n");
    }
    stepped.send("next 3");
    stepped.until("ran: client");
    kill_process(pid, Signal::INT).expect("it runs");
    let said = stepped.until("(herd) ");
    has(&said, &["held: Ctrl-C", "next: callback: client"]);
    assert!(!said.contains("finish: what"), "{said}");
    stepped.give("next");
    for client in &mut crowd {
        assert_eq!(client.line(), "? hello\n");
    }
    assert!(stepped.quit());
}

#[test]
fn the_end_of_input_stops_the_server_in_good_order() {
    let mut stepped = Stepped::start(&["--record", "run.recording"]);
    let mut client = Client::connect(stepped.address);
    client.send(iamat("kiwi"));
    stepped.give("next");
    stepped.give("next");
    drop(stepped.child.stdin.take());
    assert!(stepped.ends());
    assert!(client.line().starts_with("AT Clark "));
    // What was stepped through is a recording like any other.
    let exit = crate::common::run_herd(stepped.directory.path(), &["--replay", "run.recording"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    has(&exit.stdout, &["equal: "]);
}

/// A turn comes once: to wait for it afterwards would be to wait for ever, or to stop at another.
#[test]
fn a_turn_and_a_time_that_are_behind_are_not_waited_for() {
    let mut stepped = Stepped::start(&[]);
    stepped.give("step");
    for (command, wanted) in [
        (
            "until turn 1",
            "turn 1 is behind: turn 1 has begun, at loop time 0.0",
        ),
        ("until turn 0", "turn 0 is behind: turn 1 "),
        ("break turn 1", "turn 1 is behind: turn 1 "),
        ("until time 0s", "time 0ns is behind: turn 1 "),
        ("break time 0s", "time 0ns is behind: turn 1 "),
        ("info breakpoints", "no breakpoints"),
        ("info loop", "turn 1,"),
    ] {
        has(&stepped.give(command), &[wanted]);
    }
    stepped.send("until turn 2");
    let mut client = Client::connect(stepped.address);
    let said = stepped.until("(herd) ");
    has(&said, &["held: turn 2", "turn 2,", "next: callback:"]);
    has(&stepped.give("until turn 2"), &["turn 2 is now"]);
    has(&stepped.give("info loop"), &["Clark is held", "turn 2,"]);
    client.send("hello\n");
    stepped.send("continue");
    assert_eq!(client.line(), "? hello\n");
}

#[test]
fn a_replay_goes_to_a_turn_or_a_time_that_is_behind() {
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/first_walk.recording"
    );
    let commands = [
        "until turn 12",
        "until turn 9",
        "until time 10ms",
        "break turn 3",
        "until turn 2",
        "continue",
        "back 100",
        "continue",
        "delete",
        "continue",
        "until turn 11",
        "quit",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(["--step", "--replay", recording])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    input
        .write_all((commands.join("\n") + "\n").as_bytes())
        .expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut said = text.split("(herd) ").skip(1);
    for (command, why, turn) in [
        ("until turn 12", "held: turn 12", "turn 12,"),
        ("until turn 9", "held: turn 9", "turn 9,"),
        ("until time 10ms", "held: time 10ms", ""),
        ("break turn 3", "breakpoint 2: turn 3", ""),
        ("until turn 2", "held: turn 2", "turn 2,"),
        ("continue", "held: breakpoint 2, turn 3", "turn 3,"),
        ("back 100", "back at moment 1", "turn 1,"),
        ("continue", "held: breakpoint 2, turn 3", "turn 3,"),
        ("delete", "", ""),
        ("continue", "Clark is over", ""),
        ("until turn 11", "held: turn 11", "turn 11,"),
    ] {
        let block = said.next().expect("an answer");
        has(block, &[command, why, turn]);
    }
    assert!(output.status.success());
}

#[test]
fn a_replay_that_nobody_can_hold_runs_to_its_end() {
    let directory = TempDir::new();
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/first_walk.recording"
    );
    let exit = crate::common::run_herd(
        directory.path(),
        &["--replay", recording, "--trace", "replay.json"],
    );
    assert_eq!(exit.code, Some(0), "{exit:?}");
    has(&exit.stdout, &["equal: ", " callbacks, order "]);
    let trace = std::fs::read_to_string(directory.path().join("replay.json")).expect("a trace");
    has(&trace, &["\"name\":\"Clark\"", "kiwi.cs.ucla.edu"]);
    std::fs::write(directory.path().join("empty"), "").expect("a file");
    for (arguments, wanted) in [
        (["--replay", "nothing"], "--replay nothing: No such file"),
        (
            ["--replay", "empty"],
            "expected it to begin with \"herd recording 4\"",
        ),
        (
            ["--json", "Clark"],
            "expected --check or --ps ADDR beside it",
        ),
        (["--step", "--all"], "expected a NAME"),
        (
            ["Clark", "--trace=nowhere/clark.json"],
            "--trace nowhere/clark.json: No such file",
        ),
    ] {
        let exit = crate::common::run_herd(directory.path(), &arguments);
        assert_ne!(exit.code, Some(0), "{arguments:?}");
        assert_eq!(exit.stdout, "", "{arguments:?}");
        has(&exit.stderr, &[wanted]);
    }
    let exit = crate::common::run_herd(directory.path(), &["Clark", "--replay", recording]);
    has(&exit.stderr, &["Clark beside --replay"]);
}
