//! A socket that may carry TLS: the same reads and writes, whatever is below them.
//!
//! ```text
//! Plain                                                (nothing was configured, or no hello came)
//! Unknown ──(0x16 0x03)──▶ Hello ──(the hello is whole)──▶ Tls
//!    └─────(anything else)──▶ Plain
//! ```
//!
//! An edge-triggered poller knows the socket, not what waits in here. So a read takes the socket to
//! its end or fills the buffer, as a plain one would; and where neither can be, [`Layered::take_more`]
//! says that there is more to read without any event.

use std::io::{self, Read, Write};

use rustls::server::Acceptor;

use super::engine::{Closing, RustlsEngine};
use super::identity::{ALPN_HERD, Identity};
use super::state::{TlsEngine, TlsState};
use crate::net::Buffer;

/// Ciphertext is read in pieces of this size: a TLS record and its frame.
const PIECE: usize = 17 * 1024;
/// Pieces that one read takes from the socket: whoever sends records without data cannot keep us.
const PIECES_A_READ: usize = 8;
/// Plaintext that one write makes into records.
const WRITE_MAX: usize = 64 * 1024;
/// Ciphertext of TLS itself (alerts, key updates) that may wait unsent.
const OUTBOX_MAX: usize = 256 * 1024;

/// A TLS hello's first two bytes: a handshake record, of any version 3.
const HELLO: [u8; 2] = [0x16, 0x03];

/// A socket, and what it turned out to carry.
#[derive(Debug)]
pub struct Layered<S> {
    socket: S,
    layer: Layer,
}

#[derive(Debug)]
enum Layer {
    Plain,
    /// Nobody has said enough to tell. `first`: the hello's first byte has come.
    Unknown {
        identity: Box<Identity>,
        first: bool,
    },
    Hello(Box<Hello>),
    Tls(Box<Session>),
}

/// A hello on its way.
struct Hello {
    acceptor: Acceptor,
    identity: Identity,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hello")
    }
}

/// TLS, and the bytes on both sides of it.
#[derive(Debug)]
struct Session {
    engine: RustlsEngine,
    /// The server that was dialled.
    dialled: Option<Box<str>>,
    /// Plaintext that was not read yet.
    inbox: Buffer,
    /// Ciphertext that the socket did not take yet.
    outbox: Buffer,
    /// Plaintext that is in the outbox already, of a write that was not told to have happened.
    promised: usize,
    /// What a read finds behind the inbox.
    end: Option<End>,
    /// Something can be read though no event will tell.
    more: bool,
}

#[derive(Clone, Debug)]
enum End {
    Clean,
    Failed(String),
}

impl<S: Read + Write> Layered<S> {
    /// A socket that carries what it carries.
    pub fn plain(socket: S) -> Layered<S> {
        let layer = Layer::Plain;
        Layered { socket, layer }
    }

