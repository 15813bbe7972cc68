//! A server of the herd on a thread of the test, with an eye on every callback of its loop.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use herd::config::{Config, Upstream};
use herd::event_loop::{Application, Context, EventLoop, Observation, Remote};
use herd::herd::Roster;
use herd::net::{TlsClientConfig, Trust};
use herd::places::{Api, Endpoint, FieldMask};
use herd::server::{Callback, Loop, Node, SIGTERM};
use herd::worlds::os::OsWorld;

use crate::others::free_port;

/// The callback that took longest: without the time for which it stood ready and the machine ran
/// others.
#[derive(Clone, Copy, Default)]
pub struct Longest {
    pub took: Duration,
    pub callback: Option<Callback>,
}

/// A server of the herd and what was seen of its callbacks.
struct Watched {
    node: Node<OsWorld>,
    running: Option<Callback>,
    /// How long this thread had waited for a processor when the callback began.
    waited: Duration,
    longest: Longest,
}

/// How long this thread has waited for a processor so far. Linux: the second number of schedstat.
fn waited() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text
        .split(' ')
        .nth(1)
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

impl Application<OsWorld> for Watched {
    type Callback = Callback;

    fn call(
        &mut self,
        event_loop: &mut Loop<OsWorld>,
        callback: Callback,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.node.call(event_loop, callback)
    }

    fn before_poll(&mut self, event_loop: &mut Loop<OsWorld>) {
        self.node.before_poll(event_loop);
    }

    fn exception_handler(
        &mut self,
        context: &Context<Callback>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.node.exception_handler(context)
    }

    fn observe(&mut self, observation: Observation<'_, Callback>) {
        match &observation {
            Observation::Started(_, pending) => {
                self.running = Some(pending.callback);
                self.waited = waited();
            }
            Observation::Finished { took, .. } => {
                let took = took.saturating_sub(waited().saturating_sub(self.waited));
                if took > self.longest.took {
                    let callback = self.running;
                    self.longest = Longest { took, callback };
                }
            }
            _ => {}
        }
        self.node.observe(observation);
    }
}

/// A server that runs.
pub struct Server {
    pub address: SocketAddr,
    remote: Remote<Callback>,
    thread: JoinHandle<Longest>,
}

impl Server {
    /// Starts a server that asks `https://localhost:PORT`, trusts `ca` and writes this journal.
    pub fn start(port: u16, ca: &str, journal: &Path) -> Server {
        let (tell, told) = channel();
        let (ca, journal) = (ca.to_string(), journal.to_path_buf());
        let thread = std::thread::spawn(move || run(port, &ca, &journal, &tell));
        let (address, remote) = told.recv().expect("the server starts");
        Server {
            address,
            remote,
            thread,
        }
    }

    /// Stops it, as Ctrl-C does.
    pub fn stop(self) -> Longest {
        let told = self.remote.call_soon_threadsafe(Callback::Signal(SIGTERM));
        told.expect("the loop takes a signal");
        self.thread.join().expect("the server ends in good order")
    }
}

type Told = Sender<(SocketAddr, Remote<Callback>)>;

fn run(port: u16, ca: &str, journal: &Path, tell: &Told) -> Longest {
    let tls = TlsClientConfig::new(Some(ca.as_bytes())).expect("an authority");
    for _ in 0..5 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut world = OsWorld::new().expect("a poller");
        world.use_tls(Trust::Places, tls.clone());
        world.open_journal(journal, 0).expect("a journal");
        let mut event_loop = EventLoop::new(world);
        let mut watched = Watched {
            node: Node::new(config(address, port)),
            running: None,
            waited: Duration::ZERO,
            longest: Longest::default(),
        };
        match watched.node.start(&mut event_loop) {
            Ok(()) => {}
            // Somebody took the port since.
            Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
            Err(error) => panic!("cannot listen on {address}: {error}"),
        }
        tell.send((address, event_loop.remote()))
            .expect("the test waits");
        event_loop.run_forever(&mut watched).expect("a loop");
        return watched.longest;
    }
    panic!("five times in a row somebody took our port");
}

fn config(address: SocketAddr, port: u16) -> Config {
    let herd = serde_json::json!({ "servers": { "Clark": address }, "links": [] });
    let roster = Roster::parse(&herd.to_string()).expect("a herd");
    let mut config = Config::new(roster, 0);
    config.upstream = Some(Upstream {
        api: Api::Legacy,
        endpoint: Endpoint::parse(&format!("https://localhost:{port}")).expect("an address"),
        key: None,
        field_mask: FieldMask::default(),
    });
    config
}
