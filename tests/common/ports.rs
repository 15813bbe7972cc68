//! Ports for servers that are started a while after their ports were chosen.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which systems give ports to whoever wants any, so that nobody gets one by chance.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// So many ports that are free, and that no other call in this program gets. Another test program at the
/// same time begins elsewhere.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = (std::process::id() % 240) as u16 * 50;
    [(); N].map(|()| {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let port = FIRST + begin.wrapping_add(number) % COUNT;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}
