//! Nobody waits for ever because others want much: measured while they want it, on machines whose
//! clocks pay for what they do.

use std::time::Duration;

use herd::config::Config;
use herd::portions::Portions;
use herd::server::{Node, SIGTERM};
use herd::worlds::sim::{End, Price, SimWorld, Simulation, Weather};

use crate::stage::{Dice, Play, boot, config};

/// About what a request costs outside: 5 us a call, 3 ns a byte or a unit of work.
const PRICE: Price = Price {
    call: Duration::from_micros(5),
    byte: Duration::from_nanos(3),
    work: Duration::from_nanos(3),
};
/// All is looked at this often.
const STEP: Duration = Duration::from_millis(1);
/// WHATSATs that an asker has under way.
const DEPTH: usize = 20;

type Sim = Simulation<Node<SimWorld>>;

fn weather() -> Weather {
    Weather {
        window: 256 * 1024,
        price: PRICE,
        ..Weather::default()
    }
}

/// The same server without a budget: a turn does all that is wanted of it.
fn boundless() -> Portions {
    Portions {
        work_a_turn: usize::MAX / 4,
        work_a_visit: usize::MAX / 4,
        visits_a_turn: usize::MAX,
        ..Portions::default()
    }
}

/// One that asks without end, and how often it was answered.
struct Asker {
    end: End,
    asked: usize,
    answered: usize,
    /// The end of what was heard, since a word may come in two pieces.
    tail: String,
}

impl Asker {
    fn new(sim: &mut Sim, node: usize) -> Asker {
        Asker {
            end: sim.client(node),
            asked: 0,
            answered: 0,
            tail: String::new(),
        }
    }

    fn go_on(&mut self, sim: &mut Sim) {
        let (text, over) = sim.hear(self.end);
        assert!(!over);
        const WORD: &str = "\"status\" : ";
        self.tail.push_str(&text);
        self.answered += self.tail.matches(WORD).count();
        let keep = self.tail.len().saturating_sub(WORD.len() - 1);
        let keep = (keep..)
            .find(|&at| self.tail.is_char_boundary(at))
            .expect("its end");
        // A word that was counted is gone with what stood before it.
        let after = self.tail.rfind(WORD).map_or(0, |at| at + WORD.len());
        self.tail.drain(..keep.max(after).min(self.tail.len()));
        let room = DEPTH - (self.asked - self.answered);
        sim.say(self.end, &"WHATSAT dense 50 20\n".repeat(room));
        self.asked += room;
    }
}

/// A client that is content with one answer at a time, and how long it waited for each.
struct Polite {
    end: End,
    since: Option<Duration>,
    waits: Vec<Duration>,
}

impl Polite {
    fn go_on(&mut self, sim: &mut Sim) {
        let now = sim.net().now;
        if sim.hear(self.end).0.ends_with('\n')
            && let Some(since) = self.since.take()
        {
            self.waits.push(now - since);
        }
        if self.since.is_none() {
            let number = self.waits.len();
            sim.say(self.end, &format!("IAMAT polite +34-118 {number}\n"));
            self.since = Some(now);
        }
    }

    /// The median and the longest, the one that is still under way among them.
    fn waited(&mut self, now: Duration) -> (Duration, Duration) {
        self.waits.extend(self.since.map(|since| now - since));
        self.waits.sort();
        (
            self.waits[self.waits.len() / 2],
            self.waits[self.waits.len() - 1],
        )
    }
}

/// What a crowd of askers leaves to the others.
struct Crowded {
    median: Duration,
    worst: Duration,
    /// The longest that an update of a neighbour was unknown.
    stale: Duration,
    /// How long a dump took; `None`: longer than the play.
    dump: Option<Duration>,
    /// Answers of the asker that got fewest, of the one that got most, of all.
    answers: (usize, usize, usize),
}

const RECORDS: usize = 2_000;

