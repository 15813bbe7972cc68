//! The door: takes connections, some at a time, and turns away those that are too many.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::callback::{Callback, Loop};
use super::desk::{Desk, Floor};
use super::journal::About;
use super::limits::{Limit, limit};
use crate::config::Config;
use crate::event_loop::{Handle, Token};
use crate::net::{ACCEPT_BUDGET, ACCEPT_RETRY_DELAY, Accepted, Host, accept};

/// The door for clients and neighbours.
pub const LISTENER: Token = Token::listener(0);

/// The part for the listener.
pub struct Door<H: Host> {
    listener: Option<H::Listener>,
    /// Out of descriptors: no further event will announce pending connections, so this timer
    /// retries.
    accept_retry: Option<Handle>,
    /// A [`Callback::Accept`] is queued.
    accept_queued: bool,
    /// How many accepts the callback that runs has left.
    budget: usize,
    /// Connections of each address that is not loopback, as [`party`] has it.
    per_address: BTreeMap<IpAddr, usize>,
}

impl<H: Host> Door<H> {
    /// A closed door.
    pub fn new() -> Door<H> {
        Door {
            listener: None,
            accept_retry: None,
            accept_queued: false,
            budget: 0,
            per_address: BTreeMap::new(),
        }
    }

    /// Opens the listener. The first turn comes right away, and its end writes the journal.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn start(&mut self, event_loop: &mut Loop<H>, address: SocketAddr) -> io::Result<()> {
        self.listener = Some(event_loop.world.listen(address, LISTENER)?);
        self.accept_soon(event_loop);
        Ok(())
    }

    /// The listener is readable; or this is the queued [`Callback::Accept`], which takes what the
    /// events before it tell of.
    pub fn begin(&mut self, queued: bool) {
        self.accept_queued &= !queued;
        self.budget = if self.accept_queued { 0 } else { ACCEPT_BUDGET };
    }

    /// [`Callback::AcceptRetry`].
    pub fn retry(&mut self, event_loop: &mut Loop<H>) {
        self.accept_retry = None;
        self.accept_soon(event_loop);
    }

    /// The next connection, if one waits, there is room, and this callback has not had its share.
    pub fn accept(&mut self, floor: &mut Floor<H>) -> Option<(H::Stream, SocketAddr)> {
        loop {
            let listener = self.listener.as_mut()?;
            if self.budget == 0 {
                self.accept_soon(floor.event_loop);
                return None;
            }
            self.budget -= 1;
            let token = floor.connections.next_token();
            let text = match accept(&mut floor.event_loop.world, listener, token) {
                Accepted::Stream(stream, address) => match self.refusal(floor, address) {
                    None => return Some((stream, address)),
                    Some(why) => {
                        floor.event_loop.world.close(stream);
                        format!("refused {address}: {why}")
                    }
                },
                Accepted::Nothing => return None,
                Accepted::Failed(error) => format!("accept failed: {error}"),
                Accepted::OutOfDescriptors(shed) => {
                    self.retry_later(floor.event_loop);
                    format!("refused {}: no descriptor is left", shed?)
                }
            };
            floor.notice(About::Server, format_args!("{text}"));
        }
    }

    /// Why a connection from there is not taken. If it is, it is counted.
    fn refusal(&mut self, floor: &Floor<H>, address: SocketAddr) -> Option<String> {
        let (open, config) = (floor.connections.len(), &floor.shared.config);
        if open >= config.max_connections {
            return Some(format!("{open} connections are open"));
        }
        let host = party(address);
        if host.is_loopback() {
            return None;
        }
        let count = self.per_address.get(&host).copied().unwrap_or(0);
        if count >= config.max_per_address {
            return Some(format!("{count} connections come from there"));
        }
        self.per_address.insert(host, count + 1);
        None
    }

    /// A descriptor was closed: that of an accepted connection, from this address, or another. If
    /// the listener starved for one, it looks again.
    pub fn freed(&mut self, event_loop: &mut Loop<H>, address: Option<SocketAddr>) {
        if let Some(host) = address.map(party)
            && let Some(count) = self.per_address.get_mut(&host)
        {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&host);
            }
        }
        if let Some(retry) = self.accept_retry.take() {
            event_loop.cancel(retry);
            self.accept_soon(event_loop);
        }
    }

    /// The server stops: nobody else comes in.
    pub fn stop(&mut self, event_loop: &mut Loop<H>) {
        if let Some(listener) = self.listener.take() {
            event_loop.world.close_listener(listener);
        }
    }

    fn accept_soon(&mut self, event_loop: &mut Loop<H>) {
        if !std::mem::replace(&mut self.accept_queued, true) {
            event_loop.call_soon(Callback::Accept);
        }
    }

    /// One timer, however many accepts failed.
    fn retry_later(&mut self, event_loop: &mut Loop<H>) {
        self.accept_retry.get_or_insert_with(|| {
            event_loop.call_later(ACCEPT_RETRY_DELAY, Callback::AcceptRetry)
        });
    }

    /// What must hold between two callbacks. Checked in debug builds.
    pub fn check_invariants(&self, desk: &Desk<H>) {
        if cfg!(debug_assertions) {
            let far: usize = self.per_address.values().sum();
            debug_assert!(
                far <= desk.connections.inbound_len(),
                "{far} connections of far addresses are counted, and {} are there",
                desk.connections.inbound_len()
            );
            debug_assert!(self.per_address.values().all(|&count| count > 0));
        }
    }
}

/// Whom an address belongs to: whoever has one of IPv6 has all that share its first 64 bits (RFC 6177),
/// and as many as it likes.
fn party(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64))
        }
        ip => ip,
    }
}

/// How many may come in.
#[rustfmt::skip]
pub fn limits(config: &Config) -> Vec<Limit> {
    let (closed, waits) = ("closed without a word", "the rest waits for the next turn");
    let (most, far) = (config.max_connections, config.max_per_address);
    vec![
        Limit::of("CONNECTIONS_MAX", "connections", most, "", closed).option("max-connections"),
        Limit::of("PER_ADDRESS_MAX", "of these, from one far address or /64", far, "", closed)
            .option("max-per-address"),
        limit!(ACCEPT_BUDGET, "accepts a turn", "", waits),
        limit!(ACCEPT_RETRY_DELAY, "no descriptor left", "", "accept is retried"),
    ]
}
