//! What is promised while a storm lasts: each answer soon, and each report known soon wherever the links
//! between have been whole for long enough.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use herd::herd::{At, Roster};
use herd::portions::Portions;
use herd::worlds::sim::{End, Price, WALL_CLOCK_START, Weather};

use crate::stage::{Dice, Play};

use super::{Act, SERVERS, Sim};

/// An answer comes within this time, whatever others ask.
const ANSWER: Duration = Duration::from_millis(500);
/// A report is known within this time, over links that are slow too.
const NEWS: Duration = Duration::from_secs(3);
/// A link that something befell is up again after this: the longest back-off, and a connect.
const SETTLED: Duration = Duration::from_secs(16);
/// Somebody who vanished without a word is noticed after this.
const SILENCE: Duration = Duration::from_secs(15);
/// Those who ask much, at one server, and how many questions each has under way.
const ASKERS: usize = 10;
const DEPTH: usize = 10;
/// One storm in so many has them.
const ASKED: u64 = 64;

/// How much is done at once in this storm: mostly as always, or so little that what happens rarely
/// happens all the time.
pub fn portions(dice: &mut Dice) -> Portions {
    let mut pick = |choices: [usize; 3]| choices[dice.roll(3) as usize];
    let unsent_high = pick([300, 4_096, 65_536]);
    let link_unsent_low = pick([100, 1_024, 65_536]);
    Portions {
        lines_a_turn: pick([1, 50, 4_096]),
        lines_a_visit: pick([1, 5, 1_024]),
        lines_at_least: pick([1, 3, 20]),
        unsent_high,
        unsent_low: unsent_high / 4,
        link_unsent_max: link_unsent_low + pick([200, 2_048, 1 << 20]),
        link_unsent_low,
        // On these machines a unit takes 3 us: less than always, or a turn would last for seconds.
        work_a_turn: pick([1, 10_000, 50_000]),
        work_a_visit: pick([1, 3_000, 20_000]),
        visits_a_turn: pick([1, 4, 64]),
    }
}

/// A network whose machines are a thousand times slower than ours at what is costly.
pub fn weather() -> Weather {
    Weather {
        price: Price {
            call: Duration::from_micros(5),
            byte: Duration::from_nanos(3),
            work: Duration::from_micros(3),
        },
        ..Weather::default()
    }
}

/// A report that others shall hear of.
struct News {
    when: Duration,
    server: usize,
    client: u64,
    time: u64,
}

/// Watches a storm.
pub struct Watch {
    links: Vec<(usize, usize)>,
    /// From when on a link counts as whole, by its place among them.
    whole: Vec<Duration>,
    /// When each server was told what it has not answered yet.
    unanswered: BTreeMap<usize, VecDeque<Duration>>,
    news: VecDeque<News>,
    askers: Vec<(End, usize)>,
    /// What was broken first.
    pub broken: Option<String>,
    /// How often a server was held to know something.
    pub held: usize,
}

impl Watch {
    pub fn new() -> Watch {
        let links = Roster::standard().links().to_vec();
        Watch {
            whole: vec![Duration::from_secs(1); links.len()],
            links,
            unanswered: BTreeMap::new(),
            news: VecDeque::new(),
            askers: Vec::new(),
            broken: None,
            held: 0,
        }
    }

    /// Storms of this seed have askers.
    pub fn has_askers(seed: u64) -> bool {
        seed % ASKED == 1
    }

    /// A client has said something to a server, and waits.
    pub fn said(&mut self, now: Duration, server: usize) {
        self.unanswered.entry(server).or_default().push_back(now);
    }

    /// It was a report.
    pub fn reported(&mut self, when: Duration, server: usize, client: u64, time: u64) {
        self.news.push_back(News {
            when,
            server,
            client,
            time,
        });
    }

