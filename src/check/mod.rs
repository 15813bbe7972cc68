//! Is a herd right? Anybody's servers, run as processes or up already, against the protocol's cases.
//! This is a client like others: it has no loop, and waits with deadlines.

mod case;
mod cases;
mod checker;
mod crowd;
mod failure;
mod ghost;
mod given;
mod gradescope;
mod hints;
mod log;
mod places;
mod report;
mod run;
mod servers;
mod step;
mod talk;
mod text;
mod wire;
mod words;

pub use checker::{Check, Form, Verdict, check};
