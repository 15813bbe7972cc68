//! A model of the engine: one stream with one value a key, compare-and-set, direct gets, watches with
//! heartbeats and flow control. It can refuse, restart, forget what it had acknowledged, and lose the stream.

use std::collections::BTreeMap;
use std::time::Duration;

use herd::herd::{At, Command};
use herd::nats::Headers;
use herd::nats::request::EXPECTED;
use serde_json::{Value, json};

use crate::said::{Said, next};

/// A watch delivers so many values before it asks whether they were dealt with.
const WINDOW: u64 = 16;

/// What every server says first.
const INFO: &str = "INFO {\"server_name\":\"model\",\"version\":\"2.15.1\",\"headers\":true,\
                    \"max_payload\":1048576,\"jetstream\":true} \r\n";

/// A stored message: subject, headers, value.
type Stored = (String, Vec<u8>, Vec<u8>);

/// The stream of a bucket.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    values: BTreeMap<u64, Stored>,
    last: u64,
}

#[derive(Debug, Default)]
struct Connection {
    came: Vec<u8>,
    goes: Vec<u8>,
    subscriptions: BTreeMap<u64, String>,
    consumers: Vec<Consumer>,
}

#[derive(Debug)]
struct Consumer {
    name: String,
    deliver: String,
    heartbeat: Duration,
    spoke: Duration,
    next: u64,
    delivered: u64,
    /// Flow control is not answered.
    stalled: Option<String>,
    /// The stream that it watched is gone, or the server has forgotten it: it says nothing any more.
    dead: bool,
}

/// The engine.
#[derive(Debug, Default)]
pub struct Engine {
    /// The time.
    pub now: Duration,
    stream: Option<Stream>,
    history: Vec<Stream>,
    connections: BTreeMap<usize, Connection>,
    numbers: usize,
    /// There is no leader: everything about the stream is answered by 503.
    pub leaderless: bool,
    /// So many of the next deliveries are lost on their way.
    pub drops: usize,
    /// Puts that were taken and raced.
    pub puts: (usize, usize),
    /// Puts that were taken and made a register go back.
    pub went_back: usize,
    /// How often the stream was deleted.
    pub wipes: usize,
    /// Watches that were made.
    pub watches: usize,
    /// What a new stream says of itself, beside what it must.
    pub config: Option<(&'static str, Value)>,
}

impl Engine {
    /// A client connects.
    pub fn connect(&mut self) -> usize {
        self.numbers += 1;
        let connection = Connection {
            goes: INFO.into(),
            ..Connection::default()
        };
        self.connections.insert(self.numbers, connection);
        self.numbers
    }

    /// True if the connection stands.
    pub fn stands(&self, connection: usize) -> bool {
        self.connections.contains_key(&connection)
    }

    /// The connection is gone.
    pub fn cut(&mut self, connection: usize) {
        self.connections.remove(&connection);
    }

    /// What the connection is sent.
    pub fn take(&mut self, connection: usize) -> Vec<u8> {
        let known = self.connections.get_mut(&connection);
        known.map_or_else(Vec::new, |known| std::mem::take(&mut known.goes))
    }

    /// What it says.
    pub fn hear(&mut self, number: usize, bytes: &[u8]) {
        let Some(known) = self.connections.get_mut(&number) else {
            return;
        };
        known.came.extend_from_slice(bytes);
        let came = std::mem::take(&mut known.came);
        let mut rest = &came[..];
        while let Some((said, used)) = next(rest) {
            self.said(number, &said);
            rest = &rest[used..];
        }
        let rest = rest.to_vec();
        if let Some(known) = self.connections.get_mut(&number) {
            known.came = rest;
        }
    }

    /// Everybody is disconnected, watches are forgotten, and the last writes, so many, too.
    pub fn restart(&mut self, lost: usize) {
        self.connections.clear();
        let keep = self.history.len().saturating_sub(lost);
        if self.stream.is_some() {
            self.history.truncate(keep.max(1));
            self.stream = self.history.last().cloned();
        }
    }

