//! Herds on one bucket: each server a table and the machine, roads between them and the engine that delay,
//! and that may be cut.

use std::collections::VecDeque;
use std::time::Duration;

use herd::herd::{Command, RECORDS_MAX, Replica, STORE_BYTES_MAX, Store, Taken, Ties};
use herd::nats::bucket::{Bucket, Event, Notice, Rules, Settings, Turn};
use herd::nats::command::{self, Connect};
use herd::nats::{Frame, Frames};

use crate::dice::Dice;
use crate::engine::Engine;

/// Time goes in steps of this.
pub const STEP: Duration = Duration::from_millis(10);
/// The longest line that a server takes.
const LINE_MAX: usize = 64 * 1024;

/// Bytes on a road, with the time at which each piece arrives.
type Road = VecDeque<(Duration, Vec<u8>)>;

/// How a server of a herd uses the bucket.
pub fn settings(name: &str, herd: &[&str], rules: Rules) -> Settings {
    Settings {
        bucket: String::from("herd"),
        replicas: 1,
        bytes_max: 1 << 28,
        me: name.to_string(),
        herd: herd.iter().map(|name| name.to_string()).collect(),
        rules,
    }
}

/// One server.
pub struct Server {
    /// Its name.
    pub name: &'static str,
    /// The names of its herd.
    pub herd: &'static [&'static str],
    /// Its table.
    pub replica: Replica,
    /// Its machine.
    pub bucket: Bucket,
    /// What the machine said of itself.
    pub said: Vec<Notice>,
    frames: Frames,
    connection: Option<usize>,
    up: bool,
    redial: Duration,
    there: Road,
    back: Road,
    /// Lines that neighbours flood.
    floods: Road,
}

impl Server {
    /// A server that knows nothing.
    pub fn new(name: &'static str, herd: &'static [&'static str], rules: Rules) -> Server {
        let store = Store::new(RECORDS_MAX, STORE_BYTES_MAX, Ties::TotalOrder);
        Server {
            name,
            herd,
            replica: Replica::new(name, herd, Duration::ZERO, LINE_MAX, store),
            bucket: Bucket::new(settings(name, herd, rules)),
            said: Vec::new(),
            frames: Frames::default(),
            connection: None,
            up: false,
            redial: Duration::ZERO,
            there: Road::new(),
            back: Road::new(),
            floods: Road::new(),
        }
    }

    /// Its table, ordered.
    pub fn table(&self) -> Vec<Vec<u8>> {
        let store = self.replica.store();
        let lines = (0..store.len()).filter_map(|position| store.line(position as u32));
        let mut lines: Vec<_> = lines.map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    }

    /// Takes what has come from the engine.
    fn hear(
        &mut self,
        now: Duration,
        payload_max: usize,
        chance: u64,
        goes: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) {
        while let Some(frame) = self.frames.next().expect("the model writes frames") {
            let mut turn = Turn {
                now,
                replica: &mut self.replica,
                out: goes,
                events,
            };
            match frame {
                Frame::Info(_) => {
                    let connect = Connect {
                        name: self.name,
                        version: "1",
                        tls: false,
                        user: None,
                    };
                    connect.write(turn.out);
                    command::ping(turn.out);
                }
                Frame::Pong => {
                    self.up = true;
                    self.bucket.connected(payload_max, chance, &mut turn);
                }
                Frame::Message(message) => self.bucket.message(&message, &mut turn),
                _ => {}
            }
        }
    }

    fn hang_up(&mut self, redial: Duration) {
        self.connection = None;
        self.redial = redial;
        self.there.clear();
        self.back.clear();
        self.frames = Frames::default();
        if std::mem::take(&mut self.up) {
            self.bucket.disconnected();
        }
    }
}

/// All of it.
pub struct World {
    /// The time.
    pub now: Duration,
    /// The engine.
    pub engine: Engine,
    /// The servers of all herds.
    pub servers: Vec<Server>,
    /// Chance.
    pub dice: Dice,
    /// No road carries anything to the engine or from it.
    pub frozen: bool,
    /// The longest delay of a road.
    pub delay: u64,
    /// The longest message that the engine takes.
    pub payload_max: usize,
    /// So many bytes may be put in a step.
    pub room: usize,
}

impl World {
    /// Servers that have not dialled yet.
    pub fn new(seed: u64, servers: Vec<Server>) -> World {
        World {
            now: Duration::ZERO,
            engine: Engine::default(),
            servers,
            dice: Dice::new(seed),
            frozen: false,
            delay: 30,
            payload_max: 1 << 20,
            room: 1 << 20,
        }
    }

    /// A client of a server reports.
    pub fn report(&mut self, server: usize, id: &[u8], place: u64, time: u64) {
        let line = [
            b"IAMAT ",
            id,
            format!(" +{place}.5-118.25 {time}").as_bytes(),
        ]
        .concat();
        let Some(Command::Iamat(report)) = Command::parse(&line) else {
            panic!("{} is no IAMAT", line.escape_ascii());
        };
        let (now, of) = (self.now, &mut self.servers[server]);
        let taken = of.replica.iamat(report, now, &mut Vec::new());
        if let Taken::News(position) = taken {
            of.bucket.changed(position, of.replica.store(), now);
            self.flood(server, position);
        }
    }

