//! The command line: how servers start and stop, and what they say when used
//! wrongly.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::common::{Exit, Herd, PATIENCE, Plan, Quiet, TempDir, iamat, run_herd};
use rustix::process::Signal;

/// Within what time a server that is asked to stop has stopped.
const STOP: Duration = Duration::from_secs(6);

/// Runs the program in a directory of its own.
fn run(args: &[&str]) -> Exit {
    run_herd(TempDir::new().path(), args)
}

/// Status 2, nothing on standard output, one line of complaint with this in it.
fn complains(args: &[&str], about: &str) {
    let exit = run(args);
    assert_eq!(exit.code, Some(2), "herd {args:?}: {exit:?}");
    assert_eq!(exit.stdout, "", "herd {args:?}");
    one_line(&exit.stderr, about);
}

fn one_line(text: &str, about: &str) {
    assert!(
        text.ends_with('\n') && text.lines().count() == 1,
        "one line was due: {text:?}"
    );
    assert!(text.contains(about), "{about:?} is not in {text:?}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for option in [
        "--herd",
        "--log",
        "--all",
        "--places",
        "--places-url",
        "--ca-file",
        "--key-file",
        "--field-mask",
        "--one-shot",
        "--no-catch-up",
        "--short-links",
        "--no-restart",
        "--max-ahead",
        "--max-records",
        "--client-idle",
        "--max-log",
        "--max-connections",
        "--max-per-address",
        "--max-client-bytes",
        "--plain-peers",
        "--peer-cert",
        "--peer-key",
        "--peer-ca",
        "--tls-cert",
        "--tls-key",
        "--snapshot",
        "--snapshot-every",
        "--step",
        "--inspect",
        "--trace",
        "--record",
        "--replay",
        "--ps",
        "--json",
        "--version",
        "SIGHUP",
        "Exit status",
    ] {
        assert!(
            help.stdout.contains(option),
            "{option} is not in the help:\n{}",
            help.stdout
        );
    }
    let version = run(&["--version"]);
    assert_eq!((version.code, version.stderr.as_str()), (Some(0), ""));
    assert!(
        version.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{:?}",
        version.stdout
    );
}

#[test]
fn wrong_use_exits_with_2_and_one_line_that_says_what_was_expected() {
    complains(&[], "NAME");
    complains(&["Nobody"], "Clark");
    complains(&["clark"], "Clark");
    complains(&["Clark", "Bona"], "");
    complains(&["--all", "Clark"], "");
    complains(&["--no-such-option", "Clark"], "no-such-option");
    complains(&["Clark", "--herd"], "herd");
    complains(&["Clark", "--max-ahead", "soon"], "max-ahead");
    complains(&["Clark", "--max-ahead", "-1"], "max-ahead");
    complains(&["Clark", "--max-records", "many"], "max-records");
    complains(&["Clark", "--max-records", "1.5"], "max-records");
    complains(&["Clark", "--client-idle", "x"], "client-idle");
    complains(&["Clark", "--places", "elsewhere"], "offline");
    complains(&["--replay", "x", "--max-records", "3"], "--max-records");
    complains(
        &["--replay", "x", "--snapshot=y"],
        "--snapshot beside --replay",
    );
    complains(&["--ps", "127.0.0.1:1", "--step"], "--step beside --ps");
    complains(&["--ps", "127.0.0.1:1", "Clark"], "Clark beside --ps");
    complains(&["--all", "--snapshot", "one.file"], "{name}");
    complains(&["Clark", "--no-restart"], "--all");
    // A sign is no digit, and none is nobody.
    for number in ["+5", "-5", "", "0x5", "5 ", "99999999999999999999"] {
        complains(&["Clark", "--max-records", number], "whole number");
        complains(&["--all", "--client-idle", number], "whole number");
    }
    for option in ["--max-records", "--max-connections", "--max-per-address"] {
        complains(&["Clark", option, "0"], "1 or more");
        complains(&["--all", option, "0"], "1 or more");
    }
    // Clocks end somewhere.
    let ages = u64::MAX.to_string();
    for option in ["--client-idle", "--max-ahead"] {
        complains(&["Clark", option, &ages], "at most 1000000000 seconds");
    }
}

#[test]
fn google_without_a_key_and_without_another_address_is_refused() {
    for kind in ["legacy", "new"] {
        complains(&["Clark", "--places", kind], "GOOGLE_PLACES_API_KEY");
        complains(&["--all", "--places", kind], "GOOGLE_PLACES_API_KEY");
    }
}

