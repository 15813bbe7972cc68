//! One node's view of the simulated network.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::net::Net;
use super::stream::End;
use crate::event_loop::{Event, Token, Wake, World};
use crate::net::{Host, Network, PlainEngine, Trust};
use crate::worlds::stage::Stage;

/// Linux: errno(3).
const EMFILE: i32 = 24;

/// The wall clock at the start of every simulation, in seconds since the Unix epoch.
pub const WALL_CLOCK_START: Duration = Duration::from_secs(1_600_000_000);

/// One node's view of the simulated network.
pub struct SimWorld {
    net: Rc<RefCell<Net>>,
    node: usize,
    born: Duration,
}

impl SimWorld {
    pub(super) fn new(net: Rc<RefCell<Net>>, node: usize, born: Duration) -> SimWorld {
        SimWorld { net, node, born }
    }
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
        let net = self.net.borrow();
        net.now + net.ports[self.node].spent - self.born
    }

    fn spend(&mut self, units: usize) {
        let mut net = self.net.borrow_mut();
        let price = net.weather.price.work;
        net.ports[self.node].spent += price * units as u32;
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWaker)
    }
}

impl Network for SimWorld {
    type Listener = Token;
    type Stream = End;
    type Tls = PlainEngine;

    fn resolve(&mut self, host: &str, _: u16, job: u64) -> io::Result<()> {
        self.net.borrow_mut().resolve(self.node, host, job);
        Ok(())
    }

    fn resolved(&mut self, job: u64) -> Option<Result<Vec<SocketAddr>, String>> {
        self.net.borrow_mut().resolved(self.node, job)
    }

    fn tls(&mut self, _: Trust, _: &str, _: &End) -> Result<PlainEngine, String> {
        Ok(PlainEngine::new())
    }

    fn listen(&mut self, address: SocketAddr, token: Token) -> io::Result<Token> {
        self.net.borrow_mut().listen(self.node, address, token);
        Ok(token)
    }

    fn accept(&mut self, door: &mut Token, _: Token) -> io::Result<(End, SocketAddr)> {
        let mut net = self.net.borrow_mut();
        if net.ports[self.node].descriptors == Some(0) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        let accepted = net.accept(self.node, *door)?;
        let left = &mut net.ports[self.node].descriptors;
        *left = left.map(|left| left - 1);
        Ok(accepted)
    }

    /// There is no spare descriptor here: who waits goes on waiting.
    fn shed(&mut self, _: &mut Token) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn close_listener(&mut self, door: Token) {
        self.net.borrow_mut().close_listener(self.node, door);
    }

    fn connect(&mut self, address: SocketAddr, token: Token) -> io::Result<End> {
        Ok(self.net.borrow_mut().connect(self.node, address, token))
    }

    fn secure(&mut self, _: &mut End, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn is_handshaking(&mut self, stream: &End) -> bool {
        self.net.borrow_mut().is_handshaking(*stream)
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
        let mut net = self.net.borrow_mut();
        let left = &mut net.ports[self.node].descriptors;
        *left = left.map(|left| left + 1);
        net.close(stream);
    }
}

impl Host for SimWorld {
    fn wall_clock(&mut self) -> Duration {
        WALL_CLOCK_START + self.net.borrow().now
    }

    fn random(&mut self) -> u64 {
        self.net.borrow_mut().random()
    }

    fn append_journal(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
        let mut net = self.net.borrow_mut();
        net.trace.add("journal", &[self.node as u64], bytes);
        Ok(bytes.len())
    }

    fn reload_identity(&mut self) -> Result<bool, String> {
        Ok(false)
    }

    fn load_snapshot(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.net.borrow_mut().disks[self.node].load())
    }

    fn write_snapshot(&mut self, piece: &[u8], job: u64) -> io::Result<()> {
        let mut net = self.net.borrow_mut();
        net.disks[self.node].write(piece, job)?;
        net.trace.add("snapshot", &[self.node as u64], piece);
        Ok(())
    }

    fn end_snapshot(&mut self, job: u64) -> io::Result<()> {
        let mut net = self.net.borrow_mut();
        net.disks[self.node].save(job)?;
        net.done(self.node, job, Ok(Vec::new()));
        Ok(())
    }

    fn snapshot_written(&mut self) -> Result<u64, String> {
        self.net.borrow_mut().disks[self.node].outcome()
    }

    fn reopen_journal(&mut self, job: u64) {
        let mut net = self.net.borrow_mut();
        net.done(self.node, job, Ok(Vec::new()));
    }

    fn journal_reopened(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Its clock moves only when the simulation says so.
impl Stage for SimWorld {}
