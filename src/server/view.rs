//! What a server looks like from outside: the rows that its parts say of themselves, put together,
//! and sentences about callbacks.
//!
//! The rows are JSON from the start, since everybody who looks wants them in other shapes: a page, a
//! table in a terminal, a path that is printed or watched.

use serde_json::{Value, json};

use super::bounds::limits;
use super::callback::{Callback, Loop};
use super::desk::{Desk, Shared};
use super::limits::Limit;
use super::node::Node;
use super::parts::Parts;
use super::rows::ROWS_MAX;
use crate::event_loop::Token;
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
        let servers = roster.servers.iter().take(ROWS_MAX);
        let links = roster.links().iter().take(ROWS_MAX);
        let mut view = json!({
            "server": config.name(),
            "address": roster.servers[config.me].address.to_string(),
            "stopping": stopping,
            "connections": connection_rows(desk, parts),
            "herd": {
                "servers": servers.map(|server| &server.name).collect::<Vec<_>>(),
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

    /// The neighbour that a callback concerns.
    pub fn neighbour_of(&self, callback: &Callback) -> Option<&str> {
        let (desk, _) = self.inside();
        let index = match *callback {
            Callback::Redial(index) => index,
            _ => desk.connections.get(callback.subject()?)?.neighbour()?,
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
        match desk.connections.get(token) {
            _ if token.is_listener() => String::from("the listener"),
            None => format!("connection {token:?}, closed since"),
            Some(connection) => connection.name(token, &desk.shared.neighbours),
        }
    }

    /// A callback as a sentence.
    pub fn describe(&self, callback: &Callback) -> String {
        let neighbours = &self.inside().0.shared.neighbours;
        let neighbour = |index: usize| match neighbours.get(index) {
            Some(neighbour) => neighbour.name.clone(),
            None => String::from("nobody"),
        };
        callback.describe(|token| self.name_of(token), neighbour)
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
