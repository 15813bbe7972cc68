//! Bounds that only the real system reaches: events of a poll, the queue to the disk, a page that
//! does not read.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::common::{PATIENCE, wait_until};
use herd::event_loop::{Event, EventLoop, Token, World};
use herd::net::Network;
use herd::probe::{InspectCallback, Inspector, REQUEST_DEADLINE, SUBSCRIBER_UNSENT_MAX};
use herd::worlds::os::{EVENTS_MAX, OsStream, OsWorld};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// As many descriptors as this process may have.
pub fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("a limit");
}

#[test]
fn a_poll_returns_so_many_events_and_the_next_one_the_rest() {
    raise_limit();
    let mut world = OsWorld::new().expect("a poller");
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let count = EVENTS_MAX + 100;
    let mut connect = |number: usize| {
        let token = Token {
            index: number as u32,
            generation: 1,
        };
        let stream = world.connect(address, token).expect("a connection");
        // What was accepted is connected, and what was closed can be read.
        drop(listener.accept().expect("a connection"));
        stream
    };
    let _streams: Vec<OsStream> = (0..count).map(&mut connect).collect();
    let mut seen = BTreeSet::new();
    let mut poll = || {
        let mut events = Vec::new();
        let polled = world.poll(Some(Duration::ZERO), &mut events);
        polled.expect("it polls");
        for event in &events {
            match event {
                Event::Ready(token, _) => seen.insert(token.index),
                other => panic!("{other:?}"),
            };
        }
        (events.len(), seen.len())
    };
    assert_eq!(poll(), (EVENTS_MAX, EVENTS_MAX));
    wait_until(PATIENCE, "the rest", || poll().1 == count);
}

/// What the kernel may hold of this stream, on both sides together: a listener asks for 256 KiB,
/// which are doubled, and one packet may go beyond.
const KERNEL: usize = 640 * 1024;

fn subscribe(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&address.into()).expect("it listens");
    let mut page = TcpStream::from(socket);
    write!(page, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    page.set_nonblocking(true).expect("a socket");
    page
}

/// Takes what has come.
fn take(page: &mut TcpStream, text: &mut Vec<u8>) {
    let mut buffer = [0; 65536];
    loop {
        match page.read(&mut buffer) {
            Ok(0) => panic!("the page was shown out"),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_page_that_does_not_read_misses_views_and_then_gets_the_newest() {
    let mut event_loop = EventLoop::new(OsWorld::new().expect("a poller"));
    let mut inspector = Inspector::new(REQUEST_DEADLINE);
    let listens = inspector.listen(&mut event_loop, any_port());
    listens.expect("it listens");
    let mut page = subscribe(inspector.address().expect("an address"));
    while !inspector.has_subscribers() {
        event_loop.run_once(&mut inspector).expect("it polls");
    }
    let view = |name: &str| {
        format!(
            "{{\"view\":\"{name}\",\"rest\":\"{}\"}}",
            "x".repeat(65_536)
        )
    };
    let published = 100;
    for number in 0..published {
        inspector.publish(&mut event_loop, view(&number.to_string()));
        event_loop.run_once(&mut inspector).expect("it polls");
    }
    let mut text = Vec::new();
    wait_until(PATIENCE, "the newest view", || {
        take(&mut page, &mut text);
        // While too much is unsent, it misses this one as well.
        inspector.publish(&mut event_loop, view("newest"));
        event_loop.call_soon(InspectCallback::Look);
        event_loop.run_once(&mut inspector).expect("it polls");
        text.windows(8).any(|word| word == b"\"newest\"")
    });
    let text = String::from_utf8(text).expect("UTF-8");
    let views = text.split("{\"view\":\"").skip(1);
    let names: Vec<&str> = views
        .filter_map(|view| Some(view.split_once('"')?.0))
        .collect();
    let numbers: Vec<usize> = names.iter().filter_map(|name| name.parse().ok()).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{names:?}");
    let kept = numbers.len() * view("1").len();
    assert!(kept >= SUBSCRIBER_UNSENT_MAX, "{kept}: {names:?}");
    let most = SUBSCRIBER_UNSENT_MAX + KERNEL + view("1").len();
    assert!(kept <= most, "{kept}: {names:?}");
}