/// A server that has `askers` near a dense place, a neighbour that is told something each
/// millisecond, and another that comes up and is owed the whole table.
fn crowd(askers: usize, portions: Portions, play: Duration) -> Crowded {
    let mut sim = Sim::new(3, 5, weather());
    let mut me = config(&["Crowd", "Near", "Fresh"]);
    me.portions = portions;
    let at = |index| Config {
        me: index,
        ..me.clone()
    };
    boot(&mut sim, 0, at(0));
    boot(&mut sim, 1, at(1));
    sim.wait(Duration::from_secs(1));
    let teller = sim.client(0);
    sim.say(teller, "IAMAT dense +34.0689-118.4451 1\n");
    for number in 0..RECORDS {
        sim.say(teller, &format!("IAMAT known{number} +34-118 1\n"));
        sim.wait(STEP / 10);
        sim.hear(teller);
    }
    sim.wait(Duration::from_secs(1));
    let end = sim.client(0);
    let mut polite = Polite {
        end,
        since: None,
        waits: Vec::new(),
    };
    let mut askers: Vec<_> = (0..askers).map(|_| Asker::new(&mut sim, 0)).collect();
    let near = sim.client(1);
    let begun = sim.net().now;
    boot(&mut sim, 2, at(2));
    let (mut told, mut known) = (Vec::new(), 0);
    let (mut stale, mut dump) = (Duration::ZERO, None);
    while sim.net().now < begun + play {
        askers.iter_mut().for_each(|asker| asker.go_on(&mut sim));
        polite.go_on(&mut sim);
        sim.say(near, &format!("IAMAT news{} +34-118 1\n", told.len()));
        sim.hear(near);
        told.push(sim.net().now);
        sim.wait(STEP);
        let now = sim.net().now;
        let store = sim.application(0).expect("is up").store();
        while known < told.len() && store.find(format!("news{known}").as_bytes()).is_some() {
            stale = stale.max(now - told[known]);
            known += 1;
        }
        if sim.application(2).expect("is up").store().len() > RECORDS {
            dump.get_or_insert(now - begun);
        }
    }
    let now = sim.net().now;
    stale = told
        .get(known)
        .map_or(stale, |&since| stale.max(now - since));
    let (median, worst) = polite.waited(now);
    let answers: Vec<_> = askers.iter().map(|asker| asker.answered).collect();
    let fewest = *answers.iter().min().expect("askers");
    let most = *answers.iter().max().expect("askers");
    Crowded {
        median,
        worst,
        stale,
        dump,
        answers: (fewest, most, answers.iter().sum()),
    }
}

const MEDIAN: Duration = Duration::from_millis(15);
const WORST: Duration = Duration::from_millis(100);

#[test]
fn a_crowd_that_asks_much_waits_for_itself() {
    let found = crowd(150, Portions::default(), Duration::from_millis(400));
    println!(
        "IAMAT {:?}, at worst {:?}; news after {:?}, a dump after {:?}; answers {:?}",
        found.median, found.worst, found.stale, found.dump, found.answers
    );
    assert!(found.median <= MEDIAN && found.worst <= WORST);
    assert!(found.stale <= WORST);
    assert!(found.dump.is_some());
    let (fewest, most, _) = found.answers;
    assert!(fewest * 2 >= most && most > 0, "{:?}", found.answers);
}

#[test]
fn without_a_budget_a_crowd_starves_everybody() {
    let found = crowd(150, boundless(), Duration::from_millis(400));
    println!(
        "IAMAT {:?}, at worst {:?}; news after {:?}, a dump after {:?}; answers {:?}",
        found.median, found.worst, found.stale, found.dump, found.answers
    );
    assert!(found.median > MEDIAN || found.worst > WORST);
}

