//! The real world: mio, the system's clocks, files and signals.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Waker};

use super::appender::Appender;
use super::resolving::{Answer, Resolver, Resolving};
use super::saver::Saver;
use super::signals::Signals;
use super::sockets::{self, Listener, OsStream};
use super::waker::OsWaker;
use crate::event_loop::{Event, Readiness, Token, Wake, World};
use crate::net::{
    Host, Identity, IdentityFiles, Layered, Network, RustlsEngine, TlsClientConfig, Trust,
};
use crate::worlds::mix::mix;
use crate::worlds::stage::Stage;

/// Events that one poll may return.
pub const EVENTS_MAX: usize = 1024;

/// Tokens that connections cannot have, since their generations would have to wrap.
const WAKER: mio::Token = mio::Token(usize::MAX);
const ATTENTION: mio::Token = mio::Token(usize::MAX - 1);
const SIGNALS: usize = usize::MAX - 64;

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
    /// The other's poller, and whether what it has to tell ends our polls.
    attended: Option<RawFd>,
    heeds: bool,
    signals: Signals,
    random: u64,
    journal: Option<Appender>,
    /// Whoever had the journal opened anew hears of it by this job.
    reopening: Option<u64>,
    /// How connections that we make are secured, by whose trust they need.
    tls: BTreeMap<Trust, TlsClientConfig>,
    identity: Option<(IdentityFiles, Identity)>,
    /// Streams that have more to read though the poller knows of nothing: TLS holds it.
    more: Vec<Token>,
    resolving: Resolving,
    saver: Option<Saver>,
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
            waker: Arc::new(OsWaker::new(waker)),
            born: Instant::now(),
            held: None,
            attention: false,
            attended: None,
            heeds: false,
            attend_within: None,
            signals: Signals::default(),
            // The standard library seeds its hashers from the system.
            random: RandomState::new().hash_one(0),
            journal: None,
            reopening: None,
            tls: BTreeMap::new(),
            identity: None,
            more: Vec::new(),
            resolving: Resolving::new(),
            saver: None,
        })
    }

    /// Has a signal come out of the poll as an event. (asyncio: add_signal_handler.)
    ///
    /// # Errors
    /// As the system says.
    pub fn watch_signal(&mut self, number: i32) -> io::Result<()> {
        self.signals.watch(number, self.poll.registry(), SIGNALS)
    }

    /// Tells of a signal as of another, if `if_so` when it comes.
    pub fn hear_instead(&mut self, signal: i32, other: i32, if_so: fn() -> bool) {
        self.signals.hear_instead(signal, other, if_so);
    }

    /// Lets connections that need this trust speak TLS.
    pub fn use_tls(&mut self, trust: Trust, config: TlsClientConfig) {
        self.tls.insert(trust, config);
    }

    /// Resolves names by something else than the system.
    pub fn use_resolver(&mut self, resolver: Resolver) {
        self.resolving.resolver = resolver;
    }

    /// Lets servers and clients speak TLS to us, and links be secured.
    ///
    /// # Errors
    /// Text for the operator: which file, and what is wrong with it.
    pub fn use_identity(&mut self, files: IdentityFiles) -> Result<(), String> {
        self.identity = Identity::read(&files)?.map(|identity| (files, identity));
        Ok(())
    }

    /// Keeps snapshots in this file.
    pub fn use_snapshots(&mut self, path: &Path) {
        self.saver = Some(Saver::new(path));
    }

    /// Opens the journal's file, at its end, for a thread that writes it. One that would grow beyond
    /// `max` bytes becomes FILE.1, and a new one begins (0: never).
    ///
    /// # Errors
    /// As the system says.
    pub fn open_journal(&mut self, path: &Path, max: u64) -> io::Result<()> {
        self.journal = Some(Appender::open(path, max, Arc::clone(&self.waker))?);
        Ok(())
    }

    /// Has the polls of this world end when `other`'s has something to tell. None of that comes out
    /// as an event: only [`Stage::take_attention`] says so. (epoll descriptors can be nested.)
    ///
    /// # Errors
    /// As the system says.
    pub fn attend_to(&mut self, other: &OsWorld) -> io::Result<()> {
        self.attended = Some(other.poll.as_raw_fd());
        self.heed(true)?;
        self.heeds = true;
        Ok(())
    }

    /// Has the poll end for the other world's sake, or not. If that has something to tell already, a
    /// poll that heeds it again ends at once.
    fn heed(&mut self, heed: bool) -> io::Result<()> {
        let registry = self.poll.registry();
        match &self.attended {
            Some(other) if heed => {
                registry.register(&mut SourceFd(other), ATTENTION, Interest::READABLE)
            }
            Some(other) => registry.deregister(&mut SourceFd(other)),
            None => Ok(()),
        }
    }

    /// The Unix time at which this world was born, as of now: the wall clock may jump.
    pub fn epoch(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().saturating_sub(self.elapsed())
    }

    fn note_more(&mut self, stream: &mut OsStream) {
        if stream.layered.take_more() {
            self.more.push(stream.token);
        }
    }

    fn elapsed(&self) -> Duration {
        let now = self.held.unwrap_or_else(Instant::now);
        now.saturating_duration_since(self.born)
    }
}

