//! A simulated world: a virtual clock, a network of many nodes, one seed.
//!
//! Each node runs the same loop and the same server as the binary. A poll never waits: the
//! [`Simulation`] asks every loop for its next deadline, moves the clock to the earliest thing that
//! happens, and runs the nodes it concerns.

mod disk;
mod faults;
mod net;
mod stream;
mod trace;

use std::cell::{Ref, RefCell, RefMut};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::event_loop::{Application, Event, EventLoop, Token, Wake, World};
use crate::net::{Host, Network, PlainEngine};
use crate::worlds::Stage;

pub use net::{Net, Weather};
pub use stream::End;
pub use trace::{TRACE_LINES_MAX, Trace};

/// The wall clock at the start of every simulation, in seconds since the Unix epoch.
pub const WALL_CLOCK_START: Duration = Duration::from_secs(1_600_000_000);

/// One node's view of the simulated network.
pub struct SimWorld {
    net: Rc<RefCell<Net>>,
    node: usize,
    born: Duration,
}

/// Nothing sleeps here, so nothing needs waking.
struct NoWaker;

impl Wake for NoWaker {
    fn wake(&self) {}
}

impl World for SimWorld {
    fn time(&mut self) -> Duration {
        self.stopwatch()
    }

    fn poll(&mut self, _: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        self.net.borrow_mut().take_events(self.node, events);
        Ok(())
    }

    fn stopwatch(&self) -> Duration {
        self.net.borrow().now - self.born
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWaker)
    }
}

impl Network for SimWorld {
    type Listener = ();
    type Stream = End;
    type Tls = PlainEngine;

    fn resolve(&mut self, host: &str, _: u16, job: u64) -> io::Result<()> {
        self.net.borrow_mut().resolve(self.node, host, job);
        Ok(())
    }

    fn resolved(&mut self, job: u64) -> Option<Result<Vec<SocketAddr>, String>> {
        self.net.borrow_mut().resolved(self.node, job)
    }

    fn tls(&mut self, _: &str, _: &End) -> Result<PlainEngine, String> {
        Ok(PlainEngine::new())
    }

    fn listen(&mut self, address: SocketAddr, token: Token) -> io::Result<()> {
        self.net.borrow_mut().listen(self.node, address, token);
        Ok(())
    }

    fn accept(&mut self, (): &mut (), _: Token) -> io::Result<(End, SocketAddr)> {
        self.net.borrow_mut().accept(self.node)
    }

    fn shed(&mut self, (): &mut ()) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn close_listener(&mut self, (): ()) {
        self.net.borrow_mut().close_listener(self.node);
    }

    fn connect(&mut self, address: SocketAddr, token: Token) -> io::Result<End> {
        Ok(self.net.borrow_mut().connect(self.node, address, token))
    }

    fn secure(&mut self, _: &mut End, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn is_handshaking(&mut self, _: &End) -> bool {
        false
    }

    fn proves(&mut self, _: &End, _: &str) -> bool {
        false
    }

    fn connected(&mut self, stream: &mut End) -> io::Result<bool> {
        self.net.borrow_mut().connected(*stream)
    }

    fn register(&mut self, stream: &mut End, token: Token) -> io::Result<()> {
        self.net.borrow_mut().register(*stream, token);
        Ok(())
    }

    fn keep_alive(&mut self, _: &End) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, stream: &mut End, buffer: &mut [u8]) -> io::Result<usize> {
        self.net.borrow_mut().read(*stream, buffer)
    }

    fn write(&mut self, stream: &mut End, bytes: &[u8]) -> io::Result<usize> {
        self.net.borrow_mut().write(*stream, bytes)
    }

    fn shutdown_write(&mut self, stream: &mut End) -> io::Result<()> {
        self.net.borrow_mut().shutdown_write(*stream);
        Ok(())
    }

    fn close(&mut self, stream: End) {
        self.net.borrow_mut().close(stream);
    }
}

impl Host for SimWorld {
    fn wall_clock(&mut self) -> Duration {
        WALL_CLOCK_START + self.net.borrow().now
    }

    fn random(&mut self) -> u64 {
        self.net.borrow_mut().random()
    }

    fn append_journal(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut net = self.net.borrow_mut();
        net.trace.add("journal", &[self.node as u64], bytes);
        Ok(bytes.len())
    }

    fn journal_size(&mut self) -> u64 {
        0
    }

    fn reload_identity(&mut self) -> Result<bool, String> {
        Ok(false)
    }

