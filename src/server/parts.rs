//! The parts of a server, and everything that is a list of them: who gets a callback, who flushes
//! when, who has a word in the view. A part that is added and forgotten here does not compile.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::callback::{Callback, Loop, Part};
use super::clients::{Again, Clients};
use super::connections::Connection;
use super::desk::{Desk, Floor, Shared};
use super::door::{Door, LISTENER};
use super::intent::Intent;
use super::journal::About;
use super::links::Links;
use super::questions::Questions;
use super::snapshots::Snapshots;
use crate::event_loop::{Readiness, Token};
use crate::net::Host;

/// How long a server that was asked to stop may take to send what it owes.
pub const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// A unit of work copies and frames so much of an answer.
const BYTES_A_UNIT: usize = 3;

/// The parts. Each keeps its state to itself; what they share is on the [`Desk`].
pub struct Parts<H: Host> {
    door: Door<H>,
    clients: Clients,
    links: Links,
    /// Without an upstream the gazetteer answers.
    questions: Option<Questions>,
    /// None are kept, unless a file was named.
    snapshots: Option<Snapshots>,
    /// A [`Callback::CarryOn`] is queued.
    goes_on: bool,
}

impl<H: Host> Parts<H> {
    /// Parts that do nothing yet.
    pub fn new(shared: &Shared) -> Parts<H> {
        let config = &shared.config;
        Parts {
            door: Door::new(),
            clients: Clients::default(),
            links: Links::new(shared),
            questions: config.upstream.clone().map(Questions::new),
            snapshots: config.snapshot_every.map(Snapshots::new),
            goes_on: false,
        }
    }

