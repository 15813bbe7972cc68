//! A register for each key: what is put, what became of it, what the bucket shows.

use std::time::Duration;

use super::super::answer::{self, Put};
use super::super::frame::Message;
use super::super::headers::Headers;
use super::super::key;
use super::super::request::{Requests, VALUE_MAX};
use super::claim::Claim;
use super::flights::{About, Flight, Flights, Kind};
use super::marks::{Marks, When};
use super::notice::Notice;
use super::pause::Pause;
use super::settings::Settings;
use super::turn::{Event, Turn};
use crate::herd::{Command, Heard, Store};

/// How long a record of a neighbour's waits for the neighbour to put it; as much again is drawn by chance.
pub const GRACE: Duration = Duration::from_secs(5);
/// Records that are looked at in one step, once the watch has shown everything.
pub const SWEEP_A_STEP: usize = 4096;
/// Foreign values that are journalled in one connection; the others are counted.
pub const FOREIGN_SHOWN_MAX: usize = 8;

/// What a put has beside its value, at most: a key and a header of compare-and-set.
const BESIDE_MAX: usize = 80;

/// The registers of a bucket, and what is under way to them.
pub struct Registers {
    settings: Settings,
    marks: Marks,
    flights: Flights,
    claim: Claim,
    pause: Pause,
    chance: u64,
    grace: Duration,
    value_max: usize,
    /// Puts are taken, as far as we know.
    work: bool,
    foreign: usize,
    /// A name of our herd is another's: nothing is put.
    clashes: bool,
}

impl Registers {
    /// Registers of which nothing is known.
    pub fn new(settings: Settings) -> Registers {
        Registers {
            claim: Claim::new(&settings.me, &settings.herd),
            settings,
            marks: Marks::default(),
            flights: Flights::default(),
            pause: Pause::default(),
            chance: 1,
            grace: GRACE,
            value_max: VALUE_MAX,
            work: true,
            foreign: 0,
            clashes: false,
        }
    }

    /// The marks of the records.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// A connection stands, on which messages have a greatest length. `chance` is evenly spread.
    pub fn connected(&mut self, payload_max: usize, chance: u64) {
        self.chance = chance | 1;
        self.grace = GRACE + GRACE.mul_f64(self.random() as f64 / u64::MAX as f64);
        self.value_max = payload_max.saturating_sub(BESIDE_MAX).min(VALUE_MAX);
        self.pause.worked();
        self.foreign = 0;
    }

    /// What is under way is nobody's word any more.
    pub fn give_up(&mut self) {
        for flight in self.flights.take_all() {
            self.lands(flight, When::Now);
        }
    }

    /// A watch begins that will show everything anew.
    pub fn forget(&mut self) {
        self.give_up();
        self.marks.forget();
        self.claim.forget();
        self.clashes = false;
    }

    /// The watch has shown everything.
    pub fn shown_all(&mut self, records: usize) {
        if self.settings.rules.repair {
            self.marks.sweep(records);
        }
    }

    /// The record at a position changed, and not by what a register showed.
    pub fn changed(&mut self, position: u32, store: &Store, now: Duration) {
        let when = self.when(position, store, now);
        self.marks.change(position, when);
    }

    /// The watch shows a key: its value, or that it has none.
    pub fn shown(&mut self, key: &[u8], value: Option<&[u8]>, revision: u64, turn: &mut Turn<'_>) {
        self.holds(key, value, revision, None, turn);
    }

    /// A key's register holds, or held, a value. `asked`: we asked, for the record at this position.
    fn holds(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        revision: u64,
        asked: Option<u32>,
        turn: &mut Turn<'_>,
    ) {
        if key::is_reserved(key) {
            if let Some(clash) = self.claim.seen(key, value, revision) {
                self.clashes = true;
                turn.say(Notice::Clash(clash));
            }
            return;
        }
        let position = asked.or_else(|| turn.replica.store().find(&key::decode(key)?));
        let Some(value) = value else {
            if let Some(position) = position {
                self.lacks(position, revision, asked.is_some(), turn);
            }
            return;
        };
        let line = value.strip_suffix(b"\n").unwrap_or_default();
        let at = match Command::parse(line) {
            Some(Command::At(at)) if key::encode(at.report.id).as_bytes() == key => at,
            _ => return self.foreign(key, position, revision, turn),
        };
        let mut canonical = Vec::with_capacity(value.len());
        at.write(&mut canonical);
        if canonical != value {
            return self.foreign(key, position, revision, turn);
        }
        match turn.replica.at_of_any_herd(&at) {
            Heard::News(position) => {
                self.marks.seen(position, revision, asked.is_some());
                self.marks.clean(position);
                turn.events.push(Event::News(position));
            }
            Heard::Known => {
                let store = turn.replica.store();
                let known = store.find(at.report.id);
                let known = known.and_then(|position| Some((position, store.line(position)?)));
                match known {
                    Some((position, line)) if line == value => {
                        self.marks.seen(position, revision, asked.is_some());
                        self.marks.clean(position);
                    }
                    Some((position, _)) => self.lacks(position, revision, asked.is_some(), turn),
                    None => {}
                }
            }
            // The bucket has it still.
            Heard::Full => {}
            Heard::Stranger => self.foreign(key, position, revision, turn),
        }
    }

