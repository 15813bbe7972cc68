//! What the transports rely on: how an edge-triggered poller tells of sockets, measured on the real
//! one. If a test here fails, a rule in `net/transport.rs` or `net/listen.rs` has lost its ground.
//!
//! "Nothing more is told" is asked with a poll that does not wait, of a socket whose bytes are known
//! to be there: a level-triggered poller would tell of them at once.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::stage::PATIENCE;
use herd::event_loop::{Event, Readiness, Token, World};
use herd::net::Network;
use herd::worlds::os::{NOT_SENT_MAX, OsWorld};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockRef, Socket, Type};

type Stream = herd::worlds::os::OsStream;

const READABLE: Readiness = Readiness::READABLE;
const WRITABLE: Readiness = Readiness::WRITABLE;
const READ_CLOSED: Readiness = Readiness::READ_CLOSED;

const A: Token = token(0, 1);
const B: Token = token(1, 2);
/// For streams that are accepted and no more.
const UNNAMED: Token = token(2, 3);

const fn token(index: u32, generation: u32) -> Token {
    Token { index, generation }
}

/// Polls until something is told.
fn wait(world: &mut OsWorld) -> Vec<Event> {
    let until = Instant::now() + PATIENCE;
    let mut events = Vec::new();
    while events.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "nothing was told");
        world.poll(Some(left), &mut events).unwrap();
    }
    events
}

/// Polls until one socket is told of, and no other.
fn wait_for(world: &mut OsWorld, token: Token) -> Readiness {
    match wait(world)[..] {
        [Event::Ready(told, readiness)] if told == token => readiness,
        ref other => panic!("{token:?} was to be told, not {other:?}"),
    }
}

/// What the poller has to tell right now.
fn told(world: &mut OsWorld) -> Vec<Event> {
    let mut events = Vec::new();
    world.poll(Some(Duration::ZERO), &mut events).unwrap();
    events
}

/// A connection of the world and its other side, with the first event (writable) taken.
fn connection(world: &mut OsWorld, token: Token) -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut stream = world.connect(address, token).unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_nodelay(true).unwrap();
    assert_eq!(wait_for(world, token), WRITABLE);
    assert!(world.connected(&mut stream).unwrap());
    (stream, peer)
}

/// Waits until the system has these flags for the socket, without the world's poller.
fn wait_flags(stream: &impl AsFd, flags: PollFlags) {
    let until = Instant::now() + PATIENCE;
    loop {
        // Asked for a part, poll(2) answers as soon as any of it holds.
        let mut descriptors = [PollFd::new(stream, flags)];
        poll(
            &mut descriptors,
            Some(&Timespec::try_from(PATIENCE).unwrap()),
        )
        .unwrap();
        if descriptors[0].revents().contains(flags) {
            return;
        }
        assert!(Instant::now() < until, "{flags:?} do not come");
        std::thread::yield_now();
    }
}

/// Waits until so many bytes can be read.
fn wait_bytes(stream: &Stream, count: usize) {
    let mut buffer = vec![0; count];
    let until = Instant::now() + PATIENCE;
    while !matches!(stream.socket().peek(&mut buffer), Ok(peeked) if peeked == count) {
        assert!(Instant::now() < until, "{count} bytes do not come");
        std::thread::yield_now();
    }
}

fn would_block<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn bytes_are_told_once_whether_they_are_read_or_not() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, mut peer) = connection(&mut world, A);
    peer.write_all(&[1; 100]).unwrap();
    assert!(wait_for(&mut world, A).contains(READABLE));
    assert_eq!(told(&mut world), []);
    // A read that leaves something changes nothing: hence "a full read goes again".
    assert_eq!(world.read(&mut stream, &mut [0; 10]).unwrap(), 10);
    assert_eq!(told(&mut world), []);
    // Only more bytes do, and then all can be read.
    peer.write_all(&[2; 5]).unwrap();
    assert!(wait_for(&mut world, A).contains(READABLE));
    wait_bytes(&stream, 95);
    assert_eq!(world.read(&mut stream, &mut [0; 200]).unwrap(), 95);
    would_block(world.read(&mut stream, &mut [0; 200]));
}

