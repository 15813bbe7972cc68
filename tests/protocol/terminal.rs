//! The terminal, the shell and the parent: what words, streams and signals a server gets from them.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::common::{Client, PATIENCE, TempDir, wait_for_exit, wait_until};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What makes the terminal at its standard input that of the program behind it. Whoever runs the tests may
/// have started them with nohup.
const TERMINAL: [&str; 4] = ["env", "--default-signal=HUP", "setsid", "--ctty"];

/// The program, in a folder with a herd of one; and where that one listens.
fn server(folder: &TempDir, program: &str) -> (Command, std::net::SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("its address");
    let herd = format!(r#"{{"servers": {{"A": "{address}"}}, "links": []}}"#);
    fs::write(folder.path().join("herd.json"), herd).expect("a herd file");
    let mut command = Command::new(program);
    command.current_dir(folder.path());
    if program == TERMINAL[0] {
        command.args(&TERMINAL[1..]).arg(env!("CARGO_BIN_EXE_herd"));
    }
    command.args(["A", "--herd", "herd.json"]);
    (command, address)
}

fn start(mut command: Command, address: std::net::SocketAddr, input: impl Into<Stdio>) -> Child {
    let mut child = command
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the herd program starts");
    wait_until(PATIENCE, "it listens", || {
        let ended = child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "{ended:?}");
        TcpStream::connect(address).is_ok()
    });
    child
}

fn ends(child: &mut Child) {
    wait_until(Duration::from_secs(6), "it ends", || {
        child.try_wait().expect("a child can be asked").is_some()
    });
    let status = child.wait().expect("its status");
    assert!(status.success(), "{status}");
}

/// A parent that polls its own end of a pipe often leaves ours non-blocking too.
#[test]
fn input_that_does_not_wait_is_no_end() {
    let folder = TempDir::new();
    let (input, parent) = std::io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&input).expect("its flags");
    fcntl_setfl(&input, flags | OFlags::NONBLOCK).expect("ours");
    let (mut command, address) = server(&folder, env!("CARGO_BIN_EXE_herd"));
    command.arg("--until-stdin-ends");
    let mut child = start(command, address, input);
    // Whoever took it for the end has stopped at once, and lets nobody in.
    let mut client = Client::connect(address);
    for _ in 0..20 {
        assert_eq!(client.ask("still there\n"), "? still there\n");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(Client::connect(address).ask("hello\n"), "? hello\n");
    drop(parent);
    ends(&mut child);
}

/// Runs the program with words that need not be text.
fn run(folder: &TempDir, words: &[&[u8]]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(words.iter().map(|word| OsStr::from_bytes(word)))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("the herd program runs")
}

#[test]
fn a_word_that_is_no_text_is_a_mistake_of_one_line() {
    let folder = TempDir::new();
    for (words, said) in [
        (
            &[&b"\xff"[..]][..],
            r#"herd: "\xFF" is not a server of the herd"#,
        ),
        (
            &[b"Clark", b"Bona\xe9"],
            r#""Bona\xE9" is one argument too many"#,
        ),
        (
            &[b"--all", b"\xff"],
            r#"--all takes no name, "\xFF" was given"#,
        ),
        (
            &[b"Clark", b"--max-log", b"\xff1"],
            "--max-log \u{fffd}1: expected a whole",
        ),
        (&[b"--\xffoption"], "Unrecognized option: '\u{fffd}option'"),
        (
            &[b"Clark", b"--herd", b"no\xe9.json"],
            "--herd no\u{fffd}.json: No such file",
        ),
        (&[b"--ps", b"\xff"], "--ps \u{fffd}: expected an address"),
    ] {
        let exit = run(&folder, words);
        let text = String::from_utf8(exit.stderr).expect("text");
        assert_eq!(exit.status.code(), Some(2), "{words:?}: {text}");
        assert!(exit.stdout.is_empty(), "{words:?}");
        assert!(
            text.contains(said) && text.lines().count() == 1,
            "{said}: {text}"
        );
    }
}

