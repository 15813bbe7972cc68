//! Our link to a neighbour: we dial, greet, and only write.
//!
//! ```text
//! Waiting ──(timer, or the neighbour greets us)──▶ Dialling ──▶ Up ──▶ Waiting …
//! ```
//!
//! When a link comes up it owes the neighbour the whole table. While it is up, each update is
//! queued on it in the turn in which it arrived; a link that is too slow for that keeps positions
//! instead of bytes, so that a frozen neighbour costs a bounded amount of memory and nobody's time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::callback::{Callback, Loop};
use super::connections::Connection;
use super::journal::Who;
use super::node::Node;
use crate::event_loop::{Handle, Token};
use crate::herd::Backlog;
use crate::net::{BACKOFF_FORGIVEN, Backoff, CONNECT_DEADLINE, Host, Read, Transport};

/// Unsent bytes beyond which a link queues no more lines, only positions.
pub const LINK_UNSENT_MAX: usize = 1 << 20;
/// Below this many unsent bytes a link takes more of what it owes, up to this many in a turn.
pub const LINK_UNSENT_LOW: usize = 64 * 1024;

/// A neighbour, as this server sees it.
pub struct Neighbour {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// It is a course server: no greeting.
    pub course: bool,
    /// Our link to it.
    pub state: LinkState,
    backoff: Backoff,
    pub(super) up_since: Duration,
}

/// Where a link is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// No connection; the timer will dial. `None` before the start and after the end.
    Waiting(Option<Handle>),
    /// A connect is under way, with its deadline.
    Dialling(Token, Handle),
    /// Connected.
    Up(Token),
}

/// The connection of a link.
pub struct Link<S> {
    /// The stream.
    pub transport: Transport<S>,
    /// Whose link it is.
    pub(super) neighbour: usize,
    /// What it owes.
    pub(super) backlog: Backlog,
    /// A [`Callback::Dump`] or [`Callback::Again`] is queued.
    dump_queued: bool,
    again: bool,
}

impl Neighbour {
    /// A neighbour not yet dialled.
    pub fn new(name: &str, address: SocketAddr, course: bool) -> Neighbour {
        Neighbour {
            name: name.to_string(),
            address,
            course,
            state: LinkState::Waiting(None),
            backoff: Backoff::default(),
            up_since: Duration::ZERO,
        }
    }

    /// The link's connection while it is up.
    pub fn up(&self) -> Option<Token> {
        match self.state {
            LinkState::Up(token) => Some(token),
            _ => None,
        }
    }
}

impl<H: Host> Node<H> {
    /// Starts to connect to a neighbour that is not dialled yet.
    pub(super) fn dial(&mut self, event_loop: &mut Loop<H>, index: usize) {
        let neighbour = &mut self.neighbours[index];
        let LinkState::Waiting(timer) = neighbour.state else {
            return;
        };
        if let Some(timer) = timer {
            event_loop.cancel(timer);
        }
        let token = self.connections.next_token();
        match event_loop.world.connect(neighbour.address, token) {
            Ok(mut stream) => {
                if self.config.secured && !neighbour.course {
                    let secured = event_loop.world.secure(&mut stream, &neighbour.name);
                    if let Err(error) = secured {
                        event_loop.world.close(stream);
                        return self.dial_later(event_loop, index, &error.to_string());
                    }
                }
                let deadline =
                    event_loop.call_later(CONNECT_DEADLINE, Callback::ConnectDeadline(token));
                neighbour.state = LinkState::Dialling(token, deadline);
                self.connections.insert(Connection::Link(Box::new(Link {
                    transport: Transport::connecting(stream, token),
                    neighbour: index,
                    backlog: Backlog::default(),
                    dump_queued: false,
                    again: false,
                })));
            }
            Err(error) => self.dial_later(event_loop, index, &error.to_string()),
        }
    }

    /// A neighbour spoke to us, so it is worth dialling now.
    pub(super) fn neighbour_is_there(&mut self, event_loop: &mut Loop<H>, index: usize) {
        if !self.stopping {
            self.neighbours[index].backoff.reset();
            self.dial(event_loop, index);
        }
    }

