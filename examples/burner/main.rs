//! Work for the processor on our loop: what one such request does to everybody else, and what the
//! executor gives back.
//!
//! ```text
//! cargo run --release --example burner -- Clark --burn
//! printf 'BURN 2000\n' | nc -N 127.0.0.1 10003        # meanwhile nobody else is answered
//! printf 'BURN 2000 away\n' | nc -N 127.0.0.1 10003   # meanwhile everybody else is
//! ```
//!
//! It answers `IAMAT` and `BURN` and keeps no links: the smallest server that shows
//! `run_in_executor`, and our side of that experiment. The options are `--herd FILE`, `--burn`, and
//! `--log none` for those who start all servers alike.

use std::error::Error;
use std::io;
use std::time::Duration;

use herd::event_loop::{Application, Callback, EventLoop, Readiness, Token};
use herd::herd::{Command, RECORDS_MAX, Replica, Roster, STORE_BYTES_MAX, Store, Taken, Ties};
use herd::net::{
    ACCEPT_RETRY_DELAY, Accepted, Host, LINE_MAX, Network, Next, Read, Transport, accept, next_line,
};
use herd::portions::UNSENT_HIGH;
use herd::server::SIGTERM;
use herd::worlds::os::{Listener, OsStream, OsWorld};
use slab::Slab;

mod burn;

use burn::Burn;

/// Everything this program ever has to do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Ready(Token, Readiness),
    Accept,
    /// One turn's read did not take all there was.
    Again(Token),
    /// The executor has done what this client waits for.
    Burnt(Token, Burn),
    Stop,
    Nothing,
}

impl Callback for Act {
    fn ready(token: Token, readiness: Readiness) -> Act {
        Act::Ready(token, readiness)
    }
    fn signal(_: i32) -> Act {
        Act::Stop
    }
    fn done(_: u64) -> Act {
        Act::Nothing
    }
}

type Loop = EventLoop<OsWorld, Act>;

const LISTENER: Token = Token::listener(0);

struct Client {
    transport: Transport<OsStream>,
    /// Part of a line, or lines behind work that is away.
    input: Vec<u8>,
    waits: bool,
}

struct Server {
    listener: Listener,
    clients: Slab<Client>,
    accepted: u32,
    /// Whom this turn concerned.
    touched: Vec<Token>,
    scratch: Vec<u8>,
    commands: Commands,
}

/// What lines do.
struct Commands {
    replica: Replica,
    burn: bool,
}

impl Application<OsWorld> for Server {
    type Callback = Act;

    fn call(&mut self, event_loop: &mut Loop, act: Act) -> Result<(), Box<dyn Error>> {
        match act {
            Act::Ready(LISTENER, _) | Act::Accept => self.accept(event_loop),
            Act::Ready(token, readiness) => {
                if let Some(client) = client(&mut self.clients, token) {
                    client.transport.note(readiness);
                }
                self.serve(event_loop, token);
            }
            Act::Again(token) => self.serve(event_loop, token),
            Act::Burnt(token, burn) => {
                if let Some(client) = client(&mut self.clients, token) {
                    client.waits = false;
                    client.transport.queue(&burn.answer());
                }
                self.serve(event_loop, token);
            }
            Act::Stop => event_loop.stop(),
            Act::Nothing => {}
        }
        Ok(())
    }

    /// One write for all that a turn had to say to a client.
    fn before_poll(&mut self, event_loop: &mut Loop) {
        for token in std::mem::take(&mut self.touched) {
            if self.settle(event_loop, token).is_err() {
                self.close(event_loop, token);
            }
        }
    }
}

impl Server {
    /// Takes one connection that waits, and comes back for the next.
    fn accept(&mut self, event_loop: &mut Loop) {
        let token = Token {
            index: self.clients.vacant_key() as u32,
            generation: self.accepted + 1,
        };
        match accept(&mut event_loop.world, &mut self.listener, token) {
            Accepted::Stream(stream, _) => {
                self.accepted = token.generation;
                self.clients.insert(Client {
                    transport: Transport::accepted(stream, token),
                    input: Vec::new(),
                    waits: false,
                });
                self.serve(event_loop, token);
            }
            Accepted::Nothing => return,
            Accepted::Failed(_) => {}
            Accepted::OutOfDescriptors(_) => {
                event_loop.call_later(ACCEPT_RETRY_DELAY, Act::Accept);
                return;
            }
        }
        event_loop.call_soon(Act::Accept);
    }

    fn serve(&mut self, event_loop: &mut Loop, token: Token) {
        match self.read(event_loop, token) {
            Ok(()) => self.touched.push(token),
            Err(_) => self.close(event_loop, token),
        }
    }

