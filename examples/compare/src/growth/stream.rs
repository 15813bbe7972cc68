//! One client that reports many positions, 64 in a write, and checks each
//! answer. The server does the same in each turn, whatever we are slow at.
//!
//! ```text
//! let mut stream = Stream::connect(server.addr)?;
//! stream.report(0..1_000_000)?;
//! ```

use lab::Result;
use lab::talk::{Client, iamat};
use std::net::SocketAddr;

/// Reports in a write.
pub const DEPTH: usize = 64;

/// The longest id, `c9999999`, is shorter than twelve bytes: 10^7 of them fit into the table.
pub fn id(number: u32) -> String {
    format!("c{number:07}")
}

pub struct Stream {
    client: Client,
    lines: String,
    asked: Vec<String>,
}

impl Stream {
    pub fn connect(addr: SocketAddr) -> Result<Stream> {
        Ok(Stream {
            client: Client::connect(addr)?,
            lines: String::new(),
            asked: Vec::with_capacity(DEPTH),
        })
    }

    /// A position of each of these clients.
    pub fn report(&mut self, numbers: impl Iterator<Item = u32>) -> Result<()> {
        for number in numbers {
            let id = id(number);
            self.lines.push_str(&iamat(&id));
            self.asked.push(id);
            if self.asked.len() == DEPTH {
                self.exchange()?;
            }
        }
        self.exchange()
    }

    fn exchange(&mut self) -> Result<()> {
        self.client.send(self.lines.as_bytes())?;
        self.lines.clear();
        for id in self.asked.drain(..) {
            self.client.accepted(&id)?;
        }
        Ok(())
    }
}