/// A read shorter than its buffer has drained the socket: no read that only finds WouldBlock is
/// needed for the next bytes to be told.
#[test]
fn after_a_short_read_the_next_bytes_are_told() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, mut peer) = connection(&mut world, A);
    for round in 0..100_u8 {
        peer.write_all(&[round; 7]).unwrap();
        assert!(wait_for(&mut world, A).contains(READABLE));
        let mut buffer = [0; 64];
        wait_bytes(&stream, 7);
        assert_eq!(world.read(&mut stream, &mut buffer).unwrap(), 7);
        assert_eq!(buffer[..7], [round; 7]);
    }
}

/// So a writable event with an empty queue means nothing and must be ignored.
#[test]
fn every_arrival_is_told_as_writable_too() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, mut peer) = connection(&mut world, A);
    for _ in 0..3 {
        peer.write_all(b"x").unwrap();
        assert_eq!(wait_for(&mut world, A), READABLE | WRITABLE);
        assert_eq!(world.read(&mut stream, &mut [0; 8]).unwrap(), 1);
    }
}

#[test]
fn a_half_close_is_told_as_readable_and_closed_and_leaves_our_side_open() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, mut peer) = connection(&mut world, A);
    peer.write_all(b"last words").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    wait_flags(stream.socket(), PollFlags::IN | PollFlags::RDHUP);
    assert_eq!(wait_for(&mut world, A), READABLE | WRITABLE | READ_CLOSED);
    // What came before the end is still there, and then the end, as often as one asks.
    let mut buffer = [0; 64];
    assert_eq!(world.read(&mut stream, &mut buffer).unwrap(), 10);
    for _ in 0..2 {
        assert_eq!(world.read(&mut stream, &mut buffer).unwrap(), 0);
    }
    assert_eq!(world.write(&mut stream, b"answer").unwrap(), 6);
    world.shutdown_write(&mut stream).unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

/// Hence a short read of an event with READ_CLOSED does not mean that nothing is left.
#[test]
fn an_end_in_the_same_event_as_the_bytes_is_not_told_again() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, mut peer) = connection(&mut world, A);
    peer.write_all(b"bye").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    wait_flags(stream.socket(), PollFlags::IN | PollFlags::RDHUP);
    assert!(wait_for(&mut world, A).contains(READABLE | READ_CLOSED));
    assert_eq!(world.read(&mut stream, &mut [0; 64]).unwrap(), 3);
    assert_eq!(told(&mut world), []);
    assert_eq!(world.read(&mut stream, &mut [0; 64]).unwrap(), 0);
}

#[test]
fn an_end_after_the_event_of_the_bytes_is_told_by_itself() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, mut peer) = connection(&mut world, A);
    peer.write_all(b"bye").unwrap();
    assert!(!wait_for(&mut world, A).contains(READ_CLOSED));
    assert_eq!(world.read(&mut stream, &mut [0; 64]).unwrap(), 3);
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(wait_for(&mut world, A).contains(READABLE | READ_CLOSED));
    assert_eq!(world.read(&mut stream, &mut [0; 64]).unwrap(), 0);
}

/// What a link says to a neighbour that does not read is on its way or with us: the kernel keeps little
/// of it, or news would grow old there.
#[test]
fn the_kernel_keeps_little_that_it_has_not_sent() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, peer) = connection(&mut world, A);
    let mut sent = 0;
    while sent == 0 || !told(&mut world).is_empty() {
        while let Ok(count) = world.write(&mut stream, &[7; 65_536]) {
            sent += count;
        }
    }
    let theirs = SockRef::from(&peer).recv_buffer_size().unwrap();
    let ours = NOT_SENT_MAX as usize + 65_536;
    assert!(
        sent <= theirs + ours,
        "{sent} bytes, {theirs} of them there"
    );
}

/// A full send buffer becomes writable again once the other side has read: told once.
#[test]
fn a_write_that_blocked_is_told_when_there_is_room() {
    let mut world = OsWorld::new().unwrap();
    let (mut stream, mut peer) = connection(&mut world, A);
    let mut sent = 0;
    // What is on its way to the other side makes room once more when it arrives there.
    while sent == 0 || !told(&mut world).is_empty() {
        let error = loop {
            match world.write(&mut stream, &[7; 65_536]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; sent];
        peer.read_exact(&mut buffer).map(|()| peer)
    });
    assert_eq!(wait_for(&mut world, A), WRITABLE);
    let _peer = reader.join().unwrap().unwrap();
    assert!(world.write(&mut stream, b"more").is_ok());
}

