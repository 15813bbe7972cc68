//! What is done to the herd, and undone.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::clients::{Dice, Stage};
use super::disks::Disk;
use super::service::{FIVE, Service, roads};
use crate::common::{Herd, NAMES, Proxy, Road};

/// A server may take so long to end when it is asked to.
const END_MAX: Duration = Duration::from_secs(10);
/// How often it checks what is due, and whether something is wrong.
const GLANCE: Duration = Duration::from_millis(10);

/// All acts, with their weights.
const ACTS: [(Act, usize); 14] = [
    (Act::Kill, 3),
    (Act::Terminate, 2),
    (Act::Strand, 2),
    (Act::Stop, 2),
    (Act::Cut, 2),
    (Act::OneWay, 3),
    (Act::Isolate, 1),
    (Act::Refuse, 2),
    (Act::Reset, 2),
    (Act::Finish, 1),
    (Act::Late, 1),
    (Act::Split, 2),
    (Act::Fill, 2),
    (Act::Freeze, 2),
];

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// `kill -9`; it starts again a moment later.
    Kill,
    /// SIGTERM; the same.
    Terminate,
    /// All its links are cut, then `kill -9`: it begins again with its snapshot alone.
    Strand,
    /// SIGSTOP, then SIGCONT.
    Stop,
    /// A link carries nothing, neither way.
    Cut,
    /// It carries nothing in one direction.
    OneWay,
    /// All links of a server carry nothing.
    Isolate,
    /// A link is reset, and new connections on it too.
    Refuse,
    /// A link is reset.
    Reset,
    /// A link ends in good order.
    Finish,
    /// A link carries late.
    Late,
    /// A link carries in pieces of a few bytes.
    Split,
    /// A disk is full.
    Fill,
    /// A disk stands still.
    Freeze,
}

/// What is still to come of an act: mostly it undoes it.
#[derive(Clone, Copy, PartialEq)]
enum Undo {
    Kill(usize),
    Start(usize),
    Continue(usize),
    Clear(usize, usize),
    Free(usize),
    Thaw(usize),
}

impl Display for Undo {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        match *self {
            Undo::Kill(server) => write!(out, "now kill {}", NAMES[server]),
            Undo::Start(server) => write!(out, "start {}", NAMES[server]),
            Undo::Continue(server) => write!(out, "continue {}", NAMES[server]),
            Undo::Clear(from, to) => write!(out, "clear {}", named(from, to)),
            Undo::Free(server) => write!(out, "free {}'s disk", NAMES[server]),
            Undo::Thaw(server) => write!(out, "thaw {}'s disk", NAMES[server]),
        }
    }
}

fn named(from: usize, to: usize) -> String {
    format!("{} to {}", NAMES[from], NAMES[to])
}

/// The herd, and whoever does it harm.
pub struct Nemesis<'s> {
    /// Thawed before the herd is killed: a process that waits for a frozen disk does not end.
    disks: Vec<Disk>,
    /// The herd.
    pub herd: Herd,
    stage: &'s Stage,
    dice: Dice,
    due: Vec<(Instant, Undo)>,
    begun: Instant,
    done: Vec<(f64, String)>,
    /// How often what was done.
    acts: BTreeMap<Act, usize>,
}