    /// Something happened on a link's socket.
    pub(super) fn link_ready(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let Some(link) = self.connections.link(token) else {
            return;
        };
        let index = link.neighbour;
        let result = match self.neighbours[index].state {
            LinkState::Dialling(..) => {
                match event_loop.world.connected(link.transport.stream_mut()) {
                    // The same event may tell of bytes, or of the end.
                    Ok(true) => self
                        .link_up(event_loop, index, token)
                        .and_then(|()| self.discard(event_loop, token)),
                    Ok(false) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            _ => self.discard(event_loop, token),
        };
        if let Err(error) = result {
            self.link_lost(event_loop, token, &error.to_string());
        }
    }

    /// [`Callback::Again`].
    pub(super) fn link_again(&mut self, event_loop: &mut Loop<H>, token: Token) {
        if let Some(link) = self.connections.link(token) {
            link.again = false;
            self.link_ready(event_loop, token);
        }
    }

    /// [`Callback::ConnectDeadline`].
    pub(super) fn connect_deadline(&mut self, event_loop: &mut Loop<H>, token: Token) {
        self.link_lost(event_loop, token, "the connect took too long");
    }

    fn link_up(&mut self, event_loop: &mut Loop<H>, index: usize, token: Token) -> io::Result<()> {
        let wall = self.journal_time(event_loop);
        let neighbour = &mut self.neighbours[index];
        if let LinkState::Dialling(_, deadline) = neighbour.state {
            event_loop.cancel(deadline);
        }
        neighbour.state = LinkState::Up(token);
        neighbour.up_since = event_loop.time();
        let Some(link) = self.connections.link(token) else {
            return Ok(());
        };
        event_loop.world.keep_alive(link.transport.stream())?;
        if !neighbour.course {
            let greeting = format!("PEER {}", self.config.name());
            link.transport.queue(greeting.as_bytes());
            link.transport.queue(b"\n");
            let who = Who::Peer(token, &self.neighbours[index].name);
            self.journal.output(wall, who, greeting.as_bytes());
        }
        let records = self.replica.store().len();
        if self.config.catch_up {
            link.backlog = Backlog::dump(records);
        }
        self.dump(event_loop, token);
        let text = format_args!("link up, sending {records} records");
        let text = if self.config.catch_up {
            text
        } else {
            format_args!("link up")
        };
        self.notice_link(event_loop, index, Some(token), text);
        Ok(())
    }

    /// Reads what a neighbour says on our link, and throws it away: a course server answers there.
    fn discard(&mut self, event_loop: &mut Loop<H>, token: Token) -> io::Result<()> {
        let wall = self.journal_time(event_loop);
        let Some(link) = self.connections.link(token) else {
            return Ok(());
        };
        match link
            .transport
            .read(&mut event_loop.world, &mut self.scratch)?
        {
            Read::End => return Err(io::Error::other("the neighbour closed it")),
            Read::Nothing => return Ok(()),
            Read::Bytes(count) => {
                let who = Who::Peer(token, &self.neighbours[link.neighbour].name);
                self.journal.input(wall, who, &self.scratch[..count]);
            }
        }
        if link.transport.may_read() && !link.again {
            link.again = true;
            event_loop.call_soon(Callback::Again(token));
        }
        Ok(())
    }

    /// Queues the record at `position` on every link but the one to where it came from. The bytes
    /// leave at the end of this turn, before any client's answer.
    pub(super) fn flood(&mut self, event_loop: &mut Loop<H>, position: u32, except: Option<usize>) {
        let wall = self.journal_time(event_loop);
        let Some(line) = self.replica.store().line(position) else {
            return;
        };
        let mut to = String::new();
        for (index, neighbour) in self.neighbours.iter().enumerate() {
            let Some(link) = neighbour
                .up()
                .and_then(|token| self.connections.link(token))
            else {
                continue;
            };
            if Some(index) == except {
                continue;
            }
            if link.transport.unsent() + line.len() > LINK_UNSENT_MAX {
                link.backlog.mark(position);
                continue;
            }
            link.transport.queue(line);
            if self.journal.is_enabled() {
                to.push_str(if to.is_empty() { "" } else { "," });
                to.push_str(&neighbour.name);
            }
        }
        if !to.is_empty() {
            self.journal
                .output(wall, Who::NoLink(&to), &line[..line.len() - 1]);
        }
    }

    /// [`Callback::Dump`]: queues a piece of what the link owes.
    pub(super) fn dump(&mut self, event_loop: &mut Loop<H>, token: Token) {
        let wall = self.journal_time(event_loop);
        let Some(link) = self.connections.link(token) else {
            return;
        };
        link.dump_queued = false;
        while link.transport.unsent() < LINK_UNSENT_LOW {
            let Some(position) = link.backlog.pop() else {
                break;
            };
            if let Some(line) = self.replica.store().line(position) {
                link.transport.queue(line);
                let name = &self.neighbours[link.neighbour].name;
                self.journal
                    .output(wall, Who::Peer(token, name), &line[..line.len() - 1]);
            }
        }
    }

    /// The end of a turn: sends what waits on the links, and goes on with what they owe.
    pub(super) fn flush_links(&mut self, event_loop: &mut Loop<H>) {
        for index in 0..self.neighbours.len() {
            let Some(token) = self.neighbours[index].up() else {
                continue;
            };
            let Some(link) = self.connections.link(token) else {
                continue;
            };
            if let Err(error) = link.transport.flush(&mut event_loop.world) {
                self.link_lost(event_loop, token, &error.to_string());
                continue;
            }
            let room = link.transport.unsent() < LINK_UNSENT_LOW;
            if room && !link.backlog.is_empty() && !link.dump_queued {
                link.dump_queued = true;
                event_loop.call_soon(Callback::Dump(token));
            }
        }
    }

    /// A link's connection ended: the only place where one does.
    pub(super) fn link_lost(&mut self, event_loop: &mut Loop<H>, token: Token, why: &str) {
        let Some(Connection::Link(link)) = self.connections.remove(token) else {
            return;
        };
        let index = link.neighbour;
        link.transport.close(&mut event_loop.world);
        let neighbour = &mut self.neighbours[index];
        match neighbour.state {
            LinkState::Dialling(_, deadline) => {
                event_loop.cancel(deadline);
            }
            LinkState::Up(_) if event_loop.time() >= neighbour.up_since + BACKOFF_FORGIVEN => {
                neighbour.backoff.reset();
            }
            _ => {}
        }
        self.descriptor_freed(event_loop);
        self.dial_later(event_loop, index, why);
        self.stop_if_done(event_loop);
    }

    fn dial_later(&mut self, event_loop: &mut Loop<H>, index: usize, why: &str) {
        let was_up = self.neighbours[index].up();
        if self.stopping {
            self.neighbours[index].state = LinkState::Waiting(None);
            return;
        }
        let random = event_loop.world.random();
        let delay = self.neighbours[index].backoff.next(random);
        let timer = event_loop.call_later(delay, Callback::Redial(index));
        self.neighbours[index].state = LinkState::Waiting(Some(timer));
        let outcome = if was_up.is_some() {
            "link lost"
        } else {
            "no link"
        };
        let text = format_args!(
            "{outcome}: {why}; dialling again in {} ms",
            delay.as_millis()
        );
        self.notice_link(event_loop, index, was_up, text);
    }

    fn notice_link(
        &mut self,
        event_loop: &mut Loop<H>,
        index: usize,
        token: Option<Token>,
        text: std::fmt::Arguments<'_>,
    ) {
        if !self.journal.is_enabled() {
            return;
        }
        let wall = self.wall_clock(event_loop);
        let name = &self.neighbours[index].name;
        let who = token.map_or(Who::NoLink(name), |token| Who::Peer(token, name));
        self.journal.notice(wall, who, text);
    }

    /// How many positions each link that is up owes its neighbour.
    pub fn owed(&self) -> Vec<usize> {
        let links = self.neighbours.iter().filter_map(Neighbour::up);
        let owed = links.filter_map(|token| Some(self.connections.get_link(token)?.backlog.len()));
        owed.collect()
    }

    /// At the end of a server's life: true once nothing waits on any link.
    pub(super) fn links_are_flushed(&mut self) -> bool {
        let tokens: Vec<_> = self.neighbours.iter().filter_map(Neighbour::up).collect();
        tokens.into_iter().all(|token| {
            let link = self.connections.link(token);
            link.is_none_or(|link| link.transport.unsent() == 0 && link.backlog.is_empty())
        })
    }
}
