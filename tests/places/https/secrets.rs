//! The key: where it may come from, and that it is found nowhere afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::{UNKNOWN_ERROR, journal, phones};
use crate::common::{Herd, PATIENCE, Places, Plan, TempDir, run_herd};

/// A key that is easy to find. The apostrophe and the percent sign must be encoded in a query.
const SENTINEL: &str = "AIzaSENTINEL-0123456789_%27'secret";
/// Parts of it that would show whatever the encoding.
const PARTS: [&str; 3] = ["SENTINEL", "0123456789_", "secret"];

/// A file with the key.
fn key_file(directory: &Path, mode: u32) -> PathBuf {
    let file = directory.join("google.key");
    fs::write(&file, format!("{SENTINEL}\n")).expect("a key file");
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
    file
}

/// Asks a few questions, stops the server, and looks for the key in all that it has said. Returns
/// what the clients were told.
fn nothing_leaks(plan: Plan) -> String {
    let mut herd: Herd = plan.start();
    phones(&herd);
    let mut client = herd.client("Clark");
    let mut said = String::new();
    for km in 1..=7 {
        client.send(format!("WHATSAT phone-0 {km} 3\n"));
        let answer = client.whatsat();
        said += &answer.at;
        said += &answer.json;
    }
    herd.signal("Clark", Signal::TERM);
    herd.wait_exit("Clark", PATIENCE);
    let mut files = 0;
    for entry in fs::read_dir(herd.directory()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let text = fs::read(&path).expect("a file");
        free_of_the_key(&path.display().to_string(), &String::from_utf8_lossy(&text));
        files += 1;
    }
    assert!(files >= 4, "the herd file, the journal, and two streams");
    free_of_the_key("the answers", &said);
    let journal = herd.journal("Clark");
    assert!(journal.contains(" - places 1 * Queued: "), "{journal}");
    said
}

/// Servers at the same time, since they mostly wait, and what clients of each must be told.
fn side_by_side<'a>(plans: impl IntoIterator<Item = (Plan, &'a str)>) {
    std::thread::scope(|scope| {
        for (plan, wanted) in plans {
            scope.spawn(move || {
                let said = nothing_leaks(plan);
                assert!(said.contains(wanted), "{wanted}: {said}");
            });
        }
    });
}

fn free_of_the_key(what: &str, text: &str) {
    for part in PARTS {
        assert!(!text.contains(part), "{part:?} is in {what}:\n{text}");
    }
}

#[test]
fn a_key_that_is_right_is_sent_and_shown_nowhere() {
    let places = Places::start(&["--key", SENTINEL]);
    let directory = TempDir::new();
    let file = key_file(directory.path(), 0o600);
    let file = file.to_str().expect("a path in UTF-8");
    side_by_side(["legacy", "new"].into_iter().flat_map(|api| {
        [
            (places.clark(api).args(&["--key-file", file]), "geonames:"),
            (places.clark(api).key(SENTINEL), "geonames:"),
            // Without it, the stand-in refuses.
            (places.clark(api), "_DENIED"),
        ]
    }));
}

/// The stand-in repeats in its refusal the key that it was sent.
#[test]
fn a_key_that_is_refused_is_struck_out() {
    for api in ["legacy", "new"] {
        let places = Places::start(&["--key", "another"]);
        let said = nothing_leaks(places.clark(api).key(SENTINEL));
        assert!(said.contains("_DENIED") && said.contains("***"), "{said}");
    }
}

#[test]
fn a_key_is_not_shown_when_lookups_fail() {
    let places = Places::start(&[]);
    let elsewhere = format!("{}/elsewhere", places.url());
    let plans = [
        places.clark_who_trusts_nobody("legacy"),
        places.clark_who_trusts_nobody("new"),
        places.clark_at("legacy", &elsewhere),
    ];
    side_by_side(plans.map(|plan| (plan.key(SENTINEL), UNKNOWN_ERROR)));
}

#[test]
fn the_journal_shows_that_there_was_a_key() {
    let places = Places::start(&[]);
    let herd = places.clark("legacy").key(SENTINEL).start();
    phones(&herd);
    herd.client("Clark").send("WHATSAT phone-0 1 1\n").whatsat();
    let journal = journal(&herd);
    assert!(journal.contains("&key=*** HTTP/1.1"), "{journal}");
}

/// Status 2, and one line with this in it and nothing of the key.
fn refused(directory: &Path, args: &[&str], about: &str) {
    let exit = run_herd(directory, &[&["Clark"], args].concat());
    assert_eq!(exit.code, Some(2), "{args:?}: {exit:?}");
    assert_eq!(exit.stdout, "", "{args:?}");
    assert_eq!(exit.stderr.lines().count(), 1, "{args:?}: {exit:?}");
    assert!(exit.stderr.contains(about), "{about:?} is not in {exit:?}");
    free_of_the_key("the complaint", &exit.stderr);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let directory = TempDir::new();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
        key_file(directory.path(), mode);
        refused(directory.path(), &["--key-file", "google.key"], "600");
    }
    refused(
        directory.path(),
        &["--key-file", "absent.key"],
        "absent.key",
    );
    for text in ["", "\n", "two words", &"k".repeat(5000), "ключ"] {
        let file = key_file(directory.path(), 0o600);
        fs::write(file, text).expect("a key file");
        refused(
            directory.path(),
            &["--key-file", "google.key"],
            "google.key",
        );
    }
}

#[test]
fn uses_of_google_that_cannot_work_are_refused() {
    let directory = TempDir::new();
    let path = directory.path();
    for api in ["legacy", "new"] {
        refused(path, &["--places", api], "GOOGLE_PLACES_API_KEY");
    }
    let url = |url| ["--places", "legacy", "--places-url", url];
    for far in [
        "http://x.example",
        "http://192.0.2.1:1",
        "http://[2001:db8::1]",
    ] {
        refused(path, &url(far), "loopback alone");
    }
    for bad in ["", "https://", "ftp://x", "https://x:0", "localhost"] {
        refused(path, &url(bad), "--places-url");
    }
    fs::write(path.join("no.pem"), "no certificate\n").expect("a file");
    let broken = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n";
    fs::write(path.join("broken.pem"), broken).expect("a file");
    for file in ["no.pem", "broken.pem", "absent.pem"] {
        let args = [&url("https://127.0.0.1:1")[..], &["--ca-file", file]].concat();
        refused(path, &args, file);
    }
    refused(path, &["--ca-file", "no.pem"], "--ca-file");
    refused(
        path,
        &["--places", "offline", "--places-url", "https://x"],
        "--places-url",
    );
    refused(path, &["--field-mask", "places.id"], "--field-mask");
}

/// An address may hold a password: the complaint does not repeat it.
#[test]
fn a_password_in_an_address_is_refused_and_not_shown() {
    let args = [
        "--places",
        "legacy",
        "--places-url",
        "https://me:SENTINEL@x",
    ];
    refused(TempDir::new().path(), &args, "--places-url");
}
