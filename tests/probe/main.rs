//! Who looks: the stepper, the page, traces, recordings.

#[path = "../common/mod.rs"]
mod common;

mod bounds_os;
mod first_walk;
mod inspection;
mod looking;
mod perfetto;
mod recording;
mod stepper;
mod trace;
mod unseen;