/// The first of a batch closes the second, whose event is in the batch still. What tells it from the
/// next connection, in the same slot and usually with the same descriptor, is the generation.
#[test]
fn an_event_of_the_same_batch_outlives_its_socket() {
    let mut world = OsWorld::new().unwrap();
    let (a, mut peer_a) = connection(&mut world, A);
    let (b, mut peer_b) = connection(&mut world, B);
    for (stream, peer) in [(&a, &mut peer_a), (&b, &mut peer_b)] {
        peer.write_all(b"x").unwrap();
        wait_bytes(stream, 1);
    }
    let batch = wait(&mut world);
    let both = READABLE | WRITABLE;
    assert_eq!(batch, [Event::Ready(A, both), Event::Ready(B, both)]);

    world.close(b);
    let again = token(B.index, B.generation + 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _c = world
        .connect(listener.local_addr().unwrap(), again)
        .unwrap();
    let _peer_c = listener.accept().unwrap();
    assert!(batch.contains(&Event::Ready(B, both)), "to be ignored now");
    assert_eq!(wait_for(&mut world, again), WRITABLE);
}

#[test]
fn a_closed_socket_is_told_of_no_more() {
    let mut world = OsWorld::new().unwrap();
    let (a, mut peer_a) = connection(&mut world, A);
    let (b, mut peer_b) = connection(&mut world, B);
    peer_a.write_all(b"x").unwrap();
    wait_bytes(&a, 1);
    world.close(a);
    // Bytes that wait unread make it a reset.
    wait_flags(&peer_a, PollFlags::HUP);
    peer_b.write_all(b"x").unwrap();
    assert!(wait_for(&mut world, B).contains(READABLE));
    world.close(b);
    assert_eq!(told(&mut world), []);
}

/// Bytes that come between accept and registration are told by the registration: so the first read
/// may come before it.
#[test]
fn registering_tells_what_is_there_already() {
    let mut world = OsWorld::new().unwrap();
    let (mut listener, address) = listen(&mut world, A);
    let mut client = TcpStream::connect(address).unwrap();
    wait_for(&mut world, A);
    let (mut stream, _) = world.accept(&mut listener, UNNAMED).unwrap();
    client.write_all(b"early").unwrap();
    wait_bytes(&stream, 5);
    assert_eq!(told(&mut world), [], "not registered yet");
    world.register(&mut stream, B).unwrap();
    assert_eq!(wait_for(&mut world, B), READABLE | WRITABLE);
}

/// A listener of the world, on an address where nobody else looks for a free port.
fn listen(world: &mut OsWorld, token: Token) -> (<OsWorld as Network>::Listener, SocketAddr) {
    let address = TcpListener::bind("127.0.0.2:0")
        .and_then(|free| free.local_addr())
        .unwrap();
    (world.listen(address, token).unwrap(), address)
}

/// Waits until so many connections wait to be accepted. (A client is connected a little earlier.)
fn wait_queue(address: SocketAddr, count: usize) {
    let SocketAddr::V4(v4) = address else {
        panic!("{address} is not IPv4");
    };
    // The kernel prints the address as a number in the machine's order of bytes.
    let ip = u32::from_ne_bytes(v4.ip().octets());
    let row = format!(": {ip:08X}:{:04X} 00000000:0000 0A ", v4.port());
    let queue = format!(":{count:08X} ");
    let until = Instant::now() + PATIENCE;
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let (_, rest) = table.split_once(&row).expect("somebody listens");
        if rest.split_inclusive(' ').next().unwrap().ends_with(&queue) {
            return;
        }
        assert!(Instant::now() < until, "{count} connections do not come");
        std::thread::yield_now();
    }
}

/// An urgent byte is the exception to "a short read has drained the socket". Accepted sockets take
/// it in line, so that it is not lost; but a read ends before it all the same, and no event tells of
/// what is left. So the event itself says not to trust a short read.
#[test]
fn a_read_ends_before_an_urgent_byte_and_the_event_says_so() {
    let mut world = OsWorld::new().unwrap();
    let (mut listener, address) = listen(&mut world, A);
    let mut peer = TcpStream::connect(address).unwrap();
    wait_for(&mut world, A);
    let (mut stream, _) = world.accept(&mut listener, UNNAMED).unwrap();
    world.register(&mut stream, B).unwrap();
    assert_eq!(wait_for(&mut world, B), WRITABLE);
    peer.write_all(b"ab").unwrap();
    SockRef::from(&peer).send_out_of_band(b"c").unwrap();
    wait_flags(stream.socket(), PollFlags::PRI);
    assert_eq!(wait_for(&mut world, B), READABLE | WRITABLE | READ_CLOSED);
    let mut buffer = [0; 64];
    assert_eq!(world.read(&mut stream, &mut buffer).unwrap(), 2);
    assert_eq!(told(&mut world), []);
    assert_eq!(world.read(&mut stream, &mut buffer).unwrap(), 1);
    assert_eq!(buffer[0], b'c');
}

