//! Servers as processes: what they answer, what they tell each other, what they survive.

#[path = "../common/mod.rs"]
mod common;

mod check;
mod cli;
mod course;
mod crash;
mod faults;
mod files;
mod framing;
mod grammar;
mod herd;
mod journal;
mod limits;
mod lossy;
mod secured;
mod short_links;
mod snapshot;
mod terminal;
mod whatsat;
mod whole_herd;
