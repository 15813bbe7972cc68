//! A stretch of bad road between two servers: a TCP proxy that does what networks do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What a proxy does to the bytes that pass, and to new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Road {
    /// They pass.
    Clear,
    /// They pass in pieces of one to seven bytes.
    Split,
    /// They pass late.
    Late,
    /// They do not pass: they wait for another state of the road.
    Closed,
    /// New connections are reset at once.
    Refusing,
}

const ROADS: [Road; 5] = [
    Road::Clear,
    Road::Split,
    Road::Late,
    Road::Closed,
    Road::Refusing,
];

/// How late is late.
const LATENESS: Duration = Duration::from_millis(15);
/// How often a closed road is looked at again, and a silent socket.
const GLANCE: Duration = Duration::from_millis(5);

/// A proxy to one address. Its threads end with the connections, and with the process.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    road: AtomicU8,
    passed: AtomicU64,
    /// Connections so far, and the last of them whose dialler has said something that passed.
    dialled: AtomicU64,
    greeted: AtomicU64,
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
}

impl Proxy {
    /// Starts one, on a port of its own.
    pub fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target,
            road: AtomicU8::new(Road::Clear as u8),
            passed: AtomicU64::new(0),
            dialled: AtomicU64::new(0),
            greeted: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepting.connect(stream);
            }
        });
        Proxy { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that have passed.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// How many connections there were.
    pub fn dialled(&self) -> u64 {
        self.shared.dialled.load(Ordering::Relaxed)
    }

    /// Which of them, counted from one, was the last whose dialler said something that passed.
    pub fn greeted(&self) -> u64 {
        self.shared.greeted.load(Ordering::Relaxed)
    }

    /// Changes the road.
    pub fn set(&self, road: Road) {
        self.shared.road.store(road as u8, Ordering::Relaxed);
    }

    /// Resets every connection: what is on its way is lost.
    pub fn reset(&self) {
        for (near, far) in self.take() {
            for stream in [near, far] {
                abort(stream);
            }
        }
    }

    /// Ends every connection in good order, wherever in a line it is.
    pub fn finish(&self) {
        for (near, far) in self.take() {
            for stream in [near, far] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn take(&self) -> Vec<(TcpStream, TcpStream)> {
        let mut open = self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *open)
    }
}

/// A close that the other side hears as a reset. Two threads still hold the socket: shutting it down
/// would be a FIN, so the last of them to let go must find the option set.
fn abort(stream: TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

impl Shared {
    fn road(&self) -> Road {
        ROADS[usize::from(self.road.load(Ordering::Relaxed))]
    }

    fn connect(self: &Arc<Shared>, near: TcpStream) {
        if self.road() == Road::Refusing {
            return abort(near);
        }
        let Ok(far) = TcpStream::connect(self.target) else {
            return abort(near);
        };
        let twins = || Some((near.try_clone().ok()?, far.try_clone().ok()?));
        let (Some(there), Some(back), Some(kept)) = (twins(), twins(), twins()) else {
            return;
        };
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(kept);
        let number = 1 + self.dialled.fetch_add(1, Ordering::Relaxed);
        for ((from, to), number) in [(there, number), ((back.1, back.0), 0)] {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(from, to, number));
        }
    }

    /// Carries bytes one way, until either end has enough. The way back has no number.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, number: u64) {
        let _ = from.set_read_timeout(Some(GLANCE));
        let _ = to.set_nodelay(true);
        let mut buffer = [0; 4096];
        loop {
            let road = self.road();
            if road == Road::Closed {
                thread::sleep(GLANCE);
                continue;
            }
            let piece = match road {
                Road::Split => 1 + (self.passed.load(Ordering::Relaxed) % 7) as usize,
                _ => buffer.len(),
            };
            let count = match from.read(&mut buffer[..piece]) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if is_quiet(error.kind()) => continue,
                Err(_) => break,
            };
            if road == Road::Late {
                thread::sleep(LATENESS);
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
            self.passed.fetch_add(count as u64, Ordering::Relaxed);
            self.greeted.fetch_max(number, Ordering::Relaxed);
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

fn is_quiet(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
