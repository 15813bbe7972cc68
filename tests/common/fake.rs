//! A neighbour that the test plays itself: it is in the herd file, the real
//! servers dial it, and what they say to it can be read word for word.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::{Client, wait_for};

/// A server's place in the herd, held by the test.
pub struct Fake {
    /// The name it goes by.
    pub name: String,
    /// Where the others dial it.
    pub address: SocketAddr,
    /// None while it is down.
    listener: Option<TcpListener>,
}

impl Fake {
    /// Takes a free port of loopback.
    pub fn new(name: &str) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        listener
            .set_nonblocking(true)
            .expect("a listener that never blocks");
        Fake {
            name: name.to_string(),
            address,
            listener: Some(listener),
        }
    }

    /// Stops listening: whoever dials is refused.
    pub fn down(&mut self) {
        self.listener = None;
    }

    /// Listens again, on the same port.
    pub fn up(&mut self) {
        let listener = TcpListener::bind(self.address).expect("our own port again");
        listener
            .set_nonblocking(true)
            .expect("a listener that never blocks");
        self.listener = Some(listener);
    }

    /// The next connection that a server makes to us.
    pub fn accept(&self, within: Duration) -> Client {
        let what = format!("a server dials {}", self.name);
        wait_for(within, &what, || self.try_accept())
    }

    /// A connection that a server has made to us already.
    pub fn try_accept(&self) -> Option<Client> {
        let listener = self.listener.as_ref().expect("a fake that is up");
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{}: {error}", self.name),
        };
        stream.set_nonblocking(false).expect("a blocking stream");
        Some(Client::on(stream))
    }
}
