//! Is a herd right? Anybody's servers, run as processes or up already, against the protocol's cases.
//! This is a client like others: it has no loop, and waits with deadlines.

mod case;
mod cases;
mod checker;
mod gradescope;
mod groups;
mod hints;
mod report;
mod run;
mod servers;
mod text;
mod wire;

pub use checker::{Check, Form, Verdict, check};
