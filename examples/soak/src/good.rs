//! A client as it should be, and how long it waits.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// It asks this often, whatever the answers do.
const PACE: Duration = Duration::from_millis(5);
/// A client that waits this long has been forgotten.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks until it is told to stop; gives back the times of all answers, in microseconds.
///
/// # Errors
/// An answer that is wrong, or does not come.
pub fn ask(address: SocketAddr, stop: &AtomicBool) -> Result<Histogram<u64>, String> {
    let mut times = Histogram::new(3).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_nodelay(true))
        .map_err(|error| error.to_string())?;
    let mut answers = BufReader::new(&stream);
    let begun = Instant::now();
    for n in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let due = begun + PACE * n;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let tail = format!("well-behaved +34.068930-118.445127 1621464827.{n:09}\n");
        let asked = Instant::now();
        (&stream)
            .write_all(format!("IAMAT {tail}").as_bytes())
            .map_err(|error| format!("question {n}: {error}"))?;
        let mut answer = String::new();
        answers
            .read_line(&mut answer)
            .map_err(|error| format!("answer {n}: {error}"))?;
        if !(answer.starts_with("AT Clark +") && answer.ends_with(&tail)) {
            return Err(format!("answer {n} is {answer:?}"));
        }
        let took = asked.elapsed().as_micros() as u64;
        // Not the saturating one: that does not grow, and takes all that is long for short.
        times.record(took).map_err(|error| error.to_string())?;
    }
    Ok(times)
}
