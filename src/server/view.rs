//! What a server looks like from outside: rows of plain data, and sentences about callbacks.
//!
//! The rows are JSON from the start, since everybody who looks wants them in other shapes: a page, a
//! table in a terminal, a path that is printed or watched.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::callback::{Callback, Loop};
use super::connections::Connection;
use super::inbound::{Inbound, Phase, Role};
use super::journal::JOURNAL_BUFFER_MAX;
use super::link::{LINK_UNSENT_MAX, Link, LinkState};
use super::lookup::{LOOKUP_DEADLINE, Lookups, UPSTREAM_MAX, WAITING_MAX};
use super::node::{LISTENER, Node};
use super::snapshots::Snapshots;
use super::upstream::Upstream;
use crate::event_loop::{Readiness, Token};
use crate::net::{Host, TlsEngine, Transport};

/// Rows of one table that a view shows; its `total` tells how many there are.
pub const ROWS_MAX: usize = 1000;

/// Clients of the location table that a view shows: those that came last.
pub const STORE_ROWS_MAX: usize = 20;

impl<H: Host> Node<H> {
    /// The server's side of the view.
    pub fn view(&self, event_loop: &Loop<H>) -> Value {
        let roster = &self.config.roster;
        let name = |index: usize| &roster.servers[index].name;
        let links = roster.links().iter();
        json!({
            "server": self.config.name(),
            "address": roster.servers[self.config.me].address.to_string(),
            "stopping": self.stopping,
            "connections": self.connection_rows(),
            "peers": self.peer_rows(event_loop),
            "herd": {
                "servers": roster.names(),
                "links": links.map(|&(a, b)| [name(a), name(b)]).collect::<Vec<_>>(),
            },
            "store": self.store_rows(),
            "lookups": self.lookups.as_ref().map(|all| lookup_rows(all, event_loop.time())),
            "bounds": super::limits::rows(&self.config),
            "snapshots": self.snapshots.as_ref().map(Snapshots::row),
            "journal": {
                "enabled": self.journal.is_enabled(),
                "waiting": self.journal.waiting(),
                "dropped": self.journal.dropped(),
            },
            "limits": self.limit_rows(),
        })
    }

    fn connection_rows(&self) -> Value {
        let row = |(token, connection): (Token, &Connection<H>)| match connection {
            Connection::Inbound(inbound) => self.inbound_row(token, inbound),
            Connection::Link(link) => self.link_row(token, link),
            Connection::Upstream(upstream) => self.upstream_row(token, upstream),
        };
        let rows: Vec<Value> = self.connections.iter().take(ROWS_MAX).map(row).collect();
        json!({
            "total": self.connections.len(),
            "max": self.config.max_connections,
            "rows": rows,
        })
    }

