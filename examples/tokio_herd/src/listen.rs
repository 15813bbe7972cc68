//! The listening socket, and how a connection begins and ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::options::Flavor;
use crate::server::Server;
use crate::{lines, tuned};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;
/// With no descriptor left, the listener looks again after this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long a client may go on talking after our end.
const LINGER: Duration = Duration::from_secs(1);

/// Listens. `TcpListener::bind` would do, but for its backlog of 1024.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A task for each connection.
pub async fn accept(server: Arc<Server>, listener: TcpListener, flavor: Flavor) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are whole when they are written: nothing is gained by waiting for more.
                let _ = stream.set_nodelay(true);
                let server = Arc::clone(&server);
                match flavor {
                    Flavor::Tuned => tokio::spawn(tuned::serve(server, stream)),
                    _ => tokio::spawn(lines::serve(server, stream)),
                };
            }
            // Only this connection has failed, or there is no descriptor for it: others come.
            Err(_) => sleep(ACCEPT_RETRY).await,
        }
    }
}

/// Ends a connection whose other side may still be talking. To close it with unread input would
/// reset it, and the reset can destroy the last answer on its way.
pub async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let _ = timeout(LINGER, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
    }
}