    /// Something happened.
    pub fn act(&mut self, now: Duration, act: Act) {
        let mut touch = |touched: &dyn Fn(usize, usize) -> bool, until: Duration| {
            for (&(a, b), whole) in self.links.iter().zip(&mut self.whole) {
                if touched(a, b) || touched(b, a) {
                    *whole = until.max(match until {
                        Duration::MAX => Duration::MAX,
                        _ if *whole == Duration::MAX => until,
                        _ => *whole,
                    });
                }
            }
        };
        match act {
            Act::Update { .. } | Act::Slow(..) => {}
            Act::Flap(a, b) => touch(&|x, y| (x, y) == (a, b), now + SETTLED),
            Act::Cut(a, b) => touch(&|x, y| (x, y) == (a, b), Duration::MAX),
            Act::Heal(a, b) => touch(&|x, y| (x, y) == (a, b), now + SETTLED),
            Act::Crash(server, _) => {
                // What only it knew is gone with it.
                self.unanswered.remove(&server);
                self.news.retain(|news| news.server != server);
                touch(&|x, _| x == server, Duration::MAX);
            }
            Act::Boot(server) => touch(&|x, _| x == server, now + SETTLED + SILENCE),
        }
    }

    /// What came to a client of `server`.
    pub fn heard(&mut self, server: usize, bytes: &[u8]) {
        let answers = bytes.iter().filter(|&&byte| byte == b'\n').count();
        let unanswered = self.unanswered.entry(server).or_default();
        unanswered.drain(..answers.min(unanswered.len()));
    }

    /// Looks whether all is as it was promised.
    pub fn check(&mut self, sim: &Sim) {
        let now = sim.net().now;
        for (server, unanswered) in &self.unanswered {
            if let Some(since) = unanswered.front().filter(|&&since| now > since + ANSWER) {
                let waited = now - *since;
                self.broken
                    .get_or_insert(format!("server {server} has not answered for {waited:?}"));
            }
        }
        while let Some(news) = self.news.front().filter(|news| now > news.when + NEWS) {
            for server in self.reached(news.server, news.when) {
                self.held += 1;
                if !knows(sim, server, news) {
                    let (client, from) = (news.client, news.server);
                    self.broken.get_or_insert(format!(
                        "server {server} does not know of client {client} what {from} was told"
                    ));
                }
            }
            self.news.pop_front();
        }
    }

    /// The servers that were connected with this one by whole links at that time, and are still.
    fn reached(&self, from: usize, when: Duration) -> Vec<usize> {
        let mut reached = vec![from];
        let mut next = 0;
        while let Some(&server) = reached.get(next) {
            for (&(a, b), whole) in self.links.iter().zip(&self.whole) {
                let other = if a == server { b } else { a };
                let joins = (a == server || b == server) && *whole <= when;
                if joins && !reached.contains(&other) {
                    reached.push(other);
                }
            }
            next += 1;
        }
        assert!(reached.len() <= SERVERS);
        reached
    }

    /// Those who ask much go on.
    pub fn ask(&mut self, sim: &mut Sim) {
        if self.askers.is_empty() {
            let end = sim.client(0);
            sim.say(end, "IAMAT dense +34.0689-118.4451 1\n");
            self.askers = (0..ASKERS).map(|_| (sim.client(0), 0)).collect();
        }
        for (end, answered) in &mut self.askers {
            let (text, over) = sim.hear(*end);
            *answered += text.matches("\n\n").count();
            if !over && *answered * 2 >= DEPTH || text.is_empty() && *answered == 0 {
                sim.say(*end, &"WHATSAT dense 10 5\n".repeat(DEPTH));
                *answered = 1;
            }
        }
    }
}

/// True if the server is down, or knows this or what is younger.
fn knows(sim: &Sim, server: usize, news: &News) -> bool {
    let Some(node) = sim.application(server) else {
        return true;
    };
    let store = node.store();
    let id = format!("client{}", news.client);
    let line = store
        .find(id.as_bytes())
        .and_then(|place| store.line(place));
    line.is_some_and(|line| {
        let at = At::stored(line).expect("a stored line");
        let wanted = WALL_CLOCK_START + Duration::from_millis(news.time);
        at.report.time.billionths() >= wanted.as_nanos() as u64
    })
}
