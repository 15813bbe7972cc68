//! A simulated network: many nodes, streams between them, and everything that can go wrong.
//!
//! Bytes of a stream arrive in order, in pieces, late. A direction between two nodes can be cut:
//! what is sent over it is held, and when the cut heals it either arrives after all or the stream
//! is reset: a stream that lives never loses a byte, as with TCP. All chance comes from one seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::disk::SnapshotDisk;
use super::port::{Port, Source};
use super::stream::{End, Half, Owner, Payload};
use super::trace::Trace;
use crate::event_loop::{Event, Readiness, Token};
use crate::worlds::mix::mix;

/// A host that vanished without a word is noticed after this long, as with keepalive.
pub(super) const SILENCE_NOTICED: Duration = Duration::from_secs(15);

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Weather {
    /// A piece takes between these two to arrive.
    pub delay: (Duration, Duration),
    /// Bytes are split into pieces of at most this many.
    pub piece_max: usize,
    /// Bytes of one direction that may be under way or unread.
    pub window: usize,
    /// What a node's clock pays for what it does.
    pub price: Price,
}

/// What a node's clock pays: so long does its turn last, and nothing it sends leaves before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Price {
    /// A read or a write.
    pub call: Duration,
    /// Each byte of it.
    pub byte: Duration,
    /// A unit of [`World::spend`](crate::event_loop::World::spend).
    pub work: Duration,
}

impl Default for Weather {
    fn default() -> Weather {
        Weather {
            delay: (Duration::from_micros(50), Duration::from_millis(5)),
            piece_max: 4096,
            window: 16 * 1024,
            price: Price::default(),
        }
    }
}

/// The network.
pub struct Net {
    /// Virtual time.
    pub now: Duration,
    /// What happened.
    pub trace: Trace,
    pub(super) weather: Weather,
    random: u64,
    pub(super) ports: Vec<Port>,
    pub(super) streams: BTreeMap<usize, [Half; 2]>,
    next_stream: usize,
    pub(super) cuts: BTreeSet<(usize, usize)>,
    /// Directions between nodes that carry only so many bytes a second.
    pub(super) slow: BTreeMap<(usize, usize), u32>,
    /// Where clients come from, unless somebody says otherwise.
    pub client_host: IpAddr,
    pub(super) disks: Vec<SnapshotDisk>,
    pub(super) names: BTreeMap<String, Vec<SocketAddr>>,
    /// What is under way, by arrival: the end it reaches, and what. Ties in order of sending.
    agenda: BinaryHeap<Reverse<(Duration, u64, End)>>,
    payloads: BTreeMap<u64, Payload>,
    sent: u64,
}

impl Net {
    /// A network of `nodes` nodes, none of them up.
    pub fn new(nodes: usize, seed: u64, weather: Weather) -> Net {
        Net {
            now: Duration::ZERO,
            trace: Trace::default(),
            weather,
            random: mix(seed),
            ports: (0..nodes).map(|_| Port::default()).collect(),
            streams: BTreeMap::new(),
            next_stream: 0,
            cuts: BTreeSet::new(),
            slow: BTreeMap::new(),
            client_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            disks: (0..nodes).map(|_| SnapshotDisk::default()).collect(),
            names: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            payloads: BTreeMap::new(),
            sent: 0,
        }
    }

