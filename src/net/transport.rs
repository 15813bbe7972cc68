//! A connected stream with its flags and its unsent bytes. (asyncio: selector_events.
//! _SelectorSocketTransport.)
//!
//! The poller is edge-triggered: it says once that a socket became ready. So the transport
//! remembers what it was told, and only a `WouldBlock` (or a read that came back short, which has
//! drained the socket as well) makes it forget. Nothing is ever re-registered: to pause reading is
//! not to read, and a writer needs no arming.

use std::io;

use super::buffer::Buffer;
use super::network::Network;
use crate::event_loop::{Readiness, Token};

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// This many bytes. More may wait if [`Transport::may_read`] still says so.
    Bytes(usize),
    /// Nothing waits; an event will tell.
    Nothing,
    /// The other side has sent all it will send.
    End,
}

/// One connection's stream, its readiness and its unsent bytes.
pub struct Transport<S> {
    stream: S,
    token: Token,
    readable: bool,
    writable: bool,
    read_closed: bool,
    at_end: bool,
    eof: Eof,
    registered: bool,
    unsent: Buffer,
}

/// Our direction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eof {
    /// We may still write.
    Open,
    /// Once all is sent, the other side shall read the end.
    Wanted,
    /// It was sent.
    Sent,
}

impl<S> Transport<S> {
    /// A stream just accepted, not yet registered: worth a first read and a first write.
    pub fn accepted(stream: S, token: Token) -> Transport<S> {
        Transport {
            stream,
            token,
            readable: true,
            writable: true,
            read_closed: false,
            at_end: false,
            eof: Eof::Open,
            registered: false,
            unsent: Buffer::default(),
        }
    }

    /// A stream that is being connected, registered already, not ready for anything.
    pub fn connecting(stream: S, token: Token) -> Transport<S> {
        Transport {
            readable: false,
            writable: false,
            registered: true,
            ..Transport::accepted(stream, token)
        }
    }

    /// Its name in the slab.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The stream itself, for questions to the network.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The same, to change what it carries.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Remembers what the poller said.
    pub fn note(&mut self, readiness: Readiness) {
        self.readable |= readiness.contains(Readiness::READABLE);
        self.writable |= readiness.contains(Readiness::WRITABLE);
        if readiness.contains(Readiness::READ_CLOSED) {
            self.read_closed = true;
            self.readable = true;
        }
    }

    /// True if a read is worth a system call.
    pub fn may_read(&self) -> bool {
        self.readable && !self.at_end
    }

    /// True once the other side's end was read.
    pub fn at_end(&self) -> bool {
        self.at_end
    }

    /// True if the poller said that a write will be taken, and none was refused since.
    pub fn may_write(&self) -> bool {
        self.writable
    }

    /// Bytes not yet taken by the system.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Tells the poller of an accepted stream, once.
    ///
    /// # Errors
    /// As the poller says.
    pub fn register<N: Network<Stream = S>>(&mut self, network: &mut N) -> io::Result<()> {
        if !self.registered {
            network.register(&mut self.stream, self.token)?;
            self.registered = true;
        }
        Ok(())
    }

    /// One read. (asyncio: `_read_ready__data_received`, one recv a readiness.)
    ///
    /// # Errors
    /// The connection is lost.
    pub fn read<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        buffer: &mut [u8],
    ) -> io::Result<Read> {
        if self.at_end {
            return Ok(Read::End);
        }
        if !self.readable {
            return Ok(Read::Nothing);
        }
        match network.read(&mut self.stream, buffer) {
            Ok(0) => {
                self.at_end = true;
                Ok(Read::End)
            }
            Ok(count) => {
                // A short read has drained the socket, so the next bytes bring an event. A FIN that
                // came with this event brings none: then only a read finds the end.
                if count < buffer.len() && !self.read_closed {
                    self.readable = false;
                }
                Ok(Read::Bytes(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Read::Nothing)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Read::Bytes(0)),
            Err(error) => Err(error),
        }
    }

    /// Sends `bytes`, keeping what the system does not take now. (asyncio: `write`.)
    ///
    /// # Errors
    /// The connection is lost.
    pub fn write<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        bytes: &[u8],
    ) -> io::Result<()> {
        let mut sent = 0;
        if self.unsent.is_empty() {
            sent = self.write_now(network, bytes)?;
        }
        self.unsent.extend(&bytes[sent..]);
        Ok(())
    }

    /// Keeps `bytes` for the next [`flush`](Transport::flush), so that many become one write.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    /// Sends what waits, as far as the system takes it; then our end, if it is wanted. Returns how
    /// many bytes went out. (asyncio: `_write_ready`.)
    ///
    /// # Errors
    /// The connection is lost.
    pub fn flush<N: Network<Stream = S>>(&mut self, network: &mut N) -> io::Result<usize> {
        let mut sent = 0;
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let result = self.write_now(network, unsent.as_slice());
            self.unsent = unsent;
            sent = result?;
            self.unsent.consume(sent);
        }
        if self.eof == Eof::Wanted && self.unsent.is_empty() {
            self.eof = Eof::Sent;
            network.shutdown_write(&mut self.stream)?;
        }
        Ok(sent)
    }

    /// Ends our direction once everything is sent. (asyncio: `write_eof`.)
    pub fn write_eof(&mut self) {
        if self.eof == Eof::Open {
            self.eof = Eof::Wanted;
        }
    }

    /// Gives the stream back to the network.
    pub fn close<N: Network<Stream = S>>(self, network: &mut N) {
        network.close(self.stream);
    }

    /// Writes until all is taken or the system takes no more.
    fn write_now<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        bytes: &[u8],
    ) -> io::Result<usize> {
        let mut sent = 0;
        while self.writable && sent < bytes.len() {
            match network.write(&mut self.stream, &bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}
