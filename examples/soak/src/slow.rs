//! A link that carries less than is said: whoever reports once is not forgotten for those who report
//! all the time.
//!
//! ```text
//! 12,000 updates a second of 100,000 phones ─▶ Clark ── 300 KB/s ──▶ Jaquez
//! ```

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::herd::Herd;
use lab::servers::{Lab, Start};
use lab::talk::Client;

use crate::{Outcome, holds, steady};

/// Bytes a second that the link carries.
const SPEED: usize = 300_000;
const PHONES: u64 = 100_000;
const UPDATES: f64 = 12_000.0;
/// One phone that reports once, each second.
const ONCE: Duration = Duration::from_secs(1);
/// Over 100,000 lines of about 100 bytes a round takes this long at that speed, and what lies in front
/// of it on the way.
const ROUND: Duration = Duration::from_secs(40);

/// Each report is known within a round of what the link owes.
pub fn slow(lab: &Lab, length: Duration) -> Outcome {
    println!("slow: a link of {SPEED} bytes a second, {UPDATES} updates a second");
    let real = Herd::new(&["Clark", "Jaquez"], &[("Clark", "Jaquez")])?;
    let start = |name, herd: &Herd| Start::new(name).journal(false).run(lab, herd);
    let jaquez = start("Jaquez", &real)?;
    let proxy = TcpListener::bind("127.0.0.1:0")?;
    let mut narrow = real.clone();
    narrow.addrs.insert("Jaquez".into(), proxy.local_addr()?);
    let clark = start("Clark", &narrow)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| squeeze(&proxy, jaquez.addr, &stop));
        let mut dice = 1_u64;
        let phone = move |_| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("phone{:06}", (dice >> 33) % PHONES)
        };
        let (address, end) = (clark.addr, &stop);
        scope.spawn(move || steady::report(address, UPDATES, end, phone));
        let outcome = watch(clark.addr, jaquez.addr, length);
        stop.store(true, Ordering::Relaxed);
        // Whoever waits at the proxy goes on, and ends.
        let _ = TcpStream::connect(proxy.local_addr()?);
        outcome
    })
}

/// Reports once, again and again in other names, and looks who is unknown for how long.
fn watch(here: SocketAddr, there: SocketAddr, length: Duration) -> Outcome {
    let (mut here, mut there) = (Client::connect(here)?, Client::connect(there)?);
    let begun = Instant::now();
    let (mut said, mut unknown) = (0, Vec::new());
    let mut longest = Duration::ZERO;
    while begun.elapsed() < length {
        let id = format!("once{said:08}");
        here.report(&id)?;
        said += 1;
        unknown.push((id, Instant::now()));
        thread::sleep(ONCE);
        let mut still = Vec::new();
        for (id, since) in unknown {
            longest = longest.max(since.elapsed());
            if !there.knows(&id)? {
                still.push((id, since));
            }
        }
        unknown = still;
    }
    println!(
        "  of {said} that reported once {} are unknown in the end; the longest was so for {:.1} s",
        unknown.len(),
        longest.as_secs_f64()
    );
    holds("somebody was forgotten", longest <= ROUND)
}

/// Passes on what comes, so many bytes a second.
fn squeeze(proxy: &TcpListener, to: SocketAddr, stop: &AtomicBool) {
    while let Ok((mut from, _)) = proxy.accept() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // As little as may be lies in buffers of ours.
        let _ = socket2::SockRef::from(&from).set_recv_buffer_size(64 * 1024);
        let Ok(mut to) = TcpStream::connect(to) else {
            continue;
        };
        let (begun, mut carried) = (Instant::now(), 0);
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if stop.load(Ordering::Relaxed) || to.write_all(&bytes[..count]).is_err() {
                break;
            }
            carried += count;
            let due = Duration::from_secs_f64(carried as f64 / SPEED as f64);
            thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
}
