//! The real world: mio, the system's clocks, files and signals.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::{TcpListener, TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Waker};
use socket2::{SockRef, TcpKeepalive};

use crate::event_loop::{Event, Executor, Readiness, Token, Wake, World};
use crate::net::{Host, Network, RustlsEngine, TlsClientConfig};
use crate::worlds::Stage;

/// Events that one poll may return.
pub const EVENTS_MAX: usize = 1024;

/// A peer that is silent for this long is probed; see [`KEEPALIVE_DEAD`].
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_PROBES: u32 = 3;
/// A peer that acknowledges nothing for this long is given up: 5 s + 3 × 3 s of silence, or this
/// long with our bytes unacknowledged.
pub const KEEPALIVE_DEAD: Duration = Duration::from_secs(14);

/// What the kernel keeps for one client that does not read (it doubles the figure).
const SEND_BUFFER: usize = 256 * 1024;

/// Linux: open(2). A journal on a pipe must not stop the loop when nobody reads.
const O_NONBLOCK: i32 = 0o4000;

/// Tokens that connections cannot have, since their generations would have to wrap.
const WAKER: mio::Token = mio::Token(usize::MAX);
const ATTENTION: mio::Token = mio::Token(usize::MAX - 1);
const SIGNALS: usize = usize::MAX - 64;

