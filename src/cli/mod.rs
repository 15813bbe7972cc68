//! The command line: what it asks for, and what each of that does.

mod all;
mod checking;
mod children;
mod dispatch;
mod google;
mod identity;
mod look;
mod naming;
mod one;
mod options;
mod parse;
mod ps;
mod run;
mod say;
mod start;
mod task;
mod words;

pub use dispatch::main;
