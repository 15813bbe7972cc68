//! The server: its parts, its life, and the one place where its callbacks run.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::callback::{Callback, Loop};
use super::connections::{Connection, Connections};
use super::inbound::Inbound;
use super::journal::{Journal, Who};
use super::link::{LinkState, Neighbour};
use super::lookup::Lookups;
use super::snapshots::Snapshots;
use super::turn::Turn;
use crate::config::Config;
use crate::event_loop::{Application, Context, Handle, Observation, Readiness, Token};
use crate::herd::{Replica, STORE_BYTES_MAX, Store};
use crate::net::{ACCEPT_BUDGET, ACCEPT_RETRY_DELAY, Accepted, Host, LINE_MAX, accept};

/// The signal that asks to reopen the journal.
pub const SIGHUP: i32 = 1;
/// The signal of Ctrl-C.
pub const SIGINT: i32 = 2;
/// The signal that asks to stop.
pub const SIGTERM: i32 = 15;

/// How long a server that was asked to stop may take to send what it owes.
pub const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// A standing trouble is journalled this often.
pub const SAY_AGAIN: Duration = Duration::from_secs(60);

/// The one buffer that every connection reads into.
const READ_BUFFER: usize = 64 * 1024;

/// The door for clients and neighbours.
pub(super) const LISTENER: Token = Token::listener(0);

/// One server of the herd.
pub struct Node<H: Host> {
    pub(super) config: Config,
    pub(super) replica: Replica,
    pub(super) connections: Connections<H>,
    /// Questions to Places; without an upstream the gazetteer answers.
    pub(super) lookups: Option<Lookups>,
    pub(super) neighbours: Vec<Neighbour>,
    /// None are kept, unless a file was named.
    pub(super) snapshots: Option<Snapshots>,
    /// What the operator should know about the snapshot that was restored.
    pub(super) restored: Vec<String>,
    pub(super) journal: Journal,
    pub(super) turn: Turn,
    pub(super) scratch: Vec<u8>,
    /// When the journal last said that the table is full.
    pub(super) full_said: Option<Duration>,
    /// A first signal to stop came.
    pub(super) stopping: bool,
    pub(super) listener: Option<H::Listener>,
    /// No descriptor was left: connections may wait of which no event will tell. The timer looks.
    pub(super) starved: Option<Handle>,
    /// A [`Callback::Accept`] is queued.
    accept_queued: bool,
    hurried: bool,
    /// The wall clock, and the turn in which it was read.
    wall: (Duration, u64),
    /// Connections of each address that is not loopback.
    per_address: BTreeMap<IpAddr, usize>,
}

impl<H: Host> Node<H> {
    /// A server that does nothing until [`Node::start`].
    pub fn new(config: Config) -> Node<H> {
        let roster = &config.roster;
        let store = Store::new(config.max_records, STORE_BYTES_MAX, config.ties);
        let neighbours = roster.neighbours(config.me).into_iter().map(|index| {
            let server = &roster.servers[index];
            Neighbour::new(&server.name, server.address, server.course)
        });
        Node {
            replica: Replica::new(
                config.name(),
                &roster.names(),
                config.max_ahead,
                LINE_MAX,
                store,
            ),
            connections: Connections::new(),
            lookups: config.upstream.clone().map(Lookups::new),
            neighbours: neighbours.collect(),
            snapshots: config.snapshot_every.map(Snapshots::new),
            restored: Vec::new(),
            journal: Journal::new(config.journal, config.max_log),
            turn: Turn::default(),
            scratch: vec![0; READ_BUFFER],
            full_said: None,
            stopping: false,
            listener: None,
            starved: None,
            accept_queued: false,
            hurried: false,
            wall: (Duration::ZERO, u64::MAX),
            per_address: BTreeMap::new(),
            config,
        }
    }