    /// Reads once, and takes the lines that are there.
    fn read(&mut self, event_loop: &mut Loop, token: Token) -> io::Result<()> {
        let Some(client) = client(&mut self.clients, token) else {
            return Ok(());
        };
        if client.waits || client.transport.unsent() > UNSENT_HIGH {
            return Ok(());
        }
        let read = client
            .transport
            .read(&mut event_loop.world, &mut self.scratch)?;
        if let Read::Bytes(count) = read {
            client.input.extend_from_slice(&self.scratch[..count]);
        }
        let (input, mut answers) = (std::mem::take(&mut client.input), Vec::new());
        let mut rest = &input[..];
        while !client.waits {
            match next_line(rest) {
                Next::Line(line) => {
                    rest = &rest[line.len() + 1..];
                    client.waits = self.commands.take(event_loop, token, line, &mut answers);
                }
                Next::Partial => break,
                Next::TooLong => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        client.input = rest.to_vec();
        client.transport.queue(&answers);
        Ok(())
    }

    /// The end of a turn for one client.
    fn settle(&mut self, event_loop: &mut Loop, token: Token) -> io::Result<()> {
        let Some(client) = client(&mut self.clients, token) else {
            return Ok(());
        };
        client.transport.flush(&mut event_loop.world)?;
        client.transport.register(&mut event_loop.world)?;
        let unsent = client.transport.unsent();
        if client.transport.at_end() && !client.waits && unsent == 0 {
            self.close(event_loop, token);
        } else if client.transport.may_read() && !client.waits && unsent <= UNSENT_HIGH {
            event_loop.call_soon(Act::Again(token));
        }
        Ok(())
    }

    fn close(&mut self, event_loop: &mut Loop, token: Token) {
        if client(&mut self.clients, token).is_some() {
            let client = self.clients.remove(token.index as usize);
            client.transport.close(&mut event_loop.world);
        }
    }
}

/// The client of this name, if it is not gone: its place may be another's by now.
fn client(clients: &mut Slab<Client>, token: Token) -> Option<&mut Client> {
    let client = clients.get_mut(token.index as usize);
    client.filter(|client| client.transport.token() == token)
}

impl Commands {
    /// Answers a line, or returns true: the answer comes later.
    fn take(
        &mut self,
        event_loop: &mut Loop,
        token: Token,
        line: &[u8],
        answers: &mut Vec<u8>,
    ) -> bool {
        if let Some(Command::Iamat(report)) = Command::parse(line) {
            let receipt = event_loop.world.wall_clock();
            let taken = self.replica.iamat(report, receipt, answers);
            if matches!(taken, Taken::News(_) | Taken::Known) {
                return false;
            }
        }
        match Burn::parse(line).filter(|_| self.burn) {
            // Away: a thread of the executor computes, and what it returns comes back through the
            // loop's inbox, as a callback like any other. It may find the client gone. The queue for
            // the threads has a bound: beyond it the command is refused.
            Some(burn) if burn.away => {
                let job = move || {
                    burn.compute();
                    Act::Burnt(token, burn)
                };
                if event_loop.run_in_executor(job).is_ok() {
                    return true;
                }
            }
            // Here: nothing else happens in this process until it is done.
            Some(burn) => {
                burn.compute();
                answers.extend(burn.answer());
                return false;
            }
            None => {}
        }
        answers.extend([b"? ", line, b"\n"].concat());
        false
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut known = getopts::Options::new();
    known
        .optopt("", "herd", "the herd file, as JSON", "FILE")
        .optopt("", "log", "none: there is no journal", "none")
        .optflag("", "burn", "take BURN");
    let matches = known.parse(std::env::args().skip(1))?;
    let roster = match matches.opt_str("herd") {
        None => Roster::standard(),
        Some(path) => Roster::parse(&std::fs::read_to_string(path)?)?,
    };
    let name = matches.free.first().ok_or("expected a server's name")?;
    let me = roster.index_of(name).ok_or("no server of this name")?;
    let address = roster.servers[me].address;

    let mut world = OsWorld::new()?;
    world.watch_signal(SIGTERM)?;
    let listener = world.listen(address, LISTENER);
    let listener = listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let store = Store::new(RECORDS_MAX, STORE_BYTES_MAX, Ties::TotalOrder);
    let mut server = Server {
        listener,
        clients: Slab::new(),
        accepted: 0,
        touched: Vec::new(),
        scratch: vec![0; LINE_MAX],
        commands: Commands {
            replica: Replica::new(name, &roster.names(), Duration::ZERO, LINE_MAX, store),
            burn: matches.opt_present("burn"),
        },
    };
    println!("{name} listens on {address}");
    EventLoop::new(world).run_forever(&mut server)?;
    Ok(())
}
