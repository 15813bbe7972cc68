//! A stream cut at every byte is the same stream. (The faults' row 5.)
//!
//! `HERD_SCRIPTS=2000 cargo test --release --test simulator splits` takes more scripts.

use std::time::Duration;

use herd::server::Node;
use herd::worlds::sim::{SimWorld, Simulation, Weather};
use regex::Regex;

use crate::stage::{Dice, Play, boot, solo};

/// Long enough for bytes and answers to arrive.
const MOMENT: Duration = Duration::from_millis(20);

/// What a client might say: good lines, bad ones, and all kinds of ends.
fn script(number: u64) -> String {
    let mut dice = Dice::new(number);
    let mut pick = |choices: &[&'static str]| choices[dice.roll(choices.len() as u64) as usize];
    let mut text = String::new();
    for _ in 0..2 + number % 3 {
        text += pick(&[
            "IAMAT kiwi +34.068930-118.445127 1621464827.959498503",
            " IAMAT\t\x0bkiwi  +1-1 5 ",
            "IAMAT o +0.5-0.5 1e5",
            "WHATSAT kiwi 10 1",
            "WHATSAT kiwi 51 1",
            "WHATSAT nobody 1 1",
            "AT Clark +1 kiwi +1-1 9",
            "PEER Clark",
            "\u{1}\u{7f}",
            "",
            "HELLO",
        ]);
        text += pick(&["\n", "\r\n", " \n", "\n\n", "\n"]);
    }
    text + pick(&["", "without an end", "\r", "IAMAT kiwi +2-2 7"])
}

struct Stage(Simulation<Node<SimWorld>>);

impl Stage {
    fn new() -> Stage {
        let mut sim = Simulation::new(1, 1, Weather::default());
        boot(&mut sim, 0, solo());
        Stage(sim)
    }

    fn wait(&mut self) {
        self.0.wait(MOMENT);
    }

    /// Says these pieces and then the end; gives back all answers.
    fn say(&mut self, pieces: &[&[u8]]) -> String {
        let client = self.0.client(0);
        self.wait();
        let mut heard = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            // The simulated network takes what it likes: its own cuts are as good as ours.
            while !rest.is_empty() {
                let count = self.0.net_mut().write(client, rest);
                rest = &rest[count.expect("it takes bytes")..];
            }
            self.wait();
        }
        self.0.net_mut().shutdown_write(client);
        loop {
            self.wait();
            let (bytes, over) = self.0.net_mut().client_take(client);
            heard.extend_from_slice(&bytes);
            if over && bytes.is_empty() {
                self.0.net_mut().close(client);
                self.wait();
                return String::from_utf8(heard).expect("UTF-8");
            }
        }
    }
}

/// The scripts of a herd's life: kiwi is where it was last said to be, so each begins anew.
fn outcome(pieces: &[&[u8]], skew: &Regex) -> String {
    let heard = Stage::new().say(pieces);
    skew.replace_all(&heard, "AT Solo SKEW ").into_owned()
}

#[test]
fn a_stream_cut_at_every_byte_is_the_same_stream() {
    let count = std::env::var("HERD_SCRIPTS").ok();
    let count: u64 = count.map_or(200, |text| text.parse().expect("HERD_SCRIPTS is a number"));
    let skew = Regex::new(r"AT Solo [+-][0-9.]+ ").expect("a pattern");
    let mut splits = 0;
    for number in 0..count {
        let script = script(number);
        let bytes = script.as_bytes();
        let whole = outcome(&[bytes], &skew);
        for at in 1..bytes.len() {
            let (first, second) = bytes.split_at(at);
            let split = outcome(&[first, second], &skew);
            assert_eq!(split, whole, "{script:?} cut at {at}");
            splits += 1;
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(outcome(&single, &skew), whole, "{script:?} byte by byte");
    }
    println!("{count} scripts, {splits} splits");
}
