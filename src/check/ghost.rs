//! In the place of a server that was killed: what its neighbours say to it.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::log::Log;

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(5);
/// So many connections it takes at a time; others end at once.
const STREAMS_MAX: usize = 64;
/// So much is kept of what is said.
const SAID_MAX: usize = 1 << 20;

/// A listener that never answers. It ends with its value, and its port is free again.
pub struct Ghost {
    said: Arc<Mutex<Vec<u8>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ghost {
    /// Listens there.
    ///
    /// # Errors
    /// The port is taken.
    pub fn stand(name: &str, address: SocketAddr, log: &Log) -> io::Result<Ghost> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let (said, is_over) = (Arc::default(), Arc::default());
        let what = format!("a server > {name}, that is us");
        let haunting = Haunting {
            listener,
            said: Arc::clone(&said),
            is_over: Arc::clone(&is_over),
            log: log.clone(),
            what,
        };
        let thread = thread::Builder::new().spawn(move || haunting.run())?;
        Ok(Ghost {
            said,
            is_over,
            thread: Some(thread),
        })
    }

    /// How often this was said.
    pub fn count(&self, text: &[u8]) -> usize {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = said.windows(text.len().max(1));
        windows.filter(|window| *window == text).count()
    }
}

impl Drop for Ghost {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Haunting {
    listener: TcpListener,
    said: Arc<Mutex<Vec<u8>>>,
    is_over: Arc<AtomicBool>,
    log: Log,
    what: String,
}

impl Haunting {
    fn run(self) {
        let mut streams: Vec<TcpStream> = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            while let Ok((stream, _)) = self.listener.accept() {
                // Its end is a reset, which leaves nothing on the port that would keep a server off it.
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                if streams.len() < STREAMS_MAX && stream.set_nonblocking(true).is_ok() {
                    streams.push(stream);
                }
            }
            streams.retain_mut(|stream| self.hear(stream));
            thread::sleep(GLANCE);
        }
    }

    /// Reads what there is; false if that was the end.
    fn hear(&self, stream: &mut TcpStream) -> bool {
        let mut piece = [0; 16 * 1024];
        match stream.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.log.note(&self.what, &piece[..count]);
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                let room = SAID_MAX - said.len();
                said.extend_from_slice(&piece[..count.min(room)]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn it_takes_so_many_connections() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a free port");
        let _ghost = Ghost::stand("Bona", address, &Log::new(false)).expect("it listens");
        let connect = |_| TcpStream::connect(address).expect("it listens");
        let mut streams: Vec<TcpStream> = (0..=STREAMS_MAX).map(connect).collect();
        let patience = Some(Duration::from_secs(10));
        let last = &mut streams[STREAMS_MAX];
        last.set_read_timeout(patience).expect("a limit");
        let ended = last.read(&mut [0]).expect_err("a reset");
        assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn it_hears_so_much_and_leaves_its_port() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a free port");
        let ghost = Ghost::stand("Bona", address, &Log::new(false)).expect("it listens");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let line = b"AT Clark +0.1 kiwi +1-1 5\n";
        for _ in 0..=SAID_MAX / line.len() {
            stream.write_all(line).expect("it reads");
        }
        while ghost.said.lock().expect("nobody panicked").len() < SAID_MAX {
            thread::sleep(GLANCE);
        }
        assert_eq!(ghost.said.lock().expect("nobody panicked").len(), SAID_MAX);
        assert!(ghost.count(b"kiwi ") >= SAID_MAX / line.len());
        stream.write_all(line).expect("it reads on");
        drop(ghost);
        TcpListener::bind(address).expect("the port is free again");
    }
}
