//! Row 15: packets vanish between two hosts, and no end is told.

use std::thread;
use std::time::{Duration, Instant};

use super::rounds;
use super::script::Script;
use crate::common::{now, wait_for, wait_until};

/// The promise, and a busy machine.
const NOTICED: Duration = Duration::from_millis(15_000 + 1_500);
/// The longest back-off, a connect's deadline, and a busy machine.
const HEALED: Duration = Duration::from_secs(10 + 3 + 2);

const HERD: &str = r#"{"servers": {"Ada": "10.77.0.1:7000", "Bob": "10.77.0.2:7000"},
    "links": [["Ada", "Bob"]]}"#;

fn link_losses(script: &Script, name: &str) -> usize {
    script
        .file(&format!("{name}.log"))
        .matches("link lost")
        .count()
}

/// One cable; with `talking`, Ada has something to tell while it swallows.
fn cable(talking: bool) -> (Duration, Duration) {
    let mut script = Script::start("hosts.sh", &["--net"], HERD);
    let knows = |script: &Script, name: &str, id: &str| {
        script.file(&format!("{name}.log")).contains("< AT Ada ")
            && script.file(&format!("{name}.log")).contains(id)
    };
    let say = |script: &mut Script, id: &str| {
        let answer = wait_for(Duration::from_secs(10), "Ada answers", || {
            let answer = script.tell(&format!("say IAMAT {id} +34.06-118.44 {}", now()));
            answer.starts_with("AT Ada").then_some(answer)
        });
        assert!(answer.contains(id));
    };
    wait_until(Duration::from_secs(10), "the link is up", || {
        ["Ada", "Bob"]
            .iter()
            .all(|name| script.file(&format!("{name}.log")).contains("link up"))
    });
    say(&mut script, "before");
    wait_until(Duration::from_secs(5), "Bob knows", || {
        knows(&script, "Bob", "before")
    });
    let (ada, bob) = (link_losses(&script, "Ada"), link_losses(&script, "Bob"));
    script.tell("drop");
    let dropped = Instant::now();
    if talking {
        say(&mut script, "meanwhile");
    }
    wait_until(NOTICED, "both notice", || {
        link_losses(&script, "Ada") > ada && link_losses(&script, "Bob") > bob
    });
    let noticed = dropped.elapsed();
    say(&mut script, "after");
    assert!(!knows(&script, "Bob", "after"), "the cable swallows");
    script.tell("heal");
    let healed = Instant::now();
    wait_until(HEALED, "Bob knows all", || {
        knows(&script, "Bob", "after") && (!talking || knows(&script, "Bob", "meanwhile"))
    });
    (noticed, healed.elapsed())
}

#[test]
fn a_cable_that_swallows_is_noticed_and_heals() {
    // They only wait: side by side.
    let rounds = rounds(8);
    let cables: Vec<_> = (0..rounds)
        .map(|round| thread::spawn(move || cable(round % 2 == 0)))
        .collect();
    let times: Vec<_> = cables
        .into_iter()
        .map(|cable| cable.join().expect("it is noticed, and heals"))
        .collect();
    let noticed = times.iter().map(|(noticed, _)| noticed).max();
    let healed = times.iter().map(|(_, healed)| healed).max();
    println!("{rounds} cables: noticed within {noticed:?}, whole within {healed:?} of the healing");
}
