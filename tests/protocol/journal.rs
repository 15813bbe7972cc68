//! What a server writes to its journal, where, and what it does when it cannot.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::common::{Herd, PATIENCE, Plan, UCLA, iamat, now, wait_until};
use regex::Regex;
use rustix::process::Signal;

/// Waits until a line of the journal matches all the patterns, and gives it.
fn entry(herd: &Herd, name: &str, patterns: &[&str]) -> String {
    let patterns: Vec<Regex> = patterns
        .iter()
        .map(|pattern| Regex::new(pattern).expect("a pattern"))
        .collect();
    crate::common::wait_for(PATIENCE, &format!("{name} journals {patterns:?}"), || {
        let journal = herd.journal(name);
        let found = journal
            .lines()
            .find(|line| patterns.iter().all(|p| p.is_match(line)));
        found.map(str::to_string)
    })
}

#[test]
fn input_and_output_are_journalled_by_default() {
    let herd = Herd::solo("Clark");
    let line = iamat("kiwi");
    let answer = herd.client("Clark").ask(&line);
    let line = regex::escape(line.trim_end());
    let answer = regex::escape(answer.trim_end());
    let came = entry(&herd, "Clark", &[&format!("{line}$"), "client", "<"]);
    let went = entry(&herd, "Clark", &[&format!("{answer}$"), "client", ">"]);
    // The same connection, by its number.
    let number = Regex::new(r"#\S+").expect("a pattern");
    let numbers = [&came, &went].map(|entry| number.find(entry).map(|found| found.as_str()));
    assert_eq!(numbers[0], numbers[1], "{came}\n{went}");
    assert!(numbers[0].is_some(), "no connection number in {came}");
}

#[test]
fn every_line_has_a_time_to_the_microsecond_and_is_printable() {
    let herd = Herd::start();
    let mut client = herd.client("Clark");
    client.ask(b"\x00\x1b[31mred\x7f\x80\xff\\ \t\xc3\xa9\r\n");
    client.ask(iamat("kiwi"));
    client.send("WHATSAT kiwi 10 5\n").whatsat();
    entry(&herd, "Clark", &["WHATSAT kiwi"]);
    let stamp = Regex::new(r"^\S*\d\d:\d\d:\d\d\.\d{6}\D").expect("a pattern");
    for name in crate::common::NAMES {
        entry(&herd, name, &["listens on"]);
        let journal = herd.journal(name);
        for line in journal.lines() {
            assert!(stamp.is_match(line), "no time in {line:?}");
            let plain = line.chars().all(|c| (' '..='~').contains(&c));
            assert!(plain, "bytes that are not printable in {line:?}");
        }
    }
}

#[test]
fn bytes_are_escaped_so_that_nobody_can_forge_an_entry() {
    let herd = Herd::solo("Clark");
    herd.client("Clark").ask(b"e\x00\x1b\xff\\x41\rfake\n");
    let line = entry(&herd, "Clark", &["<", "fake"]);
    assert!(line.ends_with(r"e\x00\x1b\xff\\x41\rfake"), "{line:?}");
}

#[test]
fn connections_of_other_servers_are_noticed_when_they_come_and_go() {
    let mut herd = Herd::start();
    entry(&herd, "Clark", &["Bona", "(?i)connect|link|greet"]);
    entry(&herd, "Clark", &["Jaquez", "(?i)connect|link|greet"]);
    let before = herd.journal("Clark").matches("Bona").count();
    herd.kill("Bona");
    entry(
        &herd,
        "Clark",
        &["Bona", "(?i)drop|lost|clos|disconnect|ended|gone|down"],
    );
    let away = herd.journal("Clark").matches("Bona").count();
    assert!(away > before, "its going was noticed");
    herd.restart("Bona");
    herd.wait_whole();
    wait_until(PATIENCE, "its return was noticed", || {
        herd.journal("Clark").matches("Bona").count() > away
    });
}

#[test]
fn what_neighbours_say_is_journalled_under_their_names() {
    let herd = Herd::start();
    let at = herd.client("Jaquez").ask(iamat("kiwi"));
    let at = regex::escape(at.trim_end());
    herd.client("Jaquez");
    entry(&herd, "Jaquez", &[&format!("{at}$"), ">", "Clark|peer"]);
    entry(&herd, "Clark", &[&format!("{at}$"), "<", "Jaquez|Bona"]);
}

#[test]
fn log_names_another_file() {
    let herd = Plan::only("Clark")
        .args(&["--log", "elsewhere.txt"])
        .start();
    herd.client("Clark").ask("hello\n");
    let path = herd.directory().join("elsewhere.txt");
    wait_until(PATIENCE, "elsewhere.txt is written", || {
        fs::read_to_string(&path).is_ok_and(|text| text.contains("hello"))
    });
    assert!(
        !herd.directory().join("Clark.log").exists(),
        "and the default is not"
    );
}

