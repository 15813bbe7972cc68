//! Connections that say nothing: what one costs the server in memory.
//!
//! ```text
//! let before = Memory::of(pid)?;
//! let idle = Idle::open(&mut dialler, 10_000, |stream| Ok(()))?;
//! let after = Memory::of(pid)?;
//! ...
//! idle.are_open()?;
//! ```

use crate::dial::Dialler;
use crate::fault::{Fault, PATIENCE};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;

/// Open until this is dropped.
pub struct Idle {
    streams: Vec<TcpStream>,
}

impl Idle {
    /// Opens `count` connections one after another. `greet` says what they
    /// say before they fall silent.
    pub fn open(
        dialler: &mut Dialler,
        count: usize,
        mut greet: impl FnMut(&mut TcpStream) -> Result<(), Fault>,
    ) -> Result<Idle, Fault> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = dialler.connect_from_next()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            greet(&mut stream)?;
            stream.set_nonblocking(true)?;
            streams.push(stream);
        }
        Ok(Idle { streams })
    }

    /// A server that closes idle connections has not held them in memory, and
    /// one that says something to them is wrong.
    pub fn are_open(&mut self) -> Result<(), Fault> {
        for stream in &mut self.streams {
            let mut buffer = [0; 256];
            match stream.read(&mut buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Err(Fault::IdleClosed),
                Ok(len) => return Err(Fault::wrong(b"", &buffer[..len])),
            }
        }
        Ok(())
    }
}