    fn inbound_row(&self, token: Token, inbound: &Inbound<H::Stream>) -> Value {
        let neighbour = match inbound.role {
            Role::Client => None,
            Role::Neighbour(index) => Some(&self.neighbours[index].name),
        };
        let flags = [
            (inbound.waits, "waits for Places"),
            (inbound.paused, "paused: too much is unsent"),
            (inbound.backlogged, "has more lines"),
        ];
        let earliest = inbound.deadlines.as_ref().and_then(|all| all.earliest());
        let state = match inbound.phase {
            Phase::Open => "open",
            Phase::Closing => "closing",
            Phase::Lingering => "lingering",
        };
        let kind = if neighbour.is_some() {
            "peer"
        } else {
            "client"
        };
        let mut row = row(token, &inbound.transport, kind, state);
        row["who"] = inbound.address.to_string().into();
        row["partial"] = inbound.partial.len().into();
        row["neighbour"] = json!(neighbour);
        row["deadline"] = json!(earliest.map(|(when, _)| when.as_secs_f64()));
        row["flags"] = flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, flag)| *flag)
            .collect();
        row
    }

    fn link_row(&self, token: Token, link: &Link<H::Stream>) -> Value {
        let neighbour = &self.neighbours[link.neighbour];
        let state = match neighbour.state {
            LinkState::Up(_) => "up",
            _ => "dialling",
        };
        let mut row = row(token, &link.transport, "link", state);
        row["who"] = neighbour.address.to_string().into();
        row["neighbour"] = neighbour.name.as_str().into();
        if !link.backlog.is_empty() {
            row["flags"] = json!([format!("owes {} records", link.backlog.len())]);
        }
        row
    }

    fn upstream_row(&self, token: Token, upstream: &Upstream<H::Stream, H::Tls>) -> Value {
        let state = match (&upstream.tls, upstream.lookup) {
            (None, _) => String::from("connecting"),
            (Some(_), None) => String::from("idle"),
            (Some(tls), Some(_)) => format!("{:?}", tls.state()).to_lowercase(),
        };
        let mut row = row(token, &upstream.transport, "places", &state);
        let host = self
            .lookups
            .as_ref()
            .map(|all| all.upstream.endpoint.host());
        row["who"] = host.unwrap_or_default().into();
        row["lookup"] = json!(upstream.lookup);
        row
    }

    fn peer_rows(&self, event_loop: &Loop<H>) -> Value {
        let timers: BTreeMap<_, _> = event_loop
            .timers()
            .map(|(when, handle, _)| (handle, when.as_secs_f64()))
            .collect();
        let heard = |index: usize| {
            let role = Role::Neighbour(index);
            let speaks = |connection: &Connection<H>| matches!(connection, Connection::Inbound(inbound) if inbound.role == role);
            let mut all = self.connections.iter();
            all.find(|(_, connection)| speaks(connection))
                .map(|(token, _)| token.generation)
        };
        let row = |(index, neighbour): (usize, &super::link::Neighbour)| {
            let (state, token, redial) = match neighbour.state {
                LinkState::Waiting(timer) => ("waiting", None, timer),
                LinkState::Dialling(token, _) => ("dialling", Some(token), None),
                LinkState::Up(token) => ("up", Some(token), None),
            };
            let link = token.and_then(|token| self.connections.get_link(token));
            json!({
                "name": neighbour.name,
                "address": neighbour.address.to_string(),
                "course": neighbour.course,
                "state": state,
                "link": token.map(|token| token.generation),
                "heard": heard(index),
                "owed": link.map_or(0, |link| link.backlog.len()),
                "unsent": link.map_or(0, |link| link.transport.unsent()),
                "since": neighbour.up().map(|_| neighbour.up_since.as_secs_f64()),
                "redial": redial.and_then(|timer| timers.get(&timer)),
            })
        };
        self.neighbours.iter().enumerate().map(row).collect()
    }

    fn store_rows(&self) -> Value {
        let store = self.replica.store();
        let newest = (0..store.len() as u32).rev().take(STORE_ROWS_MAX);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let row = |position: u32| {
            let id = store.at(position)?.report.id;
            Some(json!({"id": text(id), "line": text(store.line(position)?.trim_ascii_end())}))
        };
        let (bytes, bytes_max) = store.bytes();
        json!({
            "records": store.len(),
            "max": store.records_max(),
            "bytes": bytes,
            "bytes_max": bytes_max,
            "kept": store.kept(),
            "rows": newest.filter_map(row).collect::<Vec<_>>(),
        })
    }

    /// Every limit of which some is in use.
    fn limit_rows(&self) -> Value {
        let store = self.replica.store();
        let (bytes, bytes_max) = store.bytes();
        let links = self
            .connections
            .iter()
            .filter_map(|(_, connection)| match connection {
                Connection::Link(link) => Some(link.transport.unsent()),
                _ => None,
            });
        let mut rows = vec![
            (
                "connections",
                self.connections.len(),
                self.config.max_connections,
                "--max-connections",
            ),
            (
                "clients in the table",
                store.len(),
                store.records_max(),
                "--max-records",
            ),
            ("bytes in the table", bytes, bytes_max, ""),
            (
                "unsent bytes of the fullest link",
                links.max().unwrap_or(0),
                LINK_UNSENT_MAX,
                "",
            ),
            (
                "journal bytes that wait for the disk",
                self.journal.waiting(),
                JOURNAL_BUFFER_MAX,
                "",
            ),
        ];
        if let Some(lookups) = &self.lookups {
            rows.push((
                "clients that wait for Places",
                lookups.waiting(),
                WAITING_MAX,
                "",
            ));
            rows.push((
                "connections to Places",
                lookups.connections(),
                UPSTREAM_MAX,
                "",
            ));
        }
        let row = |(name, used, max, option): &(&str, usize, usize, &str)| {
            json!({
                "name": name,
                "used": used,
                "max": max,
                "option": Some(option).filter(|option| !option.is_empty()),
            })
        };
        rows.iter().map(row).collect()
    }

    /// The server's name.
    pub fn name(&self) -> &str {
        self.config.name()
    }

    /// The record of a client, as its AT line.
    pub fn record(&self, id: &str) -> Option<String> {
        let store = self.replica.store();
        let line = store.line(store.find(id.as_bytes())?)?;
        Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
    }

    /// The connection that a callback concerns.
    pub fn subject(&self, callback: &Callback) -> Option<Token> {
        match *callback {
            Callback::Ready(token, _) if token == LISTENER => None,
            Callback::Ready(token, _)
            | Callback::Again(token)
            | Callback::Deadline(token)
            | Callback::ConnectDeadline(token)
            | Callback::Dump(token)
            | Callback::UpstreamIdle(token) => Some(token),
            _ => None,
        }
    }

    /// The neighbour that a callback concerns.
    pub fn neighbour_of(&self, callback: &Callback) -> Option<&str> {
        let index = match *callback {
            Callback::Redial(index) => index,
            _ => match self.connections.get(self.subject(callback)?)? {
                Connection::Link(link) => link.neighbour,
                Connection::Inbound(inbound) => match inbound.role {
                    Role::Neighbour(index) => index,
                    Role::Client => return None,
                },
                Connection::Upstream(_) => return None,
            },
        };
        Some(&self.neighbours.get(index)?.name)
    }

    /// The neighbour at the other end of a connection.
    pub fn neighbour_at(&self, token: Token) -> Option<&str> {
        self.neighbour_of(&Callback::Again(token))
    }

    /// A connection, as people call it: `client #3 (127.0.0.1:51234)`.
    pub fn name_of(&self, token: Token) -> String {
        match self.connections.get(token) {
            _ if token == LISTENER => String::from("the listener"),
            None => format!("connection {token:?}, closed since"),
            Some(Connection::Inbound(inbound)) => match inbound.role {
                Role::Client => format!("client {token:?} ({})", inbound.address),
                Role::Neighbour(index) => {
                    format!("peer {token:?} ({})", self.neighbours[index].name)
                }
            },
            Some(Connection::Link(link)) => {
                format!("link {token:?} to {}", self.neighbours[link.neighbour].name)
            }
            Some(Connection::Upstream(_)) => format!("connection {token:?} to Places"),
        }
    }

    /// A callback as a sentence.
    pub fn describe(&self, callback: &Callback) -> String {
        let name = |token: Token| self.name_of(token);
        match *callback {
            Callback::Ready(token, _) if token == LISTENER => {
                String::from("connections wait at the listener")
            }
            Callback::Ready(token, readiness) => format!("{} {}", name(token), told(readiness)),
            Callback::Again(token) => format!("go on reading from {}", name(token)),
            Callback::Accept => String::from("look whether connections wait at the listener"),
            Callback::AcceptRetry => String::from("try again to accept: a descriptor may be free"),
            Callback::Deadline(token) => format!("a deadline of {}", name(token)),
            Callback::Redial(index) => {
                let neighbour = self.neighbours.get(index);
                format!(
                    "dial {} again",
                    neighbour.map_or("nobody", |other| &other.name)
                )
            }
            Callback::ConnectDeadline(token) => format!("give up connecting {}", name(token)),
            Callback::Dump(token) => format!("send more of what is owed on {}", name(token)),
            Callback::StartLookups => String::from("give connections to questions that wait"),
            Callback::LookupDeadline(number) => format!("question {number} to Places is too slow"),
            Callback::NextAddress(number) => {
                format!("question {number} to Places tries its next address")
            }
            Callback::Resolved(job) => format!("the resolver has answered job {job}"),
            Callback::UpstreamIdle(token) => format!("{} was idle for long enough", name(token)),
            Callback::Snapshot => String::from("write more of the snapshot"),
            Callback::SnapshotDone => String::from("the snapshot is written"),
            Callback::Signal(number) => format!("signal {number} arrived"),
            Callback::StopDeadline => String::from("stopping has taken too long"),
        }
    }
}

