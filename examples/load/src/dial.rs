//! How connections come about: waited for, or begun and left to the poll.

use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

/// Connects to one server.
pub struct Dialler {
    addr: SocketAddr,
    /// Connections made so far, for the choice of source addresses.
    connects: u32,
}

impl Dialler {
    pub fn new(addr: SocketAddr) -> Dialler {
        Dialler { addr, connects: 0 }
    }

    /// Connects, and waits until that is done.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.addr)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The same from the next source address: for more connections than one
    /// address has ports.
    pub fn connect_from_next(&mut self) -> io::Result<TcpStream> {
        let socket = self.socket(Type::STREAM)?;
        socket.connect(&self.addr.into())?;
        Ok(socket.into())
    }

    /// Begins to connect, for a single write: Nagle has nothing to hold back.
    ///
    /// Every closed connection keeps its port for a minute (TIME_WAIT), so
    /// that one source address would run out of ports.
    pub fn begin(&mut self) -> io::Result<TcpStream> {
        let socket = self.socket(Type::STREAM.nonblocking())?;
        match socket.connect(&self.addr.into()) {
            Err(e) if e.raw_os_error() != Some(EINPROGRESS) => Err(e),
            _ => Ok(socket.into()),
        }
    }

    /// On loopback the connections take turns in 250 source addresses.
    fn socket(&mut self, kind: Type) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.addr), kind, None)?;
        if matches!(self.addr.ip(), IpAddr::V4(ip) if ip.is_loopback()) {
            let host = 2 + (self.connects % 250) as u8;
            self.connects = self.connects.wrapping_add(1);
            let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
            socket.bind(&source.into())?;
        }
        Ok(socket)
    }
}

/// "The connection is on its way", on Linux.
const EINPROGRESS: i32 = 115;
