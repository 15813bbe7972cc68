//! `--snapshot FILE`: what a server knows after its end. (The faults' row 20, on real processes; the
//! file itself, cut at each byte and with each bit flipped: `herd/snapshot.rs`.)

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::{Herd, Plan, iamat, unique, wait_until};
use herd::herd::SnapshotWriter;
use herd::net::{LINE_MAX, SNAPSHOT_BYTES_MAX};
use herd::server::SNAPSHOT_STALL;
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(5);

fn clark(every: &str) -> Herd {
    let options = ["--snapshot", "{name}.snapshot", "--snapshot-every", every];
    Plan::only("Clark").args(&options).start()
}

fn file(herd: &Herd) -> PathBuf {
    herd.directory().join("Clark.snapshot")
}

/// Tells Clark of some clients; gives back the answers.
fn tell(herd: &Herd, count: usize) -> Vec<(String, String)> {
    let mut client = herd.client("Clark");
    let mut tell = |_| {
        let id = unique("kept");
        let line = client.ask(iamat(&id));
        (id, line)
    };
    (0..count).map(&mut tell).collect()
}

fn held(herd: &Herd, told: &[(String, String)]) -> usize {
    let ids: Vec<String> = told.iter().map(|(id, _)| id.clone()).collect();
    let found = herd.holds_all("Clark", &ids);
    let same = found.iter().zip(told);
    same.filter(|(found, (_, line))| found.as_ref() == Some(line))
        .count()
}

fn said(herd: &Herd, text: &str) {
    wait_until(SOON, text, || herd.journal("Clark").contains(text));
}

fn stop(herd: &mut Herd) {
    herd.signal("Clark", Signal::TERM);
    assert!(herd.wait_exit("Clark", Duration::from_secs(6)).success());
}

#[test]
fn a_server_that_was_asked_to_stop_forgets_nothing() {
    let mut herd = clark("3600");
    let told = tell(&herd, 300);
    stop(&mut herd);
    herd.restart("Clark");
    // The first thing that anybody can ask it.
    assert_eq!(held(&herd, &told), 300);
    said(&herd, "300 records were restored from the snapshot");
    let more = tell(&herd, 1);
    stop(&mut herd);
    herd.restart("Clark");
    assert_eq!(held(&herd, &told) + held(&herd, &more), 301);
}

#[test]
fn a_killed_server_knows_what_was_old_enough() {
    let mut herd = clark("0");
    for round in 1..=5 {
        let told = tell(&herd, 100);
        let text = fs::read_to_string(file(&herd)).unwrap_or_default();
        let (_, newest) = told.last().expect("a hundred");
        let safe =
            || fs::read_to_string(file(&herd)).is_ok_and(|text| text.contains(newest.trim_end()));
        wait_until(SOON, "the newest is in the snapshot", safe);
        assert!(
            text.is_empty() || text.contains(" end "),
            "never half a file: {text}"
        );
        herd.kill("Clark");
        herd.restart("Clark");
        assert_eq!(held(&herd, &told), 100, "round {round}");
    }
}

/// A kill in the middle of writing leaves the snapshot before: all of it.
#[test]
fn a_kill_while_a_snapshot_is_written_leaves_the_one_before() {
    let mut herd = clark("0");
    let told = tell(&herd, 2_000);
    stop(&mut herd);
    for _ in 0..20 {
        herd.restart("Clark");
        tell(&herd, 1);
        herd.kill("Clark");
        let text = fs::read_to_string(file(&herd)).expect("a snapshot");
        let last = text.lines().last().unwrap_or_default();
        assert!(last.contains(" end 20"), "{last}");
    }
    herd.restart("Clark");
    assert_eq!(held(&herd, &told), 2_000);
}

#[test]
fn a_damaged_snapshot_is_used_up_to_the_damage_and_said() {
    let mut herd = clark("3600");
    let told = tell(&herd, 100);
    stop(&mut herd);
    let whole = fs::read(file(&herd)).expect("a snapshot");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    let half = whole[..whole.len() / 2].to_vec();
    for (damaged, least, most) in [
        (half, 40, 60),
        (flipped, 40, 60),
        (b"not a snapshot at all\n".to_vec(), 0, 0),
        (Vec::new(), 0, 0),
    ] {
        let (is_empty, before) = (damaged.is_empty(), damaged.clone());
        fs::write(file(&herd), damaged).expect("a file");
        fs::write(herd.directory().join("Clark.log"), "").expect("a journal");
        herd.restart("Clark");
        let count = held(&herd, &told);
        assert!(
            (least..=most).contains(&count),
            "{count} of {least} to {most}"
        );
        if !is_empty {
            let aside = ["", ".2", ".3"].map(|number| format!("Clark.snapshot.before{number}"));
            let mut aside = aside
                .iter()
                .map(|name| fs::read(herd.directory().join(name)).ok());
            assert!(aside.any(|kept| kept.as_ref() == Some(&before)), "no copy");
        }
        if !is_empty {
            said(&herd, "the snapshot is damaged at byte ");
            let err = fs::read_to_string(herd.directory().join("Clark.err")).expect("its stderr");
            assert!(err.contains("the snapshot is damaged at byte "), "{err}");
        }
        herd.kill("Clark");
    }
}

