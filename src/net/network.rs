//! The waist below the transports: sockets, and what else a server asks of its machine.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::tls::TlsEngine;
use crate::event_loop::{Token, World};

/// Whose word a certificate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Mozilla's roots, and what `--ca-file` adds to them.
    Places,
}

/// Sockets. All calls return at once; [`io::ErrorKind::WouldBlock`] means that an event will tell.
///
/// Readiness is edge-triggered and a socket is registered once, for both directions.
pub trait Network: World {
    /// A listening socket.
    type Listener;
    /// A connected or connecting stream.
    type Stream;
    /// The client's side of a TLS connection.
    type Tls: TlsEngine + 'static;

    /// Starts to resolve a name; [`Event::Done`](crate::event_loop::Event::Done) with `job` tells
    /// that [`Network::resolved`] has the answer. May never complete: the resolver can hang.
    ///
    /// # Errors
    /// Too many names are being resolved.
    fn resolve(&mut self, host: &str, port: u16, job: u64) -> io::Result<()>;

    /// Takes the answer of a job that is done: at least one address, or why there is none.
    fn resolved(&mut self, job: u64) -> Option<Result<Vec<SocketAddr>, String>>;

    /// A TLS engine for `stream`, connected to `host`, a name or an address, whose certificate
    /// `trust` must vouch for. From now on what is read from the stream and written to it is the
    /// engine's.
    ///
    /// # Errors
    /// In words: the host is no name that a certificate could bear, or nothing was set up for this
    /// trust.
    fn tls(&mut self, trust: Trust, host: &str, stream: &Self::Stream)
    -> Result<Self::Tls, String>;

    /// Listens on `address`; connections that wait are told as readable events for `token`, which
    /// is the door's ([`Token::listener`]) and names it as long as it is open.
    ///
    /// # Errors
    /// As the system says: the address in use, no permission, not ours.
    fn listen(&mut self, address: SocketAddr, token: Token) -> io::Result<Self::Listener>;

    /// Takes one waiting connection, whose name will be `token`. It is not registered yet, so that
    /// a first read can come before the registration.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; see [`out_of_descriptors`] for the error that needs a timer.
    fn accept(
        &mut self,
        listener: &mut Self::Listener,
        token: Token,
    ) -> io::Result<(Self::Stream, SocketAddr)>;

    /// With no descriptor left: takes one waiting connection with a spare descriptor and closes it.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; anything else when the spare is gone too.
    fn shed(&mut self, listener: &mut Self::Listener) -> io::Result<SocketAddr>;

    /// Stops listening.
    fn close_listener(&mut self, listener: Self::Listener);

    /// Starts to connect and registers the stream; a writable event tells the outcome.
    ///
    /// # Errors
    /// What is known at once (no descriptor, no route).
    fn connect(&mut self, address: SocketAddr, token: Token) -> io::Result<Self::Stream>;

    /// Makes a stream that is being connected the dialling side of a secured link to the server of
    /// this name: it must prove that name, and we prove ours. Both, as part of the connect.
    ///
    /// # Errors
    /// There is nothing to prove ours with.
    fn secure(&mut self, stream: &mut Self::Stream, server: &str) -> io::Result<()>;

    /// The outcome of a connect, and of TLS over it if it is secured: false while it is under way.
    ///
    /// # Errors
    /// Why it failed.
    fn connected(&mut self, stream: &mut Self::Stream) -> io::Result<bool>;

    /// True while an accepted stream has begun TLS and is not through with the handshake.
    fn is_handshaking(&mut self, stream: &Self::Stream) -> bool;

    /// True if the other side has proven by certificate to be the server of this name.
    fn proves(&mut self, stream: &Self::Stream, server: &str) -> bool;

    /// Registers an accepted stream for both directions.
    ///
    /// # Errors
    /// As the poller says.
    fn register(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;

    /// Has the system probe a silent peer, so that one that vanished is noticed within 15 s.
    ///
    /// # Errors
    /// As the system says.
    fn keep_alive(&mut self, stream: &Self::Stream) -> io::Result<()>;

    /// Reads once. 0 is the end of the stream. A read that does not fill the buffer has taken all
    /// there is: an event will tell of more.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; else the connection is lost.
    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes once; perhaps less than all.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; else the connection is lost.
    fn write(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize>;

    /// Ends our direction: the other side reads the end once it has read everything.
    ///
    /// # Errors
    /// The connection is lost already.
    fn shutdown_write(&mut self, stream: &mut Self::Stream) -> io::Result<()>;

    /// Gives the stream back. Events of it that are still in flight carry a token that is void.
    fn close(&mut self, stream: Self::Stream);
}

/// No snapshot is larger: the table's bytes, and what stands around them in the file.
pub const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;

/// What else a server asks of its machine.
pub trait Host: Network {
    /// Time since the Unix epoch. For skews and the journal only: it may jump.
    fn wall_clock(&mut self) -> Duration;

    /// A random number, evenly spread.
    fn random(&mut self) -> u64;

    /// Leaves bytes for the journal's writer, which takes its time without holding anybody up; perhaps
    /// not all of them, while it is behind. The `last` are taken in any case.
    ///
    /// # Errors
    /// None outside of a replay that has ended.
    fn append_journal(&mut self, bytes: &[u8], last: bool) -> io::Result<usize>;

    /// Reads the certificates again: connections from now on use them. False if there are none.
    ///
    /// # Errors
    /// Which file, and what is wrong with it; those read before stay in use.
    fn reload_identity(&mut self) -> Result<bool, String>;

    /// The snapshot that an earlier run left; empty if there is none. Asked once, before anything
    /// listens: it may block.
    ///
    /// # Errors
    /// As the system says; or it is larger than [`SNAPSHOT_BYTES_MAX`].
    fn load_snapshot(&mut self) -> io::Result<Vec<u8>>;

    /// Gives the writer of snapshots a piece; the first begins a new one.
    ///
    /// # Errors
    /// `WouldBlock` while the disk is behind: [`Event::Done`](crate::event_loop::Event::Done) with
    /// `job` tells that there is room; anything else: there will be no snapshot this time.
    fn write_snapshot(&mut self, piece: &[u8], job: u64) -> io::Result<()>;

    /// The snapshot is complete: [`Event::Done`](crate::event_loop::Event::Done) with `job` tells
    /// that it is safe, or that it failed.
    ///
    /// # Errors
    /// As [`write_snapshot`](Host::write_snapshot).
    fn end_snapshot(&mut self, job: u64) -> io::Result<()>;

    /// The bytes of the snapshot that is done.
    ///
    /// # Errors
    /// Why it could not be written; the one before it still stands.
    fn snapshot_written(&mut self) -> Result<u64, String>;

    /// Has the journal's file opened again by its name, after somebody moved it away;
    /// [`Event::Done`](crate::event_loop::Event::Done) with `job` tells how it went. Never, without a
    /// journal.
    fn reopen_journal(&mut self, job: u64);

    /// How the journal's opening went.
    ///
    /// # Errors
    /// As the system says; the old file stays in use.
    fn journal_reopened(&mut self) -> Result<(), String>;
}

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOMEM: i32 = 12;
const ENOBUFS: i32 = 105;

/// True if an `accept` failed for lack of descriptors or memory: the four errors for which asyncio
/// stops accepting for a while. An edge-triggered poller will not tell again of the connections
/// that wait, so the listener must come back by itself.
pub fn out_of_descriptors(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(EMFILE | ENFILE | ENOMEM | ENOBUFS)
    )
}
