//! Against programs of others, by the feature of that name: `.ci/run` installs them. A program
//! that is missing fails its test.

#![cfg(feature = "outside")]

#[path = "../common/mod.rs"]
mod common;

mod autograder;
mod certificates;
mod check;
mod evil;
mod faults;
mod others;
mod page;
mod servers;