    /// The next random number.
    pub fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }

    /// A random number below `limit` (at least 1).
    pub fn below(&mut self, limit: u64) -> u64 {
        self.random() % limit.max(1)
    }

    /// When the next piece arrives.
    pub fn next_arrival(&self) -> Option<Duration> {
        self.agenda.peek().map(|entry| entry.0.0)
    }

    /// Lets everything arrive that is due.
    pub fn deliver_due(&mut self) {
        while let Some(&Reverse((when, serial, end))) = self.agenda.peek() {
            if when > self.now {
                return;
            }
            self.agenda.pop();
            if let Some(payload) = self.payloads.remove(&serial) {
                self.arrive(end, payload);
            }
        }
    }

    /// True if a poll of `node` would bring something.
    pub fn has_events(&self, node: usize) -> bool {
        let port = &self.ports[node];
        !port.ready.is_empty() || !port.jobs.is_empty() || !port.signals.is_empty()
    }

    /// What a poll of `node` brings: for each end that has something new, its state now.
    pub fn take_events(&mut self, node: usize, events: &mut Vec<Event>) {
        let port = &mut self.ports[node];
        if std::mem::take(&mut port.interrupted) {
            return;
        }
        events.extend(port.signals.drain(..).map(Event::Signal));
        for (job, answer) in std::mem::take(&mut port.jobs) {
            port.answers.insert(job, answer);
            events.push(Event::Done(job));
        }
        let ready = std::mem::take(&mut port.ready);
        for source in ready {
            let event = match source {
                Source::Listener(token) => self.ports[node]
                    .waiting(token)
                    .map(|_| (token, Readiness::READABLE)),
                Source::Stream(end) => self.streams.get(&end.stream).and_then(|halves| {
                    let half = &halves[end.side];
                    Some((half.token?, self.readiness(half)))
                }),
            };
            if let Some((token, readiness)) = event {
                self.trace
                    .add("event", &[node as u64, token.to_bits()], &[]);
                events.push(Event::Ready(token, readiness));
            }
        }
    }

    fn readiness(&self, half: &Half) -> Readiness {
        let mut readiness = Readiness::EMPTY;
        if !half.received.is_empty() || half.fin || half.reset {
            readiness = readiness | Readiness::READABLE;
        }
        if half.reset || (half.connected && half.outstanding < self.weather.window) {
            readiness = readiness | Readiness::WRITABLE;
        }
        if half.fin || half.reset {
            readiness = readiness | Readiness::READ_CLOSED;
        }
        readiness
    }

    /// A node's machine is switched on.
    pub fn boot(&mut self, node: usize) {
        self.trace.add("boot", &[node as u64], &[]);
    }

    /// A job of a node is done: the next poll tells of it.
    pub(super) fn done(&mut self, node: usize, job: u64, answer: Result<Vec<SocketAddr>, String>) {
        self.ports[node].jobs.push((job, answer));
    }

    /// Listens, besides where the node listens already. The token names the door.
    pub fn listen(&mut self, node: usize, address: SocketAddr, token: Token) {
        self.ports[node].open(token, address);
    }

    /// Stops listening at one door; connections that waited there are reset.
    pub fn close_listener(&mut self, node: usize, door: Token) {
        for end in self.ports[node].close(door) {
            self.close(end);
        }
    }

    /// Takes a connection that waits at a door.
    pub fn accept(&mut self, node: usize, door: Token) -> io::Result<(End, SocketAddr)> {
        let end = self.ports[node]
            .waiting(door)
            .and_then(VecDeque::pop_front)
            .ok_or(io::ErrorKind::WouldBlock)?;
        let port = 1024 + (end.stream % 60_000) as u16;
        let address = SocketAddr::new(self.client_host, port);
        Ok((end, address))
    }

    /// Starts a connect.
    pub fn connect(&mut self, node: usize, address: SocketAddr, token: Token) -> End {
        let mut ports = self.ports.iter().enumerate();
        let to = ports.find_map(|(node, port)| Some((node, port.door_at(address)?)));
        let end = self.open(Owner::Node(node), to);
        if let Some(half) = self.half(end) {
            half.token = Some(token);
        }
        self.send(end, Payload::Syn);
        end
    }

    /// A new stream, to a node's door if anybody has ever listened there.
    pub(super) fn open(&mut self, owner: Owner, to: Option<(usize, Token)>) -> End {
        let stream = self.next_stream;
        self.next_stream += 1;
        let mut called = Half::new(Owner::Nobody);
        called.node = to.map(|(node, _)| node);
        // Until it is accepted, its token is the door's.
        called.token = to.map(|(_, door)| door);
        self.streams.insert(stream, [Half::new(owner), called]);
        End { stream, side: 0 }
    }

    /// The outcome of a connect.
    pub fn connected(&mut self, end: End) -> io::Result<bool> {
        match self.half(end) {
            Some(half) if half.reset => Err(io::ErrorKind::ConnectionRefused.into()),
            Some(half) => Ok(half.connected),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// Registers an end: what it has to tell already is told at once.
    pub fn register(&mut self, end: End, token: Token) {
        if let Some(half) = self.half(end) {
            half.token = Some(token);
        }
        self.tell(end);
    }

    /// Reads once.
    pub fn read(&mut self, end: End, buffer: &mut [u8]) -> io::Result<usize> {
        self.pay(end, 0);
        let half = self.half(end).ok_or(io::ErrorKind::NotConnected)?;
        if half.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if half.received.is_empty() {
            return if half.fin {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
        }
        let count = half.received.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(half.received.drain(..count)) {
            *place = byte;
        }
        self.trace.add(
            "read",
            &[end.stream as u64, end.side as u64],
            &buffer[..count],
        );
        self.pay(end, count);
        if let Some(sender) = self.half(end.other()) {
            sender.outstanding -= count.min(sender.outstanding);
            if std::mem::take(&mut sender.blocked) {
                self.tell(end.other());
            }
        }
        Ok(count)
    }

    /// Writes once: perhaps less than all, in pieces that arrive one after the other.
    pub fn write(&mut self, end: End, bytes: &[u8]) -> io::Result<usize> {
        self.pay(end, 0);
        self.pay(end, bytes.len());
        let window = self.weather.window;
        let half = self.half(end).ok_or(io::ErrorKind::NotConnected)?;
        if half.reset || half.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = window.saturating_sub(half.outstanding).min(bytes.len());
        if room == 0 {
            half.blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // A quarter of all writes come back short.
        let count = match self.below(4) {
            0 => 1 + self.below(room as u64) as usize,
            _ => room,
        };
        self.trace.add(
            "write",
            &[end.stream as u64, end.side as u64],
            &bytes[..count],
        );
        if let Some(half) = self.half(end) {
            half.outstanding += count;
        }
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let piece = 1 + self.below(self.weather.piece_max as u64) as usize;
            let (piece, after) = rest.split_at(piece.min(rest.len()));
            self.send(end, Payload::Bytes(piece.to_vec()));
            rest = after;
        }
        Ok(count)
    }

    /// Ends one direction.
    pub fn shutdown_write(&mut self, end: End) {
        if let Some(half) = self.half(end) {
            half.ended = true;
        }
        self.send(end, Payload::Fin);
    }

    /// Closes an end: a FIN, or a reset if something was left unread.
    pub fn close(&mut self, end: End) {
        self.trace
            .add("close", &[end.stream as u64, end.side as u64], &[]);
        let Some(half) = self.half(end) else {
            return;
        };
        let payload = match half.received.is_empty() {
            true => Payload::Fin,
            false => Payload::Reset,
        };
        if !half.reset {
            self.send(end, payload);
        }
        self.abandon(end);
    }

    pub(super) fn abandon(&mut self, end: End) {
        if let Some(half) = self.half(end) {
            half.owner = Owner::Nobody;
            half.token = None;
            half.received.clear();
        }
        let gone = |half: &Half| half.owner == Owner::Nobody && half.held.is_empty();
        let quiet = self
            .agenda
            .iter()
            .all(|entry| entry.0.2.stream != end.stream);
        if quiet
            && self
                .streams
                .get(&end.stream)
                .is_some_and(|halves| halves.iter().all(gone))
        {
            self.streams.remove(&end.stream);
        }
    }

    pub(super) fn half(&mut self, end: End) -> Option<&mut Half> {
        self.streams
            .get_mut(&end.stream)
            .map(|halves| &mut halves[end.side])
    }

    /// The node whose end this is pays for a call with so many bytes.
    fn pay(&mut self, end: End, bytes: usize) {
        let price = self.weather.price;
        if let Some(Owner::Node(node)) = self.half(end).map(|half| half.owner) {
            self.ports[node].spent += match bytes {
                0 => price.call,
                bytes => price.byte * bytes as u32,
            };
        }
    }

    /// Puts something on its way from `end` to the other end.
    fn send(&mut self, end: End, payload: Payload) {
        let (least, most) = self.weather.delay;
        let spread = (most - least).as_nanos() as u64;
        let delay = least + Duration::from_nanos(self.below(spread));
        let Some(halves) = self.streams.get(&end.stream) else {
            return;
        };
        let half = &halves[end.side];
        let now = match half.owner {
            Owner::Node(node) => self.now + self.ports[node].spent,
            _ => self.now,
        };
        let ends = half.node.zip(halves[1 - end.side].node);
        let takes = match (ends.and_then(|ends| self.slow.get(&ends)), &payload) {
            (Some(&speed), Payload::Bytes(bytes)) => {
                Duration::from_secs(1) * bytes.len() as u32 / speed
            }
            _ => Duration::ZERO,
        };
        // Clients are near: only what passes between nodes takes time.
        let when = match half.node {
            Some(_) => (now + delay).max(half.last_arrival) + takes,
            None => now,
        };
        let Some(half) = self.half(end) else {
            return;
        };
        half.last_arrival = when;
        self.schedule(when, end.other(), payload);
    }

    pub(super) fn schedule(&mut self, when: Duration, to: End, payload: Payload) {
        self.sent += 1;
        self.payloads.insert(self.sent, payload);
        self.agenda.push(Reverse((when, self.sent, to)));
    }

    pub(super) fn arrive(&mut self, end: End, payload: Payload) {
        let Some(halves) = self.streams.get_mut(&end.stream) else {
            return;
        };
        let [from, to] = [1 - end.side, end.side].map(|side| halves[side].node);
        if let (Some(from), Some(to)) = (from, to) {
            // What is behind a held piece is held too, or bytes would overtake each other.
            let sender = &mut halves[1 - end.side];
            let held = self.cuts.contains(&(from, to)) || !sender.held.is_empty();
            if held && !matches!(payload, Payload::Reset) {
                sender.held.push(payload);
                return;
            }
        }
        match payload {
            Payload::Syn => return self.arrive_syn(end),
            _ if halves[end.side].owner == Owner::Nobody => {
                // Nobody is there: whoever sent bytes learns it.
                if matches!(payload, Payload::Bytes(_)) {
                    self.send(end, Payload::Reset);
                }
                return self.abandon(end);
            }
            Payload::SynAck => halves[end.side].connected = true,
            Payload::Bytes(bytes) => halves[end.side].received.extend(bytes),
            Payload::Fin => halves[end.side].fin = true,
            Payload::Reset => {
                halves[end.side].reset = true;
                halves[end.side].received.clear();
                halves[end.side].held.clear();
            }
        }
        self.tell(end);
    }

    fn arrive_syn(&mut self, end: End) {
        let called = self
            .half(end)
            .and_then(|half| Some((half.node?, half.token.take()?)));
        let waiting = called.and_then(|(node, door)| {
            let waiting = self.ports[node].waiting(door)?;
            waiting.push_back(end);
            Some((node, door))
        });
        let Some((node, door)) = waiting else {
            self.send(end, Payload::Reset);
            return;
        };
        if let Some(half) = self.half(end) {
            half.owner = Owner::Node(node);
            half.connected = true;
        }
        self.ports[node].ready.insert(Source::Listener(door));
        if let Some(half) = self.half(end.other()).filter(|half| half.node.is_none()) {
            half.connected = true;
        } else {
            self.send(end, Payload::SynAck);
        }
    }

    /// Puts an end on its node's ready list.
    pub(super) fn tell(&mut self, end: End) {
        let Some(half) = self.half(end) else {
            return;
        };
        if let (Owner::Node(node), Some(_)) = (half.owner, half.token) {
            self.ports[node].ready.insert(Source::Stream(end));
        }
    }
}