    /// The register holds less than the table, or nothing.
    fn lacks(&mut self, position: u32, revision: u64, exactly: bool, turn: &Turn<'_>) {
        if revision < self.marks.revision(position) && !exactly {
            // It held that once, and more since.
            return;
        }
        self.marks.seen(position, revision, exactly);
        self.marks.take_up(position);
        if self.settings.rules.repair {
            let when = self.when(position, turn.replica.store(), turn.now);
            self.marks.mark(position, when);
        }
    }

    /// A register holds what is none of ours.
    fn foreign(&mut self, key: &[u8], position: Option<u32>, revision: u64, turn: &mut Turn<'_>) {
        if let Some(position) = position {
            self.marks.seen(position, revision, false);
            self.marks.leave_alone(position);
        }
        self.foreign += 1;
        if self.foreign <= FOREIGN_SHOWN_MAX {
            turn.say(Notice::Foreign(key.to_vec()));
        }
    }

    /// What our own clients told us is put at once; what a neighbour told us, its server puts.
    fn when(&self, position: u32, store: &Store, now: Duration) -> When {
        let ours = |at: crate::herd::At<'_>| at.server == self.settings.me.as_bytes();
        match store.at(position).is_some_and(ours) {
            true => When::Now,
            false => When::Later(now + self.grace),
        }
    }

    /// An answer to the request of this number.
    pub fn answered(
        &mut self,
        number: u64,
        message: &Message<'_>,
        requests: &Requests,
        turn: &mut Turn<'_>,
    ) {
        let Some(flight) = self.flights.take(number) else {
            return;
        };
        let headers = Headers::parse(message.headers);
        let status = headers.map(|headers| headers.status);
        match (flight.kind, status) {
            (Kind::Put, Some(None)) => match answer::put(message.payload) {
                Ok(Put::Taken(revision)) => self.taken(flight, revision, turn),
                Ok(Put::Raced) => self.raced(flight, requests, turn),
                Ok(Put::Refused(refusal)) => {
                    self.fails(flight, Notice::Refused("a put", refusal), turn);
                }
                Err(_) => self.fails(flight, Notice::Unreadable("a put"), turn),
            },
            (Kind::Get, Some(None)) => self.got(flight, message, headers, requests, turn),
            (Kind::Get, Some(Some(404))) => self.settles(flight, 0, turn.now),
            (_, Some(Some(status))) => {
                self.fails(flight, Notice::Unanswered("a put", status), turn)
            }
            (_, None) => self.fails(flight, Notice::Unreadable("a put"), turn),
        }
    }

    fn taken(&mut self, flight: Flight, revision: u64, turn: &mut Turn<'_>) {
        self.works(turn);
        match flight.about {
            About::Record(position) => self.marks.taken(position, revision),
            About::Claim => self.claim.landed(true),
        }
    }

    /// Another value came first. Only who has seen it may put a greater one: if the watch has not shown it
    /// yet, we ask.
    fn raced(&mut self, flight: Flight, requests: &Requests, turn: &mut Turn<'_>) {
        self.works(turn);
        let About::Record(position) = flight.about else {
            // The watch will show whose it is.
            return self.claim.landed(false);
        };
        if self.marks.revision(position) != flight.expected {
            return self.marks.land(position, When::Now);
        }
        let Some(at) = turn.at(position) else {
            return self.marks.land(position, When::Now);
        };
        let key = key::encode(at.report.id);
        let number = self
            .flights
            .add(flight.about, Kind::Get, flight.expected, turn.now);
        requests.get(&key, number, turn.out);
    }