fn is_interrupted(result: &io::Result<()>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::Interrupted)
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
        let at_once = (!self.more.is_empty()).then_some(Duration::ZERO);
        let mut polled = self.poll.poll(&mut self.events, at_once.or(timeout));
        if is_interrupted(&polled) {
            // By a signal; perhaps by the one that ends a stop, and timers are long due then. What came
            // meanwhile is told before they run.
            polled = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        }
        if is_interrupted(&polled) {
            return Ok(());
        }
        polled?;
        let readable = |token| Event::Ready(token, Readiness::READABLE);
        events.extend(self.more.drain(..).map(readable));
        for event in &self.events {
            match event.token() {
                WAKER => {
                    events.push(Event::Woken);
                    self.resolving.tell(events);
                    let reopened =
                        |_: &mut u64| self.journal.as_ref().is_some_and(Appender::has_reopened);
                    events.extend(self.reopening.take_if(reopened).map(Event::Done));
                    if let Some(saver) = &mut self.saver {
                        saver.tell(events);
                    }
                }
                ATTENTION => self.attention = true,
                mio::Token(bits) if bits >= SIGNALS => self.signals.drain(bits - SIGNALS, events),
                mio::Token(bits) => {
                    events.push(Event::Ready(
                        Token::from_bits(bits as u64),
                        readiness(event),
                    ));
                }
            }
        }
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
    type Stream = OsStream;
    type Tls = RustlsEngine;

    fn resolve(&mut self, host: &str, port: u16, job: u64) -> io::Result<()> {
        self.resolving
            .start(host, port, job, Arc::clone(&self.waker))
    }

    fn resolved(&mut self, job: u64) -> Option<Answer> {
        self.resolving.take(job)
    }

    fn tls(&mut self, trust: Trust, host: &str, _: &OsStream) -> Result<RustlsEngine, String> {
        let config = self.tls.get(&trust).ok_or("no TLS was set up")?;
        config.engine(host)
    }

    fn listen(&mut self, address: SocketAddr, token: Token) -> io::Result<Listener> {
        let mut listener = Listener::bind(address)?;
        let interest = Interest::READABLE;
        self.poll
            .registry()
            .register(&mut listener.socket, mio_token(token), interest)?;
        Ok(listener)
    }

    fn accept(
        &mut self,
        listener: &mut Listener,
        token: Token,
    ) -> io::Result<(OsStream, SocketAddr)> {
        let (socket, address) = listener.socket.accept()?;
        let layered = match &self.identity {
            Some((_, identity)) => Layered::accepted(socket, identity),
            None => Layered::plain(socket),
        };
        Ok((OsStream { layered, token }, address))
    }

    fn shed(&mut self, listener: &mut Listener) -> io::Result<SocketAddr> {
        listener.shed()
    }

    fn close_listener(&mut self, listener: Listener) {
        drop(listener);
    }

    fn connect(&mut self, address: SocketAddr, token: Token) -> io::Result<OsStream> {
        let socket = TcpStream::connect(address)?;
        sockets::dial(&socket)?;
        let layered = Layered::plain(socket);
        let mut stream = OsStream { layered, token };
        self.register(&mut stream, token)?;
        Ok(stream)
    }

    fn secure(&mut self, stream: &mut OsStream, server: &str) -> io::Result<()> {
        let Some((_, identity)) = &self.identity else {
            return Err(io::Error::other(
                "there is no certificate to prove our name",
            ));
        };
        let secured = stream.layered.dial(identity, server);
        secured.map_err(io::Error::other)
    }

    fn connected(&mut self, stream: &mut OsStream) -> io::Result<bool> {
        if !sockets::connected(stream.layered.socket())? {
            return Ok(false);
        }
        let done = stream.layered.handshake();
        self.note_more(stream);
        done
    }

    fn is_handshaking(&mut self, stream: &OsStream) -> bool {
        stream.layered.is_handshaking()
    }

    fn proves(&mut self, stream: &OsStream, server: &str) -> bool {
        stream.layered.proves(server)
    }

    fn register(&mut self, stream: &mut OsStream, token: Token) -> io::Result<()> {
        // Priority: a read stops at an urgent byte, short of what waits behind it.
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.poll
            .registry()
            .register(stream.layered.socket_mut(), mio_token(token), interest)
    }

    fn keep_alive(&mut self, stream: &OsStream) -> io::Result<()> {
        sockets::keep_alive(stream.layered.socket())
    }

    #[inline]
    fn read(&mut self, stream: &mut OsStream, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = stream.layered.read(buffer);
        self.note_more(stream);
        answer
    }

    #[inline]
    fn write(&mut self, stream: &mut OsStream, bytes: &[u8]) -> io::Result<usize> {
        stream.layered.write(bytes)
    }

    fn shutdown_write(&mut self, stream: &mut OsStream) -> io::Result<()> {
        stream.layered.close_notify();
        stream.layered.socket().shutdown(std::net::Shutdown::Write)
    }

    fn close(&mut self, mut stream: OsStream) {
        stream.layered.close_notify();
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
        mix(self.random)
    }

    fn append_journal(&mut self, bytes: &[u8], last: bool) -> io::Result<usize> {
        let journal = self.journal.as_ref();
        Ok(journal.map_or(bytes.len(), |journal| journal.append(bytes, last)))
    }

    fn reload_identity(&mut self) -> Result<bool, String> {
        if let Some((files, identity)) = &mut self.identity {
            if let Some(fresh) = Identity::read(files)? {
                *identity = fresh;
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn load_snapshot(&mut self) -> io::Result<Vec<u8>> {
        self.saver.as_ref().map_or(Ok(Vec::new()), Saver::load)
    }

    fn write_snapshot(&mut self, piece: &[u8], job: u64) -> io::Result<()> {
        match &mut self.saver {
            Some(saver) => saver.write(piece, job, &self.waker),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn end_snapshot(&mut self, job: u64) -> io::Result<()> {
        match &mut self.saver {
            Some(saver) => saver.end(job),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn snapshot_written(&mut self) -> Result<u64, String> {
        match &mut self.saver {
            Some(saver) => saver.outcome(),
            None => Err(String::from("no snapshots are kept")),
        }
    }

    fn reopen_journal(&mut self, job: u64) {
        if let Some(journal) = &self.journal {
            journal.reopen();
            self.reopening = Some(job);
        }
    }

    fn journal_reopened(&mut self) -> Result<(), String> {
        let journal = self.journal.as_ref();
        journal.map_or(Ok(()), Appender::reopened)
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

    fn attend(&mut self, heed: bool, within: Option<Duration>) {
        self.attend_within = within;
        if heed != self.heeds && self.heed(heed).is_ok() {
            self.heeds = heed;
        }
    }
}

fn mio_token(token: Token) -> mio::Token {
    mio::Token(token.to_bits() as usize)
}