    /// Opens the listener and dials every neighbour.
    ///
    /// # Errors
    /// The listener's address cannot be had.
    pub fn start(&mut self, event_loop: &mut Loop<H>) -> io::Result<()> {
        let address = self.config.roster.servers[self.config.me].address;
        self.restore(event_loop)?;
        self.listener = Some(event_loop.world.listen(address, LISTENER)?);
        self.journal.opened(event_loop.world.journal_size());
        self.notice(
            event_loop,
            Who::Server,
            format_args!("listens on {address}"),
        );
        for warning in self.config.warnings() {
            self.notice(event_loop, Who::Server, format_args!("{warning}"));
        }
        for index in 0..self.neighbours.len() {
            self.dial(event_loop, index);
        }
        // A first turn right away, whose end writes the journal.
        self.accept_soon(event_loop);
        Ok(())
    }

    /// What the operator should know about the snapshot that was restored.
    pub fn restored(&self) -> &[String] {
        &self.restored
    }

    /// The server's copy of the table.
    pub fn store(&self) -> &Store {
        self.replica.store()
    }

    /// True if a second signal cut the stopping short.
    pub fn was_hurried(&self) -> bool {
        self.hurried
    }

    /// Journals a notice.
    pub fn notice(&mut self, event_loop: &mut Loop<H>, who: Who<'_>, text: fmt::Arguments<'_>) {
        if self.journal.is_enabled() {
            let wall = self.wall_clock(event_loop);
            self.journal.notice(wall, who, text);
        }
    }

    /// The wall clock of this turn: read at most once in it.
    pub(super) fn wall_clock(&mut self, event_loop: &mut Loop<H>) -> Duration {
        if self.wall.1 != event_loop.iteration() {
            self.wall = (event_loop.world.wall_clock(), event_loop.iteration());
        }
        self.wall.0
    }

    /// The wall clock of this turn for a journal that is kept; any time for one that is not.
    pub(super) fn journal_time(&mut self, event_loop: &mut Loop<H>) -> Duration {
        match self.journal.is_enabled() {
            true => self.wall_clock(event_loop),
            false => Duration::ZERO,
        }
    }

    /// A descriptor was closed: if the listener starved for one, it looks again.
    pub(super) fn descriptor_freed(&mut self, event_loop: &mut Loop<H>) {
        if let Some(retry) = self.starved.take() {
            event_loop.cancel(retry);
            self.accept_soon(event_loop);
        }
    }

    #[cold]
    fn note_slow(&mut self, observation: &Observation<'_, Callback>) {
        let wall = self.wall.0;
        match observation {
            Observation::SlowCallback {
                callback,
                location,
                took,
            } => {
                let text = format_args!("{callback:?}, queued at {location}, took {took:?}");
                self.journal.notice(wall, Who::Server, text);
            }
            Observation::SlowIteration { ran, took } => {
                let text = format_args!("a turn of {ran} callbacks took {took:?}");
                self.journal.notice(wall, Who::Server, text);
            }
            _ => {}
        }
    }

    fn accept_soon(&mut self, event_loop: &mut Loop<H>) {
        if !std::mem::replace(&mut self.accept_queued, true) {
            event_loop.call_soon(Callback::Accept);
        }
    }

    /// While stopping: ends the loop once nothing is owed to anyone.
    pub(super) fn stop_if_done(&mut self, event_loop: &mut Loop<H>) {
        let nobody = self.stopping && self.connections.inbound_len() == 0;
        if nobody && self.snapshots_are_done() && self.links_are_flushed() {
            event_loop.stop();
        }
    }

    fn ready(&mut self, event_loop: &mut Loop<H>, token: Token, readiness: Readiness) {
        if token == LISTENER {
            // A callback that is queued already will take what this event tells of.
            if !self.accept_queued {
                self.accept(event_loop);
            }
            return;
        }
        match self.connections.get_mut(token) {
            Some(Connection::Inbound(inbound)) => {
                inbound.transport.note(readiness);
                self.inbound_ready(event_loop, token);
            }
            Some(Connection::Link(link)) => {
                link.transport.note(readiness);
                self.link_ready(event_loop, token);
            }
            Some(Connection::Upstream(upstream)) => {
                upstream.transport.note(readiness);
                self.upstream_ready(event_loop, token);
            }
            // It was closed earlier in this turn.
            None => {}
        }
    }

