//! Schedules in which the network falls apart in an orderly way: into two and three, and node by
//! node in one order and back in another ("swizzle-clogging", as FoundationDB's simulator has it).

use std::time::Duration;

use herd::herd::Roster;

use crate::stage::Dice;

use super::storms::update;
use super::{Act, SERVERS, STORM, UPDATES};

/// From here on everything is whole again.
pub const HEALED: Duration = STORM;

/// Updates all the while, under partitions that never touch a connection: what is on its way waits.
pub fn schedule(seed: u64) -> Vec<(Duration, Act)> {
    let mut dice = Dice::new(seed ^ 0x5134_2543_de82_ef95);
    let at = |dice: &mut Dice| Duration::from_millis(dice.roll(STORM.as_millis() as u64));
    let mut acts = Vec::new();
    for _ in 0..UPDATES {
        let update = update(&mut dice);
        acts.push((at(&mut dice), update));
    }
    let mut now = Duration::ZERO;
    while now < STORM * 3 / 4 {
        now = match dice.roll(2) {
            0 => swizzle(&mut dice, now, &mut acts),
            _ => split(&mut dice, now, &mut acts),
        };
    }
    for &(a, b) in Roster::standard().links() {
        acts.push((HEALED, Act::Heal(a, b)));
        acts.push((HEALED, Act::Heal(b, a)));
    }
    acts.sort_by_key(|(when, _)| *when);
    acts
}

fn moment(dice: &mut Dice) -> Duration {
    Duration::from_millis(50 + dice.roll(700))
}

/// All servers in some order.
fn shuffled(dice: &mut Dice) -> Vec<usize> {
    let mut order: Vec<usize> = (0..SERVERS).collect();
    for last in (1..SERVERS).rev() {
        order.swap(last, dice.roll(last as u64 + 1) as usize);
    }
    order
}

/// Some servers lose all their links, one after the other; they get them back in another order.
fn swizzle(dice: &mut Dice, start: Duration, acts: &mut Vec<(Duration, Act)>) -> Duration {
    let count = 1 + dice.roll(SERVERS as u64) as usize;
    let clogged: Vec<usize> = shuffled(dice).into_iter().take(count).collect();
    let healed = shuffled(dice);
    let mut now = start;
    for &server in &clogged {
        now += moment(dice);
        links_of(server, |a, b| acts.push((now, Act::Cut(a, b))));
    }
    for server in healed.into_iter().filter(|server| clogged.contains(server)) {
        now += moment(dice);
        links_of(server, |a, b| acts.push((now, Act::Heal(a, b))));
    }
    now
}

/// Two servers against three, for a while.
fn split(dice: &mut Dice, start: Duration, acts: &mut Vec<(Duration, Act)>) -> Duration {
    let two: Vec<usize> = shuffled(dice).into_iter().take(2).collect();
    let (begin, end) = (start + moment(dice), start + moment(dice) * 4);
    let end = end.max(begin);
    for &(a, b) in Roster::standard().links() {
        if two.contains(&a) != two.contains(&b) {
            for (from, to) in [(a, b), (b, a)] {
                acts.push((begin, Act::Cut(from, to)));
                acts.push((end, Act::Heal(from, to)));
            }
        }
    }
    end
}

fn links_of(server: usize, mut each: impl FnMut(usize, usize)) {
    for &(a, b) in Roster::standard().links() {
        if a == server || b == server {
            each(a, b);
            each(b, a);
        }
    }
}