    /// The stream is deleted under everybody; nobody is told.
    pub fn wipe(&mut self) {
        self.wipes += 1;
        self.stream = None;
        self.history.clear();
        self.kill_watches();
    }

    /// Watches fall silent.
    pub fn kill_watches(&mut self) {
        let connections = self.connections.values_mut();
        let consumers = connections.flat_map(|connection| &mut connection.consumers);
        consumers.for_each(|consumer| consumer.dead = true);
    }

    /// Somebody puts something by hand.
    pub fn put_by_hand(&mut self, key: &str, headers: &[u8], value: &[u8]) -> u64 {
        let subject = format!("$KV.herd.{key}");
        self.store(subject, headers.to_vec(), value.to_vec())
    }

    /// What the bucket holds, by key; not what is reserved or deleted.
    pub fn register(&self) -> BTreeMap<String, Vec<u8>> {
        let stored = self.stream.iter().flat_map(|stream| stream.values.values());
        let values = stored.filter(|(_, headers, value)| {
            let headers = Headers::parse(headers).expect("headers");
            !headers.is_marker() && !value.is_empty()
        });
        let keyed = values
            .map(|(subject, _, value)| (subject["$KV.herd.".len()..].to_string(), value.clone()));
        keyed.filter(|(key, _)| !key.starts_with('_')).collect()
    }

    fn said(&mut self, number: usize, said: &Said<'_>) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        match said {
            Said::Ping => connection.goes.extend_from_slice(b"PONG\r\n"),
            Said::Connect(_) | Said::Pong => {}
            Said::Sub(subject, sid) => {
                connection.subscriptions.insert(*sid, subject.to_string());
            }
            Said::Unsub(sid) => {
                connection.subscriptions.remove(sid);
            }
            Said::Publish(subject, reply, headers, payload) => {
                if let Some(asked) = subject.strip_prefix("$JS.API.") {
                    self.asked(number, asked, reply, payload);
                } else if subject.starts_with("$KV.herd.") {
                    self.put(number, subject, reply, headers, payload);
                } else {
                    let mut consumers = connection.consumers.iter_mut();
                    let flow =
                        |consumer: &&mut Consumer| consumer.stalled.as_deref() == Some(subject);
                    if let Some(consumer) = consumers.find(flow) {
                        consumer.stalled = None;
                    }
                }
            }
        }
    }

