//! Many nodes on one clock.

use std::cell::{Ref, RefCell, RefMut};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::net::{Net, Weather};
use super::world::SimWorld;
use crate::event_loop::{Application, EventLoop, World};

/// A node that is up.
struct Machine<W: World, A: Application<W>> {
    event_loop: EventLoop<W, A::Callback>,
    application: A,
    born: Duration,
    /// It is busy with its turn until then.
    busy: Duration,
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
        let mut event_loop = EventLoop::new(around(SimWorld::new(net, node, born)));
        start(&mut application, &mut event_loop)?;
        self.machines[node] = Some(Machine {
            event_loop,
            application,
            born,
            busy: born,
        });
        Ok(())
    }

    /// Takes a node that is up out of the simulation, to look at what it was.
    pub fn take(&mut self, node: usize) -> Option<(EventLoop<W, A::Callback>, A)> {
        let machine = self.machines[node].take()?;
        Some((machine.event_loop, machine.application))
    }

    /// Stops a node: the network goes on, and its clock with it. (SIGSTOP.)
    pub fn freeze(&mut self, node: usize) {
        if let Some(machine) = &mut self.machines[node] {
            machine.busy = Duration::MAX;
        }
    }

    /// Lets it go on: the poll in which it stood is cut short, and tells nothing. (SIGCONT, EINTR.)
    pub fn thaw(&mut self, node: usize) {
        let now = self.net().now;
        if let Some(machine) = &mut self.machines[node] {
            machine.busy = now;
            self.net.borrow_mut().ports[node].interrupted = true;
        }
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
            // A loop that has stopped has nothing to wait for.
            let when = when.filter(|_| !machine.event_loop.is_stopping());
            let when = when.map(|when| when.max(machine.busy));
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
            if machine.busy > now || machine.event_loop.is_stopping() {
                continue;
            }
            let due = machine.event_loop.next_deadline();
            if due.is_some_and(|when| machine.born + when <= now)
                || self.net.borrow().has_events(node)
            {
                self.net.borrow_mut().ports[node].spent = Duration::ZERO;
                machine.event_loop.run_once(&mut machine.application)?;
                machine.busy = now + self.net.borrow().ports[node].spent;
            }
        }
        Ok(())
    }
}