/// What the poll told of a socket.
fn told(readiness: Readiness) -> String {
    let words = [
        (Readiness::READABLE, "readable"),
        (Readiness::WRITABLE, "writable"),
        (Readiness::READ_CLOSED, "ended by the other side"),
    ];
    let told = words.iter().filter(|(flag, _)| readiness.contains(*flag));
    let told: Vec<_> = told.map(|(_, word)| *word).collect();
    format!("is {}", told.join(", "))
}

fn row<S>(token: Token, transport: &Transport<S>, kind: &str, state: &str) -> Value {
    json!({
        "id": token.generation,
        "slot": token.index,
        "kind": kind,
        "who": "",
        "state": state,
        "readable": transport.may_read(),
        "writable": transport.may_write(),
        "at_end": transport.at_end(),
        "unsent": transport.unsent(),
        "partial": 0,
        "flags": [],
        "deadline": null,
        "neighbour": null,
        "lookup": null,
    })
}

fn lookup_rows(lookups: &Lookups, now: Duration) -> Value {
    let rows = lookups.table.iter().take(ROWS_MAX).map(|(number, lookup)| {
        json!({
            "number": number,
            "state": format!("{:?}", lookup.state),
            "age": now.saturating_sub(lookup.began).as_secs_f64(),
            "waiters": lookup.waiters.len(),
            "deadline": (lookup.began + LOOKUP_DEADLINE).as_secs_f64(),
            "connection": lookup.connection.map(|token| token.generation),
            "retried": lookup.retried,
        })
    });
    json!({
        "api": lookups.upstream.api.to_string(),
        "host": lookups.upstream.endpoint.host(),
        "breaker": lookups.breaker.state(),
        "idle": lookups.idle.len(),
        "queued": lookups.queue.len(),
        "waiting": lookups.waiting(),
        "rows": rows.collect::<Vec<_>>(),
    })
}
