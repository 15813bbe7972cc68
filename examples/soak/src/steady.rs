//! A client that reports at a steady pace, whatever the answers do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::talk::iamat;

/// Reports `rate` times a second, a few each millisecond, for the phones that `id` names.
pub fn report(
    address: SocketAddr,
    rate: f64,
    stop: &AtomicBool,
    mut id: impl FnMut(u64) -> String,
) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut answers = stream.try_clone().expect("a descriptor");
    thread::scope(|scope| {
        scope.spawn(move || while let Ok(1..) = answers.read(&mut [0; 65_536]) {});
        let (begun, mut said) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            let due = (begun.elapsed().as_secs_f64() * rate) as u64;
            let lines: String = (said..due).map(|number| iamat(&id(number))).collect();
            said = due;
            if stream.write_all(lines.as_bytes()).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = stream.shutdown(Shutdown::Both);
    });
}