/// A server with `count` askers near a dense place, each of whom was answered.
fn crowded(count: usize) -> (Sim, Vec<Asker>) {
    let mut sim = Sim::new(1, 5, weather());
    boot(&mut sim, 0, config(&["Crowd", "Near"]));
    let teller = sim.client(0);
    sim.say(teller, "IAMAT dense +34.0689-118.4451 1\n");
    sim.wait(STEP);
    let mut askers: Vec<_> = (0..count).map(|_| Asker::new(&mut sim, 0)).collect();
    while askers.iter().any(|asker| asker.answered == 0) {
        go_on(&mut sim, &mut askers);
    }
    (sim, askers)
}

fn go_on(sim: &mut Sim, askers: &mut [Asker]) {
    askers.iter_mut().for_each(|asker| asker.go_on(sim));
    sim.wait(STEP);
}

/// What is cheap does not wait for what is costly, however much of it comes at once; nor does the end of
/// one who wants no more.
#[test]
fn many_cheap_commands_and_an_end_do_not_queue_behind_the_askers() {
    let (mut sim, mut askers) = crowded(150);
    let end = sim.client(0);
    sim.say(end, &"IAMAT piped +34-118 1\n".repeat(200));
    sim.net_mut().shutdown_write(end);
    let begun = sim.net().now;
    let mut heard = String::new();
    loop {
        go_on(&mut sim, &mut askers);
        let (text, over) = sim.hear(end);
        heard += &text;
        if over {
            break;
        }
        assert!(
            sim.net().now < begun + WORST,
            "{} lines",
            heard.lines().count()
        );
    }
    assert_eq!(heard.lines().count(), 200);
}

/// Neighbours that say as much as they can leave the askers their share, and the askers them theirs.
#[test]
fn neighbours_that_never_stop_do_not_starve_the_askers() {
    let play = |peers: usize| {
        let (mut sim, mut askers) = crowded(20);
        let peers: Vec<End> = (0..peers).map(|_| sim.client(0)).collect();
        peers.iter().for_each(|&peer| sim.say(peer, "PEER Near\n"));
        let line = "AT Near +0.1 someone +34-118 1\n".repeat(100);
        let before: usize = askers.iter().map(|asker| asker.answered).sum();
        for _ in 0..200 {
            for &peer in &peers {
                while sim
                    .net_mut()
                    .write(peer, line.as_bytes())
                    .is_ok_and(|count| count == line.len())
                {}
            }
            go_on(&mut sim, &mut askers);
        }
        askers.iter().map(|asker| asker.answered).sum::<usize>() - before
    };
    let (alone, among) = (play(0), play(12));
    println!("{alone} answers alone, {among} among neighbours that never stop");
    assert!(among > alone / 4, "{among} answers, alone {alone}");
}

/// A WHATSAT that has come and queues is answered before the server ends.
#[test]
fn a_stop_answers_those_that_queue() {
    let (mut sim, mut askers) = crowded(150);
    let late = sim.client(0);
    sim.say(late, "WHATSAT dense 50 20\nIAMAT behind +1+1 1\n");
    go_on(&mut sim, &mut askers);
    assert_eq!(sim.hear(late).0, "", "it does not queue");
    sim.net_mut().signal(0, SIGTERM);
    sim.wait(Duration::from_secs(3));
    let (text, over) = sim.hear(late);
    assert!(
        text.contains("\"status\" : \"OK\"") && text.ends_with("\n\n"),
        "{text:?}"
    );
    assert!(over);
}

/// How many answers came at once, turn after turn, to so many askers with so many questions each.
fn answers_by_turn(portions: Portions, askers: usize, questions: usize) -> Vec<usize> {
    // Calls are free: all that leaves at the end of a turn leaves at once.
    let price = Price {
        work: PRICE.work,
        ..Price::default()
    };
    let delay = (Duration::ZERO, Duration::ZERO);
    let calm = Weather {
        price,
        delay,
        ..weather()
    };
    let mut sim = Sim::new(1, 5, calm);
    let mut me = config(&["Crowd", "Near"]);
    me.portions = portions;
    boot(&mut sim, 0, me);
    let teller = sim.client(0);
    sim.say(teller, "IAMAT dense +34.0689-118.4451 1\n");
    sim.wait(STEP);
    let askers: Vec<End> = (0..askers).map(|_| sim.client(0)).collect();
    sim.wait(STEP);
    for &asker in &askers {
        sim.say(asker, &"WHATSAT dense 20 1\n".repeat(questions));
    }
    let mut turns = Vec::new();
    for _ in 0..5_000 {
        sim.wait(Duration::from_micros(1));
        let heard = askers
            .iter()
            .map(|&asker| sim.hear(asker).0.matches("\n\n").count());
        turns.extend(Some(heard.sum::<usize>()).filter(|&count| count > 0));
    }
    assert_eq!(turns.iter().sum::<usize>(), askers.len() * questions);
    turns
}