/// A listening socket, with a spare descriptor to shed connections when none is left.
pub struct Listener {
    socket: TcpListener,
    spare: Option<File>,
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// The operating system.
pub struct OsWorld {
    poll: Poll,
    events: Events,
    waker: Arc<OsWaker>,
    born: Instant,
    /// The clock stands still since then.
    held: Option<Instant>,
    /// An event of [`OsWorld::attend_to`] came.
    attention: bool,
    /// A poll ends after this long at the latest.
    attend_within: Option<Duration>,
    signals: Vec<(i32, UnixStream)>,
    random: u64,
    journal: Option<(PathBuf, File)>,
    tls: Option<TlsClientConfig>,
    resolver: Resolver,
    executor: Option<Executor>,
    /// Filled by the executor's threads; `told` holds what the poll has told of.
    resolved: Arc<Mutex<Vec<(u64, Answer)>>>,
    told: BTreeMap<u64, Answer>,
}

/// What a resolver found.
type Answer = Result<Vec<SocketAddr>, String>;

/// A function that resolves a name and may block for as long as it likes.
pub type Resolver = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

struct OsWaker(Waker);

impl Wake for OsWaker {
    fn wake(&self) {
        // A full counter means that a wake is pending already. (asyncio ignores it as well.)
        let _ = self.0.wake();
    }
}

impl OsWorld {
    /// A world with a poller of its own.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<OsWorld> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(OsWorld {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            waker: Arc::new(OsWaker(waker)),
            born: Instant::now(),
            held: None,
            attention: false,
            attend_within: None,
            signals: Vec::new(),
            // The standard library seeds its hashers from the system.
            random: RandomState::new().hash_one(0),
            journal: None,
            tls: None,
            resolver: |host, port| Ok((host, port).to_socket_addrs()?.collect()),
            executor: None,
            resolved: Arc::default(),
            told: BTreeMap::new(),
        })
    }

    /// Has a signal come out of the poll as an event. (asyncio: add_signal_handler.)
    ///
    /// # Errors
    /// As the system says.
    pub fn watch_signal(&mut self, number: i32) -> io::Result<()> {
        let (mut receiver, sender) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(number, sender)?;
        let token = mio::Token(SIGNALS + self.signals.len());
        self.poll
            .registry()
            .register(&mut receiver, token, Interest::READABLE)?;
        self.signals.push((number, receiver));
        Ok(())
    }

    /// Lets connections to Places speak TLS.
    pub fn use_tls(&mut self, config: TlsClientConfig) {
        self.tls = Some(config);
    }

    /// Resolves names by something else than the system.
    pub fn use_resolver(&mut self, resolver: Resolver) {
        self.resolver = resolver;
    }

    /// Opens the journal's file, at its end.
    ///
    /// # Errors
    /// As the system says.
    pub fn open_journal(&mut self, path: &Path) -> io::Result<()> {
        self.journal = Some((path.to_path_buf(), open_to_append(path)?));
        Ok(())
    }

    /// Has the polls of this world end when `other`'s has something to tell. None of that comes out
    /// as an event: only [`Stage::take_attention`] says so. (epoll descriptors can be nested.)
    ///
    /// # Errors
    /// As the system says.
    pub fn attend_to(&mut self, other: &OsWorld) -> io::Result<()> {
        let descriptor = other.poll.as_raw_fd();
        let interest = Interest::READABLE;
        self.poll
            .registry()
            .register(&mut SourceFd(&descriptor), ATTENTION, interest)
    }

    /// The Unix time at which this world was born, as of now: the wall clock may jump.
    pub fn epoch(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().saturating_sub(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        let now = self.held.unwrap_or_else(Instant::now);
        now.saturating_duration_since(self.born)
    }

    fn drain_signal(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some((number, receiver)) = self.signals.get_mut(index) else {
            return;
        };
        let mut bytes = [0; 64];
        while let Ok(count) = receiver.read(&mut bytes) {
            if count == 0 {
                break;
            }
            // One event for each byte: a second Ctrl-C means something else than the first.
            events.extend((0..count).map(|_| Event::Signal(*number)));
        }
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
}

fn readiness(event: &mio::event::Event) -> Readiness {
    let mut readiness = Readiness::EMPTY;
    // Closed and error flags are hints: the read or write that follows says what happened.
    if event.is_readable() || event.is_error() {
        readiness = readiness | Readiness::READABLE;
    }
    if event.is_writable() || event.is_error() {
        readiness = readiness | Readiness::WRITABLE;
    }
    if event.is_read_closed() || event.is_priority() {
        readiness = readiness | Readiness::READABLE | Readiness::READ_CLOSED;
    }
    readiness
}

impl World for OsWorld {
    fn time(&mut self) -> Duration {
        self.elapsed()
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        let timeout = timeout.into_iter().chain(self.attend_within).min();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let polled = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &polled {
            match event.token() {
                WAKER => {
                    events.push(Event::Woken);
                    let mut done = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
                    for (job, answer) in done.drain(..) {
                        self.told.insert(job, answer);
                        events.push(Event::Done(job));
                    }
                }
                ATTENTION => self.attention = true,
                mio::Token(bits) if bits >= SIGNALS => self.drain_signal(bits - SIGNALS, events),
                mio::Token(bits) => {
                    events.push(Event::Ready(
                        Token::from_bits(bits as u64),
                        readiness(event),
                    ));
                }
            }
        }
        self.events = polled;
        Ok(())
    }

    fn stopwatch(&self) -> Duration {
        self.elapsed()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }
}

impl Network for OsWorld {
    type Listener = Listener;
    type Stream = TcpStream;
    type Tls = RustlsEngine;

    fn resolve(&mut self, host: &str, port: u16, job: u64) -> io::Result<()> {
        if self.executor.is_none() {
            self.executor = Some(Executor::start().map_err(io::Error::other)?);
        }
        let (resolver, host) = (self.resolver, host.to_string());
        let (resolved, waker) = (Arc::clone(&self.resolved), Arc::clone(&self.waker));
        let job = move || {
            let answer = match resolver(&host, port) {
                Ok(addresses) if addresses.is_empty() => Err(String::from("it has no address")),
                Ok(addresses) => Ok(addresses),
                Err(error) => Err(error.to_string()),
            };
            let mut done = resolved.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((job, answer));
            drop(done);
            waker.wake();
        };
        match &self.executor {
            Some(executor) => executor.submit(job).map_err(io::Error::other),
            None => Err(io::Error::other("no executor")),
        }
    }

    fn resolved(&mut self, job: u64) -> Option<Answer> {
        self.told.remove(&job)
    }

    fn tls(&mut self, host: &str, _: &TcpStream) -> Result<RustlsEngine, String> {
        let config = self.tls.as_ref().ok_or("no TLS was set up")?;
        config.engine(host)
    }

    fn listen(&mut self, address: SocketAddr, token: Token) -> io::Result<Listener> {
        let mut socket = TcpListener::bind(address)?;
        // Accepted sockets inherit these: no system call for each connection.
        let options = SockRef::from(&socket);
        options.set_tcp_nodelay(true)?;
        options.set_send_buffer_size(SEND_BUFFER)?;
        // An urgent byte is one like the others.
        options.set_out_of_band_inline(true)?;
        let interest = Interest::READABLE;
        self.poll
            .registry()
            .register(&mut socket, mio_token(token), interest)?;
        Ok(Listener {
            socket,
            spare: open_spare(),
        })
    }

    fn accept(&mut self, listener: &mut Listener, _: Token) -> io::Result<(TcpStream, SocketAddr)> {
        listener.socket.accept()
    }

    fn shed(&mut self, listener: &mut Listener) -> io::Result<SocketAddr> {
        listener.spare = None;
        let result = listener.socket.accept().map(|(_, address)| address);
        listener.spare = open_spare();
        result
    }

    fn close_listener(&mut self, listener: Listener) {
        drop(listener);
    }

    fn connect(&mut self, address: SocketAddr, token: Token) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        SockRef::from(&stream).set_tcp_nodelay(true)?;
        self.register(&mut stream, token)?;
        Ok(stream)
    }

    fn connected(&mut self, stream: &TcpStream) -> io::Result<bool> {
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            // Dialling a port of our own range where nobody listens can end at ourselves (TCP's
            // simultaneous open), and would take the port from whom we want.
            Ok(peer) if stream.local_addr()? == peer => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn register(&mut self, stream: &mut TcpStream, token: Token) -> io::Result<()> {
        // Priority: a read stops at an urgent byte, short of what waits behind it.
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.poll
            .registry()
            .register(stream, mio_token(token), interest)
    }

    fn keep_alive(&mut self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(KEEPALIVE_DEAD))
    }

    fn read(&mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer)
    }

    fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        stream.write(bytes)
    }

    fn shutdown_write(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        stream.shutdown(std::net::Shutdown::Write)
    }

    fn close(&mut self, stream: TcpStream) {
        // Closing takes it out of the poller too.
        drop(stream);
    }
}

impl Host for OsWorld {
    fn wall_clock(&mut self) -> Duration {
        // A clock before 1970 is taken for 1970.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        super::mix(self.random)
    }

    fn append_journal(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.journal {
            Some((_, file)) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn journal_size(&mut self) -> u64 {
        let metadata = self
            .journal
            .as_ref()
            .and_then(|(_, file)| file.metadata().ok());
        metadata.map_or(0, |metadata| metadata.len())
    }

    fn reopen_journal(&mut self) -> io::Result<()> {
        if let Some((path, file)) = &mut self.journal {
            *file = open_to_append(path)?;
        }
        Ok(())
    }
}

impl Stage for OsWorld {
    fn hold(&mut self) {
        self.held.get_or_insert_with(Instant::now);
    }

    fn release(&mut self) {
        if let Some(since) = self.held.take() {
            self.born += since.elapsed();
        }
    }

    fn take_attention(&mut self) -> bool {
        std::mem::take(&mut self.attention)
    }

    fn attend_within(&mut self, patience: Option<Duration>) {
        self.attend_within = patience;
    }
}

fn mio_token(token: Token) -> mio::Token {
    mio::Token(token.to_bits() as usize)
}

fn open_spare() -> Option<File> {
    File::open("/dev/null").ok()
}
