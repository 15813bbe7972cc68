//! Our connection to a neighbour: we dial, greet, send the whole table, and then what is news.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use herd::herd::Server as Neighbour;
use herd::net::{BACKOFF_FORGIVEN, Backoff, CONNECT_DEADLINE};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::options::Flavor;
use crate::server::Server;

/// Above this many unsent bytes a link is cut: the whole table follows when it is dialled again.
const UNSENT_MAX: usize = 4 << 20;
/// Bytes of the table that are copied while it is locked.
const PIECE: usize = 64 * 1024;
/// Messages that become one write.
const BATCH: usize = 1024;

/// A neighbour, as everybody but its own task sees it.
pub struct Link {
    pub name: String,
    address: SocketAddr,
    queue: Mutex<Option<Queue>>,
    greeted: Notify,
}

/// The way into a link that is up. The channel needs no bound, since `unsent` has one, in bytes.
struct Queue {
    lines: UnboundedSender<Bytes>,
    unsent: usize,
    /// When it is dropped the task knows that the link is cut, also while it waits to write.
    _uncut: oneshot::Sender<()>,
}

impl Link {
    /// A link that is not up.
    pub fn new(neighbour: &Neighbour) -> Link {
        Link {
            name: neighbour.name.clone(),
            address: neighbour.address,
            queue: Mutex::new(None),
            greeted: Notify::new(),
        }
    }

    /// The neighbour spoke to us: it is worth dialling now.
    pub fn greeted(&self) {
        self.greeted.notify_waiters();
    }

    /// Queues lines; false if they have to come with the next dump.
    pub fn push(&self, lines: impl FnOnce() -> Bytes) -> bool {
        let mut place = self.queue();
        let Some(queue) = place.as_mut() else {
            return false;
        };
        let lines = lines();
        queue.unsent += lines.len();
        if queue.unsent > UNSENT_MAX {
            *place = None;
            return false;
        }
        queue.lines.send(lines).is_ok()
    }

    fn sent(&self, count: usize) {
        if let Some(queue) = self.queue().as_mut() {
            queue.unsent -= count;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Option<Queue>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dials, again and again.
pub async fn keep(server: Arc<Server>, index: usize, flavor: Flavor) {
    let link = &server.links[index];
    let mut backoff = Backoff::default();
    loop {
        // From here on a greeting is not missed, whenever it comes.
        let greeted = link.greeted.notified();
        if let Ok(stream) = dial(link.address).await {
            let since = Instant::now();
            // Why it ended does not matter: it is dialled again.
            let _ = hold(&server, link, stream, flavor).await;
            *link.queue() = None;
            if since.elapsed() >= BACKOFF_FORGIVEN {
                backoff.reset();
            }
        }
        tokio::select! {
            () = sleep(backoff.next(random())) => {}
            () = greeted => backoff.reset(),
        }
    }
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_DEADLINE, TcpStream::connect(address)).await??;
    // On loopback, dialling a port where nobody listens can end at ourselves (TCP's simultaneous
    // open), and would take the port from whom we want.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Serves a link while it is up.
async fn hold(
    server: &Server,
    link: &Link,
    mut stream: TcpStream,
    flavor: Flavor,
) -> io::Result<()> {
    let (sender, lines) = unbounded_channel();
    let (uncut, cut) = oneshot::channel();
    // Before the dump is begun: what changes meanwhile is in one of them.
    *link.queue() = Some(Queue {
        lines: sender,
        unsent: 0,
        _uncut: uncut,
    });
    let (mut reader, writer) = stream.split();
    let mut nowhere = tokio::io::sink();
    let feed = Feed {
        link,
        writer,
        lines,
        batch: Vec::new(),
        batch_max: match flavor {
            Flavor::Tuned => BATCH,
            Flavor::CurrentThread | Flavor::MultiThread => 1,
        },
    };
    tokio::select! {
        result = feed.run(server) => result,
        // A neighbour says nothing here; its end is what we wait for.
        result = tokio::io::copy(&mut reader, &mut nowhere) => result.map(drop),
        _ = cut => Err(io::Error::other("it takes too little")),
    }
}

/// The writing side.
struct Feed<'a> {
    link: &'a Link,
    writer: WriteHalf<'a>,
    lines: UnboundedReceiver<Bytes>,
    batch: Vec<Bytes>,
    batch_max: usize,
}

impl Feed<'_> {
    async fn run(mut self, server: &Server) -> io::Result<()> {
        let greeting = format!("PEER {}\n", server.name);
        server
            .journal
            .note(&self.link.name, '>', greeting.as_bytes());
        self.writer.write_all(greeting.as_bytes()).await?;
        let mut next = 0;
        while let Some(piece) = piece(server, &mut next) {
            self.writer.write_all(&piece).await?;
            // News do not wait for the end of a long table.
            while !self.lines.is_empty() {
                self.send_some().await?;
            }
        }
        while self.send_some().await? {}
        Ok(())
    }

    /// Waits for news and sends them; false when there will be no more.
    async fn send_some(&mut self) -> io::Result<bool> {
        let count = self.lines.recv_many(&mut self.batch, self.batch_max).await;
        match &self.batch[..] {
            [lines] => self.writer.write_all(lines).await?,
            batch => self.writer.write_all(&batch.concat()).await?,
        }
        self.link.sent(self.batch.iter().map(Bytes::len).sum());
        self.batch.clear();
        Ok(count > 0)
    }
}

/// The next records of the table, as many as fit into a piece.
fn piece(server: &Server, next: &mut u32) -> Option<Vec<u8>> {
    let replica = server.replica();
    let mut piece = Vec::new();
    while let Some(line) = replica.store().line(*next)
        && piece.len() < PIECE
    {
        piece.extend_from_slice(line);
        *next += 1;
    }
    (!piece.is_empty()).then_some(piece)
}

/// A number, evenly spread: the standard library seeds its hashers so.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