    /// Takes up the snapshot of an earlier run, then opens the door.
    ///
    /// # Errors
    /// The snapshot cannot be read; the address cannot be had.
    pub fn open(&mut self, floor: &mut Floor<H>) -> io::Result<()> {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.restore(floor)?;
        }
        let config = &floor.shared.config;
        let address = config.roster.servers[config.me].address;
        self.door.start(floor.event_loop, address)
    }

    /// What the operator should know about the snapshot that was restored.
    pub fn restored(&self) -> &[String] {
        self.snapshots.as_ref().map_or(&[], Snapshots::restored)
    }

    /// Dials every neighbour.
    pub fn dial(&mut self, floor: &mut Floor<H>) {
        self.links.start(floor);
    }

    /// Gives a callback to whom it concerns.
    pub fn call(&mut self, floor: &mut Floor<H>, callback: Callback) {
        match callback {
            Callback::Ready(token, readiness) => self.ready(floor, token, readiness),
            Callback::Again(token) => self.again(floor, token),
            Callback::Accept => self.accept(floor, true),
            Callback::AcceptRetry => self.door.retry(floor.event_loop),
            Callback::Deadline(token) => self.clients.deadline(floor, token),
            Callback::Redial(index) => self.links.dial(floor, index),
            Callback::LinkDeadline(token) => self.links.deadline(floor, token),
            Callback::Dump(token) => self.links.dump(floor, token),
            Callback::Snapshot => {
                if let Some(snapshots) = &mut self.snapshots {
                    snapshots.walk(floor);
                }
            }
            Callback::Done(part, number) => self.done(floor, part, number),
            Callback::StartLookups
            | Callback::LookupDeadline(_)
            | Callback::NextAddress(_)
            | Callback::UpstreamIdle(_) => self.question(floor, callback),
            // What is left is carried on behind every callback.
            Callback::CarryOn => self.goes_on = false,
            // The node's own.
            Callback::Signal(_) | Callback::StopDeadline => {}
        }
    }

    /// There is more to read of a connection, and it has waited for that; one that has queued goes on
    /// waiting if this turn has nothing left to spend.
    fn again(&mut self, floor: &mut Floor<H>, token: Token) {
        let work = &mut floor.shared.work;
        let Some(connection) = floor.connections.get_mut(token) else {
            return work.is_gone();
        };
        let queued = match connection {
            Connection::Inbound(inbound) => inbound.again() == Some(Again::Queued),
            _ => false,
        };
        if !queued || work.comes(token) {
            connection.again_comes();
            self.serve(floor, token, Readiness::EMPTY, queued);
        }
    }

    /// The poll told something of a socket.
    #[inline]
    fn ready(&mut self, floor: &mut Floor<H>, token: Token, readiness: Readiness) {
        if token == LISTENER {
            return self.accept(floor, false);
        }
        self.serve(floor, token, readiness, false);
    }

    /// The poll told something of a connection; or it has `queued`, and its turn has come.
    #[inline]
    fn serve(&mut self, floor: &mut Floor<H>, token: Token, told: Readiness, queued: bool) {
        match floor.connections.get_mut(token) {
            Some(Connection::Inbound(inbound)) => {
                inbound.note(told);
                // The one look at the slab that a client's lines cost; its answers cost another.
                let (clients, scratch) = (&mut self.clients, &mut *floor.scratch);
                let (shared, event_loop) = (&mut *floor.shared, &mut *floor.event_loop);
                let served = clients.serve(inbound, scratch, shared, event_loop, queued);
                clients.lost_if(floor, token, served);
            }
            Some(Connection::Link(_)) => self.links.ready(floor, token, told),
            Some(Connection::Upstream(_)) => {
                if let Some(questions) = &mut self.questions {
                    questions.ready(floor, token, told);
                }
            }
            // It was closed earlier in this turn.
            None => {}
        }
    }

    fn accept(&mut self, floor: &mut Floor<H>, queued: bool) {
        self.door.begin(queued);
        while let Some((stream, address)) = self.door.accept(floor) {
            self.clients.connection_made(floor, stream, address);
            // One that has ended already makes room for the next.
            self.carry_on(floor);
        }
    }

    fn question(&mut self, floor: &mut Floor<H>, callback: Callback) {
        let Some(questions) = &mut self.questions else {
            return;
        };
        match callback {
            Callback::LookupDeadline(number) => questions.deadline(floor, number),
            Callback::NextAddress(number) => questions.try_next_address(floor, number),
            Callback::UpstreamIdle(token) => questions.idle_for_long(floor, token),
            _ => questions.start_queued(floor),
        }
    }

    /// A job of the world is done.
    fn done(&mut self, floor: &mut Floor<H>, part: Part, number: u64) {
        match part {
            Part::Questions => {
                if let Some(questions) = &mut self.questions {
                    questions.done(floor, number);
                }
            }
            Part::Snapshots => {
                if let Some(snapshots) = &mut self.snapshots {
                    snapshots.done(floor);
                }
            }
            Part::Journal => {
                let text = match floor.event_loop.world.journal_reopened() {
                    Ok(()) => String::from("the journal was reopened"),
                    Err(why) => format!("the journal could not be reopened: {why}"),
                };
                floor.notice(About::Server, format_args!("{text}"));
            }
        }
    }

    /// Sends what becomes too much to gather, and carries on what parts want of each other.
    #[inline]
    pub fn carry_on(&mut self, floor: &mut Floor<H>) {
        self.flush_if_full(floor);
        if !floor.shared.intents.is_empty() {
            self.carry_on_all(floor);
        }
    }

    #[cold]
    fn carry_on_all(&mut self, floor: &mut Floor<H>) {
        while floor.shared.work.is_left()
            && let Some(intent) = floor.shared.intents.pop_front()
        {
            match intent {
                Intent::Ask(waiter, inquiry) => {
                    if let Some(questions) = &mut self.questions {
                        questions.ask(floor, waiter, inquiry);
                    }
                }
                Intent::Answer(waiter, json) => {
                    // A long answer that many wait for is copied as often.
                    floor.shared.work.spend(json.len() / BYTES_A_UNIT);
                    self.clients.answer(floor, &waiter, &json);
                }
                Intent::Greeted(index, token) => self.links.greeted(floor, index, token),
                Intent::Asked(index) => self.links.asked(floor, index),
                Intent::Freed(address) => self.door.freed(floor.event_loop, address),
            }
            self.flush_if_full(floor);
        }
        let left = !floor.shared.intents.is_empty();
        if left && !std::mem::replace(&mut self.goes_on, true) {
            floor.event_loop.call_soon(Callback::CarryOn);
        }
    }

    #[inline]
    fn flush_if_full(&mut self, floor: &mut Floor<H>) {
        let Shared { answers, news, .. } = &floor.shared;
        if answers.is_full() || news.is_full() {
            self.flush(floor);
        }
    }

    /// Sends what the turn produced: neighbours first, so that the far side knows an update before
    /// the client has its answer; then clients.
    #[inline]
    pub fn flush(&mut self, floor: &mut Floor<H>) {
        self.links.flush(floor);
        let answers = floor.shared.answers.take();
        for (token, answers) in answers.touched() {
            self.clients.settle(floor, token, answers);
        }
        floor.shared.answers.reuse(answers);
    }

    /// Behind the flush: what else a turn brings with it.
    pub fn before_poll(&mut self, floor: &mut Floor<H>) {
        floor.shared.lines = 0;
        let Shared { work, config, .. } = &mut *floor.shared;
        let portions = &config.portions;
        if work.is_touched(portions.work_a_turn) {
            for token in work.next_turn(portions.work_a_turn, portions.visits_a_turn) {
                floor.event_loop.call_soon(Callback::Again(token));
            }
        }
        if floor.shared.held > floor.shared.config.max_client_bytes {
            self.clients.make_room(floor);
            self.carry_on(floor);
        }
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.before_poll(floor);
        }
    }

    /// The server stops: nobody else comes in, and everybody gets what they are owed.
    pub fn stop(&mut self, floor: &mut Floor<H>) {
        let Parts {
            door,
            clients,
            links,
            // Those that wait get their answers; the deadline of the stop ends the others.
            questions: _,
            snapshots,
            goes_on: _,
        } = self;
        door.stop(floor.event_loop);
        clients.stop(floor);
        links.stop(floor);
        if let Some(snapshots) = snapshots {
            snapshots.stop(floor);
        }
    }

    /// Stopping took too long: nobody is left without an answer, nor with a connection. Only the last
    /// snapshot may take longer; when to look again, if it does.
    pub fn give_up(&mut self, floor: &mut Floor<H>) -> Option<Duration> {
        // Whatever this turn has spent.
        let units = floor.shared.config.portions.work_a_turn;
        drop(floor.shared.work.next_turn(units, 0));
        if let Some(questions) = &mut self.questions {
            questions.fail_all(floor);
        }
        self.carry_on(floor);
        self.flush(floor);
        let why = "stopping took too long";
        for token in floor.connections.inbound_tokens() {
            self.clients.connection_lost(floor, token, why);
        }
        self.links.close_all(floor, why);
        let snapshots = self.snapshots.as_mut();
        snapshots.and_then(|snapshots| snapshots.look_again(floor))
    }

    /// A second signal: nothing is waited for.
    pub fn abandon(&mut self, floor: &mut Floor<H>) {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.give_up(floor, "a second signal cut it short");
        }
    }

    /// Why there is no last snapshot of a server that has stopped.
    pub fn lost(&self) -> Option<&str> {
        self.snapshots.as_ref().and_then(Snapshots::lost)
    }

    /// While stopping: true once nothing is owed to anyone.
    pub fn are_done(&self, desk: &Desk<H>) -> bool {
        desk.connections.inbound_len() == 0
            && self.snapshots.as_ref().is_none_or(Snapshots::is_idle)
            && self.links.are_flushed(desk)
    }

    /// What must hold between two callbacks. Checked in debug builds.
    pub fn check_invariants(&self, desk: &Desk<H>) {
        let Parts {
            door,
            clients: _,
            links,
            questions,
            snapshots: _,
            goes_on: _,
        } = self;
        door.check_invariants(desk);
        desk.check_invariants();
        links.check_invariants(desk);
        if let Some(questions) = questions {
            questions.check_invariants(desk);
        }
    }

    /// How many records each link that is up owes its neighbour.
    pub fn owed(&self, desk: &Desk<H>) -> Vec<usize> {
        self.links.owed(desk)
    }

    /// What the view shows of a connection.
    pub fn connection_row(&self, shared: &Shared, connection: &Connection<H>) -> Value {
        match connection {
            Connection::Inbound(inbound) => inbound.row(&shared.neighbours),
            Connection::Link(link) => self.links.connection_row(shared, link),
            Connection::Upstream(upstream) => match &self.questions {
                Some(questions) => questions.connection_row(upstream),
                None => Value::Null,
            },
        }
    }

    /// What the view shows of each part, under its name there.
    pub fn rows(&self, desk: &Desk<H>, event_loop: &Loop<H>) -> [(&'static str, Value); 3] {
        let Parts {
            door: _,
            clients: _,
            links,
            questions,
            snapshots,
            goes_on: _,
        } = self;
        let now = event_loop.time();
        let questions = questions.as_ref().map(|questions| questions.row(now));
        let snapshots = snapshots.as_ref().map(Snapshots::row);
        [
            ("peers", links.rows(desk)),
            ("lookups", json!(questions)),
            ("snapshots", json!(snapshots)),
        ]
    }

    /// Every limit of which some is in use: what, how much, the limit, its option.
    pub fn usage(&self, desk: &Desk<H>) -> Vec<(&'static str, usize, usize, &'static str)> {
        let (shared, connections) = (&desk.shared, &desk.connections);
        let store = shared.replica.store();
        let (bytes, bytes_max) = store.bytes();
        let most = shared.config.max_connections;
        let (records, records_max) = (store.len(), store.records_max());
        let clients = (
            "clients in the table",
            records,
            records_max,
            "--max-records",
        );
        let mut rows = vec![
            ("connections", connections.len(), most, "--max-connections"),
            clients,
            ("bytes in the table", bytes, bytes_max, ""),
            (
                "bytes held for clients",
                shared.held,
                shared.config.max_client_bytes,
                "--max-client-bytes",
            ),
            (
                "connections that want more of a turn",
                shared.work.waiting(),
                most,
                "",
            ),
        ];
        let others = [self.links.usage(desk), shared.journal.usage()];
        let questions = self.questions.iter().flat_map(Questions::usage);
        let others = others.into_iter().chain(questions);
        rows.extend(others.map(|(what, used, max)| (what, used, max, "")));
        rows
    }
}
