//! What must be true of every answer, judged while the storm lasts.
//!
//! The oracle keeps what each server is known to hold of each phone, and since when: it has answered that
//! report, or shown it, or had it in its snapshot, or was owed it by a server that held it and had a
//! whole path to it for long enough. Whatever a server shows must be no older. So one comparison finds a
//! server that goes back, a restart that forgets, a link that stands still, and a report that is lost.
//! Only what no living server is known to hold may be lost: `kill -9` took the last that did.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::report::{PHONES, Report, Sent, name, parts, phone, wall};
use super::service::{FIVE, Service};
use crate::common::{NAMES, short};
use herd::herd::SnapshotReader;

/// A server that runs answers within this time, whatever its disk and its neighbours do.
pub const ANSWER_MAX: Duration = Duration::from_secs(3);
/// What one server holds is known behind a whole path within this time.
pub const SEEN_MAX: Duration = Duration::from_secs(3);
/// What a server on a sound disk held for so long is in its snapshot: `--snapshot-every 1`, and the writing.
pub const SAFE_MAX: Duration = Duration::from_secs(5);
/// Older than this, only the newest that a server held is remembered.
const KEPT: Duration = Duration::from_secs(6);
/// A server reads the wall clock once a turn, and may be stopped in the middle of one.
const TURN_MAX: i64 = 12_000_000_000;

/// How we know that a server holds a report: printed with a violation.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "read by Debug alone")]
enum Why {
    Answered,
    Shown,
    Restored,
    Owed(&'static str),
}

#[derive(Clone, Copy)]
struct Held {
    since: Instant,
    report: Report,
    why: Why,
}

/// What was seen and checked.
#[derive(Default)]
pub struct Counts {
    /// Reports that were answered.
    pub answered: usize,
    /// Questions whose answers were judged.
    pub shown: usize,
    /// Of these, about a report that the server owed to another's word and a whole path.
    pub owed: usize,
    /// Records that had to be in a snapshot.
    pub safe: usize,
    /// Answered reports that no living server held.
    pub lost: usize,
    /// The longest time from such an answer to the end of the server that gave it.
    pub lost_age: Duration,
    /// The longest time that a report was not seen behind a whole path.
    pub stale: Duration,
    /// The longest time that a server which ran took for an answer.
    pub slow: Duration,
}

/// A question on its way: what its answer must not be older than.
#[derive(Clone, Copy)]
pub struct Question {
    /// Of whom.
    pub phone: u16,
    asked: Instant,
    least: Option<Report>,
}

/// All that is known.
pub struct Oracle {
    sent: Vec<Sent>,
    held: Vec<[VecDeque<Held>; FIVE]>,
    service: Service,
    incarnations: [u32; FIVE],
    disks: [Option<Instant>; FIVE],
    /// Since all agreed last.
    deaths: [Vec<Instant>; FIVE],
    /// Answered since all agreed last.
    acknowledged: Vec<(u16, Report, Instant)>,
    /// What was wrong.
    pub violations: Vec<String>,
    /// What was seen.
    pub counts: Counts,
}

impl Oracle {
    /// A herd that is whole and knows nothing.
    pub fn new() -> Oracle {
        let now = Instant::now();
        Oracle {
            sent: Vec::new(),
            held: (0..PHONES).map(|_| Default::default()).collect(),
            service: Service::new(now),
            incarnations: [0; FIVE],
            disks: [Some(now); FIVE],
            deaths: Default::default(),
            acknowledged: Vec::new(),
            violations: Vec::new(),
            counts: Counts::default(),
        }
    }

    // ---- What clients do ----

    /// Notes a report before it is sent; gives back its serial number and the command.
    pub fn say(&mut self, phone: u16, server: usize, time: i64) -> (u32, String) {
        let serial = u32::try_from(self.sent.len()).expect("not so many reports");
        let sent = Sent {
            phone,
            report: Report {
                time,
                server: server as u8,
                serial,
            },
            at: wall(),
            skew: None,
        };
        self.sent.push(sent);
        (serial, sent.command())
    }

    /// An IAMAT's answer has come.
    pub fn answered(&mut self, serial: u32, incarnation: u32, line: &str) {
        let Sent { phone, report, .. } = self.sent[serial as usize];
        let server = usize::from(report.server);
        self.counts.answered += 1;
        match self.recognise(phone, line) {
            Ok(found) if found == report => {
                let now = Instant::now();
                self.acknowledged.push((phone, report, now));
                if incarnation == self.incarnations[server] {
                    self.hold(server, phone, report, Why::Answered, now);
                }
            }
            Ok(_) => self.violated(server, line, "it answers another report"),
            Err(why) => self.violated(server, line, &why),
        }
    }

    /// A WHATSAT is about to be sent.
    pub fn ask(&mut self, server: usize, phone: u16) -> Question {
        self.ask_at(server, phone, Instant::now())
    }

