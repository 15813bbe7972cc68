//! A connection as most people write it, tokio's own examples among them: a line in, an answer out.
//!
//! An answer is sent when it is there. So a client that sends sixteen lines at once costs sixteen
//! writes; `tuned.rs` is for whom that is too much.

use std::io;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use herd::herd::Command;
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

use crate::codec::{Input, LineCodec};
use crate::listen;
use crate::server::{Output, Server, unix_time};

/// Serves a client, or a neighbour once it has greeted.
pub async fn serve(server: Arc<Server>, stream: TcpStream) {
    let mut lines = Framed::new(stream, LineCodec::default());
    // A client may go away whenever it likes: that is its end and no error of ours.
    if let Ok(End::Ours) = converse(&server, &mut lines).await {
        listen::linger(lines.into_inner()).await;
    }
}

/// Who ended it.
enum End {
    Ours,
    Theirs,
}

async fn converse(server: &Server, lines: &mut Framed<TcpStream, LineCodec>) -> io::Result<End> {
    let mut peer = None;
    while let Some(input) = lines.next().await {
        let line = match input? {
            Input::Line(line) => line,
            // Not from a server: one that died may have left half a line.
            Input::Unfinished(_) if peer.is_some() => return Ok(End::Theirs),
            Input::Unfinished(line) => line,
            Input::TooLong(line) => {
                let mut output = Output::default();
                if peer.is_none() {
                    server.refuse(&line, &mut output);
                }
                lines.send(output.answers).await?;
                return Ok(End::Ours);
            }
        };
        let answer = answer(server, &mut peer, &line).await;
        if !answer.is_empty() {
            // A client that does not read stops here, and is not read from meanwhile.
            lines.send(answer).await?;
        }
    }
    Ok(End::Theirs)
}

async fn answer(server: &Server, peer: &mut Option<usize>, line: &[u8]) -> Vec<u8> {
    let mut output = Output::default();
    let receipt = unix_time();
    let line = (line, Command::parse(line));
    let todo = server.take(&mut server.replica(), receipt, peer, line, &mut output);
    server.flood(&output.news, *peer);
    server.perform(todo, &mut output.answers).await;
    output.answers
}
