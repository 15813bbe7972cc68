//! A blocking conversation, for what comes before the clock starts: write
//! some requests, wait for their answers, check them.

use crate::exchange::{Exchange, Verdict};
use crate::fault::Fault;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Asks `count` requests in one write and returns their answers.
pub fn ask<E: Exchange>(
    stream: &mut TcpStream,
    exchange: &mut E,
    count: usize,
) -> Result<Vec<Vec<u8>>, Fault> {
    let mut batch = Vec::new();
    exchange.write(count, &mut batch);
    stream.write_all(&batch)?;
    let mut answers = Vec::with_capacity(count);
    let mut received = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let mut requests = batch.chunks(exchange.request_len());
    let mut request = requests.next();
    while let Some(asked) = request {
        match exchange.check(&received, asked) {
            Verdict::Right(len) => {
                answers.push(received.drain(..len).collect());
                request = requests.next();
            }
            Verdict::Partial => match stream.read(&mut buffer)? {
                0 => {
                    let unanswered = count - answers.len();
                    return Err(Fault::Closed { unanswered });
                }
                len => received.extend_from_slice(&buffer[..len]),
            },
            Verdict::Wrong => return Err(Fault::wrong(asked, &received)),
        }
    }
    Ok(answers)
}