    fn accept(&mut self, event_loop: &mut Loop<H>) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        let mut taken = 0;
        while taken < ACCEPT_BUDGET {
            taken += 1;
            let token = self.connections.next_token();
            match accept(&mut event_loop.world, &mut listener, token) {
                Accepted::Stream(stream, address) => {
                    self.admit(event_loop, stream, address, token);
                }
                Accepted::Nothing => break,
                Accepted::Failed(error) => {
                    self.notice(
                        event_loop,
                        Who::Server,
                        format_args!("accept failed: {error}"),
                    );
                }
                Accepted::OutOfDescriptors(Some(address)) => {
                    self.starve(event_loop);
                    let text = format_args!("refused {address}: no descriptor is left");
                    self.notice(event_loop, Who::Server, text);
                }
                Accepted::OutOfDescriptors(None) => {
                    self.starve(event_loop);
                    break;
                }
            }
        }
        self.listener = Some(listener);
        if taken == ACCEPT_BUDGET {
            self.accept_soon(event_loop);
        }
    }

    /// One timer, however many accepts failed.
    fn starve(&mut self, event_loop: &mut Loop<H>) {
        self.starved.get_or_insert_with(|| {
            event_loop.call_later(ACCEPT_RETRY_DELAY, Callback::AcceptRetry)
        });
    }

    fn admit(
        &mut self,
        event_loop: &mut Loop<H>,
        stream: H::Stream,
        address: SocketAddr,
        token: Token,
    ) {
        if self.connections.len() >= self.config.max_connections {
            event_loop.world.close(stream);
            let text = format_args!(
                "refused {address}: {} connections are open",
                self.connections.len()
            );
            return self.notice(event_loop, Who::Server, text);
        }
        if let Some(count) = self.count_address(address) {
            event_loop.world.close(stream);
            let text = format_args!("refused {address}: {count} connections come from there");
            return self.notice(event_loop, Who::Server, text);
        }
        self.connections
            .insert(Connection::Inbound(Inbound::new(stream, address, token)));
        self.notice(
            event_loop,
            Who::Client(token),
            format_args!("connected from {address}"),
        );
        // The command is often here already: read before the poller is told of the socket.
        self.inbound_ready(event_loop, token);
    }

    /// Counts a connection from this address, unless too many come from there: then how many.
    fn count_address(&mut self, address: SocketAddr) -> Option<usize> {
        let host = address.ip().to_canonical();
        if host.is_loopback() {
            return None;
        }
        let count = self.per_address.entry(host).or_insert(0);
        if *count >= self.config.max_per_address {
            return Some(*count);
        }
        *count += 1;
        None
    }

    /// A connection from this address was closed.
    pub(super) fn uncount_address(&mut self, address: SocketAddr) {
        let host = address.ip().to_canonical();
        if let Some(count) = self.per_address.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&host);
            }
        }
    }

    fn signal(&mut self, event_loop: &mut Loop<H>, number: i32) {
        match number {
            SIGHUP => self.hang_up(event_loop),
            _ if self.stopping => {
                self.hurried = true;
                event_loop.stop();
            }
            _ => self.begin_to_stop(event_loop, number),
        }
    }

    /// Opens anew what others may have changed: the journal, and the certificates.
    fn hang_up(&mut self, event_loop: &mut Loop<H>) {
        match event_loop.world.reopen_journal() {
            Ok(()) => {
                self.journal.opened(event_loop.world.journal_size());
                let text = format_args!("the journal was reopened");
                self.notice(event_loop, Who::Server, text);
            }
            Err(error) => {
                let text = format_args!("the journal could not be reopened: {error}");
                self.notice(event_loop, Who::Server, text);
            }
        }
        match event_loop.world.reload_identity() {
            Ok(false) => {}
            Ok(true) => {
                let text = format_args!("the certificates were read again");
                self.notice(event_loop, Who::Server, text);
            }
            Err(why) => {
                let text = format_args!("the certificates stay as they were: {why}");
                self.notice(event_loop, Who::Server, text);
            }
        }
    }

    /// Stops accepting, sends everybody what they are owed, ends the loop. (asyncio: Runner.close.)
    fn begin_to_stop(&mut self, event_loop: &mut Loop<H>, number: i32) {
        self.stopping = true;
        self.notice(
            event_loop,
            Who::Server,
            format_args!("stopping on signal {number}"),
        );
        if let Some(listener) = self.listener.take() {
            event_loop.world.close_listener(listener);
        }
        for token in self.connections.inbound_tokens() {
            self.finish_inbound(token);
        }
        for index in 0..self.neighbours.len() {
            match self.neighbours[index].state {
                LinkState::Dialling(token, _) => self.link_lost(event_loop, token, "stopping"),
                LinkState::Waiting(Some(timer)) => {
                    event_loop.cancel(timer);
                    self.neighbours[index].state = LinkState::Waiting(None);
                }
                _ => {}
            }
        }
        self.snapshot_now(event_loop);
        event_loop.call_later(STOP_DEADLINE, Callback::StopDeadline);
    }

    /// Sends what the turn produced: neighbours first, so that the far side knows an update before
    /// the client has its answer; then clients.
    pub(super) fn flush(&mut self, event_loop: &mut Loop<H>) {
        self.flush_links(event_loop);
        let turn = self.turn.take();
        for (token, answers) in turn.touched() {
            self.settle(event_loop, token, answers);
        }
        self.turn.reuse(turn);
    }
}

