//! A connection as somebody writes it who counts system calls and bytes: one read, all its lines,
//! one write.
//!
//! The buffers belong to the thread. A connection takes them when the socket has something, and
//! gives them back when nothing is left in them; so one that waits owns none.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use herd::herd::Command;
use herd::net::{LINE_MAX, Next, next_line};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::listen;
use crate::server::{Output, Server, Todo, unix_time};

/// Room for one read. One that does not fill it has drained the socket, and tokio knows.
const READ: usize = 16 * 1024;
/// A buffer that grew beyond this is not kept.
const KEPT_MAX: usize = 256 * 1024;

/// The buffers of whoever is at work.
#[derive(Default)]
struct Buffers {
    input: BytesMut,
    output: Output,
}

thread_local! {
    /// One is enough: between two awaits one connection is at work, and who must wait for a client
    /// to read takes them along.
    static SPARE: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

/// Serves a client, or a neighbour once it has greeted.
pub async fn serve(server: Arc<Server>, stream: TcpStream) {
    let mut connection = Connection {
        server,
        stream,
        peer: None,
        buffers: None,
    };
    // A client may go away whenever it likes: that is its end and no error of ours.
    if let Ok(End::Ours) = connection.converse().await {
        Box::pin(listen::linger(connection.stream)).await;
    }
}

struct Connection {
    server: Arc<Server>,
    stream: TcpStream,
    peer: Option<usize>,
    buffers: Option<Box<Buffers>>,
}

/// Who ended it.
enum End {
    Ours,
    Theirs,
}

/// Why the lines of a read go no further.
enum Pause {
    /// There are no more.
    Read,
    /// The next must wait for this.
    Perform(Todo),
    /// A neighbour has greeted: what came before was not from it.
    Greeted,
    /// One is too long.
    End,
}

impl Connection {
    async fn converse(&mut self) -> io::Result<End> {
        loop {
            let at_end = self.read().await? == 0;
            loop {
                let origin = self.peer;
                let pause = self.take_lines(at_end);
                self.write(origin).await?;
                match pause {
                    Pause::Read => break,
                    Pause::Greeted => {}
                    // In a box, or each idle connection would hold the room for it.
                    Pause::Perform(todo) => Box::pin(self.perform(todo)).await,
                    Pause::End => return Ok(End::Ours),
                }
            }
            if at_end {
                return Ok(End::Theirs);
            }
        }
    }

    /// Waits for input, without a buffer if there is none.
    async fn read(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            let mut buffers = self.buffers.take().unwrap_or_else(take_spare);
            buffers.input.reserve(READ);
            let stream = Pin::new(&mut self.stream);
            let polled = poll_read_buf(stream, context, &mut buffers.input);
            if polled.is_pending() && buffers.input.is_empty() {
                give_spare(buffers);
            } else {
                self.buffers = Some(buffers);
            }
            polled
        })
        .await
    }

    /// Takes whole lines as far as they go, with the table locked once for all of them.
    fn take_lines(&mut self, at_end: bool) -> Pause {
        let Some(buffers) = &mut self.buffers else {
            return Pause::Read;
        };
        let Buffers { input, output } = &mut **buffers;
        // A last line counts without its LF. Not from a server: one that died may have left half
        // of it.
        if at_end && !input.is_empty() && self.peer.is_none() {
            input.extend_from_slice(b"\n");
        }
        let (origin, receipt) = (self.peer, unix_time());
        let mut replica = self.server.replica();
        let mut taken = 0;
        let pause = loop {
            let rest = &input[taken..];
            let (line, command) = match Command::in_front(rest) {
                Some((command, end)) if end <= LINE_MAX => (&rest[..end], Some(command)),
                _ => match next_line(rest) {
                    Next::Line(line) => (line, Command::parse(line)),
                    Next::Partial => break Pause::Read,
                    Next::TooLong if self.peer.is_some() => break Pause::End,
                    Next::TooLong => {
                        self.server.refuse(rest, output);
                        break Pause::End;
                    }
                },
            };
            taken += line.len() + 1;
            let (peer, line) = (&mut self.peer, (line, command));
            match self.server.take(&mut replica, receipt, peer, line, output) {
                Todo::Nothing if self.peer == origin => {}
                Todo::Nothing => break Pause::Greeted,
                todo => break Pause::Perform(todo),
            }
        };
        input.advance(taken);
        pause
    }

    /// Sends what the lines brought forth.
    async fn write(&mut self, origin: Option<usize>) -> io::Result<()> {
        let Some(Buffers { output, .. }) = self.buffers.as_deref_mut() else {
            return Ok(());
        };
        self.server.flood(&output.news, origin);
        output.news.clear();
        if !output.answers.is_empty() {
            // A client that does not read stops here, and is not read from meanwhile.
            self.stream.write_all(&output.answers).await?;
            output.answers.clear();
        }
        Ok(())
    }

    async fn perform(&mut self, todo: Todo) {
        if let Some(buffers) = &mut self.buffers {
            let answers = &mut buffers.output.answers;
            self.server.perform(todo, answers).await;
        }
    }
}

fn take_spare() -> Box<Buffers> {
    SPARE.take().unwrap_or_default()
}

fn give_spare(buffers: Box<Buffers>) {
    let Output { answers, news } = &buffers.output;
    if buffers.input.capacity() + answers.capacity() + news.capacity() <= KEPT_MAX {
        SPARE.set(Some(buffers));
    }
}
