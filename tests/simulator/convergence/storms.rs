//! Schedules in which everything happens at once.

use std::time::Duration;

use herd::herd::Roster;

use crate::stage::Dice;

use super::{Act, SERVERS, STORM, UPDATES};

/// A storm: what happens when. Cuts heal and crashed servers come back, at the latest at its end.
pub fn schedule(seed: u64) -> Vec<(Duration, Act)> {
    let mut dice = Dice::new(seed);
    let links = Roster::standard().links().to_vec();
    let mut acts = Vec::new();
    let at = |dice: &mut Dice| Duration::from_millis(dice.roll(STORM.as_millis() as u64));
    for _ in 0..UPDATES {
        let update = update(&mut dice);
        acts.push((at(&mut dice), update));
    }
    for _ in 0..dice.roll(12) {
        let (a, b) = links[dice.roll(links.len() as u64) as usize];
        acts.push((at(&mut dice), Act::Flap(a, b)));
    }
    for _ in 0..dice.roll(8) {
        let (a, b) = links[dice.roll(links.len() as u64) as usize];
        let (from, to) = if dice.roll(2) == 0 { (a, b) } else { (b, a) };
        let begin = at(&mut dice);
        let end = (begin + Duration::from_millis(dice.roll(6000))).min(STORM);
        acts.push((begin, Act::Cut(from, to)));
        acts.push((end, Act::Heal(from, to)));
        acts.push((STORM, Act::Heal(from, to)));
    }
    for _ in 0..dice.roll(4) {
        let (a, b) = links[dice.roll(links.len() as u64) as usize];
        let speed = 20_000 << dice.roll(6);
        acts.push((at(&mut dice), Act::Slow(a, b, speed)));
    }
    for _ in 0..dice.roll(5) {
        let server = dice.roll(SERVERS as u64) as usize;
        let begin = at(&mut dice);
        let end = (begin + Duration::from_millis(dice.roll(4000))).min(STORM);
        acts.push((begin, Act::Crash(server, dice.roll(3) == 0)));
        acts.push((end, Act::Boot(server)));
    }
    acts.sort_by_key(|(when, _)| *when);
    acts
}

/// A report of one of a few clients to any server.
pub fn update(dice: &mut Dice) -> Act {
    Act::Update {
        server: dice.roll(SERVERS as u64) as usize,
        client: dice.roll(20),
        // Few times, so that many are equal.
        time: dice.roll(40),
        place: dice.roll(90),
    }
}