impl<H: Host> Application<H> for Node<H> {
    type Callback = Callback;

    fn call(&mut self, event_loop: &mut Loop<H>, callback: Callback) -> Result<(), Box<dyn Error>> {
        match callback {
            Callback::Ready(token, readiness) => self.ready(event_loop, token, readiness),
            Callback::Again(token) => match self.connections.get_mut(token) {
                Some(Connection::Inbound(_)) => self.inbound_again(event_loop, token),
                Some(Connection::Link(_)) => self.link_again(event_loop, token),
                Some(Connection::Upstream(_)) => self.upstream_again(event_loop, token),
                None => {}
            },
            Callback::Accept => {
                self.accept_queued = false;
                self.accept(event_loop);
            }
            Callback::AcceptRetry => {
                self.starved = None;
                self.accept_soon(event_loop);
            }
            Callback::Deadline(token) => self.inbound_deadline(event_loop, token),
            Callback::Redial(index) => self.dial(event_loop, index),
            Callback::ConnectDeadline(token) => self.connect_deadline(event_loop, token),
            Callback::Dump(token) => self.dump(event_loop, token),
            Callback::Snapshot => self.snapshot(event_loop),
            Callback::SnapshotDone => self.snapshot_done(event_loop),
            Callback::Signal(number) => self.signal(event_loop, number),
            Callback::StartLookups => self.start_lookups(event_loop),
            Callback::LookupDeadline(number) => self.lookup_deadline(event_loop, number),
            Callback::NextAddress(number) => self.try_next_address(event_loop, number),
            Callback::Resolved(job) => self.resolved(event_loop, job),
            Callback::UpstreamIdle(token) => self.upstream_idle(event_loop, token),
            Callback::StopDeadline => {
                self.fail_all_lookups(event_loop);
                event_loop.stop();
            }
        }
        if self.turn.is_full() {
            self.flush(event_loop);
        }
        if self.journal.is_filling() {
            self.journal.flush(&mut event_loop.world);
        }
        Ok(())
    }

    fn before_poll(&mut self, event_loop: &mut Loop<H>) {
        self.flush(event_loop);
        self.snapshot_if_changed(event_loop);
        self.stop_if_done(event_loop);
        self.journal.flush(&mut event_loop.world);
    }

    fn exception_handler(&mut self, context: &Context<Callback>) -> Result<(), Box<dyn Error>> {
        self.journal
            .notice(self.wall.0, Who::Server, format_args!("{context}"));
        Ok(())
    }

    #[inline]
    fn observe(&mut self, observation: Observation<'_, Callback>) {
        // Inlined into the loop, this leaves nothing of the many that are not slow.
        if observation.is_slow() {
            self.note_slow(&observation);
        }
    }
}