    /// What the register holds, after a race. (The subject in the headers is not needed: we know of which
    /// record we asked.)
    fn got(
        &mut self,
        flight: Flight,
        message: &Message<'_>,
        headers: Option<Headers<'_>>,
        requests: &Requests,
        turn: &mut Turn<'_>,
    ) {
        let About::Record(position) = flight.about else {
            return;
        };
        let subject = headers.and_then(|headers| headers.get("Nats-Subject"));
        let key = subject.and_then(|subject| requests.key(subject));
        let revision = headers.and_then(|headers| headers.number("Nats-Sequence"));
        let ours = turn.at(position).map(|at| key::encode(at.report.id));
        let (Some(key), Some(revision)) = (key, revision) else {
            return self.fails(flight, Notice::Unreadable("a get"), turn);
        };
        if ours.as_deref().map(str::as_bytes) != Some(key) {
            return self.fails(flight, Notice::Unreadable("a get"), turn);
        }
        let is_marker = headers.is_some_and(|headers| headers.is_marker());
        let value = (!is_marker).then_some(message.payload);
        self.holds(key, value, revision, Some(position), turn);
        self.settles(flight, revision, turn.now);
    }

    /// We have asked what a register holds: this revision. If it is the one that our put followed, whom
    /// we asked is behind, and we do not ask again at once.
    fn settles(&mut self, flight: Flight, revision: u64, now: Duration) {
        let About::Record(position) = flight.about else {
            return;
        };
        self.marks.seen(position, revision, true);
        let when = match revision == flight.expected {
            true => When::Later(now + self.grace),
            false => When::Now,
        };
        self.marks.land(position, when);
    }

    fn fails(&mut self, flight: Flight, why: Notice, turn: &mut Turn<'_>) {
        self.lands(flight, When::Now);
        let random = self.random();
        self.pause.failed(turn.now, random);
        if std::mem::replace(&mut self.work, false) {
            turn.say(why);
            turn.say(Notice::PutsFail);
        }
    }

    fn works(&mut self, turn: &mut Turn<'_>) {
        self.pause.worked();
        if !std::mem::replace(&mut self.work, true) {
            turn.say(Notice::PutsWork);
        }
    }

    fn lands(&mut self, flight: Flight, when: When) {
        match flight.about {
            About::Record(position) => self.marks.land(position, when),
            About::Claim => self.claim.landed(false),
        }
    }

    /// Gives up what was not answered in time.
    pub fn late(&mut self, turn: &mut Turn<'_>) {
        for flight in self.flights.take_late(turn.now) {
            self.fails(flight, Notice::Unanswered("a put", 0), turn);
        }
    }

    /// Looks for what the watch has not shown, and puts what is due, into this many bytes.
    pub fn put(&mut self, requests: &Requests, room: usize, turn: &mut Turn<'_>) {
        for position in self.marks.unseen(SWEEP_A_STEP) {
            let when = self.when(position, turn.replica.store(), turn.now);
            self.marks.mark(position, when);
        }
        if self.clashes || !self.pause.is_over(turn.now) {
            return;
        }
        let end = turn.out.len() + room;
        if self.flights.has_room() {
            self.put_claim(requests, turn);
        }
        while self.flights.has_room() && turn.out.len() < end {
            let Some(position) = self.marks.take(turn.now) else {
                break;
            };
            self.put_record(position, requests, turn);
        }
    }

    fn put_claim(&mut self, requests: &Requests, turn: &mut Turn<'_>) {
        if let Some((key, expected, value)) = self.claim.put() {
            let number = self
                .flights
                .add(About::Claim, Kind::Put, expected, turn.now);
            requests.put(&key, Some(expected), number, value, turn.out);
        }
    }

    fn put_record(&mut self, position: u32, requests: &Requests, turn: &mut Turn<'_>) {
        let store = turn.replica.store();
        let (Some(at), Some(line)) = (store.at(position), store.line(position)) else {
            return self.marks.clean(position);
        };
        let key = key::encode(at.report.id);
        if line.len() + key.len() > self.value_max {
            self.marks.clean(position);
            self.marks.land(position, When::Now);
            return turn.say(Notice::TooLong(position));
        }
        let expected = self.marks.revision(position);
        let about = About::Record(position);
        let number = self.flights.add(about, Kind::Put, expected, turn.now);
        let expected = self.settings.rules.compare_and_set.then_some(expected);
        requests.put(&key, expected, number, line, turn.out);
    }

    /// When there will be something to do, though nothing comes.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        let sweep = self.marks.is_sweeping().then_some(now);
        let waits = !self.pause.is_over(now) && self.marks.has_some();
        let pause = waits.then_some(self.pause.until());
        let all = [
            sweep,
            pause,
            self.marks.next_grace(),
            self.flights.deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// Chance, from what the connection began with.
    pub fn random(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }

    /// What must hold between two calls.
    pub fn check_invariants(&self) {
        self.marks.check_invariants();
        debug_assert!(self.flights.len() <= super::flights::IN_FLIGHT_MAX);
    }
}
