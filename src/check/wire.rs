//! A connection to a server that is checked. It never waits for ever, and remembers what went over it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;
use socket2::SockRef;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer that is read.
const ANSWER_MAX: usize = 2 << 20;
/// Between two writes that are to arrive apart.
const APART: Duration = Duration::from_millis(30);

/// Why there was no more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// Nothing came in time.
    Silence,
    /// The server closed the connection.
    Closed,
    /// The server broke it off.
    Reset,
    /// More came than any answer has.
    TooMuch,
}

/// One connection.
pub struct Wire {
    stream: TcpStream,
    /// What came and was not asked for yet.
    pub pending: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// As the system says.
    pub fn connect(address: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire {
            stream,
            pending: Vec::new(),
        })
    }

    /// Sends these pieces, so that they arrive apart.
    ///
    /// # Errors
    /// The server takes no more.
    pub fn send(&mut self, pieces: &[Vec<u8>]) -> io::Result<()> {
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                std::thread::sleep(APART);
            }
            self.stream.write_all(piece)?;
        }
        Ok(())
    }

    /// Nothing more will be sent; answers are still read.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Breaks the connection off: the other side hears a reset, not an end.
    pub fn reset(self) {
        // A socket that cannot be told so is closed in good order.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Reads on until `is_enough` says how many of the bytes that came are what was asked for.
    ///
    /// # Errors
    /// Why there was not enough; what came is pending.
    pub fn read(
        &mut self,
        within: Duration,
        mut is_enough: impl FnMut(&[u8]) -> Option<usize>,
    ) -> Result<Vec<u8>, Quiet> {
        let until = Instant::now() + within;
        loop {
            if let Some(count) = is_enough(&self.pending) {
                return Ok(self.pending.drain(..count).collect());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Quiet::Silence);
            }
            if self.pending.len() > ANSWER_MAX {
                return Err(Quiet::TooMuch);
            }
            let mut piece = [0; 16 * 1024];
            // A timeout of nothing would be one of for ever.
            let timeout = left.max(Duration::from_millis(1));
            let read = self.stream.set_read_timeout(Some(timeout));
            match read.and_then(|()| self.stream.read(&mut piece)) {
                Ok(0) => return Err(Quiet::Closed),
                Ok(count) => self.pending.extend_from_slice(&piece[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Quiet::Silence),
                    ErrorKind::Interrupted => {}
                    _ => return Err(Quiet::Reset),
                },
            }
        }
    }

    /// All up to and with the next `end`, which is at least a byte.
    ///
    /// # Errors
    /// As [`Wire::read`].
    pub fn up_to(&mut self, end: &[u8], within: Duration) -> Result<Vec<u8>, Quiet> {
        // What was looked through is not looked through again.
        let mut from = 0;
        self.read(within, |bytes| {
            let at = memmem::find(&bytes[from..], end);
            let found = at.map(|at| from + at + end.len());
            from = (bytes.len() + 1).saturating_sub(end.len());
            found
        })
    }
}
