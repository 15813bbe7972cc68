//! What every play in virtual time needs: servers to boot, clients to speak and listen, dice.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use herd::config::{Config, Upstream};
use herd::event_loop::{Application, EventLoop, World};
use herd::herd::Roster;
use herd::places::{Api, Endpoint, FieldMask};
use herd::server::{Callback, Node};
use herd::worlds::sim::{End, SimWorld, Simulation};

pub const SECOND: Duration = Duration::from_secs(1);

/// A file in memory.
#[derive(Clone, Default)]
pub struct Memory(pub Rc<RefCell<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first of these servers, linked with all others.
pub fn config(names: &[&str]) -> Config {
    let servers: Vec<String> = (1..)
        .zip(names)
        .map(|(port, name)| format!(r#""{name}": "127.0.0.1:{port}""#))
        .collect();
    let links: Vec<String> = names[1..]
        .iter()
        .map(|name| format!(r#"["{}", "{name}"]"#, names[0]))
        .collect();
    let herd = format!(
        r#"{{"servers": {{{}}}, "links": [{}]}}"#,
        servers.join(","),
        links.join(",")
    );
    Config::new(Roster::parse(&herd).expect("a herd"), 0)
}

/// A server without neighbours.
pub fn solo() -> Config {
    config(&["Solo"])
}

/// One that asks Places, at port 2 of a host of this name.
pub fn asking(host: &str) -> Config {
    let mut config = solo();
    config.upstream = Some(Upstream {
        api: Api::Legacy,
        endpoint: Endpoint::parse(&format!("https://{host}:2")).expect("a URL"),
        key: None,
        field_mask: FieldMask::default(),
    });
    config
}

/// Switches a server on.
pub fn boot(sim: &mut Simulation<Node<SimWorld>>, node: usize, config: Config) {
    let start = |node: &mut Node<SimWorld>,
                 event_loop: &mut EventLoop<SimWorld, Callback>|
     -> io::Result<()> { node.start(event_loop) };
    sim.boot(node, Node::new(config), start).expect("boots");
}

/// What a test does with a simulation, whoever lives in it.
pub trait Play {
    /// Lets so much time pass.
    fn wait(&mut self, time: Duration);
    /// A client connects.
    fn client(&mut self, node: usize) -> End;
    /// Says all of it; panics if the stream takes no more.
    fn say(&mut self, end: End, text: &str);
    /// What has come to an end of a stream, and whether the stream is over.
    fn hear(&mut self, end: End) -> (String, bool);
}

impl<A: Application<W>, W: World> Play for Simulation<A, W> {
    fn wait(&mut self, time: Duration) {
        let now = self.net().now;
        self.run_until(now + time).expect("runs");
    }

    fn client(&mut self, node: usize) -> End {
        self.net_mut().client_connect(node).expect("it listens")
    }

    fn say(&mut self, end: End, text: &str) {
        let mut rest = text.as_bytes();
        // A write may be short.
        while !rest.is_empty() {
            let sent = self.net_mut().write(end, rest).expect("room");
            rest = &rest[sent..];
        }
    }

    fn hear(&mut self, end: End) -> (String, bool) {
        let mut text = Vec::new();
        loop {
            let (bytes, over) = self.net_mut().client_take(end);
            text.extend_from_slice(&bytes);
            if bytes.is_empty() || over {
                return (String::from_utf8(text).expect("UTF-8"), over);
            }
        }
    }
}

/// A source of chance of its own, so that what is done does not depend on what the servers do.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Evenly from zero to below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}
