//! An application server herd on a hand-rolled, single-threaded event loop that mirrors asyncio's,
//! piece by piece. `NOTES.md` is the book; this is the code it walks through.
//!
//! Imports run downwards only: `probe` → `server` → `config` → `worlds` → `net` → `event_loop`, and beside
//! them the pure floors `herd` and `places`; `scan` is below all. A test enforces it.

pub mod config;
pub mod event_loop;
pub mod herd;
pub mod net;
pub mod places;
pub mod probe;
pub mod scan;
pub mod server;
pub mod worlds;