    fn load_snapshot(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.net.borrow_mut().load(self.node))
    }

    fn write_snapshot(&mut self, piece: &[u8]) -> io::Result<()> {
        self.net.borrow_mut().save_piece(self.node, piece);
        Ok(())
    }

    fn end_snapshot(&mut self, job: u64) -> io::Result<()> {
        self.net.borrow_mut().save(self.node, job);
        Ok(())
    }

    fn snapshot_written(&mut self) -> Result<u64, String> {
        Ok(self.net.borrow().saved(self.node))
    }

    fn reopen_journal(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Its clock moves only when the simulation says so.
impl Stage for SimWorld {}

/// A node that is up.
struct Machine<W: World, A: Application<W>> {
    event_loop: EventLoop<W, A::Callback>,
    application: A,
    born: Duration,
}

/// Many nodes on one network and one clock. Their world is a [`SimWorld`], or one around it.
pub struct Simulation<A: Application<W>, W: World = SimWorld> {
    net: Rc<RefCell<Net>>,
    machines: Vec<Option<Machine<W, A>>>,
}

impl<A: Application<SimWorld>> Simulation<A> {
    /// Switches a node on with nothing in its memory; `start` begins what it does.
    ///
    /// # Errors
    /// What `start` says.
    pub fn boot<F>(&mut self, node: usize, application: A, start: F) -> io::Result<()>
    where
        F: FnOnce(&mut A, &mut EventLoop<SimWorld, A::Callback>) -> io::Result<()>,
    {
        self.boot_in(node, |world| world, application, start)
    }
}

impl<W: World, A: Application<W>> Simulation<A, W> {
    /// A network of `nodes` nodes, none of them up.
    pub fn new(nodes: usize, seed: u64, weather: Weather) -> Simulation<A, W> {
        Simulation {
            net: Rc::new(RefCell::new(Net::new(nodes, seed, weather))),
            machines: (0..nodes).map(|_| None).collect(),
        }
    }

    /// The network, to look at.
    pub fn net(&self) -> Ref<'_, Net> {
        self.net.borrow()
    }

    /// The network, to cut and to heal.
    pub fn net_mut(&mut self) -> RefMut<'_, Net> {
        self.net.borrow_mut()
    }

    /// The application of a node that is up.
    pub fn application(&self, node: usize) -> Option<&A> {
        self.machines[node]
            .as_ref()
            .map(|machine| &machine.application)
    }

    /// The same, in a world that `around` makes of the simulated one.
    ///
    /// # Errors
    /// What `start` says.
    pub fn boot_in<F>(
        &mut self,
        node: usize,
        around: impl FnOnce(SimWorld) -> W,
        mut application: A,
        start: F,
    ) -> io::Result<()>
    where
        F: FnOnce(&mut A, &mut EventLoop<W, A::Callback>) -> io::Result<()>,
    {
        self.net_mut().boot(node);
        let born = self.net().now;
        let net = Rc::clone(&self.net);
        let mut event_loop = EventLoop::new(around(SimWorld { net, node, born }));
        start(&mut application, &mut event_loop)?;
        self.machines[node] = Some(Machine {
            event_loop,
            application,
            born,
        });
        Ok(())
    }

    /// Takes a node that is up out of the simulation, to look at what it was.
    pub fn take(&mut self, node: usize) -> Option<(EventLoop<W, A::Callback>, A)> {
        let machine = self.machines[node].take()?;
        Some((machine.event_loop, machine.application))
    }

    /// Kills a node; its memory is lost.
    pub fn crash(&mut self, node: usize, silently: bool) {
        if self.machines[node].take().is_some() {
            self.net_mut().crash(node, silently);
        }
    }

    /// Moves the clock to `until`, letting everything happen on the way.
    ///
    /// # Errors
    /// A loop could not poll: never, here.
    pub fn run_until(&mut self, until: Duration) -> io::Result<()> {
        while let Some(next) = self.next_happening().filter(|&next| next <= until) {
            {
                let mut net = self.net_mut();
                net.now = net.now.max(next);
                net.deliver_due();
            }
            self.run_ready_nodes()?;
        }
        self.net_mut().now = until;
        Ok(())
    }

    fn next_happening(&mut self) -> Option<Duration> {
        let mut next = self.net().next_arrival();
        for (node, machine) in self.machines.iter_mut().enumerate() {
            let Some(machine) = machine else {
                continue;
            };
            let when = if self.net.borrow().has_events(node) {
                Some(self.net.borrow().now)
            } else {
                machine
                    .event_loop
                    .next_deadline()
                    .map(|when| machine.born + when)
            };
            next = next.into_iter().chain(when).min();
        }
        next
    }

    fn run_ready_nodes(&mut self) -> io::Result<()> {
        let now = self.net().now;
        for (node, machine) in self.machines.iter_mut().enumerate() {
            let Some(machine) = machine else {
                continue;
            };
            let due = machine.event_loop.next_deadline();
            if due.is_some_and(|when| machine.born + when <= now)
                || self.net.borrow().has_events(node)
            {
                machine.event_loop.run_once(&mut machine.application)?;
            }
        }
        Ok(())
    }
}