    /// The same at this moment.
    pub fn ask_at(&mut self, server: usize, phone: u16, asked: Instant) -> Question {
        let (least, is_owed) = self.mature(server, phone, asked);
        self.counts.owed += usize::from(is_owed);
        Question {
            phone,
            asked,
            least,
        }
    }

    /// A WHATSAT's answer has come: an AT line, or a refusal.
    pub fn shown(
        &mut self,
        server: usize,
        incarnation: u32,
        question: Question,
        line: Option<&str>,
    ) {
        let Question {
            phone,
            asked,
            least,
        } = question;
        self.counts.shown += 1;
        let found = match line.map(|line| self.recognise(phone, line)).transpose() {
            Ok(found) => found,
            Err(why) => return self.violated(server, line.unwrap_or_default(), &why),
        };
        if incarnation != self.incarnations[server] {
            return;
        }
        if found < least {
            let held = &self.held[usize::from(phone)][server];
            let known = held.iter().find(|held| Some(held.report) == least);
            let why = known.map(|held| (held.why, held.since.elapsed()));
            let why = format!("of {}, it held {least:?} before: {why:?}", name(phone));
            return self.violated(server, line.unwrap_or("?"), &why);
        }
        self.measure(server, phone, asked, found);
        if let Some(found) = found {
            self.hold(server, phone, found, Why::Shown, Instant::now());
        }
    }

    /// Since when a server runs without a break, and which of its lives this is.
    pub fn serves(&self, server: usize) -> Option<(Instant, u32)> {
        let since = self.service.server(server).carries()?;
        Some((since, self.incarnations[server]))
    }

    /// Which of its lives a server is in.
    pub fn incarnation(&self, server: usize) -> u32 {
        self.incarnations[server]
    }

    /// Something was wrong with what a server said.
    pub fn violated(&mut self, server: usize, what: &str, why: &str) {
        let text = format!("{}: {:?}: {why}", NAMES[server], short(what));
        self.violations.push(text);
    }

    // ---- What the nemesis does ----

    /// Servers or roads are about to change, or have come back: what was owed until now stays owed.
    pub fn change(&mut self, change: impl FnOnce(&mut Service, Instant)) {
        let now = Instant::now();
        self.mature_all(now);
        change(&mut self.service, now);
    }

    /// A disk takes bytes again, or is about to take none.
    pub fn disk(&mut self, server: usize, sound: bool) {
        self.disks[server] = sound.then(Instant::now);
    }

    /// A server is about to die. Gives back what its snapshot must hold: what it has held for long.
    pub fn dies(&mut self, server: usize) -> Vec<(u16, Report)> {
        let now = Instant::now();
        let long = |since: Instant| since + SAFE_MAX <= now;
        let steady = self.service.server(server).carries().is_some_and(long)
            && self.disks[server].is_some_and(long);
        self.change(|service, now| service.change_server(server, |part| part.hold(now)));
        self.deaths[server].push(now);
        if !steady {
            return Vec::new();
        }
        let newest = |phone| Some((phone, self.newest(server, phone, now - SAFE_MAX)?));
        (0..PHONES).filter_map(newest).collect()
    }

    /// All that a server is known to hold.
    pub fn everything(&self, server: usize) -> Vec<(u16, Report)> {
        let last = |phone| {
            let held: &VecDeque<Held> = &self.held[usize::from(phone)][server];
            Some((phone, held.back()?.report))
        };
        (0..PHONES).filter_map(last).collect()
    }

    /// A server is gone and begins anew with this snapshot, in which all of this `must` be.
    pub fn reborn(&mut self, server: usize, snapshot: &[u8], must: &[(u16, Report)]) {
        let found = self.restored(server, snapshot);
        self.counts.safe += must.len();
        for (phone, report) in must {
            let found = found[usize::from(*phone)];
            if found < Some(*report) {
                let why = format!("{report:?} should be safe, {found:?} is");
                self.violated(server, &name(*phone), &why);
            }
        }
        self.incarnations[server] += 1;
        let now = Instant::now();
        for (phone, found) in (0..PHONES).zip(found) {
            self.held[usize::from(phone)][server].clear();
            if let Some(found) = found {
                self.hold(server, phone, found, Why::Restored, now);
            }
        }
    }

    /// The newest report that any server is known to hold, of each phone, and who.
    pub fn known(&self) -> Vec<Option<(Report, usize)>> {
        let newest = |servers: &[VecDeque<Held>; FIVE]| {
            let last = |server: usize| Some((servers[server].back()?.report, server));
            (0..FIVE).filter_map(last).max()
        };
        self.held.iter().map(newest).collect()
    }

