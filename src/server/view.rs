//! What a server looks like from outside: the rows that its parts say of themselves, put together,
//! and sentences about callbacks.
//!
//! The rows are JSON from the start, since everybody who looks wants them in other shapes: a page, a
//! table in a terminal, a path that is printed or watched.

use serde_json::{Value, json};

use super::callback::{Callback, Loop, Part};
use super::clients::Role;
use super::connections::Connection;
use super::desk::{Desk, Shared};
use super::door::LISTENER;
use super::limits::Limit;
use super::node::Node;
use super::parts::{Parts, limits};
use super::rows::ROWS_MAX;
use crate::event_loop::{Readiness, Token};
use crate::net::Host;

/// Clients of the location table that a view shows: those that came last.
pub const STORE_ROWS_MAX: usize = 20;

impl<H: Host> Node<H> {
    /// The server's side of the view.
    pub fn view(&self, event_loop: &Loop<H>) -> Value {
        let (desk, parts) = self.inside();
        let Shared {
            config,
            journal,
            stopping,
            ..
        } = &desk.shared;
        let roster = &config.roster;
        let name = |index: usize| &roster.servers[index].name;
        let links = roster.links().iter();
        let mut view = json!({
            "server": config.name(),
            "address": roster.servers[config.me].address.to_string(),
            "stopping": stopping,
            "connections": connection_rows(desk, parts),
            "herd": {
                "servers": roster.names(),
                "links": links.map(|&(a, b)| [name(a), name(b)]).collect::<Vec<_>>(),
            },
            "store": store_rows(&desk.shared),
            "bounds": limits(config).iter().map(Limit::row).collect::<Vec<_>>(),
            "journal": journal.row(),
            "limits": usage_rows(desk, parts),
        });
        for (name, rows) in parts.rows(desk, event_loop) {
            view[name] = rows;
        }
        view
    }

    /// The server's name.
    pub fn name(&self) -> &str {
        self.inside().0.shared.config.name()
    }

    /// The record of a client, as its AT line.
    pub fn record(&self, id: &str) -> Option<String> {
        let store = self.store();
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
        let (desk, _) = self.inside();
        let index = match *callback {
            Callback::Redial(index) => index,
            _ => match desk.connections.get(self.subject(callback)?)? {
                Connection::Link(link) => link.neighbour(),
                Connection::Inbound(inbound) => match inbound.role() {
                    Role::Neighbour(index) => index,
                    Role::Client => return None,
                },
                Connection::Upstream(_) => return None,
            },
        };
        Some(&desk.shared.neighbours.get(index)?.name)
    }

    /// The neighbour at the other end of a connection.
    pub fn neighbour_at(&self, token: Token) -> Option<&str> {
        self.neighbour_of(&Callback::Again(token))
    }

    /// A connection, as people call it: `client #3 (127.0.0.1:51234)`.
    pub fn name_of(&self, token: Token) -> String {
        let (desk, _) = self.inside();
        let name = |index: usize| &desk.shared.neighbours[index].name;
        match desk.connections.get(token) {
            _ if token == LISTENER => String::from("the listener"),
            None => format!("connection {token:?}, closed since"),
            Some(Connection::Inbound(inbound)) => match inbound.role() {
                Role::Client => format!("client {token:?} ({})", inbound.address()),
                Role::Neighbour(index) => format!("peer {token:?} ({})", name(index)),
            },
            Some(Connection::Link(link)) => {
                format!("link {token:?} to {}", name(link.neighbour()))
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
                let neighbour = self.inside().0.shared.neighbours.get(index);
                let name = neighbour.map_or("nobody", |other| &other.name);
                format!("dial {name} again")
            }
            Callback::ConnectDeadline(token) => format!("give up connecting {}", name(token)),
            Callback::Dump(token) => format!("send more of what is owed on {}", name(token)),
            Callback::StartLookups => String::from("give connections to questions that wait"),
            Callback::LookupDeadline(number) => format!("question {number} to Places is too slow"),
            Callback::NextAddress(number) => {
                format!("question {number} to Places tries its next address")
            }
            Callback::UpstreamIdle(token) => format!("{} was idle for long enough", name(token)),
            Callback::Snapshot => String::from("write more of the snapshot"),
            Callback::Done(Part::Questions, number) => {
                format!("the resolver has answered job {number}")
            }
            Callback::Done(Part::Snapshots, _) => String::from("the snapshot is written"),
            Callback::Signal(number) => format!("signal {number} arrived"),
            Callback::StopDeadline => String::from("stopping has taken too long"),
        }
    }
}

fn connection_rows<H: Host>(desk: &Desk<H>, parts: &Parts<H>) -> Value {
    let shown = desk.connections.iter().take(ROWS_MAX);
    let rows = shown.map(|(_, connection)| parts.connection_row(&desk.shared, connection));
    json!({
        "total": desk.connections.len(),
        "max": desk.shared.config.max_connections,
        "rows": rows.collect::<Vec<_>>(),
    })
}

fn store_rows(shared: &Shared) -> Value {
    let store = shared.replica.store();
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

fn usage_rows<H: Host>(desk: &Desk<H>, parts: &Parts<H>) -> Vec<Value> {
    let usage = parts.usage(desk).into_iter();
    let row = |(name, used, max, option): (&str, usize, usize, &str)| {
        json!({
            "name": name,
            "used": used,
            "max": max,
            "option": Some(option).filter(|option| !option.is_empty()),
        })
    };
    usage.map(row).collect()
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
