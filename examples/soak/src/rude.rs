//! Clients as they should not be. Each goes on until it is told to stop.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// A way to misbehave.
pub type Rudeness = fn(SocketAddr, &AtomicBool);

/// All of them, by name.
pub const ALL: [(&str, Rudeness); 9] = [
    ("come and go without a word", come_and_go),
    ("reset in the middle of a line", reset),
    ("never read", never_read),
    ("a byte now and then", drip),
    ("lines without end", endless_lines),
    ("noise", noise),
    ("forged greetings and reports", forge),
    ("a thousand commands at once, then the end", pipeline),
    ("half a TLS hello", half_hello),
];

/// A moment's rest, so that nine of them share two cores with the server.
const REST: Duration = Duration::from_millis(2);

fn until(stop: &AtomicBool, mut act: impl FnMut() -> std::io::Result<()>) {
    while !stop.load(Ordering::Relaxed) {
        // Being thrown out is what they are here for.
        let _ = act();
        thread::sleep(REST);
    }
}

fn iamat(n: usize) -> String {
    format!(
        "IAMAT soak-{n} +34.068930-118.445127 1621464827.{:09}\n",
        n % 1_000_000
    )
}

fn come_and_go(address: SocketAddr, stop: &AtomicBool) {
    until(stop, || TcpStream::connect(address).map(drop));
}

fn reset(address: SocketAddr, stop: &AtomicBool) {
    until(stop, || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"IAMAT half of a li")?;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))
    });
}

/// Twenty at a time: each asks for all it can, and reads nothing.
fn never_read(address: SocketAddr, stop: &AtomicBool) {
    let question: String = (0..500).map(iamat).collect();
    let mut streams: Vec<TcpStream> = Vec::new();
    until(stop, || {
        if streams.len() < 20 {
            let stream = TcpStream::connect(address)?;
            stream.set_nonblocking(true)?;
            streams.push(stream);
        }
        streams.retain_mut(|stream| match stream.write(question.as_bytes()) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        Ok(())
    });
}

fn drip(address: SocketAddr, stop: &AtomicBool) {
    let mut streams: Vec<(TcpStream, usize)> = Vec::new();
    let line = iamat(1);
    until(stop, || {
        if streams.len() < 200 {
            streams.push((TcpStream::connect(address)?, 0));
        }
        streams.retain_mut(|(stream, sent)| {
            let byte = line.as_bytes()[*sent % line.len()];
            *sent += 1;
            stream.write_all(&[byte]).is_ok()
        });
        thread::sleep(Duration::from_millis(20));
        Ok(())
    });
}

fn endless_lines(address: SocketAddr, stop: &AtomicBool) {
    let piece = vec![b'x'; 16 * 1024];
    until(stop, || {
        let mut stream = TcpStream::connect(address)?;
        for _ in 0..64 {
            stream.write_all(&piece)?;
        }
        Ok(())
    });
}

fn noise(address: SocketAddr, stop: &AtomicBool) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    until(stop, || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_millis(5)))?;
        let bytes: Vec<u8> = (0..4096)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect();
        stream.write_all(&bytes)?;
        let mut answer = [0; 8192];
        stream.read(&mut answer).map(drop)
    });
}

fn forge(address: SocketAddr, stop: &AtomicBool) {
    until(stop, || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"PEER Clark\nPEER Bona\nAT Bona +1 forged +1-1 99999999999\n")?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(drop)
    });
}

fn pipeline(address: SocketAddr, stop: &AtomicBool) {
    let questions: String = (0..1000).map(iamat).collect();
    until(stop, || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(questions.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).map(drop)
    });
}

/// Without a certificate these are lines that never end; with one, a handshake that never does.
fn half_hello(address: SocketAddr, stop: &AtomicBool) {
    let mut streams: Vec<(TcpStream, Instant)> = Vec::new();
    until(stop, || {
        if streams.len() < 100 {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])?;
            streams.push((stream, Instant::now()));
        }
        streams.retain(|(_, since)| since.elapsed() < Duration::from_secs(8));
        Ok(())
    });
}