    /// All five showed the same: nothing older than what was [known](Oracle::known).
    pub fn agreed(&mut self, table: &[Option<Report>], known: &[Option<(Report, usize)>]) {
        let now = Instant::now();
        for ((phone, found), known) in (0..PHONES).zip(table).zip(known) {
            if let Some((known, server)) = known.filter(|(known, _)| *found < Some(*known)) {
                let why = format!("all agree on {found:?}, but it held {known:?}");
                self.violated(server, &name(phone), &why);
            }
            for server in 0..FIVE {
                found.map(|found| self.hold(server, phone, found, Why::Shown, now));
            }
        }
        for (phone, report, since) in std::mem::take(&mut self.acknowledged) {
            if Some(report) > table[usize::from(phone)] {
                let mut deaths = self.deaths[usize::from(report.server)].iter();
                let death = deaths.find(|death| **death >= since);
                let age = death.map_or(Duration::ZERO, |death| *death - since);
                self.counts.lost += 1;
                self.counts.lost_age = self.counts.lost_age.max(age);
            }
        }
        self.deaths = Default::default();
    }

    /// The report that an AT line of this phone shows; or what is wrong with it.
    pub fn recognise(&mut self, phone: u16, line: &str) -> Result<Report, String> {
        let (skew, name, serial) = parts(line).ok_or("no AT line of a phone of ours")?;
        let sent = self.sent.get_mut(serial).ok_or("nobody reported that")?;
        let expected = sent.line(sent.skew.unwrap_or(skew));
        if line != expected {
            return Err(format!("it was reported as {expected:?}"));
        }
        if sent.phone != phone {
            return Err(format!("{name} was not asked for"));
        }
        let received = sent.report.time + skew;
        // A second, for a clock that is set back.
        if !(sent.at - TURN_MAX..=wall() + 1_000_000_000).contains(&received) {
            return Err(format!("received at {received}, sent at {}", sent.at));
        }
        sent.skew = Some(skew);
        Ok(sent.report)
    }

    // ---- What is known ----

    /// A server holds a report, unless it holds a newer one.
    fn hold(
        &mut self,
        server: usize,
        phone: u16,
        report: Report,
        why: Why,
        since: Instant,
    ) -> bool {
        let held = &mut self.held[usize::from(phone)][server];
        if held.back().is_some_and(|known| known.report >= report) {
            return false;
        }
        held.push_back(Held { since, report, why });
        while held.get(1).is_some_and(|next| next.since + KEPT <= since) {
            held.pop_front();
        }
        true
    }

    /// The newest report that a server has held since then.
    fn newest(&self, server: usize, phone: u16, since: Instant) -> Option<Report> {
        let held = &self.held[usize::from(phone)][server];
        let old = held.iter().rev().find(|held| held.since <= since);
        old.map(|held| held.report)
    }

    /// What a server must know now, and whether another and a path to it would be enough for that.
    fn mature(&mut self, server: usize, phone: u16, now: Instant) -> (Option<Report>, bool) {
        let mut is_owed = false;
        for from in (0..FIVE).filter(|from| *from != server) {
            let path = self.service.path(from, server);
            if path.is_some_and(|due| due + SEEN_MAX <= now)
                && let Some(owed) = self.newest(from, phone, now - SEEN_MAX)
            {
                is_owed = true;
                self.hold(server, phone, owed, Why::Owed(NAMES[from]), now);
            }
        }
        let held = &self.held[usize::from(phone)][server];
        (held.back().map(|held| held.report), is_owed)
    }

    fn mature_all(&mut self, now: Instant) {
        for phone in 0..PHONES {
            for server in 0..FIVE {
                self.mature(server, phone, now);
            }
        }
    }

    /// How long what another server held was not seen here.
    fn measure(&mut self, server: usize, phone: u16, asked: Instant, found: Option<Report>) {
        for from in (0..FIVE).filter(|from| *from != server) {
            let mut held = self.held[usize::from(phone)][from].iter();
            let missed = held.find(|held| Some(held.report) > found);
            if let (Some(missed), Some(due)) = (missed, self.service.path(from, server)) {
                let late = asked.saturating_duration_since(missed.since.max(due));
                self.counts.stale = self.counts.stale.max(late);
            }
        }
    }

    /// The records of a snapshot, which is whole and true whatever ended the server.
    fn restored(&mut self, server: usize, snapshot: &[u8]) -> Vec<Option<Report>> {
        let mut found = vec![None; usize::from(PHONES)];
        let mut reader = SnapshotReader::new(snapshot);
        for line in reader.by_ref() {
            let line = String::from_utf8_lossy(line).into_owned();
            // The herd was tried out with other ids before.
            let Some(phone) = line.split(' ').nth(3).and_then(phone) else {
                continue;
            };
            match self.recognise(phone, &line) {
                Ok(report) => found[usize::from(phone)] = Some(report),
                Err(why) => self.violated(server, &line, &format!("in its snapshot: {why}")),
            }
        }
        if let Some(damage) = reader.damage().filter(|_| !snapshot.is_empty()) {
            self.violated(server, "its snapshot", &format!("damaged at {damage}"));
        }
        found
    }
}