#[test]
fn a_snapshot_that_cannot_be_written_stops_nobody() {
    let mut herd = Plan::only("Clark")
        .args(&[
            "--snapshot",
            "nowhere/Clark.snapshot",
            "--snapshot-every",
            "0",
        ])
        .start();
    let told = tell(&herd, 50);
    let err = fs::read_to_string(herd.directory().join("Clark.err")).expect("its stderr");
    assert!(err.contains("there is no folder nowhere: "), "{err}");
    said(
        &herd,
        "no snapshot, the one before still stands: No such file",
    );
    assert_eq!(held(&herd, &told), 50);
    ends_without_its_snapshot(&mut herd, "No such file");
}

/// It has been told to stop: what is lost is said, by its status too.
fn ends_without_its_snapshot(herd: &mut Herd, why: &str) {
    herd.signal("Clark", Signal::TERM);
    // Beyond that of a stop: a look at the disk's progress, and the thread that hangs there.
    let status = herd.wait_exit("Clark", SNAPSHOT_STALL + Duration::from_secs(3));
    assert_eq!(status.code(), Some(1));
    let lost = "the one before still stands: ";
    let err = fs::read_to_string(herd.directory().join("Clark.err")).expect("its stderr");
    let said = format!("Clark: the last snapshot was not written, {lost}{why}");
    assert!(err.contains(&said), "{err}");
    let said = format!("no snapshot, {lost}{why}");
    assert!(herd.journal("Clark").contains(&said));
}

/// What a run that was killed left unfinished.
fn beside(herd: &Herd) -> PathBuf {
    herd.directory().join("Clark.snapshot.0123456789abcdef.new")
}

#[test]
fn a_full_disk_keeps_no_half_snapshot() {
    let folder = crate::common::TempDir::new();
    let options = ["--snapshot=A.snapshot", "--snapshot-every=0"];
    let (mut child, address) = crate::common::on_a_full_disk(folder.path(), 64, &options);
    let mut client = crate::common::Client::connect(address);
    let whole = folder.path().join("A.snapshot");
    client.ask(iamat("first"));
    wait_until(SOON, "a snapshot", || whole.exists());
    for number in 0..20 {
        client.ask(iamat(&format!("{number}{}", "x".repeat(3_000))));
    }
    drop((client, child.stdin.take()));
    let exit = child.wait_with_output().expect("it ends");
    assert_eq!(exit.status.code(), Some(1), "{exit:?}");
    let said = "A: the last snapshot was not written, the one before still stands: File too large";
    let err = String::from_utf8_lossy(&exit.stderr);
    assert!(err.contains(said), "{err}");
    let text = fs::read_to_string(&whole).expect("the one before");
    assert!(text.contains("first") && text.contains(" end "), "{text}");
    let files = fs::read_dir(folder.path()).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name());
    let left = names.filter(|name| name.to_string_lossy().ends_with(".new"));
    assert_eq!(left.count(), 0, "half a snapshot is left");
}

#[test]
fn what_a_killed_server_left_of_a_snapshot_goes_when_the_next_one_listens() {
    let mut herd = clark("3600");
    fs::write(beside(&herd), "half of it").expect("a file");
    // Somebody else's, however it ends.
    let others = ["Clark.snapshot.new", "Clark.snapshot.old.new", "x.new"];
    let others = others.map(|name| herd.directory().join(name));
    for other in &others {
        fs::write(other, "mine").expect("a file");
    }
    // One that cannot listen may be a mistake: that snapshot may be on its way.
    let words = [
        "Clark",
        "--herd",
        "Clark.json",
        "--log=none",
        "--snapshot=Clark.snapshot",
    ];
    let exit = crate::common::run_herd(herd.directory(), &words);
    assert!(exit.stderr.contains("the port is in use"), "{exit:?}");
    assert!(beside(&herd).exists());
    herd.kill("Clark");
    herd.restart("Clark");
    assert!(!beside(&herd).exists());
    assert!(others.iter().all(|other| other.exists()));
}