    /// An accepted socket: its first bytes tell TLS from plain text.
    pub fn accepted(socket: S, identity: &Identity) -> Layered<S> {
        let layer = Layer::Unknown {
            identity: Box::new(identity.clone()),
            first: false,
        };
        Layered { socket, layer }
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket.
    pub fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// From now on it is the dialling side of a link to this server.
    ///
    /// # Errors
    /// Text for the operator: we have no certificate, or no certificate can bear the name.
    pub fn dial(&mut self, identity: &Identity, server: &str) -> Result<(), String> {
        let engine = identity.dial(server)?;
        let mut session = Session::new(engine);
        session.dialled = Some(server.into());
        self.layer = Layer::Tls(Box::new(session));
        Ok(())
    }

    /// True while TLS has begun and is not agreed on yet.
    pub fn is_handshaking(&self) -> bool {
        match &self.layer {
            Layer::Plain => false,
            Layer::Unknown { first, .. } => *first,
            Layer::Hello(_) => true,
            Layer::Tls(session) => session.engine.state() == TlsState::DoHandshake,
        }
    }

    /// True if the other side's certificate was verified and bears this name.
    pub fn proves(&self, name: &str) -> bool {
        match &self.layer {
            Layer::Tls(session) => session.engine.proves(name),
            _ => false,
        }
    }

    /// True, once, if a read will bring something though no event will tell.
    pub fn take_more(&mut self) -> bool {
        match &mut self.layer {
            Layer::Tls(session) => std::mem::take(&mut session.more),
            _ => false,
        }
    }

    /// Goes on with a dialled link's handshake: true once it is done.
    ///
    /// # Errors
    /// It failed.
    pub fn handshake(&mut self) -> io::Result<bool> {
        let Layer::Tls(session) = &mut self.layer else {
            return Ok(true);
        };
        session.receive(&mut self.socket, usize::MAX)?;
        if let Some(End::Failed(why)) = &session.end {
            return Err(io::Error::other(why.clone()));
        }
        match session.engine.state() {
            TlsState::DoHandshake if session.end.is_none() => Ok(false),
            TlsState::Wrapped if session.is_another() => Err(io::Error::other(
                "the certificate is for another server: names count byte by byte",
            )),
            TlsState::Wrapped if session.engine.alpn() == Some(ALPN_HERD) => {
                session.more |= session.end.is_some() || !session.inbox.is_empty();
                Ok(true)
            }
            TlsState::Wrapped => Err(io::Error::other("it asks servers for no certificate")),
            _ => Err(io::Error::other("it ended in the middle of the handshake")),
        }
    }

    /// Reads, as from a socket.
    ///
    /// # Errors
    /// As a socket's, and what is wrong with TLS.
    #[inline]
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Plain => self.socket.read(buffer),
            Layer::Tls(session) => session.read(&mut self.socket, buffer),
            _ => self.read_first(buffer),
        }
    }

    #[cold]
    fn read_first(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.layer {
                Layer::Plain => return self.socket.read(buffer),
                Layer::Unknown { identity, first } => {
                    let start = usize::from(*first);
                    buffer[..start].copy_from_slice(&HELLO[..start]);
                    let count = self.socket.read(&mut buffer[start..])?;
                    let come = &buffer[..start + count];
                    if count > 0 && come == &HELLO[..1] {
                        *first = true;
                    } else if come.starts_with(&HELLO) {
                        let mut acceptor = Acceptor::default();
                        acceptor.read_tls(&mut &*come)?;
                        let identity = (**identity).clone();
                        self.layer = Layer::Hello(Box::new(Hello { acceptor, identity }));
                    } else {
                        self.layer = Layer::Plain;
                        return Ok(start + count);
                    }
                }
                Layer::Hello(hello) => {
                    let engine = hello.answer(&mut self.socket)?;
                    self.layer = Layer::Tls(Box::new(Session::new(engine)));
                }
                Layer::Tls(session) => return session.read(&mut self.socket, buffer),
            }
        }
    }

    /// Writes, as to a socket. After `WouldBlock` the same bytes must come first again: some of
    /// them may be on their way.
    ///
    /// # Errors
    /// As a socket's, and what is wrong with TLS.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Tls(session) => session.write(&mut self.socket, bytes),
            _ => self.socket.write(bytes),
        }
    }

    /// Says `close_notify`, if there is TLS and the socket takes it.
    pub fn close_notify(&mut self) {
        if let Layer::Tls(session) = &mut self.layer {
            session.engine.close();
            // What cannot be said now is not worth waiting for.
            let _ = session.send(&mut self.socket);
        }
    }
}