    /// Sends a message, if the connection has subscribed to its subject.
    fn send(&mut self, number: usize, subject: &str, reply: &str, headers: &[u8], payload: &[u8]) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => subject.starts_with(start),
            None => subject == pattern,
        };
        // A consumer delivers under the subject of the value, to whoever subscribed to its own.
        let sid = connection
            .subscriptions
            .iter()
            .find(|(_, pattern)| fits(pattern));
        if let Some((&sid, _)) = sid {
            write(&mut connection.goes, subject, sid, reply, headers, payload);
        }
    }

    fn status(&mut self, number: usize, reply: &str, status: &str) {
        let headers = format!("NATS/1.0 {status}\r\n\r\n");
        self.send(number, reply, "", headers.as_bytes(), b"");
    }

    fn asked(&mut self, number: usize, asked: &str, reply: &str, payload: &[u8]) {
        if self.leaderless {
            return self.status(number, reply, "503");
        }
        if let Some(key) = asked.strip_prefix("DIRECT.GET.KV_herd.") {
            return self.get(number, key, reply);
        }
        let answer = match asked {
            "STREAM.INFO.KV_herd" => self.about(),
            "STREAM.CREATE.KV_herd" => {
                self.make();
                self.about()
            }
            "CONSUMER.CREATE.KV_herd" => self.watch(number, payload),
            _ => json!({"success": true}),
        };
        self.send(number, reply, "", b"", answer.to_string().as_bytes());
    }

    /// There is a stream from now on, if there was none.
    pub fn make(&mut self) {
        if self.stream.is_none() {
            self.stream = Some(Stream::default());
            self.history.push(Stream::default());
        }
    }

    fn about(&self) -> Value {
        if self.stream.is_none() {
            return json!({"error": {"code": 404, "err_code": 10059, "description": "stream not found"}});
        }
        let mut config = json!({"num_replicas": 1, "allow_direct": true, "max_age": 0});
        if let Some((name, value)) = &self.config {
            config[*name] = value.clone();
        }
        json!({"config": config})
    }

    fn get(&mut self, number: usize, subject: &str, reply: &str) {
        let Some(stream) = &self.stream else {
            return self.status(number, reply, "503");
        };
        let found = stream.values.iter().find(|(_, (of, _, _))| of == subject);
        let Some((sequence, (_, headers, value))) = found else {
            return self.status(number, reply, "404 Message Not Found");
        };
        let writers = headers.strip_suffix(b"\r\n").unwrap_or(b"NATS/1.0\r\n");
        let own = format!("Nats-Subject: {subject}\r\nNats-Sequence: {sequence}\r\n\r\n");
        let (headers, value) = ([writers, own.as_bytes()].concat(), value.clone());
        self.send(number, reply, "", &headers, &value);
    }

    fn put(&mut self, number: usize, subject: &str, reply: &str, headers: &[u8], value: &[u8]) {
        if self.leaderless || self.stream.is_none() {
            return self.status(number, reply, "503");
        }
        let expected = Headers::parse(headers).expect("headers").number(EXPECTED);
        let current = self.revision(subject);
        let answer = match expected {
            Some(expected) if expected != current => {
                self.puts.1 += 1;
                let description = format!("wrong last sequence: {current}");
                json!({"error": {"code": 400, "err_code": 10071, "description": description}, "seq": 0})
            }
            _ => {
                self.puts.0 += 1;
                let seq = self.store(subject.to_string(), headers.to_vec(), value.to_vec());
                json!({"stream": "KV_herd", "seq": seq})
            }
        };
        self.send(number, reply, "", b"", answer.to_string().as_bytes());
    }

    fn revision(&self, subject: &str) -> u64 {
        let mut stored = self.stream.iter().flat_map(|stream| &stream.values);
        let found = stored.find(|(_, (of, _, _))| of == subject);
        found.map_or(0, |(sequence, _)| *sequence)
    }

    fn store(&mut self, subject: String, headers: Vec<u8>, value: Vec<u8>) -> u64 {
        self.make();
        let before = self.revision(&subject);
        let stream = self.stream.as_mut().expect("it was made");
        if let Some((_, _, old)) = stream.values.remove(&before) {
            self.went_back += usize::from(is_less(&value, &old));
        }
        stream.last += 1;
        stream.values.insert(stream.last, (subject, headers, value));
        self.history.push(stream.clone());
        stream.last
    }

    fn watch(&mut self, number: usize, payload: &[u8]) -> Value {
        let Some(stream) = &self.stream else {
            return json!({"error": {"code": 404, "err_code": 10059, "description": "stream not found"}});
        };
        let asked: Value = serde_json::from_slice(payload).expect("JSON");
        let config = &asked["config"];
        self.watches += 1;
        let name = format!("c{}", self.watches);
        let consumer = Consumer {
            name: name.clone(),
            deliver: config["deliver_subject"]
                .as_str()
                .expect("a subject")
                .to_string(),
            heartbeat: Duration::from_nanos(
                config["idle_heartbeat"].as_u64().expect("nanoseconds"),
            ),
            spoke: self.now,
            next: 1,
            delivered: 0,
            stalled: None,
            dead: false,
        };
        let pending = stream.values.len();
        let connection = self.connections.get_mut(&number).expect("it asks");
        connection.consumers.push(consumer);
        json!({"name": name, "num_pending": pending})
    }

    /// Watches deliver what there is, and say that they live.
    pub fn deliver(&mut self) {
        let Some(stream) = self.stream.take() else {
            return self.deliver_of(&Stream::default());
        };
        self.deliver_of(&stream);
        self.stream = Some(stream);
    }

    fn deliver_of(&mut self, stream: &Stream) {
        for connection in self.connections.values_mut() {
            let Connection {
                consumers,
                subscriptions,
                goes,
                ..
            } = connection;
            consumers.retain(|consumer| subscriptions.values().any(|of| *of == consumer.deliver));
            for consumer in consumers.iter_mut().filter(|consumer| !consumer.dead) {
                let sid = subscriptions
                    .iter()
                    .find(|(_, of)| **of == consumer.deliver);
                let sid = *sid.expect("those without are gone").0;
                let spoke = consumer.deliver(stream, sid, goes, &mut self.drops);
                if spoke {
                    consumer.spoke = self.now;
                } else if consumer.spoke + consumer.heartbeat <= self.now {
                    consumer.spoke = self.now;
                    consumer.beat(sid, goes);
                }
            }
        }
    }
}

