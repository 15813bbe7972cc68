//! An event loop that mirrors asyncio's, transports over it, three worlds for them to live in, and a
//! server herd that is built on all of this. `NOTES.md` is the book; this page is for somebody who
//! builds on the crate.
//!
//! # The floors
//! Imports run downwards only: `probe` → `server` → `config` → `worlds` → `net` → `event_loop`, and
//! beside them the pure floors `herd`, `places` and `nats`; `scan` and `backoff` are below all. A test enforces it.
//!
//! - [`event_loop`]: [`EventLoop`](event_loop::EventLoop) runs an
//!   [`Application`](event_loop::Application) whose callbacks are data. One turn is three calls, so
//!   whoever drives them one at a time is a debugger.
//! - [`net`]: what a program asks of sockets is the trait [`Network`](net::Network);
//!   [`Transport`](net::Transport) keeps what an edge-triggered poller told, and what waits to be sent.
//! - [`worlds`]: the implementations of that trait. [`os`](worlds::os) is mio, [`sim`](worlds::sim) a
//!   network of many nodes under one virtual clock and one seed, [`replay`](worlds::replay) a
//!   recording.
//! - [`herd`](mod@herd), [`places`], [`nats`], [`server`], [`probe`]: the herd itself, and who looks at it.
//!
//! # A protocol of your own
//! A program generic over its [`Network`](net::Network) runs on real sockets, in the simulator and
//! from a recording, unchanged. This is `examples/echo.rs`:
//!
//! ```no_run
#![cfg_attr(any(doc, doctest), doc = include_str!("../examples/echo.rs"))]
//! ```
//!
//! The same server on a simulated network, where a quarter of all writes come back short and bytes
//! arrive in pieces; one seed is one run:
//!
//! ```
//! # #[path = "../examples/echo.rs"]
//! # mod echo;
//! # use std::time::Duration;
//! # use herd::worlds::sim::{Simulation, Weather};
//! # use echo::Echo;
//! let mut sim = Simulation::new(1, 17, Weather::default());
//! sim.boot(0, Echo::closed(), |echo, event_loop| echo.start(event_loop, 7007))?;
//! let client = sim.net_mut().client_connect(0).expect("it listens");
//! sim.net_mut().write(client, b"is anybody there?")?;
//! sim.run_until(Duration::from_secs(1))?;
//! let (heard, _) = sim.net_mut().client_take(client);
//! # let mut heard = heard;
//! # heard.extend(sim.net_mut().client_take(client).0);
//! assert!(b"is anybody there?".starts_with(&heard) && !heard.is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod backoff;
pub mod check;
pub mod config;
pub mod event_loop;
pub mod herd;
pub mod nats;
pub mod net;
pub mod places;
pub mod portions;
pub mod probe;
pub mod scan;
pub mod server;
pub mod worlds;
