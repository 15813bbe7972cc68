//! What every experiment is handed: the lab, who takes part, how much time
//! there is; rounds that are interleaved, shuffled, and told of.
//!
//! ```text
//! let rounds = bench.rounds("C50 P1", 20, &entrants, |entrant| measure(entrant))?;
//! ```

use crate::peers::Peer;
use crate::runtimes::Runtimes;
use crate::section::Section;
use lab::Result;
use lab::herd::Herd;
use lab::servers::{Lab, Program, Server, Start};
use std::cell::Cell;
use std::time::Instant;

pub struct Bench {
    pub lab: Lab,
    pub runtimes: Runtimes,
    pub peers: Vec<Peer>,
    /// All that this process might use before it went to one of them.
    pub cores: String,
    /// In miniature.
    pub quick: bool,
    /// What the command line wants instead of an experiment's own number.
    pub rounds: Option<usize>,
    pub begun: Instant,
    pub dice: Cell<u64>,
}

/// One of each platform.
const FEW: [&str; 5] = [
    "herd",
    "tokio-current",
    "java-nio",
    "node",
    "asyncio-streams",
];

/// A figure for each round, if the entrant was still in the race.
pub type Rounds<T> = Vec<Vec<Option<T>>>;

impl Bench {
    /// The number for a full run, or that for a quick one.
    pub fn sized<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// All peers but the echo.
    pub fn herds(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|peer| peer.is_herd())
    }

    /// All of them, or in miniature one of each platform.
    pub fn few_herds(&self, section: &mut Section) -> Vec<&Peer> {
        if !self.quick {
            return self.herds().collect();
        }
        let words = "In miniature one peer of each platform took part.";
        section.left_out.push(words.to_string());
        let is_one = |peer: &&Peer| FEW.contains(&peer.key);
        self.herds().filter(is_one).collect()
    }

    /// A line of progress, with the time so far.
    pub fn tell(&self, what: &str) {
        eprintln!("[{:>5.0} s] {what}", self.begun.elapsed().as_secs_f64());
    }

    /// One server by itself, on the servers' core.
    pub fn alone(&self, program: &Program, journal: bool, args: &[&str]) -> Result<Server> {
        let herd = Herd::alone("Clark")?;
        let start = Start::new("Clark").program(program).pinned();
        start.journal(journal).args(args).run(&self.lab, &herd)
    }

    /// The program, free to use every core. Unpinned it would inherit ours.
    pub fn on_all_cores(&self, program: &Program) -> Program {
        let mut free = program.clone();
        let taskset = ["taskset", "--cpu-list", &self.cores].map(Into::into);
        free.argv.splice(0..0, taskset);
        free
    }

    /// One server by itself, wherever its program goes.
    pub fn alone_anywhere(&self, program: &Program, args: &[&str]) -> Result<Server> {
        let herd = Herd::alone("Clark")?;
        let start = Start::new("Clark").program(program).args(args);
        start.run(&self.lab, &herd)
    }

    /// Each entrant once a round, in another order each round. Who fails is
    /// told of in the section and runs no more.
    pub fn rounds<T>(
        &self,
        section: &mut Section,
        what: &str,
        (full, quick): (usize, usize),
        names: &[String],
        mut measure: impl FnMut(usize) -> Result<T>,
    ) -> Rounds<T> {
        let count = self.rounds.unwrap_or(self.sized(full, quick)).max(1);
        self.tell(&format!("{what}: {count} rounds of {}", names.len()));
        let mut rounds: Rounds<T> = names.iter().map(|_| Vec::new()).collect();
        let mut failed = vec![false; names.len()];
        for _ in 0..count {
            for index in self.shuffled(names.len()) {
                let measured = match failed[index] {
                    true => None,
                    false => match again_if_taken(|| measure(index)) {
                        Ok(measured) => Some(measured),
                        Err(error) => {
                            failed[index] = true;
                            fail(section, &names[index], what, &error.to_string());
                            None
                        }
                    },
                };
                rounds[index].push(measured);
            }
        }
        rounds
    }

    fn shuffled(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.roll(last + 1));
        }
        order
    }

    fn roll(&self, sides: usize) -> usize {
        let mut bits = self.dice.get();
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        self.dice.set(bits);
        (bits % sides as u64) as usize
    }
}

/// A port that was free when we looked may be another's when a server wants
/// it: then everything is done once more.
pub fn again_if_taken<T>(mut measure: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..3 {
        match measure() {
            Err(error) if error.to_string().to_lowercase().contains("in use") => {}
            other => return other,
        }
    }
    measure()
}

/// Tells of a failure at once, and in the report.
pub fn fail(section: &mut Section, who: &str, what: &str, error: &str) {
    eprintln!("compare: {who}, {what}: {error}");
    let error = error.lines().next().unwrap_or_default();
    section.failures.push(format!("{who}, {what}: {error}"));
}

/// One part of a round's figures.
pub fn part<T>(rounds: &[Option<T>], take: impl Fn(&T) -> Option<f64>) -> Vec<Option<f64>> {
    rounds
        .iter()
        .map(|round| round.as_ref().and_then(&take))
        .collect()
}