#[test]
fn a_turn_and_a_visit_spend_so_much_and_no_more() {
    let always = Portions::default();
    assert_eq!(answers_by_turn(always, 5, 4), [20], "all in one turn");
    let visit = Portions {
        work_a_visit: 1,
        ..always
    };
    assert_eq!(answers_by_turn(visit, 1, 4), [1, 1, 1, 1], "one a visit");
    assert_eq!(answers_by_turn(visit, 5, 2), [5, 5]);
    let turn = Portions {
        work_a_turn: 1,
        ..always
    };
    // Whoever has begun has its share.
    assert_eq!(answers_by_turn(turn, 5, 2), [2, 2, 2, 2, 2]);
    let visits = Portions {
        visits_a_turn: 2,
        ..visit
    };
    assert_eq!(answers_by_turn(visits, 5, 2), [5, 2, 2, 1]);
}

/// One hundredth of a link of 300 KB/s, beside 12,000 updates a second of 100,000 clients, and of
/// what a link keeps as bytes.
const SPEED: u32 = 30_000;
const CLIENTS: u64 = 1_000;
/// So long takes a round over the table at that speed; and what waits as bytes in front of it.
const ROUND: Duration = Duration::from_millis(3_500);
const AHEAD: Duration = Duration::from_millis(1_000);

/// Each report becomes known within one round of all that the link owes, whatever is said meanwhile.
#[test]
fn what_a_slow_link_owes_is_told_in_the_order_in_which_it_came_up() {
    let mut sim = Sim::new(
        2,
        9,
        Weather {
            window: 8 * 1024,
            ..weather()
        },
    );
    let mut me = config(&["Busy", "Far"]);
    me.portions.link_unsent_max = 10 * 1024;
    me.portions.link_unsent_low = 1024;
    let far = Config {
        me: 1,
        ..me.clone()
    };
    boot(&mut sim, 0, me);
    boot(&mut sim, 1, far);
    sim.wait(Duration::from_secs(1));
    sim.net_mut().slow(0, 1, SPEED);
    let phone = sim.client(0);
    let mut dice = Dice::new(4);
    // Those that reported once, and when, as long as the far server does not know them.
    let mut once = Vec::new();
    let mut longest = Duration::ZERO;
    for step in 0..12_000_u32 {
        for _ in 0..dice.roll(3) {
            let id = dice.roll(CLIENTS);
            sim.say(phone, &format!("IAMAT client{id:0>60} +34-118 {step}\n"));
        }
        if step % 300 == 299 {
            let id = format!("once{:0>60}", step);
            sim.say(phone, &format!("IAMAT {id} +34-118 1\n"));
            once.push((id, sim.net().now));
        }
        sim.hear(phone);
        sim.wait(STEP);
        let now = sim.net().now;
        let store = sim.application(1).expect("is up").store();
        once.retain(|(id, since)| {
            longest = longest.max(now - *since);
            store.find(id.as_bytes()).is_none()
        });
    }
    let owed = sim.application(0).expect("is up").owed();
    println!("{owed:?} owed at the end; unknown for {longest:?} at most");
    assert!(owed[0] as u64 > CLIENTS / 2, "the link was fast enough");
    assert!(longest <= ROUND + AHEAD, "unknown for {longest:?}");
}
