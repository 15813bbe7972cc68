//! An echo server: how another protocol would begin on this loop and its transports.
//!
//! `cargo run --example echo` listens on 127.0.0.1:7007.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;

use herd::event_loop::{self, Application, EventLoop, Readiness, Token};
use herd::net::{ACCEPT_RETRY_DELAY, Accepted, Network, Read, Transport, accept};
use herd::worlds::os::OsWorld;

/// All that an echo server ever has to do, as data: go on with a socket, or with its listener.
#[derive(Clone, Copy, Debug)]
pub struct Go(Token, Readiness);

impl event_loop::Callback for Go {
    fn ready(token: Token, readiness: Readiness) -> Go {
        Go(token, readiness)
    }
    // Nobody here watches a signal or asks for a job.
    fn signal(_: i32) -> Go {
        Go(DOOR, Readiness::EMPTY)
    }
    fn done(_: u64) -> Go {
        Go(DOOR, Readiness::EMPTY)
    }
}

const DOOR: Token = Token::listener(0);

/// The server: a listener, and what it has accepted.
pub struct Echo<N: Network> {
    listener: Option<N::Listener>,
    /// Each with a flag: a callback that reads on is queued.
    connections: BTreeMap<Token, (Transport<N::Stream>, bool)>,
    accepted: u32,
}

impl<N: Network> Echo<N> {
    /// A server that does nothing yet.
    pub fn closed() -> Echo<N> {
        Echo {
            listener: None,
            connections: BTreeMap::new(),
            accepted: 0,
        }
    }

    /// Listens.
    pub fn start(&mut self, event_loop: &mut EventLoop<N, Go>, port: u16) -> io::Result<()> {
        let address = ([127, 0, 0, 1], port).into();
        self.listener = Some(event_loop.world.listen(address, DOOR)?);
        Ok(())
    }

    fn connection_made(&mut self, event_loop: &mut EventLoop<N, Go>) {
        while let Some(listener) = &mut self.listener {
            let number = self.accepted + 1;
            let token = Token {
                index: number,
                generation: number,
            };
            match accept(&mut event_loop.world, listener, token) {
                Accepted::Nothing => break,
                Accepted::Failed(_) => {}
                Accepted::OutOfDescriptors(_) => {
                    // No event will tell of those that wait.
                    event_loop.call_later(ACCEPT_RETRY_DELAY, Go(DOOR, Readiness::EMPTY));
                    break;
                }
                Accepted::Stream(stream, _) => {
                    self.accepted = number;
                    let mut transport = Transport::accepted(stream, token);
                    match transport.register(&mut event_loop.world) {
                        Ok(()) => drop(self.connections.insert(token, (transport, false))),
                        Err(_) => transport.close(&mut event_loop.world),
                    }
                }
            }
        }
    }

    /// Reads once and gives it back, unless the other side takes no more. What a full read leaves
    /// waits behind everybody else.
    fn data_received(&mut self, event_loop: &mut EventLoop<N, Go>, token: Token) -> io::Result<()> {
        let Some((transport, again)) = self.connections.get_mut(&token) else {
            return Ok(());
        };
        let (world, mut buffer) = (&mut event_loop.world, [0; 4096]);
        transport.flush(world)?;
        if transport.unsent() == 0 {
            match transport.read(world, &mut buffer)? {
                Read::Bytes(count) => transport.write(world, &buffer[..count])?,
                Read::Nothing => {}
                Read::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let more = transport.may_read() && transport.unsent() == 0;
        if more && !std::mem::replace(again, true) {
            event_loop.call_soon(Go(token, Readiness::EMPTY));
        }
        Ok(())
    }
}

impl<N: Network> Application<N> for Echo<N> {
    type Callback = Go;

    fn call(
        &mut self,
        event_loop: &mut EventLoop<N, Go>,
        Go(token, readiness): Go,
    ) -> Result<(), Box<dyn Error>> {
        if token == DOOR {
            self.connection_made(event_loop);
            return Ok(());
        }
        if let Some((transport, again)) = self.connections.get_mut(&token) {
            transport.note(readiness);
            *again &= readiness != Readiness::EMPTY;
        }
        if self.data_received(event_loop, token).is_err()
            && let Some((transport, _)) = self.connections.remove(&token)
        {
            transport.close(&mut event_loop.world); // connection_lost
        }
        Ok(())
    }

    fn before_poll(&mut self, _: &mut EventLoop<N, Go>) {}
}

/// Serves until it is killed.
pub fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new(OsWorld::new()?);
    let mut echo = Echo::closed();
    echo.start(&mut event_loop, 7007)?;
    Ok(event_loop.run_forever(&mut echo)?)
}
