//! What links look like from outside, what bounds them, and what must hold of them.

use serde_json::{Value, json};

use super::brief::{COURSE_END, SHORT_LINK_END, SHORT_LINK_QUIET};
use super::link::Link;
use super::part::Links;
use super::slot::{COURSE_ANSWER_MAX, Slot};
use crate::herd::COURSE_OWED_MAX;
use crate::net::{
    BACKOFF_FIRST, BACKOFF_FORGIVEN, BACKOFF_MAX, CONNECT_DEADLINE, GREETED_FLOOR, Host,
};
use crate::portions::{LINK_UNSENT_LOW, LINK_UNSENT_MAX};
use crate::server::desk::{Desk, Shared};
use crate::server::limits::{Limit, limit};
use crate::server::rows::ROWS_MAX;

impl Links {
    /// What must hold between two callbacks. Checked in debug builds.
    pub fn check_invariants<H: Host>(&self, desk: &Desk<H>) {
        if !cfg!(debug_assertions) {
            return;
        }
        for (index, slot) in self.slots.iter().enumerate() {
            let Some(token) = slot.token() else { continue };
            let link = desk.connections.get_link(token);
            debug_assert!(
                link.is_some_and(|link| link.neighbour() == index),
                "link {index} is {:?}, and there is no such connection of its",
                slot.state
            );
        }
        let reading = self.slots.iter().filter(|slot| slot.follows()).count();
        debug_assert_eq!(
            desk.shared.news.readers(),
            reading,
            "links that read the news"
        );
    }

    /// How many records each link that is up owes its neighbour.
    pub fn owed<H: Host>(&self, desk: &Desk<H>) -> Vec<usize> {
        let up = self.slots.iter().filter_map(Slot::up);
        let owed = up.filter_map(|token| Some(desk.connections.get_link(token)?.owed()));
        owed.collect()
    }

    /// A link's connection, for the view.
    pub fn connection_row<S>(&self, shared: &Shared, link: &Link<S>) -> Value {
        let neighbour = &shared.neighbours[link.neighbour()];
        let state = self.slots[link.neighbour()].state();
        link.row(state, &neighbour.name, &neighbour.address.to_string())
    }

    /// The neighbours, for the view.
    pub fn rows<H: Host>(&self, desk: &Desk<H>) -> Value {
        // Those who greeted are remembered, so that nothing here looks through all connections.
        let heard = |index: usize, slot: &Slot| {
            let token = slot.heard?;
            let connection = desk.connections.get(token)?;
            (connection.neighbour() == Some(index)).then_some(token.generation)
        };
        let records = desk.shared.replica.store().len();
        let row = |(index, slot): (usize, &Slot)| {
            let neighbour = &desk.shared.neighbours[index];
            let token = slot.token();
            let link = token.and_then(|token| desk.connections.get_link(token));
            json!({
                "name": neighbour.name,
                "address": neighbour.address.to_string(),
                "course": neighbour.course,
                "state": slot.state(),
                "link": token.map(|token| token.generation),
                "heard": heard(index, slot),
                "owed": link.map_or(0, Link::owed) + slot.kind.owed(records),
                "unsent": link.map_or(0, Link::unsent),
                "since": slot.up().map(|_| slot.up_since.as_secs_f64()),
                "redial": slot.redial_at().map(|when| when.as_secs_f64()),
            })
        };
        self.slots
            .iter()
            .enumerate()
            .take(ROWS_MAX)
            .map(row)
            .collect()
    }

    /// How full the fullest link is.
    pub fn usage<H: Host>(&self, desk: &Desk<H>) -> (&'static str, usize, usize) {
        let tokens = self.slots.iter().filter_map(Slot::token);
        let unsent = tokens.filter_map(|token| Some(desk.connections.get_link(token)?.unsent()));
        let most = unsent.max().unwrap_or(0);
        ("unsent bytes of the fullest link", most, LINK_UNSENT_MAX)
    }

    /// What bounds a link.
    #[rustfmt::skip]
    pub fn limits() -> Vec<Limit> {
        let (redial, later) = ("dialled again", "the rest waits until the link has room");
        vec![
            limit!(LINK_UNSENT_MAX, "unsent bytes of a link", "bytes", "it keeps positions instead"),
            limit!(LINK_UNSENT_LOW, "a piece of a dump", "bytes", later),
            limit!(CONNECT_DEADLINE, "a connect to a neighbour", "", "dialled again later"),
            limit!(BACKOFF_FIRST, "between the first two dials, at most", "", redial),
            limit!(BACKOFF_MAX, "between any two dials, at most", "", redial),
            limit!(BACKOFF_FORGIVEN, "a link that was up so long", "", "its failures are forgotten"),
            limit!(GREETED_FLOOR, "between two greetings that count, at most", "", "dialled at once"),
            limit!(SHORT_LINK_QUIET, "a short link that says nothing", "", "ended"),
            limit!(SHORT_LINK_END, "its neighbour's word that all was taken", "", "the whole table is owed again"),
            limit!(COURSE_OWED_MAX, "records that a course server is owed", "", "it never hears of the oldest"),
            limit!(COURSE_END, "a course server's end behind ours", "", "closed; the next line goes"),
            limit!(COURSE_ANSWER_MAX, "a course server's answer to a line", "bytes", "the same"),
        ]
    }
}