impl Consumer {
    /// Delivers what it may; true if something came.
    fn deliver(
        &mut self,
        stream: &Stream,
        sid: u64,
        goes: &mut Vec<u8>,
        drops: &mut usize,
    ) -> bool {
        let before = self.delivered;
        while self.stalled.is_none() {
            let Some((&sequence, (subject, headers, value))) =
                stream.values.range(self.next..).next()
            else {
                break;
            };
            self.next = sequence + 1;
            self.delivered += 1;
            let pending = stream.values.range(self.next..).count();
            let (name, delivered) = (&self.name, self.delivered);
            let reply = format!(
                "$JS.ACK.KV_herd.{name}.1.{sequence}.{delivered}.1796021703852287441.{pending}"
            );
            match drops.checked_sub(1) {
                Some(left) => *drops = left,
                None => write(goes, subject, sid, &reply, headers, value),
            }
            if self.delivered.is_multiple_of(WINDOW) {
                let subject = format!("$JS.FC.KV_herd.{name}.{delivered}");
                let headers = b"NATS/1.0 100 FlowControl Request\r\n\r\n";
                write(goes, &self.deliver, sid, &subject, headers, b"");
                self.stalled = Some(subject);
            }
        }
        self.delivered > before
    }

    fn beat(&self, sid: u64, goes: &mut Vec<u8>) {
        let stalled = self.stalled.as_ref();
        let stalled = stalled.map_or_else(String::new, |subject| {
            format!("Nats-Consumer-Stalled: {subject}\r\n")
        });
        let headers = format!(
            "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: {}\r\n{stalled}\r\n",
            self.delivered
        );
        write(goes, &self.deliver, sid, "", headers.as_bytes(), b"");
    }
}

/// A message as a server writes it: an old one writes two spaces for an empty reply.
fn write(goes: &mut Vec<u8>, subject: &str, sid: u64, reply: &str, headers: &[u8], payload: &[u8]) {
    let total = headers.len() + payload.len();
    let line = match headers.len() {
        0 => format!("MSG {subject} {sid} {reply} {total}\r\n"),
        length => format!("HMSG {subject} {sid} {reply} {length} {total}\r\n"),
    };
    for part in [line.as_bytes(), headers, payload, b"\r\n"] {
        goes.extend_from_slice(part);
    }
}

/// True if both are AT lines, and the first is the lesser report.
fn is_less(value: &[u8], old: &[u8]) -> bool {
    fn at(line: &[u8]) -> Option<At<'_>> {
        match Command::parse(line.strip_suffix(b"\n")?)? {
            Command::At(at) => Some(at),
            _ => None,
        }
    }
    let both = at(value).zip(at(old));
    both.is_some_and(|(value, old)| value.precedence(&old).is_lt())
}
