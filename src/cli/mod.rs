//! The command line: what it asks for, and what each of that does.

mod all;
mod dispatch;
mod google;
mod identity;
mod look;
mod options;
mod ps;
mod run;
mod say;
mod start;
mod task;

pub use dispatch::main;
