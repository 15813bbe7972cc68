//! The system's sockets: how ours are set up, and what one may carry.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, TcpKeepalive};

use crate::event_loop::Token;
use crate::net::Layered;

/// A peer that is silent for this long is probed; see [`KEEPALIVE_DEAD`].
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_PROBES: u32 = 3;
/// A peer that acknowledges nothing for this long is given up: 5 s + 3 × 3 s of silence, or this
/// long with our bytes unacknowledged.
pub const KEEPALIVE_DEAD: Duration = Duration::from_secs(14);

/// What the kernel keeps for one client that does not read (it doubles the figure).
const SEND_BUFFER: usize = 256 * 1024;

/// What the kernel keeps of what it has not sent yet, on a connection that we dialled: what lies there
/// is news no longer when it leaves, and cannot be replaced by younger.
pub const NOT_SENT_MAX: u32 = 128 * 1024;

/// A listening socket, with a spare descriptor to shed connections when none is left.
pub struct Listener {
    pub(super) socket: TcpListener,
    spare: Option<File>,
}

impl Listener {
    /// Listens; what is accepted inherits the options, so that no connection costs a call for them.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Listener> {
        let socket = TcpListener::bind(address)?;
        let options = SockRef::from(&socket);
        options.set_tcp_nodelay(true)?;
        options.set_send_buffer_size(SEND_BUFFER)?;
        // An urgent byte is one like the others.
        options.set_out_of_band_inline(true)?;
        let spare = open_spare();
        Ok(Listener { socket, spare })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Takes one waiting connection with the spare descriptor, and closes it.
    pub(super) fn shed(&mut self) -> io::Result<SocketAddr> {
        self.spare = None;
        let result = self.socket.accept().map(|(_, address)| address);
        self.spare = open_spare();
        result
    }
}

fn open_spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// A connected or connecting stream, perhaps with TLS in it, and its name.
#[derive(Debug)]
pub struct OsStream {
    pub(super) layered: Layered<TcpStream>,
    pub(super) token: Token,
}

impl OsStream {
    /// The system's socket.
    pub fn socket(&self) -> &TcpStream {
        self.layered.socket()
    }
}

/// Sets up a socket that dials. Until the outcome is known, a close is a reset: see [`connected`].
pub(super) fn dial(socket: &TcpStream) -> io::Result<()> {
    let options = SockRef::from(socket);
    options.set_tcp_nodelay(true)?;
    options.set_tcp_notsent_lowat(NOT_SENT_MAX)?;
    options.set_linger(Some(Duration::ZERO))
}

/// The outcome of a connect: false while it is under way.
pub(super) fn connected(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        // Dialling a port of our own range where nobody listens can end at ourselves (TCP's
        // simultaneous open), and would take the port from whom we want: while it is open, and for
        // a minute after an orderly close (TIME_WAIT). A reset leaves nothing.
        Ok(peer) if socket.local_addr()? == peer => Err(io::ErrorKind::ConnectionRefused.into()),
        Ok(_) => SockRef::from(socket).set_linger(None).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Has the system probe a silent peer.
pub(super) fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(KEEPALIVE_DEAD))
}
