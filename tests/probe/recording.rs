//! Recordings of real servers, replayed without a network: the same code does the same, to the byte
//! and to the callback.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{
    Herd, NAMES, PATIENCE, Places, Plan, TempDir, UCLA, iamat, now, run_herd, wait_until,
};
use herd::probe::Recording;
use herd::worlds::recording::Ending;
use rustix::process::Signal;

const UPDATES: usize = 2000;
/// Unlike anything else in a recording.
const KEY: &str = "AIzaSentinel_0123456789-abcdefghijklmno";

fn recording_of(herd: &Herd, name: &str) -> PathBuf {
    herd.directory().join(format!("{name}.recording"))
}

/// Replays a recording in this process and with the real program, and says how it ended.
fn replay(path: &Path) -> Ending {
    let bytes = std::fs::read(path).expect("a recording");
    assert!(
        !bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()),
        "the key stands in {}",
        path.display()
    );
    let outcome = Recording::new(&bytes).expect("a recording").run();
    let directory = path.parent().expect("a folder");
    let file = path.to_str().expect("UTF-8");
    let exit = run_herd(directory, &["--replay", file]);
    let different = matches!(outcome.ending, Ending::Different(_));
    assert_eq!(exit.code, Some(i32::from(different)), "{exit:?}");
    let order = format!(
        "{} callbacks, order {:016x}",
        outcome.callbacks, outcome.order
    );
    if !different {
        assert!(exit.stdout.contains(&order), "{exit:?} {order}");
    }
    if outcome.ending != Ending::Complete {
        println!("{}: {}", path.display(), exit.stdout);
    }
    outcome.ending
}

/// Reports, questions over HTTPS, nonsense, half a line.
fn storm(herd: &Herd, from: usize, to: usize) {
    let mut clients = NAMES.map(|name| {
        herd.running()
            .iter()
            .any(|up| up == name)
            .then(|| herd.client(name))
    });
    for number in from..to {
        let Some(client) = &mut clients[number % NAMES.len()] else {
            continue;
        };
        let time = now();
        client.ask(format!("IAMAT phone-{} {UCLA} {time}\n", number % 50));
        match number % 100 {
            7 => {
                client.send(format!("WHATSAT phone-{} 10 3\n", number % 50));
                client.whatsat_or_refusal();
            }
            20 => {
                client.send("IAMAT \x01\u{e9}\\ nonsense\r\n");
                client.line();
            }
            _ => {}
        }
    }
    herd.client("Clark").send("IAMAT half a li");
}

#[test]
fn five_recorded_servers_replay_to_the_byte() {
    let places = Places::start(&[]);
    let (url, ca) = (places.url(), places.ca_file());
    let plan = Plan::five().key(KEY).args(&[
        "--record",
        "{name}.recording",
        "--places",
        "legacy",
        "--places-url",
        &url,
        "--ca-file",
        ca.to_str().expect("UTF-8"),
    ]);
    let mut herd = plan.start();
    storm(&herd, 0, UPDATES / 2);
    // A peer is lost, and comes back with a recording of its own.
    herd.kill("Campbell");
    let lost = herd.directory().join("lost.recording");
    std::fs::rename(recording_of(&herd, "Campbell"), &lost).expect("it is moved");
    storm(&herd, UPDATES / 2, UPDATES * 3 / 4);
    herd.restart("Campbell");
    storm(&herd, UPDATES * 3 / 4, UPDATES);
    herd.client("Clark").ask(iamat("last"));
    wait_until(PATIENCE, "all know the last", || {
        NAMES.iter().all(|name| herd.holds(name, "last").is_some())
    });
    for name in NAMES {
        herd.signal(name, Signal::TERM);
    }
    for name in NAMES {
        assert!(herd.wait_exit(name, Duration::from_secs(8)).success());
    }
    for name in NAMES {
        assert_eq!(
            replay(&recording_of(&herd, name)),
            Ending::Complete,
            "{name}"
        );
    }
    assert_eq!(replay(&lost), Ending::Cut, "it was killed");
}

#[test]
fn a_server_that_cannot_start_leaves_the_recording_of_the_one_that_runs() {
    let mut herd = Plan::only("Clark")
        .args(&["--record", "run.recording"])
        .start();
    herd.client("Clark").ask(iamat("kiwi"));
    let words = [
        "Clark",
        "--herd",
        "Clark.json",
        "--log",
        "none",
        "--record",
        "run.recording",
    ];
    let exit = run_herd(herd.directory(), &words);
    assert!(exit.stderr.contains("the port is in use"), "{exit:?}");
    herd.client("Clark").ask(iamat("kiwi"));
    herd.signal("Clark", Signal::TERM);
    assert!(herd.wait_exit("Clark", Duration::from_secs(8)).success());
    assert_eq!(
        replay(&herd.directory().join("run.recording")),
        Ending::Complete
    );
}

/// A short recording of a server that stopped in good order, and where its records begin.
fn walk() -> (Vec<u8>, usize) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/first_walk.recording"
    );
    let bytes = std::fs::read(path).expect("a recording");
    let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let records = lines.map(|(at, _)| at + 1).nth(1).expect("two lines");
    (bytes, records)
}

/// Whoever reads the exit status must not take a file that is broken for code that does the same, nor
/// for code that does something else.
#[test]
fn a_damaged_recording_is_neither_equal_nor_different() {
    let (bytes, records) = walk();
    let directory = TempDir::new();
    let path = directory.path().join("damaged");
    let middle = (records + bytes.len()) / 2;
    let digit = bytes
        .windows(6)
        .position(|part| part == b":10004")
        .expect("a port")
        + 5;
    let zeros = |from: usize| {
        let mut bytes = bytes.clone();
        bytes[from..].fill(0);
        bytes
    };
    let without = |from: usize| [&bytes[..from], &bytes[from + 40..]].concat();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x80;
        bytes
    };
    let another_port = || {
        let mut bytes = bytes.clone();
        bytes[digit] = b'5';
        bytes
    };
    for (what, damaged) in [
        ("the header", another_port()),
        ("the first byte", flipped(records)),
        ("one of the first", flipped(records + 9)),
        ("the middle", flipped(middle)),
        ("the last byte", flipped(bytes.len() - 1)),
        ("zeros from the middle on", zeros(middle)),
        ("zeros from the start on", zeros(records)),
        ("a hole", without(middle)),
        ("more", [&bytes[..], b"more"].concat()),
    ] {
        std::fs::write(&path, damaged).expect("a file");
        let exit = run_herd(directory.path(), &["--replay", "damaged"]);
        assert_eq!(exit.code, Some(3), "{what}: {exit:?}");
        let words = ["equal so far: ", "the recording is damaged from byte "];
        for words in words {
            assert!(exit.stdout.contains(words), "{what}: {exit:?}");
        }
    }
    std::fs::write(&path, &bytes[..middle]).expect("a file");
    let exit = run_herd(directory.path(), &["--replay", "damaged"]);
    assert_eq!(exit.code, Some(0), "a clean cut: {exit:?}");
    assert!(exit.stdout.contains("equal so far: "), "{exit:?}");
}
