//! A resolver that hangs: getaddrinfo blocks a thread of the executor, and nobody else. And one that lies
//! about `localhost`. The server runs in this process, on real sockets, with a resolver of ours.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use herd::config::{Config, Upstream};
use herd::event_loop::EventLoop;
use herd::herd::Roster;
use herd::net::{TlsClientConfig, Trust};
use herd::places::{Api, Endpoint, FieldMask};
use herd::server::{Callback, Node, RESOLVE_DEADLINE, SIGTERM};
use herd::worlds::os::OsWorld;

/// Where the resolver that lies sends us.
static PORT: AtomicU16 = AtomicU16::new(0);
const IAMAT: &str = "IAMAT kiwi +34.068930-118.445127 5\n";

/// A server that asks at `url`, with a resolver of its own, on a thread of its own; stopped on drop.
struct Server {
    address: SocketAddr,
    stop: Box<dyn Fn()>,
}

impl Server {
    fn start(
        url: &'static str,
        resolver: fn(&str, u16) -> std::io::Result<Vec<SocketAddr>>,
    ) -> Server {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let (sender, started) = channel();
        std::thread::spawn(move || {
            let roster = format!(r#"{{"servers": {{"Solo": "{address}"}}, "links": []}}"#);
            let mut config = Config::new(Roster::parse(&roster).expect("a herd"), 0);
            config.upstream = Some(Upstream {
                api: Api::Legacy,
                endpoint: Endpoint::parse(url).expect("a URL"),
                key: None,
                field_mask: FieldMask::default(),
            });
            let mut world = OsWorld::new().expect("a poller");
            world.use_tls(Trust::Places, TlsClientConfig::new(None).expect("roots"));
            world.use_resolver(resolver);
            let mut event_loop = EventLoop::new(world);
            let mut node = Node::new(config);
            node.start(&mut event_loop).expect("listens");
            sender.send(event_loop.remote()).expect("somebody waits");
            event_loop.run_forever(&mut node).expect("polls");
        });
        let remote = started.recv().expect("it starts");
        let stop = move || {
            let _ = remote.call_soon_threadsafe(Callback::Signal(SIGTERM));
        };
        Server {
            address,
            stop: Box::new(stop),
        }
    }

    fn client(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.address).expect("listens");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        BufReader::new(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        (self.stop)();
    }
}

fn ask(client: &mut BufReader<TcpStream>, line: &str) -> String {
    client
        .get_mut()
        .write_all(line.as_bytes())
        .expect("it takes a line");
    let mut answer = String::new();
    client.read_line(&mut answer).expect("an answer");
    answer
}

/// The 99th percentile of IAMATs asked one after the other for as long as `more` says.
fn p99(client: &mut BufReader<TcpStream>, mut more: impl FnMut(usize) -> bool) -> Duration {
    let mut times = Vec::new();
    while more(times.len()) {
        let begun = Instant::now();
        assert!(ask(client, IAMAT).starts_with("AT Solo "));
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() * 99 / 100]
}

#[test]
fn iamat_is_answered_while_a_resolver_hangs() {
    let server = Server::start("https://places.test", |_, _| {
        loop {
            std::thread::park();
        }
    });
    let mut client = server.client();
    let idle = p99(&mut client, |count| count < 2000);
    let mut waiting: Vec<_> = (0..10).map(|_| server.client()).collect();
    for (number, waiter) in waiting.iter_mut().enumerate() {
        let question = format!("WHATSAT kiwi {number} 5\n");
        waiter
            .get_mut()
            .write_all(question.as_bytes())
            .expect("it takes a line");
    }
    let begun = Instant::now();
    let hanging = p99(&mut client, |_| begun.elapsed() < RESOLVE_DEADLINE / 2);
    println!("IAMAT p99: {idle:?} idle, {hanging:?} while a resolver hangs");
    for waiter in &mut waiting {
        let mut answer = String::new();
        waiter.read_line(&mut answer).expect("the AT line");
        assert!(answer.starts_with("AT Solo "), "{answer:?}");
        answer.clear();
        waiter.read_line(&mut answer).expect("the JSON");
        assert!(answer.contains("UNKNOWN_ERROR"), "{answer:?}");
    }
    let spent = begun.elapsed();
    assert!(
        spent >= RESOLVE_DEADLINE / 2 && spent < RESOLVE_DEADLINE * 2,
        "{spent:?}"
    );
}

/// Plain HTTP goes to addresses of loopback alone, whatever a resolver makes of the name. The one that it
/// gives here is none by its form, and would be answered.
#[test]
fn plain_http_does_not_follow_localhost_elsewhere() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener");
    PORT.store(listener.local_addr().expect("bound").port(), Relaxed);
    let server = Server::start("http://localhost:1", |_, _| {
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        Ok(vec![SocketAddr::from((mapped, PORT.load(Relaxed)))])
    });
    let mut client = server.client();
    assert!(ask(&mut client, IAMAT).starts_with("AT Solo "));
    assert!(ask(&mut client, "WHATSAT kiwi 1 1\n").starts_with("AT Solo "));
    assert!(ask(&mut client, "").contains("UNKNOWN_ERROR"));
    let dialled = listener.accept().expect_err("nobody dials");
    assert_eq!(dialled.kind(), ErrorKind::WouldBlock);
}
