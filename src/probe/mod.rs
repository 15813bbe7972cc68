//! Looks at the server and its loop, from above: nothing below knows that it exists. Without it the
//! server runs the same code; with it, another driver calls the same three parts of a turn.

mod header;
mod probed;

pub use header::{config, header};
pub use probed::Probed;
mod replay;
pub use replay::{Outcome, Recording, Replayed, outcome};
mod changes;
mod command;
mod condition;
