//! The guided first walk of NOTES.md, walked: the commands that stand there, on the recording that
//! lies beside the tests, print what stands there.
//!
//! The recording was made so: `herd Bona` ran; `herd Clark --log none --record first_walk.recording` was
//! started; a second later, while Clark stood still (SIGSTOP), one client connected and said IAMAT and
//! WHATSAT about kiwi.cs.ucla.edu, so that accept finds them waiting; another said `IAMAT kiwi.cs.`
//! without an end; then Clark was sent SIGTERM. If a
//! change of the server makes the replay differ, it has to be made anew, and the walk written anew.
//!
//! `HERD_WALK=1 cargo test --test first_walk -- --nocapture` prints the walk as it is now.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;

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

#[test]
fn the_walk_of_the_notes_is_what_the_program_prints() {
    let walk = walk();
    let commands: Vec<&str> = walk
        .lines()
        .filter_map(|line| line.strip_prefix("(herd) "))
        .collect();
    assert!(commands.len() >= 10, "a walk has steps: {commands:?}");
    let (printed, code) = step_through(&(commands.join("\n") + "\n"), &recording());
    if std::env::var_os("HERD_WALK").is_some() {
        println!("{printed}");
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