    /// A server tells its neighbours of a record.
    fn flood(&mut self, server: usize, position: u32) {
        let line = self.servers[server]
            .replica
            .store()
            .line(position)
            .expect("a record")
            .to_vec();
        let herd = self.servers[server].herd;
        for other in (0..self.servers.len()).filter(|other| *other != server) {
            if self.servers[other].herd == herd {
                let at = self.now + Duration::from_millis(self.dice.roll(self.delay));
                push(&mut self.servers[other].floods, at, line.clone());
            }
        }
    }

    /// A server dies and comes back with what its neighbours still know.
    pub fn crash(&mut self, server: usize, rules: Rules) {
        let Server { name, herd, .. } = self.servers[server];
        if let Some(connection) = self.servers[server].connection {
            self.engine.cut(connection);
        }
        self.servers[server] = Server::new(name, herd, rules);
        for other in (0..self.servers.len()).filter(|other| *other != server) {
            if self.servers[other].herd == herd {
                for line in self.servers[other].table() {
                    push(&mut self.servers[server].floods, self.now, line);
                }
            }
        }
    }

    /// The road between a server and the engine breaks.
    pub fn cut(&mut self, server: usize) {
        if let Some(connection) = self.servers[server].connection {
            self.engine.cut(connection);
        }
    }

    /// Time goes on by one step.
    pub fn step(&mut self) {
        self.now += STEP;
        self.engine.now = self.now;
        for server in 0..self.servers.len() {
            self.hear_neighbours(server);
            self.serve(server);
        }
        self.engine.deliver();
    }

    /// Time goes on until then.
    pub fn run_until(&mut self, until: Duration) {
        while self.now < until {
            self.step();
        }
    }

    /// Time goes on until something holds; false if it does not within this time.
    pub fn run_until_holds(&mut self, within: Duration, holds: impl Fn(&World) -> bool) -> bool {
        let end = self.now + within;
        while self.now < end && !holds(self) {
            self.step();
        }
        holds(self)
    }

    fn hear_neighbours(&mut self, server: usize) {
        let (now, of) = (self.now, &mut self.servers[server]);
        while let Some(line) = arrived(&mut of.floods, now) {
            let Some(Command::At(at)) = Command::parse(line.trim_ascii_end()) else {
                panic!("no AT line");
            };
            if let herd::herd::Heard::News(position) = of.replica.at_of_any_herd(&at) {
                of.bucket.changed(position, of.replica.store(), now);
            }
        }
    }

    fn serve(&mut self, server: usize) {
        let (now, of) = (self.now, &mut self.servers[server]);
        match of.connection {
            None if of.redial <= now => of.connection = Some(self.engine.connect()),
            None => return,
            Some(connection) if !self.engine.stands(connection) => {
                let redial = now + Duration::from_millis(self.dice.roll(1000));
                return of.hang_up(redial);
            }
            Some(_) => {}
        }
        if self.frozen {
            return;
        }
        let connection = of.connection.expect("it stands");
        let mut goes = Vec::new();
        let mut events = Vec::new();
        while let Some(bytes) = arrived(&mut of.back, now) {
            of.frames.push(&bytes);
        }
        let (payload_max, chance) = (self.payload_max, self.dice.next());
        of.hear(now, payload_max, chance, &mut goes, &mut events);
        let mut turn = Turn {
            now,
            replica: &mut of.replica,
            out: &mut goes,
            events: &mut events,
        };
        of.bucket.step(self.room, &mut turn);
        of.bucket.check_invariants();
        if !goes.is_empty() {
            push(
                &mut of.there,
                now + Duration::from_millis(self.dice.roll(self.delay)),
                goes,
            );
        }
        while let Some(bytes) = arrived(&mut of.there, now) {
            self.engine.hear(connection, &bytes);
        }
        let comes = self.engine.take(connection);
        if !comes.is_empty() {
            // It may come in two pieces.
            let (first, second) = comes.split_at(self.dice.roll(comes.len() as u64) as usize);
            for piece in [first, second] {
                let at = now + Duration::from_millis(self.dice.roll(self.delay));
                push(&mut of.back, at, piece.to_vec());
            }
        }
        for event in events {
            match event {
                Event::News(position) => self.flood(server, position),
                Event::Notice(notice) => self.servers[server].said.push(notice),
            }
        }
    }
}

/// Roads keep the order.
fn push(road: &mut Road, at: Duration, bytes: Vec<u8>) {
    let after = road.back().map_or(at, |(last, _)| at.max(*last));
    road.push_back((after, bytes));
}

fn arrived(road: &mut Road, now: Duration) -> Option<Vec<u8>> {
    let comes = road.front().is_some_and(|(at, _)| *at <= now);
    comes
        .then(|| road.pop_front())
        .flatten()
        .map(|(_, bytes)| bytes)
}