/// Hence a listener accepts until WouldBlock, or comes back by itself.
#[test]
fn connections_that_wait_are_told_once() {
    let mut world = OsWorld::new().unwrap();
    let (mut listener, address) = listen(&mut world, A);
    let _clients = [(); 3].map(|()| TcpStream::connect(address).unwrap());
    wait_queue(address, 3);
    assert!(wait_for(&mut world, A).contains(READABLE));
    let _first = world.accept(&mut listener, UNNAMED).unwrap();
    assert_eq!(told(&mut world), [], "two wait, and nobody says so");
    let _another = TcpStream::connect(address).unwrap();
    assert!(wait_for(&mut world, A).contains(READABLE));
    wait_queue(address, 3);
    let _rest = [(); 3].map(|()| world.accept(&mut listener, UNNAMED).unwrap());
    would_block(world.accept(&mut listener, UNNAMED));
    world.close_listener(listener);
    assert!(TcpStream::connect(address).is_err());
}

/// A socket that is bound and does not listen: nobody else can have its port, and connecting to it
/// is refused.
#[test]
fn a_refused_connect_is_told_as_everything_and_found_by_asking() {
    let mut world = OsWorld::new().unwrap();
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = deaf.local_addr().unwrap().as_socket().unwrap();
    let mut stream = world.connect(address, A).unwrap();
    let readiness = wait_for(&mut world, A);
    assert!(readiness.contains(READABLE | WRITABLE | READ_CLOSED));
    let error = world.connected(&mut stream).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    // Asking has taken the error; what is left is a socket that is not connected.
    assert!(!world.connected(&mut stream).unwrap());
}

/// A listener whose queue is full lets nobody in, and refuses nobody: connecting takes its time.
#[test]
fn a_connect_under_way_is_neither_connected_nor_failed() {
    let mut world = OsWorld::new().unwrap();
    let busy = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    busy.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    busy.listen(0).unwrap();
    let address = busy.local_addr().unwrap().as_socket().unwrap();
    // On Linux a queue of 0 holds one.
    let _first = TcpStream::connect(address).unwrap();
    wait_queue(address, 1);
    let mut stream = world.connect(address, A).unwrap();
    assert!(!world.connected(&mut stream).unwrap());
    assert_eq!(told(&mut world), []);
}

/// A port of those that Linux gives to who dials, the even ones, where somebody may listen now.
///
/// Not any even port would do: who dialled from it lately and closed first holds it for a minute, and the
/// tests before this one may have left thousands of those, at worst on all: then that minute is waited for.
fn free_address() -> SocketAddr {
    let until = Instant::now() + Duration::from_secs(90);
    while Instant::now() < until {
        if let Ok(any) = TcpListener::bind("127.0.0.1:0") {
            let mut address = any.local_addr().unwrap();
            drop(any);
            address.set_port(address.port() & !1);
            if TcpListener::bind(address).is_ok() {
                return address;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no even port is free");
}

/// Dials a port of the system's own range, where nobody listens, until the dial ends at itself.
fn dial_ourselves(world: &mut OsWorld) -> (Stream, SocketAddr) {
    let address = free_address();
    for _ in 0..1 << 17 {
        let stream = world.connect(address, A).unwrap();
        if stream.socket().local_addr().unwrap() == address {
            return (stream, address);
        }
        world.close(stream);
    }
    panic!("no dial ended at itself");
}

/// Whether it was noticed or not: an orderly close would hold the neighbour's port for a minute.
#[test]
fn a_dial_that_ended_at_itself_leaves_the_port_free() {
    let mut world = OsWorld::new().unwrap();
    for asked in [true, false] {
        let mut is_free = || {
            let (mut stream, address) = dial_ourselves(&mut world);
            if asked {
                let error = world.connected(&mut stream).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            }
            world.close(stream);
            TcpListener::bind(address).is_ok()
        };
        // Somebody else on this machine may dial from that very port.
        assert!((0..5).any(|_| is_free()), "its neighbour may listen");
    }
}