impl Hello {
    /// Reads on until the hello is whole; then the answering side of TLS.
    fn answer<S: Read + Write>(&mut self, socket: &mut S) -> io::Result<RustlsEngine> {
        let mut piece = [0; 4096];
        loop {
            match self.acceptor.accept() {
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let is_server = hello
                        .alpn()
                        .is_some_and(|mut names| names.any(|name| name == ALPN_HERD));
                    let answerer = self.identity.answerer(is_server);
                    return match accepted.into_connection(answerer) {
                        Ok(session) => Ok(RustlsEngine::new(session, Closing::Half)),
                        Err((error, mut alert)) => {
                            let _ = alert.write(socket);
                            Err(io::Error::other(format!("TLS failed: {error}")))
                        }
                    };
                }
                Ok(None) => {
                    let count = socket.read(&mut piece)?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.acceptor.read_tls(&mut &piece[..count])?;
                }
                Err((error, mut alert)) => {
                    let _ = alert.write(socket);
                    return Err(io::Error::other(format!("TLS failed: {error}")));
                }
            }
        }
    }
}

impl Session {
    fn new(engine: RustlsEngine) -> Session {
        Session {
            engine,
            dialled: None,
            inbox: Buffer::default(),
            outbox: Buffer::default(),
            promised: 0,
            end: None,
            more: false,
        }
    }

    /// True if who answers is not the server that was dialled. What verified the certificate takes one
    /// of a host that is named alike.
    fn is_another(&self) -> bool {
        let dialled = self.dialled.as_deref();
        dialled.is_some_and(|server| !self.engine.proves(server))
    }

    /// Moves ciphertext from the socket into TLS until there are `wanted` bytes of plaintext, an
    /// end, or nothing more to read; and what TLS has to say the other way.
    fn receive<S: Read + Write>(&mut self, socket: &mut S, wanted: usize) -> io::Result<()> {
        let mut piece = [0; PIECE];
        let mut plaintext = Vec::new();
        for _ in 0..PIECES_A_READ {
            self.send(socket)?;
            if self.end.is_some() || self.inbox.len() >= wanted {
                return Ok(());
            }
            let received = match socket.read(&mut piece) {
                Ok(0) => self.engine.end_of_stream().map(|()| true),
                Ok(count) => {
                    let received = self.engine.receive(&piece[..count], &mut plaintext);
                    self.inbox.extend(&plaintext);
                    plaintext.clear();
                    received.map(|()| self.engine.at_end())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            match received {
                Ok(false) => {}
                Ok(true) => self.end = Some(End::Clean),
                Err(error) => self.end = Some(End::Failed(error.to_string())),
            }
        }
        self.more = true;
        self.send(socket)
    }

    fn read<S: Read + Write>(&mut self, socket: &mut S, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(socket, buffer.len())?;
        let count = self.inbox.len().min(buffer.len());
        if count > 0 {
            buffer[..count].copy_from_slice(&self.inbox.as_slice()[..count]);
            self.inbox.consume(count);
            self.more |= self.end.is_some() || !self.inbox.is_empty();
            return Ok(count);
        }
        match &self.end {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(End::Clean) => Ok(0),
            Some(End::Failed(why)) => Err(io::Error::other(why.clone())),
        }
    }

    /// As a socket's write. What did not fit stays promised, so that the caller keeps it as unsent.
    fn write<S: Read + Write>(&mut self, socket: &mut S, bytes: &[u8]) -> io::Result<usize> {
        if self.promised == 0 && self.outbox.is_empty() {
            let piece = &bytes[..bytes.len().min(WRITE_MAX)];
            self.engine.send(piece).map_err(io::Error::other)?;
            self.promised = piece.len();
        }
        self.send(socket)?;
        match (self.outbox.is_empty(), std::mem::take(&mut self.promised)) {
            (true, 0) => Err(io::ErrorKind::Interrupted.into()),
            (true, sent) => Ok(sent),
            (false, promised) => {
                self.promised = promised;
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Sends what TLS has to say, as far as the socket takes it.
    fn send<S: Write>(&mut self, socket: &mut S) -> io::Result<()> {
        let mut ciphertext = Vec::new();
        self.engine.output(&mut ciphertext);
        self.outbox.extend(&ciphertext);
        while !self.outbox.is_empty() {
            match socket.write(self.outbox.as_slice()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.outbox.consume(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        match self.outbox.len() > OUTBOX_MAX {
            true => Err(io::Error::other("it asks TLS for more than it reads")),
            false => Ok(()),
        }
    }
}
