//! What the measuring programs share: real servers, ours or a peer's, in a
//! directory of their own; conversations with them; what they use; the flood.
//!
//! ```text
//! #[path = "../lab/mod.rs"]
//! mod lab;
//!
//! let lab = Lab::new("goals", None)?;
//! guard::watch(&lab, LIMIT)?;
//! let clark = Start::new("Clark").run(&lab, &Herd::standard()?)?;
//! ```
//!
//! Each program compiles this module for itself and uses its own part of it,
//! so what one of them leaves aside is no mistake.
#![allow(dead_code)]

pub mod conformance;
pub mod flood;
pub mod guard;
pub mod herd;
pub mod proxy;
pub mod servers;
pub mod table;
pub mod talk;
pub mod usage;

/// Whatever went wrong, told once, at the end of `main`.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