#[test]
fn log_none_writes_none() {
    let herd = Plan::only("Clark").args(&["--log", "none"]).start();
    herd.client("Clark").ask("hello\n");
    let entries = fs::read_dir(herd.directory()).expect("the herd's directory");
    let names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name == "none" || name == "Clark.log"),
        "{names:?}"
    );
}

#[test]
fn a_journal_is_carried_on_after_a_restart() {
    let mut herd = Herd::solo("Clark");
    herd.client("Clark").ask("first life\n");
    entry(&herd, "Clark", &["first life"]);
    herd.kill("Clark");
    herd.restart("Clark");
    herd.client("Clark").ask("second life\n");
    entry(&herd, "Clark", &["second life"]);
    entry(&herd, "Clark", &["first life"]);
}

#[test]
fn sighup_reopens_the_journal() {
    let herd = Herd::solo("Clark");
    let mut client = herd.client("Clark");
    client.ask("before\n");
    entry(&herd, "Clark", &["before"]);
    let path = herd.directory().join("Clark.log");
    let old = herd.directory().join("Clark.log.1");
    fs::rename(&path, &old).expect("a rotation");
    herd.signal("Clark", Signal::HUP);
    wait_until(PATIENCE, "a new journal is there", || path.exists());
    client.ask("after\n");
    entry(&herd, "Clark", &["after"]);
    let old = fs::read_to_string(&old).expect("the old journal");
    assert!(old.contains("before") && !old.contains("after"), "{old}");
    assert!(!herd.journal("Clark").contains("before"));
}

/// A thread writes it, which may be behind: the end waits for that.
#[test]
fn a_stop_leaves_a_whole_journal() {
    let mut herd = Herd::solo("Clark");
    let mut client = herd.client("Clark");
    for n in 0..500 {
        client.ask(format!("line {n}\n"));
    }
    herd.signal("Clark", Signal::TERM);
    assert!(herd.wait_exit("Clark", Duration::from_secs(6)).success());
    let journal = herd.journal("Clark");
    for n in 0..500 {
        let line = format!("> ? line {n}\n");
        assert!(journal.contains(&line), "{line:?} is missing");
    }
    assert!(journal.contains("stopping on signal 15"), "{journal:.200}");
}

#[test]
fn a_full_disk_does_not_stop_the_service() {
    let mut herd = Plan::five().args(&["--log", "/dev/full"]).start();
    let mut client = herd.client("Clark");
    for n in 0..2_000 {
        assert_eq!(client.ask(format!("line {n}\n")), format!("? line {n}\n"));
    }
    let at = client.ask(format!("IAMAT kiwi {UCLA} {}\n", now()));
    herd.wait_everywhere("kiwi", &at);
    herd.signal("Clark", Signal::TERM);
    assert!(herd.wait_exit("Clark", Duration::from_secs(6)).success());
}

/// A pipe that nobody empties: its writer would block for ever.
#[test]
fn a_journal_nobody_reads_does_not_stop_the_service() {
    let directory = crate::common::TempDir::new();
    let pipe = directory.path().join("pipe");
    crate::common::fifo(&pipe);
    // Held open for both, so that opening it for writing finds a reader.
    let held = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("the pipe");
    let path = pipe.to_str().expect("a path that is text");
    let herd = Plan::only("Clark").args(&["--log", path]).start();
    let mut client = herd.client("Clark");
    let line = format!("{}\n", "w".repeat(999));
    for n in 0..3_000 {
        assert_eq!(client.ask(&line), format!("? {line}"), "line {n}");
    }
    drop(held);
}

/// A reader that was away for a while gets all of it: what waited when the journal was opened anew, and
/// what waited when the server ended.
#[test]
fn a_slow_reader_misses_nothing_by_a_hangup_or_an_end() {
    const LINES: usize = 9_000;
    let directory = crate::common::TempDir::new();
    let pipe = directory.path().join("pipe");
    crate::common::fifo(&pipe);
    let mut options = fs::OpenOptions::new();
    let held = options.read(true).write(true).open(&pipe);
    let mut reader = held.expect("the pipe");
    let path = pipe.to_str().expect("a path that is text");
    let mut herd = Plan::only("Clark").args(&["--log", path]).start();
    let mut client = herd.client("Clark");
    for n in 0..LINES {
        client.ask(format!("IAMAT id{n} +34-118 1\n"));
        if n == LINES / 2 {
            herd.signal("Clark", Signal::HUP);
        }
    }
    herd.signal("Clark", Signal::TERM);
    let reading = std::thread::spawn(move || {
        let (mut text, mut bytes) = (Vec::new(), [0; 65_536]);
        while !text.ends_with(b"stopping on signal 15\n") {
            let count = reader.read(&mut bytes).expect("it writes");
            text.extend_from_slice(&bytes[..count]);
            // Slower than it is written, and never still for long.
            std::thread::sleep(Duration::from_millis(10));
        }
        String::from_utf8(text).expect("plain text")
    });
    assert!(herd.wait_exit("Clark", Duration::from_secs(30)).success());
    let text = reading.join().expect("the end of the journal");
    let lines = text.lines().filter(|line| line.contains(" < IAMAT id"));
    let ids = lines.map(|line| line.split(' ').nth(5).expect("an id"));
    let wanted: Vec<_> = (0..LINES).map(|n| format!("id{n}")).collect();
    assert_eq!(ids.collect::<Vec<_>>(), wanted);
    let whole = |line: &str| line.as_bytes().get(26) == Some(&b'Z');
    assert!(text.lines().all(whole), "a torn line");
}

