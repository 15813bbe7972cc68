//! The floor: an echo on epoll that parses nothing. No server that answers
//! over TCP on one thread gets below what this costs.
//!
//! ```text
//! cargo run --release -p floor -- Clark --herd FILE --log none
//! cargo run --release -p load -- --addr HOST:PORT --echo
//! ```
//!
//! The command line is a peer's, so that what measures servers can start this
//! like one. It reads once for each readiness into one buffer, writes that
//! back, and knows no neighbours, no journal, no time. Level-triggered: then
//! a read that fills less than the buffer needs no second one to be sure.
//!
//! This one is in Rust. The figures of the table in performance.md, "floor:
//! epoll echo in C", are of another program: compare with what this one does
//! in the same rounds.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;

use herd::herd::Roster;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::net::{SocketFlags, accept_with};
use slab::Slab;
use socket2::{Domain, Socket, Type};

/// Events of one poll, as many as our server takes.
const EVENTS: usize = 1024;

/// The listener's number; clients have that of their place in the slab.
const LISTENER: u64 = u64::MAX;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut options = getopts::Options::new();
    options
        .reqopt("", "herd", "the herd file, as JSON", "FILE")
        .optopt("", "log", "none: there is no journal", "none");
    let usage = || options.usage("Usage: floor NAME --herd FILE [--log none]");
    let matches = options
        .parse(arguments)
        .map_err(|error| format!("{error}\n{}", usage()))?;
    let ([name], None | Some("none")) = (&matches.free[..], matches.opt_str("log").as_deref())
    else {
        return Err(usage().into());
    };
    let herd = matches.opt_str("herd").unwrap_or_default();
    let roster = Roster::parse(&fs::read_to_string(herd)?)?;
    let server = roster.servers.iter().find(|server| server.name == *name);
    let address = server
        .ok_or_else(|| format!("no server is named {name:?}"))?
        .address;
    let mut echo = Echo::listen(address)?;
    println!("{name} listens on {address}");
    Ok(echo.serve()?)
}

struct Echo {
    epoll: OwnedFd,
    listener: Socket,
    clients: Slab<Client>,
    /// One for all: it holds nothing between two clients.
    buffer: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    /// What the socket has not taken: empty but with clients who do not read.
    /// Until it is gone nothing more is read, so it is bounded.
    unsent: Vec<u8>,
}

impl Echo {
    fn listen(address: SocketAddr) -> io::Result<Echo> {
        let listener = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            None,
        )?;
        listener.set_reuse_address(true)?;
        // Whom it accepts inherits this: no call for each.
        listener.set_tcp_nodelay(true)?;
        listener.bind(&address.into())?;
        listener.listen(1024)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        Ok(Echo {
            epoll,
            listener,
            clients: Slab::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    /// For ever.
    fn serve(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    client => self.ready(client as usize)?,
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let stream = match accept_with(&self.listener, flags) {
                Ok(stream) => TcpStream::from(stream),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            let entry = self.clients.vacant_entry();
            let data = EventData::new_u64(entry.key() as u64);
            epoll::add(&self.epoll, &stream, data, EventFlags::IN)?;
            entry.insert(Client {
                stream,
                unsent: Vec::new(),
            });
        }
    }

    /// One read and one write, or the rest of an earlier one.
    fn ready(&mut self, key: usize) -> io::Result<()> {
        let client = &mut self.clients[key];
        let held = !client.unsent.is_empty();
        let open = match held {
            true => client.write_rest(),
            false => client.echo(&mut self.buffer),
        };
        let holds = !client.unsent.is_empty();
        match open {
            // Its end closes it; epoll then forgets it by itself.
            Ok(false) | Err(_) => drop(self.clients.remove(key)),
            Ok(true) if holds == held => {}
            Ok(true) => {
                let interest = match holds {
                    true => EventFlags::OUT,
                    false => EventFlags::IN,
                };
                let data = EventData::new_u64(key as u64);
                epoll::modify(&self.epoll, &client.stream, data, interest)?;
            }
        }
        Ok(())
    }
}

impl Client {
    /// False at the end of what it says.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let read = match self.stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            Err(error) if again(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        let written = match self.stream.write(&buffer[..read]) {
            Ok(written) => written,
            Err(error) if again(&error) => 0,
            Err(error) => return Err(error),
        };
        self.unsent.extend_from_slice(&buffer[written..read]);
        Ok(true)
    }

    fn write_rest(&mut self) -> io::Result<bool> {
        match self.stream.write(&self.unsent) {
            Ok(written) => drop(self.unsent.drain(..written)),
            Err(error) if again(&error) => {}
            Err(error) => return Err(error),
        }
        if self.unsent.is_empty() {
            // A buffer is held only while it is needed.
            self.unsent = Vec::new();
        }
        Ok(true)
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