impl<'s> Nemesis<'s> {
    /// One for a herd that is whole.
    pub fn new(herd: Herd, disks: Vec<Disk>, stage: &'s Stage, dice: Dice) -> Nemesis<'s> {
        Nemesis {
            disks,
            herd,
            stage,
            dice,
            due: Vec::new(),
            begun: Instant::now(),
            done: Vec::new(),
            acts: BTreeMap::new(),
        }
    }

    /// Does harm for so long, or until something is wrong.
    pub fn storm(&mut self, length: Duration) {
        let end = Instant::now() + length;
        let mut next = Instant::now();
        let longest = [600, 1_500, 4_000][self.dice.roll(3)];
        while Instant::now() < end && self.stage.oracle().violations.is_empty() {
            let now = Instant::now();
            self.undo(|due| due <= now);
            self.look();
            self.count_servers();
            if next <= now {
                let act = self.pick();
                let (server, road) = (self.dice.roll(FIVE), self.dice.roll(roads().count()));
                if self.act(act, server, roads().nth(road).expect("a road")) {
                    *self.acts.entry(act).or_default() += 1;
                    next = Instant::now() + self.dice.time(100, longest);
                }
            }
            sleep(GLANCE);
        }
    }

    fn pick(&mut self) -> Act {
        let all = ACTS
            .iter()
            .flat_map(|(act, often)| std::iter::repeat_n(*act, *often));
        let all: Vec<_> = all.collect();
        all[self.dice.roll(all.len())]
    }

    /// Finds the broken links that are whole again.
    pub fn look(&self) {
        let greeted = roads().map(|(from, to)| (from, to, self.proxy(from, to).greeted()));
        let greeted: Vec<_> = greeted.collect();
        self.change(|service, now| {
            for (from, to, number) in greeted {
                service.change_road(from, to, |road| road.greeted(now, number));
            }
        });
    }

    /// A server that ended although nobody asked it to is a violation, however it ended.
    fn count_servers(&mut self) {
        for (server, name) in NAMES.iter().enumerate() {
            if let Some(status) = self.herd.ended(name) {
                let mut oracle = self.stage.oracle();
                oracle.violated(server, "it ended by itself", &status.to_string());
            }
        }
    }

    /// Undoes everything: all run, all roads carry, all disks take bytes.
    pub fn heal(&mut self) {
        self.undo(|_| true);
        for server in 0..FIVE {
            self.relieve(server);
        }
    }

    /// What was done lately, and what the servers say.
    pub fn diary(&self) -> String {
        let tail = &self.done[self.done.len().saturating_sub(40)..];
        let mut text = String::new();
        for (when, what) in tail {
            let _ = writeln!(text, "{when:9.3} s  {what}");
        }
        for (disk, name) in self.disks.iter().zip(NAMES) {
            let journal = fs::read(disk.path().join("journal")).unwrap_or_default();
            let end = &journal[journal.len().saturating_sub(400)..];
            let _ = writeln!(
                text,
                "{name}'s journal ends: {}",
                String::from_utf8_lossy(end)
            );
        }
        text
    }

    /// How often what was done.
    pub fn acts(&self) -> String {
        let acts: Vec<_> = self
            .acts
            .iter()
            .map(|(act, count)| format!("{count} {act:?}"))
            .collect();
        acts.join(", ")
    }

    fn note(&mut self, what: String) {
        self.done.push((self.begun.elapsed().as_secs_f64(), what));
    }

    fn later(&mut self, least: usize, most: usize, undo: Undo) {
        let when = Instant::now() + self.dice.time(least, most);
        self.due.push((when, undo));
    }

    fn undo(&mut self, is_due: impl Fn(Instant) -> bool) {
        // One by one: what is done depends on what is still to be done.
        while let Some(next) = self.due.iter().position(|(when, _)| is_due(*when)) {
            let (_, undo) = self.due.remove(next);
            self.note(undo.to_string());
            match undo {
                Undo::Kill(server) => {
                    // Unless something else befell it.
                    self.harm_server(Act::Kill, server);
                }
                Undo::Start(server) => self.start(server),
                Undo::Continue(server) => {
                    self.herd.signal(NAMES[server], Signal::CONT);
                    self.change(|service, now| {
                        service.change_server(server, |part| part.resume(now));
                    });
                }
                Undo::Clear(from, to) => {
                    self.proxy(from, to).set(Road::Clear);
                    self.change(|service, now| {
                        service.change_road(from, to, |part| part.resume(now));
                    });
                }
                Undo::Free(server) => self.relieve(server),
                Undo::Thaw(server) => {
                    self.disks[server].freeze("--unfreeze");
                    self.stage.oracle().disk(server, true);
                }
            }
        }
    }

    /// Does it, unless something else is under way there: then false.
    fn act(&mut self, act: Act, server: usize, (a, b): (usize, usize)) -> bool {
        let there_and_back = [(a, b), (b, a)];
        match act {
            Act::Kill | Act::Terminate | Act::Stop | Act::Fill | Act::Freeze => {
                self.harm_server(act, server)
            }
            Act::Cut => self.close(act, &there_and_back),
            Act::Isolate | Act::Strand => {
                let own = roads().filter(|(from, to)| *from == server || *to == server);
                let closed = self.close(act, &own.collect::<Vec<_>>());
                if closed && act == Act::Strand {
                    self.later(0, 1_500, Undo::Kill(server));
                }
                closed
            }
            Act::OneWay => self.close(act, &there_and_back[..1]),
            _ => self.harm_road(act, a, b),
        }
    }

    fn harm_server(&mut self, act: Act, server: usize) -> bool {
        let runs = !self.pending(Undo::Start(server)) && !self.pending(Undo::Continue(server));
        let sound = !self.pending(Undo::Free(server)) && !self.pending(Undo::Thaw(server));
        let thawed = !self.pending(Undo::Thaw(server));
        let small = matches!(self.disks[server], Disk::Small(_));
        let possible = match act {
            // A process that waits for a frozen disk ends once it is thawed, and not before.
            Act::Kill | Act::Terminate => runs && thawed,
            Act::Fill => runs && sound && small,
            Act::Freeze => runs && sound && !small,
            _ => runs,
        };
        if !possible {
            return false;
        }
        self.note(format!("{act:?} {}", NAMES[server]));
        match act {
            Act::Kill => self.kill(server),
            Act::Terminate => self.terminate(server, sound),
            Act::Stop => {
                self.change(|service, now| service.change_server(server, |part| part.hold(now)));
                self.herd.signal(NAMES[server], Signal::STOP);
                self.later(200, 4_000, Undo::Continue(server));
            }
            Act::Fill => {
                self.stage.oracle().disk(server, false);
                self.disks[server].fill();
                self.later(500, 6_000, Undo::Free(server));
            }
            _ => {
                // So that the journal has room, and writes while the disk is frozen.
                self.relieve(server);
                self.stage.oracle().disk(server, false);
                self.disks[server].freeze("--freeze");
                self.later(500, 6_000, Undo::Thaw(server));
            }
        }
        true
    }

    fn close(&mut self, act: Act, roads: &[(usize, usize)]) -> bool {
        let busy = |(from, to): &(usize, usize)| self.pending(Undo::Clear(*from, *to));
        if roads.iter().any(busy) {
            return false;
        }
        let named = roads.iter().map(|(from, to)| named(*from, *to));
        self.note(format!("{act:?} {}", named.collect::<Vec<_>>().join(", ")));
        let length = match act {
            // Longer than it takes to die and to begin again.
            Act::Strand => self.dice.time(4_000, 6_000),
            _ => self.dice.time(300, 6_000),
        };
        for (from, to) in roads.iter().copied() {
            self.change(|service, now| service.change_road(from, to, |road| road.hold(now)));
            self.proxy(from, to).set(Road::Closed);
            self.due
                .push((Instant::now() + length, Undo::Clear(from, to)));
        }
        true
    }

    fn harm_road(&mut self, act: Act, from: usize, to: usize) -> bool {
        if self.pending(Undo::Clear(from, to)) {
            return false;
        }
        self.note(format!("{act:?} {}", named(from, to)));
        let road = match act {
            Act::Refuse => Road::Refusing,
            Act::Late => Road::Late,
            Act::Split => Road::Split,
            _ => Road::Clear,
        };
        if act == Act::Refuse {
            self.change(|service, now| service.change_road(from, to, |road| road.hold(now)));
        }
        if matches!(act, Act::Refuse | Act::Reset | Act::Finish) {
            self.breaks(from, to);
        }
        self.proxy(from, to).set(road);
        match act {
            Act::Refuse | Act::Reset => self.proxy(from, to).reset(),
            Act::Finish => self.proxy(from, to).finish(),
            _ => {}
        }
        if matches!(act, Act::Refuse | Act::Reset | Act::Finish) {
            // Once more: one may have greeted while it was about to be cut off.
            self.breaks(from, to);
        }
        if road != Road::Clear {
            self.later(300, 6_000, Undo::Clear(from, to));
        }
        true
    }

    /// The link over this road is broken.
    fn breaks(&self, from: usize, to: usize) {
        let dialled = self.proxy(from, to).dialled();
        self.change(|service, now| {
            service.change_road(from, to, |road| road.broken(now, dialled));
        });
    }

    /// All links of a server that is gone are.
    fn breaks_all(&self, server: usize) {
        for (from, to) in roads().filter(|(from, to)| *from == server || *to == server) {
            self.breaks(from, to);
        }
    }

    fn kill(&mut self, server: usize) {
        let safe = self.stage.oracle().dies(server);
        self.herd.kill(NAMES[server]);
        self.breaks_all(server);
        self.stage
            .oracle()
            .reborn(server, &self.snapshot(server), &safe);
        self.later(0, 2_000, Undo::Start(server));
    }

    /// A server that says nothing was lost has everything in its snapshot.
    fn terminate(&mut self, server: usize, sound: bool) {
        let mut safe = self.stage.oracle().dies(server);
        self.herd.signal(NAMES[server], Signal::TERM);
        let status = self.herd.wait_exit(NAMES[server], END_MAX);
        self.breaks_all(server);
        let mut oracle = self.stage.oracle();
        match status.success() {
            true => safe = oracle.everything(server),
            false if sound => oracle.violated(server, "SIGTERM", &status.to_string()),
            false => {}
        }
        oracle.reborn(server, &self.snapshot(server), &safe);
        drop(oracle);
        self.later(0, 2_000, Undo::Start(server));
    }

    fn start(&mut self, server: usize) {
        self.herd.restart(NAMES[server]);
        self.change(|service, now| {
            service.change_server(server, |part| part.resume(now));
            for (from, to) in roads().filter(|(from, to)| *from == server || *to == server) {
                // What greeted before this is known is whole, too; what did not has its time from now.
                service.change_road(from, to, |road| road.again(now));
            }
        });
    }

    /// A disk has room again; the journal goes on.
    fn relieve(&mut self, server: usize) {
        let was_full = fs::exists(self.disks[server].path().join("ballast")).unwrap_or(false);
        self.disks[server].free();
        if !self.pending(Undo::Start(server)) {
            self.herd.signal(NAMES[server], Signal::HUP);
        }
        if was_full {
            self.stage.oracle().disk(server, true);
        }
    }

    fn snapshot(&self, server: usize) -> Vec<u8> {
        let path: PathBuf = self.disks[server].path().join("table");
        fs::read(path).unwrap_or_default()
    }

    fn pending(&self, undo: Undo) -> bool {
        self.due.iter().any(|(_, due)| *due == undo)
    }

    fn change(&self, change: impl FnOnce(&mut Service, Instant)) {
        self.stage.oracle().change(change);
    }

    fn proxy(&self, from: usize, to: usize) -> &Proxy {
        &self.herd.proxies()[&(NAMES[from].to_string(), NAMES[to].to_string())]
    }
}
