//! `--snapshot FILE`: what a server knows after its end. (The faults' row 20, on real processes; the
//! file itself, cut at each byte and with each bit flipped: `herd/snapshot.rs`.)

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::{Herd, Plan, iamat, unique, wait_until};
use herd::net::SNAPSHOT_BYTES_MAX;
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
        if before.starts_with(b"not a") {
            let kept = fs::read(herd.directory().join("Clark.snapshot.before"));
            assert_eq!(kept.expect("a copy of what is no snapshot"), before);
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
    stop(&mut herd);
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