#[test]
fn files_may_have_any_name() {
    let folder = TempDir::new();
    let (_, address) = server(&folder, env!("CARGO_BIN_EXE_herd"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.arg("A").current_dir(folder.path());
    let odd = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    fs::rename(odd(b"herd.json"), odd(b"h\xe9.json")).expect("ours");
    for word in [
        &b"--herd=h\xe9.json"[..],
        b"--log=j\xff.log",
        b"--snapshot={name}\xfe",
        b"--trace=t\xfd",
        b"--record=\xf4\x8f\xbf\xbf",
        b"--until-stdin-ends",
    ] {
        command.arg(OsStr::from_bytes(word));
    }
    let (input, parent) = std::io::pipe().expect("a pipe");
    let mut child = start(command, address, input);
    Client::connect(address).ask("IAMAT kiwi +1.5-2.5 3\n");
    drop(parent);
    ends(&mut child);
    for name in [&b"j\xff.log"[..], b"A\xfe", b"t\xfd", b"\xf4\x8f\xbf\xbf"] {
        let file = fs::metadata(odd(name)).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert!(file.len() > 0, "{name:?}");
    }
}

#[test]
fn what_was_asked_for_and_cannot_be_printed_is_a_failure() {
    let folder = TempDir::new();
    let (mut command, address) = server(&folder, env!("CARGO_BIN_EXE_herd"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let looks = free.local_addr().expect("its address").to_string();
    drop(free);
    command.args(["--inspect", &looks, "--until-stdin-ends"]);
    let (input, parent) = std::io::pipe().expect("a pipe");
    let mut child = start(command, address, input);
    for words in [
        &["--help"][..],
        &["--version"],
        &["--ps", &looks],
        &["--ps", &looks, "--json"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full");
        let exit = Command::new(env!("CARGO_BIN_EXE_herd"))
            .args(words)
            .stdout(full.expect("/dev/full"))
            .output()
            .expect("the herd program runs");
        assert_eq!(exit.status.code(), Some(1), "{words:?}");
        let said = String::from_utf8_lossy(&exit.stderr);
        assert_eq!(
            said,
            "herd: standard output: No space left on device (os error 28)\n"
        );
    }
    drop(parent);
    ends(&mut child);
}

/// A terminal of our own: its two ends.
fn terminal() -> (OwnedFd, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("ours");
    let name = ptsname(&ours, Vec::new()).expect("its name");
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .open(OsStr::from_bytes(name.as_bytes()));
    (ours, theirs.expect("the other end"))
}

/// Its window is closed: the shell hangs up.
#[test]
fn a_server_ends_with_its_terminal() {
    let folder = TempDir::new();
    let (ours, theirs) = terminal();
    let (command, address) = server(&folder, TERMINAL[0]);
    let mut child = start(command, address, theirs);
    let pid = Pid::from_child(&child);
    // As long as the terminal is there, SIGHUP asks for a new journal.
    fs::rename(folder.path().join("A.log"), folder.path().join("A.old")).expect("a journal");
    kill_process(pid, Signal::HUP).expect("ours");
    wait_until(PATIENCE, "the journal is opened anew", || {
        folder.path().join("A.log").exists()
    });
    assert_eq!(Client::connect(address).ask("hello\n"), "? hello\n");
    drop(ours);
    let ended = wait_for_exit(&mut child, Duration::from_secs(15));
    let journal = fs::read_to_string(folder.path().join("A.log")).unwrap_or_default();
    let status = ended.unwrap_or_else(|| {
        let _ = child.kill();
        panic!("it does not end; its journal:\n{journal}")
    });
    assert!(status.success(), "{status}");
}

/// nohup means to stay.
#[test]
fn a_server_that_ignores_hangups_outlives_its_terminal() {
    let folder = TempDir::new();
    let (ours, theirs) = terminal();
    let (plain, address) = server(&folder, TERMINAL[0]);
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"trap "" HUP; exec "$0" "$@""#, TERMINAL[2]])
        .args(plain.get_args().skip(2))
        .current_dir(folder.path());
    let mut child = start(command, address, theirs);
    drop(ours);
    // It hears of the end, and opens its journal anew for that.
    assert_eq!(Client::connect(address).ask("hello\n"), "? hello\n");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("ours");
    fs::remove_file(folder.path().join("A.log")).expect("a journal");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("ours");
    wait_until(PATIENCE, "the journal is opened anew", || {
        folder.path().join("A.log").exists()
    });
    assert_eq!(Client::connect(address).ask("hello\n"), "? hello\n");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("ours");
    ends(&mut child);
}

/// A parent that does not care what a server prints has closed the other end.
#[test]
fn a_server_whose_output_nobody_reads_serves_all_the_same() {
    let folder = TempDir::new();
    let (mut command, address) = server(&folder, env!("CARGO_BIN_EXE_herd"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let (input, parent) = std::io::pipe().expect("a pipe");
    let child = command
        .arg("--until-stdin-ends")
        .stdin(input)
        .stdout(writer.try_clone().expect("its other name"))
        .stderr(writer)
        .spawn();
    let mut child = child.expect("the herd program starts");
    wait_until(PATIENCE, "it answers", || {
        let ended = child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "it ended: {ended:?}");
        TcpStream::connect(address).is_ok()
    });
    assert_eq!(Client::connect(address).ask("x\n"), "? x\n");
    drop(parent);
    ends(&mut child);
}