#[test]
fn a_bad_herd_file_is_named_with_the_place_in_it() {
    let two = r#""servers": {"A": "127.0.0.1:11", "B": "127.0.0.1:12"}"#;
    for (text, place) in [
        ("{".to_string(), "line 1"),
        ("[]".to_string(), ""),
        (r#"{"links": []}"#.to_string(), "servers"),
        (r#"{"servers": {}, "links": []}"#.to_string(), "servers"),
        (format!(r#"{{{two}, "links": [], "color": 1}}"#), "color"),
        (format!(r#"{{{two}, "links": [["A", "C"]]}}"#), "\"C\""),
        (format!(r#"{{{two}, "links": [["A", "A"]]}}"#), "\"A\""),
        (format!(r#"{{{two}, "links": [["A"]]}}"#), "links[0]"),
        (format!(r#"{{{two}, "links": ["A-B"]}}"#), "links[0]"),
        (
            format!(r#"{{{two}, "links": [], "course": ["C"]}}"#),
            "\"C\"",
        ),
        (
            format!(r#"{{{two}, "links": [], "course": "A"}}"#),
            "course",
        ),
        (
            r#"{"servers": {"A": "nowhere"}, "links": []}"#.to_string(),
            "nowhere",
        ),
        (
            r#"{"servers": {"A": 10000}, "links": []}"#.to_string(),
            "10000",
        ),
        (
            r#"{"servers": {"A": "127.0.0.1:11", "B": "127.0.0.1:11"}, "links": []}"#.to_string(),
            "127.0.0.1:11",
        ),
        (
            r#"{"servers": {"A": "127.0.0.1:11", "A": "127.0.0.1:12"}, "links": []}"#.to_string(),
            "servers.A",
        ),
        (format!(r#"{{{two}, "links": [], "links": []}}"#), "links"),
        (
            r#"{"servers": {"A": "127.0.0.1:11", "a": "127.0.0.1:12"}, "links": []}"#.to_string(),
            "case alone",
        ),
        (
            r#"{"servers": {"A": "127.0.0.1:0"}, "links": []}"#.to_string(),
            "port 0",
        ),
        (
            r#"{"servers": {"A": "127.0.0.1:11", "--version": "127.0.0.1:12"}, "links": []}"#
                .to_string(),
            "servers.--version",
        ),
    ] {
        let directory = TempDir::new();
        fs::write(directory.path().join("bad.json"), &text).expect("a herd file");
        for args in [
            &["A", "--herd", "bad.json"][..],
            &["--all", "--herd", "bad.json"],
        ] {
            let exit = run_herd(directory.path(), args);
            assert!(exit.code.is_some_and(|code| code != 0), "{text}: {exit:?}");
            assert_eq!(exit.stdout, "", "{text}");
            one_line(&exit.stderr, place);
            assert!(
                exit.stderr.contains("bad.json"),
                "which file? {:?}",
                exit.stderr
            );
        }
    }
}

#[test]
fn a_herd_file_that_is_not_there_is_named() {
    let exit = run(&["Clark", "--herd", "absent.json"]);
    assert!(exit.code.is_some_and(|code| code != 0), "{exit:?}");
    one_line(&exit.stderr, "absent.json");
}

/// A directory with a herd file in which `A` has this address.
fn herd_of_one(address: &str) -> TempDir {
    let directory = TempDir::new();
    let text = format!(r#"{{"servers": {{"A": "{address}"}}, "links": []}}"#);
    fs::write(directory.path().join("herd.json"), text).expect("a herd file");
    directory
}

#[test]
fn a_port_in_use_is_named_with_the_server_that_wanted_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address");
    let directory = herd_of_one(&address.to_string());
    let exit = run_herd(directory.path(), &["A", "--herd", "herd.json"]);
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(1), ""), "{exit:?}");
    for said in ["A ", &address.port().to_string(), "in use"] {
        one_line(&exit.stderr, said);
    }
    // With `--all` the server says it, and then its parent that it did not start.
    let exit = run_herd(directory.path(), &["--all", "--herd", "herd.json"]);
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(1), ""), "{exit:?}");
    let first = exit.stderr.lines().next().expect("a complaint");
    for said in ["A ", &address.port().to_string(), "in use"] {
        assert!(first.contains(said), "{said:?} is not in {first:?}");
    }
}

#[test]
fn sigterm_and_sigint_stop_a_server_in_good_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut herd = Herd::start();
        let mut client = herd.client("Clark");
        client.ask("hello\n");
        herd.signal("Clark", signal);
        client.eof();
        let status = herd.wait_exit("Clark", STOP);
        assert_eq!(status.code(), Some(0), "after {signal:?}: {status}");
        // Its port is free at once, and the others do not mind.
        herd.restart("Clark");
        herd.wait_whole();
    }
}

/// Whatever a client has been given when the server stops is whole lines.
#[test]
fn sigterm_under_load_leaves_no_partial_line() {
    let mut herd = Herd::solo("Clark");
    herd.client("Clark").ask(iamat("kiwi"));
    let address = herd.address("Clark");
    let readers: Vec<_> = (0..8)
        .map(|n| {
            let mut client = herd.client("Clark");
            let (begun, has_begun) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                let line = format!("{}\n", "l".repeat(100 + 37 * n));
                let mut answers = 0;
                // In windows, as a client does that means to read.
                loop {
                    let sent =
                        std::io::Write::write_all(&mut client.stream(), line.repeat(50).as_bytes());
                    for _ in 0..50 {
                        match client.try_line(PATIENCE) {
                            Ok(answer) => assert_eq!(answer, format!("? {line}")),
                            Err(why) => return (answers, why, client.pending().len()),
                        }
                        answers += 1;
                    }
                    let _ = begun.send(());
                    if sent.is_err() {
                        return (answers, Quiet::Reset, client.pending().len());
                    }
                }
            });
            (thread, has_begun)
        })
        .collect();
    for (_, has_begun) in &readers {
        has_begun.recv_timeout(PATIENCE).expect("the load is on");
    }
    herd.signal("Clark", Signal::TERM);
    let status = herd.wait_exit("Clark", STOP);
    assert_eq!(status.code(), Some(0), "{status}");
    for (thread, _) in readers {
        let (answers, why, torn) = thread.join().expect("a reader's end");
        assert_eq!(
            torn, 0,
            "{torn} bytes of a line after {answers} answers, then {why:?}"
        );
        assert_ne!(why, Quiet::Timeout);
    }
    assert!(
        TcpStream::connect(address).is_err(),
        "nobody listens any more"
    );
}

#[test]
fn a_second_sigterm_ends_a_stop_that_takes_long() {
    let mut herd = Herd::solo("Clark");
    let client = herd.client("Clark");
    // A client that does not read holds up the flush.
    let mut stream = client.stream();
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .expect("a write timeout");
    let block = "held\n".repeat(1_000);
    while std::io::Write::write(&mut stream, block.as_bytes()).is_ok() {}
    herd.signal("Clark", Signal::TERM);
    // The first has been seen when nobody new is let in.
    let address = herd.address("Clark");
    crate::common::wait_until(PATIENCE, "it stops listening", || {
        TcpStream::connect(address).is_err()
    });
    herd.signal("Clark", Signal::TERM);
    herd.wait_exit("Clark", Duration::from_secs(2));
}

#[test]
fn a_server_says_that_it_listens_and_no_more() {
    let herd = Plan::only("Clark").start();
    let line = format!("Clark listens on {}\n", herd.address("Clark"));
    let said = fs::read_to_string(herd.directory().join("Clark.out")).expect("its output");
    assert_eq!(said, line);
}

#[test]
fn plain_links_are_for_loopback_unless_the_user_says_otherwise() {
    let directory = TempDir::new();
    let write = |herd: &str| {
        std::fs::write(directory.path().join("herd.json"), herd).expect("a file");
    };
    // An address of documentation: nobody has it (RFC 5737).
    write(r#"{"servers": {"A": "127.0.0.1:1", "B": "192.0.2.1:9999"}, "links": [["A", "B"]]}"#);
    for words in [&["A"][..], &["B"], &["--all"]] {
        let exit = run_herd(
            directory.path(),
            &[words, &["--herd", "herd.json"]].concat(),
        );
        assert_eq!(exit.code, Some(2), "{words:?} {exit:?}");
        one_line(&exit.stderr, "a plain link at 192.0.2.1:9999");
        one_line(&exit.stderr, "--plain-peers");
    }
    // With leave it goes on, to the next mistake: the address is not this machine's.
    let exit = run_herd(
        directory.path(),
        &["B", "--herd", "herd.json", "--plain-peers"],
    );
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(
        exit.stderr.contains("B cannot listen on 192.0.2.1:9999"),
        "{exit:?}"
    );
    // C has no links: its clients may come from anywhere.
    write(r#"{"servers": {"C": "192.0.2.1:9999"}, "links": []}"#);
    let exit = run_herd(directory.path(), &["C", "--herd", "herd.json"]);
    assert_eq!(exit.code, Some(1), "{exit:?}");
}