/// Records that this start does not take stay in a copy: the next snapshot is without them.
#[test]
fn what_is_not_taken_of_a_snapshot_is_kept_aside() {
    let mut herd = clark("0");
    let told = tell(&herd, 20);
    stop(&mut herd);
    let mine = fs::read(file(&herd)).expect("a snapshot");
    // Written by a server of another herd, and by one that took longer lines.
    let mut bytes = Vec::new();
    let mut writer = SnapshotWriter::begin(&mut bytes);
    writer.record(b"AT Stranger +1 lost +1-1 5\n", &mut bytes);
    let digits = "0".repeat(LINE_MAX);
    writer.record(
        format!("AT Clark +1 long +1-1 5.{digits}\n").as_bytes(),
        &mut bytes,
    );
    writer.record(b"AT Clark +1 kept +1-1 5\n", &mut bytes);
    writer.end(&mut bytes);
    fs::write(file(&herd), &bytes).expect("a snapshot");
    herd.restart("Clark");
    let aside = |name: &str| fs::read(herd.directory().join(name)).ok();
    assert_eq!(aside("Clark.snapshot.before"), Some(bytes.clone()));
    let err = fs::read_to_string(herd.directory().join("Clark.err")).expect("its stderr");
    for text in [
        "1 records of the snapshot were not taken: they were reported to servers that are not",
        "1 records of the snapshot were not taken: no server would take them",
        "the snapshot as it was is kept as ",
    ] {
        assert!(err.contains(text), "{text}: {err}");
    }
    said(&herd, "1 records were restored from the snapshot");
    herd.kill("Clark");
    // The same again is no other copy; another file is.
    herd.restart("Clark");
    herd.kill("Clark");
    fs::write(file(&herd), &mine[..mine.len() / 2]).expect("half a snapshot");
    herd.restart("Clark");
    let aside = |name: &str| fs::read(herd.directory().join(name)).ok();
    assert_eq!(aside("Clark.snapshot.before"), Some(bytes));
    assert_eq!(
        aside("Clark.snapshot.before.2"),
        Some(mine[..mine.len() / 2].to_vec())
    );
    assert_eq!(aside("Clark.snapshot.before.3"), None);
    assert!(held(&herd, &told) >= 8);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_said_before_anything_is_promised() {
    let folder = crate::common::TempDir::new();
    // As large as no snapshot is, and all holes.
    let large = fs::File::create(folder.path().join("large")).expect("a file");
    large.set_len(SNAPSHOT_BYTES_MAX + 1).expect("holes");
    let exit = crate::common::run_herd(
        folder.path(),
        &["Clark", "--log=none", "--snapshot", "large"],
    );
    assert_eq!(exit.code, Some(1), "{}", exit.stderr);
    let said = "the snapshot cannot be read: it is too large";
    assert!(exit.stderr.contains(said), "{}", exit.stderr);
    let exit = crate::common::run_herd(folder.path(), &["Clark", "--snapshot-every", "5"]);
    assert!(exit.stderr.contains("--snapshot-every"), "{}", exit.stderr);
}

/// A whole herd, here of one, says by its status too that one of its servers lost something.
#[test]
fn a_herd_whose_server_loses_its_last_snapshot_ends_with_its_status() {
    for (path, code) in [("nowhere/{name}", 1), ("{name}", 0)] {
        let folder = crate::common::TempDir::new();
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a free port");
        let herd = format!(r#"{{"servers": {{"A": "{address}"}}, "links": []}}"#);
        fs::write(folder.path().join("herd.json"), herd).expect("a herd file");
        let mut all = std::process::Command::new(env!("CARGO_BIN_EXE_herd"))
            .args([
                "--all",
                "--herd=herd.json",
                "--log=none",
                "--snapshot",
                path,
            ])
            .current_dir(folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the herd program starts");
        wait_until(SOON, "A listens", || {
            std::net::TcpStream::connect(address).is_ok()
        });
        crate::common::Client::connect(address).ask(iamat("kiwi"));
        let pid = rustix::process::Pid::from_child(&all);
        rustix::process::kill_process(pid, Signal::TERM).expect("a signal");
        assert_eq!(all.wait().expect("it ends").code(), Some(code), "{path}");
    }
}