/// At its size a journal becomes FILE.1, behind any link, and with the rights that somebody gave it.
#[test]
fn a_large_journal_is_put_aside_and_another_begins() {
    let mut plan = Plan::only("Clark");
    plan = plan.args(&["--max-log", "20000"]);
    let herd = plan.start();
    let (log, aside) = ("Clark.log", "Clark.log.1");
    let file = |name: &str| herd.directory().join(name);
    let rights = fs::Permissions::from_mode(0o640);
    fs::set_permissions(file(log), rights).expect("ours");
    let mut client = herd.client("Clark");
    for number in 0..1_000 {
        let line = format!("line {number:04} {}\n", "x".repeat(number % 90));
        assert_eq!(client.ask(&line), format!("? {line}"));
    }
    let numbers = || {
        let both = [aside, log].map(|name| fs::read_to_string(file(name)).unwrap_or_default());
        for text in &both {
            assert!(text.len() <= 20_000 && (text.is_empty() || text.ends_with('\n')));
        }
        let lines = both.concat();
        let came = lines.lines().filter_map(|line| line.split_once(" < line "));
        let number = |text: &str| text[..4].parse::<usize>().expect("a number");
        came.map(|(_, text)| number(text)).collect::<Vec<_>>()
    };
    wait_until(PATIENCE, "the journal is written", || {
        numbers().last() == Some(&999)
    });
    let numbers = numbers();
    assert!(numbers.len() > 60, "{}", numbers.len());
    // What is still there has no gap.
    assert!(
        numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{numbers:?}"
    );
    for name in [log, aside] {
        let mode = fs::metadata(file(name))
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
}

/// 10.9 MB of LFs made 641 MB of journal in 4.5 s.
#[test]
fn a_flood_of_line_feeds_does_not_fill_the_disk() {
    let herd = Plan::only("Clark").start();
    let mut client = herd.client("Clark");
    const LINES: usize = 200_000;
    let reader = client.stream().try_clone().expect("a socket");
    let reader = std::thread::spawn(move || {
        let (mut stream, mut count) = (reader, 0);
        let mut buffer = [0; 64 * 1024];
        while count < 3 * LINES {
            count += stream.read(&mut buffer).expect("answers");
        }
    });
    for _ in 0..LINES / 1_000 {
        client.send("\n".repeat(1_000));
    }
    reader.join().expect("all answers");
    drop(client);
    entry(&herd, "Clark", &["client \\* dropped: it ended"]);
    let journal = herd.journal("Clark");
    assert!(journal.len() < 10 * LINES, "{} bytes", journal.len());
    // Once a second, with the next line.
    let said = Regex::new(r"\* \d+ short lines of \d+ bytes are not written here").expect("one");
    let mut client = herd.client("Clark");
    wait_until(PATIENCE, "they are counted", || {
        client.ask("a line that pays for itself\n");
        said.is_match(&herd.journal("Clark"))
    });
}

/// Somebody's folder has the name that it would get: it grows on, and nothing is lost or left behind.
#[test]
fn a_journal_that_cannot_be_put_aside_goes_on() {
    let folder = "Clark.log.1/theirs";
    let herd = Plan::only("Clark").args(&["--max-log", "5000"]).start();
    fs::create_dir_all(herd.directory().join(folder)).expect("a folder");
    let mut client = herd.client("Clark");
    for number in 0..100 {
        client.ask(format!("a line of some length, number {number}\n"));
    }
    for number in 0..100 {
        let line = format!("< a line of some length, number {number}$");
        entry(&herd, "Clark", &[&line]);
    }
    let said = fs::read_to_string(herd.directory().join("Clark.err")).expect("its stderr");
    assert!(said.contains("; it goes on"), "{said}");
    assert!(herd.directory().join(folder).exists());
    let files = fs::read_dir(herd.directory()).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name());
    let left = names.filter(|name| name.to_string_lossy().ends_with(".new"));
    assert_eq!(left.count(), 0);
}
