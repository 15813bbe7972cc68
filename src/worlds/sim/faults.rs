//! What the driver of a simulation does to its network, and the clients it plays.

use std::io;
use std::net::SocketAddr;

use super::net::{Net, SILENCE_NOTICED};
use super::stream::{End, Half, Owner, Payload};
use crate::event_loop::Token;

impl Net {
    /// A node dies. Either its kernel still closes its streams, or (`silently`) nobody is told.
    pub fn crash(&mut self, node: usize, silently: bool) {
        self.trace
            .add("crash", &[node as u64, u64::from(silently)], &[]);
        self.ports[node].unplug();
        let ends: Vec<End> = self.ends_of(node).collect();
        for end in ends {
            if silently {
                let when = self.now + SILENCE_NOTICED;
                self.schedule(when, end.other(), Payload::Reset);
                self.abandon(end);
            } else {
                self.close(end);
            }
        }
    }

    /// Resets every stream between two nodes.
    pub fn flap(&mut self, a: usize, b: usize) {
        self.trace.add("flap", &[a as u64, b as u64], &[]);
        for stream in self.streams_between(a, b) {
            self.arrive(End { stream, side: 0 }, Payload::Reset);
            self.arrive(End { stream, side: 1 }, Payload::Reset);
        }
    }

    /// Holds everything that `from` sends to `to`.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.trace.add("cut", &[from as u64, to as u64], &[]);
        self.cuts.insert((from, to));
    }

    /// From now on `from` sends so many bytes a second to `to`.
    pub fn slow(&mut self, from: usize, to: usize, speed: u32) {
        self.trace
            .add("slow", &[from as u64, to as u64, speed.into()], &[]);
        self.slow.insert((from, to), speed);
    }

    /// Ends a cut: what was held arrives, or its stream is reset.
    pub fn heal(&mut self, from: usize, to: usize) {
        self.trace.add("heal", &[from as u64, to as u64], &[]);
        self.cuts.remove(&(from, to));
        for stream in self.streams_between(from, to) {
            for side in 0..2 {
                let end = End { stream, side };
                let held = match self.half(end) {
                    Some(half) if half.node == Some(from) => std::mem::take(&mut half.held),
                    _ => continue,
                };
                if !held.is_empty() && self.below(2) == 0 {
                    self.arrive(end, Payload::Reset);
                    self.arrive(end.other(), Payload::Reset);
                    continue;
                }
                // At once, or what was sent after them and is under way would overtake them.
                for payload in held {
                    self.arrive(end.other(), payload);
                }
            }
        }
    }

    /// A node has so many descriptors left for connections (EMFILE); `None`: enough.
    pub fn set_descriptors(&mut self, node: usize, left: Option<usize>) {
        self.ports[node].descriptors = left;
    }

    /// A node gets a signal.
    pub fn signal(&mut self, node: usize, number: i32) {
        self.ports[node].signals.push(number);
    }

    /// A node's disk takes so many more pieces of a snapshot, then it stands still; `None`: all.
    pub fn set_disk(&mut self, node: usize, pieces: Option<usize>) {
        if let Some(job) = self.disks[node].set_pieces(pieces) {
            self.done(node, job, Ok(Vec::new()));
        }
    }

    /// A node's disk has room for so many more bytes; `None`: for all. (ENOSPC.)
    pub fn set_disk_room(&mut self, node: usize, bytes: Option<usize>) {
        self.disks[node].set_room(bytes);
    }

    /// A node's disk says that it has synced what it has not; or is honest.
    pub fn set_disk_lies(&mut self, node: usize, lies: bool) {
        self.disks[node].set_lies(lies);
    }

    /// The power of a node fails that has crashed: its disk forgets what was not synced.
    pub fn lose_power(&mut self, node: usize) {
        let mut disk = std::mem::take(&mut self.disks[node]);
        disk.lose_power(|limit| self.below(limit as u64) as usize);
        self.disks[node] = disk;
    }

    /// The last snapshot of which a node was told that it is safe.
    pub fn safe_snapshot(&self, node: usize) -> &[u8] {
        self.disks[node].safe()
    }

    /// The snapshot that stands on a node's disk.
    pub fn snapshot(&self, node: usize) -> &[u8] {
        self.disks[node].saved()
    }

    /// Tells the resolver a name. One that it was never told hangs; one without an address fails.
    pub fn name(&mut self, host: &str, addresses: Vec<SocketAddr>) {
        self.names.insert(host.to_string(), addresses);
    }

    /// The resolver hangs for this name from now on.
    pub fn forget_name(&mut self, host: &str) {
        self.names.remove(host);
    }

    /// A node asks for a name.
    pub fn resolve(&mut self, node: usize, host: &str, job: u64) {
        if let Some(addresses) = self.names.get(host) {
            let answer = match addresses.is_empty() {
                true => Err(String::from("no such name")),
                false => Ok(addresses.clone()),
            };
            self.done(node, job, answer);
        }
    }

    /// What a node was told about a name.
    pub fn resolved(&mut self, node: usize, job: u64) -> Option<Result<Vec<SocketAddr>, String>> {
        self.ports[node].answers.remove(&job)
    }

    /// A client connects to a node's first door; `None` if that is closed.
    pub fn client_connect(&mut self, node: usize) -> Option<End> {
        self.client_connect_at(node, Token::listener(0))
    }

    /// A client connects to one of a node's doors; `None` if that is closed.
    pub fn client_connect_at(&mut self, node: usize, door: Token) -> Option<End> {
        self.ports[node].waiting(door)?;
        let end = self.open(Owner::Client, Some((node, door)));
        self.arrive(end.other(), Payload::Syn);
        Some(end)
    }

    /// A client begins TLS, and never finishes the handshake: its node hears of that, and of no byte.
    pub fn stall_handshake(&mut self, client: End) {
        if let Some(half) = self.half(client.other()) {
            half.handshaking = true;
        }
        self.tell(client.other());
    }

    pub(super) fn is_handshaking(&mut self, end: End) -> bool {
        self.half(end).is_some_and(|half| half.handshaking)
    }

    /// What a client's end has received and not yet taken; and whether the stream is over.
    pub fn client_take(&mut self, end: End) -> (Vec<u8>, bool) {
        let mut bytes = vec![0; self.weather.window];
        match self.read(end, &mut bytes) {
            Ok(0) => (Vec::new(), true),
            Ok(count) => {
                bytes.truncate(count);
                (bytes, false)
            }
            Err(error) => (Vec::new(), error.kind() != io::ErrorKind::WouldBlock),
        }
    }

    fn ends_of(&self, node: usize) -> impl Iterator<Item = End> + '_ {
        self.streams.iter().flat_map(move |(&stream, halves)| {
            (0..2)
                .filter(move |&side| halves[side].owner == Owner::Node(node))
                .map(move |side| End { stream, side })
        })
    }

    fn streams_between(&self, a: usize, b: usize) -> Vec<usize> {
        let between = |halves: &[Half; 2]| {
            let nodes = (halves[0].node, halves[1].node);
            nodes == (Some(a), Some(b)) || nodes == (Some(b), Some(a))
        };
        let streams = self.streams.iter();
        streams
            .filter(|(_, halves)| between(halves))
            .map(|(&stream, _)| stream)
            .collect()
    }
}
