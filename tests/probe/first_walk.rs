//! The guided first walk of NOTES.md, walked: the commands that stand there, on the recording that
//! lies beside the tests, print what stands there.
//!
//! When a change of the server makes the replay differ, `HERD_WALK=record cargo test --test probe
//! first_walk` records the walk anew, on the ports of the course, and writes what the program prints
//! into NOTES.md: read whether the sentences between still hold.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::TempDir;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn recording() -> PathBuf {
    root().join("tests/data/first_walk.recording")
}

/// The walk as NOTES.md has it: the block behind the marker, in pieces between which it explains.
fn walk() -> String {
    let notes = std::fs::read_to_string(root().join("NOTES.md")).expect("NOTES.md");
    let (_, chapter) = notes
        .split_once("<!-- the first walk -->")
        .expect("a marker");
    let (chapter, _) = chapter.split_once("<!-- its end -->").expect("an end");
    let blocks = chapter.split("```text\n").skip(1);
    let text = blocks.map(|block| block.split("```").next().unwrap_or_default());
    text.collect()
}

/// Lines of source move; where in a file something was queued is not what the walk is about.
fn without_lines(text: &str) -> String {
    let lines = Regex::new(r"\.rs:\d+").expect("a pattern");
    lines.replace_all(text.trim(), ".rs:NNN").into_owned()
}

fn step_through(commands: &str, recording: &Path) -> (String, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(["--step", "--replay"])
        .arg(recording)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(commands.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    (
        String::from_utf8(output.stdout).expect("UTF-8"),
        output.status.code(),
    )
}

/// A server on its port of the course, once it listens.
fn start(directory: &Path, arguments: &[&str]) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(arguments)
        .args(["--log", "none"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.as_mut().expect("a pipe"));
    output.read_line(&mut line).expect("it listens");
    assert!(line.contains("listens on"), "{line}");
    child
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, signal).expect("it lives");
}

fn connect() -> TcpStream {
    TcpStream::connect("127.0.0.1:10003").expect("Clark listens")
}

/// Clark's story: Bona is up, Jaquez is not; a phone reports and asks; another sends half a line and
/// hangs up.
fn record() {
    let directory = TempDir::new();
    let mut bona = start(directory.path(), &["Bona"]);
    let mut clark = start(directory.path(), &["Clark", "--record", "walk"]);
    sleep(Duration::from_secs(1));
    // It stands still while the phone speaks, so that one accept finds all of it waiting.
    signal(&clark, Signal::STOP);
    let mut phone = connect();
    phone
        .write_all(
            b"IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1795400000.5\n\
              WHATSAT kiwi.cs.ucla.edu 1 1\n",
        )
        .expect("it takes lines");
    sleep(Duration::from_millis(50));
    signal(&clark, Signal::CONT);
    sleep(Duration::from_millis(10));
    let mut other = connect();
    other.write_all(b"IAMAT kiwi.cs.").expect("half a line");
    // Long enough to dial Jaquez again.
    sleep(Duration::from_millis(900));
    other.shutdown(Shutdown::Write).expect("it hangs up");
    phone.shutdown(Shutdown::Write).expect("it hangs up");
    phone.read_to_end(&mut Vec::new()).expect("answers");
    sleep(Duration::from_millis(200));
    signal(&clark, Signal::TERM);
    assert!(clark.wait().expect("it ends").success());
    bona.kill().expect("it lives");
    bona.wait().expect("it ends");
    std::fs::copy(directory.path().join("walk"), recording()).expect("a recording");
}

/// Puts what the program prints into the blocks of the notes: each begins and ends at the commands
/// at which it did.
fn write_into_the_notes(printed: &str) {
    let path = root().join("NOTES.md");
    let mut notes = std::fs::read_to_string(&path).expect("NOTES.md");
    let (start, _) = notes
        .match_indices("<!-- the first walk -->")
        .next()
        .expect("a marker");
    let mut steps = printed.trim().split_inclusive('\n').peekable();
    let mut from = start;
    while let Some(open) = notes[from..].find("```text\n") {
        let begin = from + open + "```text\n".len();
        if notes[from..begin].contains("<!-- its end -->") {
            break;
        }
        let end = begin + notes[begin..].find("```").expect("an end of the block");
        let mut commands = notes[begin..end].matches("(herd) ").count();
        // What is printed before the first command belongs to the first block.
        let mut block = String::new();
        while let Some(line) = steps.peek() {
            if line.starts_with("(herd) ") {
                if commands == 0 {
                    break;
                }
                commands -= 1;
            }
            block.push_str(line);
            steps.next();
        }
        let block = block.trim_end().to_string() + "\n";
        notes.replace_range(begin..end, &block);
        from = begin + block.len();
    }
    std::fs::write(path, notes).expect("NOTES.md");
}

#[test]
fn the_walk_of_the_notes_is_what_the_program_prints() {
    let walk = walk();
    let commands: Vec<&str> = walk
        .lines()
        .filter_map(|line| line.strip_prefix("(herd) "))
        .collect();
    assert!(commands.len() >= 10, "a walk has steps: {commands:?}");
    let anew = std::env::var_os("HERD_WALK").is_some();
    if anew {
        record();
    }
    let (printed, code) = step_through(&(commands.join("\n") + "\n"), &recording());
    if anew {
        return write_into_the_notes(&printed);
    }
    let (printed, walk) = (without_lines(&printed), without_lines(&walk));
    for (number, (now, then)) in printed.lines().zip(walk.lines()).enumerate() {
        assert_eq!(now, then, "line {} of the walk", number + 1);
    }
    assert_eq!(printed.lines().count(), walk.lines().count());
    assert_eq!(code, Some(0));
}

#[test]
fn the_walk_repeats_and_runs_backwards() {
    let forwards = "step 20\ninfo all\nquit\n";
    let (first, _) = step_through(forwards, &recording());
    let (second, _) = step_through(forwards, &recording());
    assert_eq!(first, second);
    // Forwards, back, and forwards again is as good as forwards.
    let (back, _) = step_through("step 25\nback 10\nstep 5\ninfo all\nquit\n", &recording());
    let tail = |text: &str| {
        let (_, tail) = text.split_once("(herd) info all\n").expect("it was said");
        tail.replace("Clark is held: back at moment 16", "Clark is held")
    };
    assert_eq!(tail(&first), tail(&back));
}

#[test]
fn a_small_example_prints_each_phase_of_a_turn() {
    let program = std::env::current_exe().expect("a path");
    let program = program
        .ancestors()
        .nth(2)
        .expect("the target")
        .join("examples/one_turn");
    let output = Command::new(program)
        .output()
        .expect("cargo test builds the examples");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut from = 0;
    for phase in [
        "turn 1: collect",
        "the poll told of 1 events; 3 callbacks will run",
        "run Greet: somebody called call_soon",
        "run Ready(#1, rw): the poll said",
        "reads \"is anybody there?\"",
        "run Ring: its time has come",
        "finish",
        "sends \"heard you\\n\"",
        "turn 2: collect",
        "run GreetAgain: somebody called call_soon",
    ] {
        let found = text[from..].find(phase);
        from += found.unwrap_or_else(|| panic!("{phase:?} behind byte {from} of:\n{text}"));
    }
}
