//! A bad road between two programs: a TCP proxy that delays, splits, cuts and resets.
//!
//! ```text
//! cargo run --example lossy -- --listen 127.0.0.1:9000 --to 127.0.0.1:10000 --delay 200 --split 3
//! ```
//!
//! Whoever talks to port 9000 talks to port 10000 by that road. To try a link of a herd, tell one of
//! its two servers that its neighbour is at the proxy.
//!
//! Who is cut always after fewer bytes than it has to say in one connection never gets the last of them
//! through, however often it begins anew: that is the road's fault, and not the server's.

use std::io::{ErrorKind, Read, Write, stdout};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use getopts::{Matches, Options};

/// How long the other end may take to accept.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two pieces, or they would arrive as one.
const APART: Duration = Duration::from_millis(2);
/// After an accept that failed, as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// So many reads of so many bytes may be on their way; then nothing more is read.
const ON_THEIR_WAY: usize = 256;
const READ: usize = 4096;

/// What happens to all that passes.
#[derive(Clone, Copy)]
struct Road {
    delay: Option<u64>,
    split: Option<u64>,
    cut_after: Option<u64>,
    reset: bool,
    seed: Option<u64>,
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optopt("", "listen", "where it listens; port 0: any", "HOST:PORT")
        .optopt("", "to", "whom it connects to", "HOST:PORT")
        .optopt("", "delay", "all arrives so much later, each way", "MS")
        .optopt("", "split", "all arrives in pieces of this size", "BYTES")
        .optopt(
            "",
            "cut-after",
            "each connection ends once so many bytes have passed one way",
            "BYTES",
        )
        .optflag(
            "",
            "reset",
            "it ends by a reset; what is on its way may be lost",
        )
        .optopt(
            "",
            "seed",
            "each delay, size and end is drawn, from 1 to the number given; the same seed draws the same",
            "N",
        )
        .optflag("h", "help", "print this");
    options
}

fn main() -> ExitCode {
    let options = options();
    let outcome = match options.parse(std::env::args().skip(1)) {
        Ok(matches) if matches.opt_present("help") => {
            let brief = "Usage: lossy --listen HOST:PORT --to HOST:PORT [options]\n\n\
                         A TCP proxy that delays, splits, cuts and resets.";
            print!("{}", options.usage(brief));
            return ExitCode::SUCCESS;
        }
        Ok(matches) => run(&matches),
        Err(wrong) => Err(wrong.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("lossy: {wrong}");
            ExitCode::from(2)
        }
    }
}

fn run(matches: &Matches) -> Result<(), String> {
    if let Some(extra) = matches.free.first() {
        return Err(format!("{extra:?}: expected options alone (--help)"));
    }
    let (listen, to) = (address(matches, "listen")?, address(matches, "to")?);
    let road = Road {
        delay: number(matches, "delay")?,
        split: number(matches, "split")?,
        cut_after: number(matches, "cut-after")?,
        reset: matches.opt_present("reset"),
        seed: number(matches, "seed")?,
    };
    if road.reset && road.cut_after.is_none() {
        return Err(String::from(
            "--reset: expected --cut-after BYTES beside it",
        ));
    }
    let failed = |error| format!("--listen {listen}: {error}");
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let listens = listener.local_addr().map_err(failed)?;
    say(&format!("lossy listens on {listens}"));
    let mut count = 0;
    for near in listener.incoming() {
        let Ok(near) = near else {
            thread::sleep(PAUSE);
            continue;
        };
        count += 1;
        let number = count;
        // Without a thread for it the connection is dropped, as on a very bad road.
        let _ = thread::Builder::new().spawn(move || connect(near, to, road, number));
    }
    Ok(())
}

fn address(matches: &Matches, name: &str) -> Result<SocketAddr, String> {
    let text = matches.opt_str(name);
    let text = text.ok_or_else(|| format!("expected --{name} HOST:PORT (--help)"))?;
    text.parse()
        .map_err(|_| format!("--{name} {text:?}: expected an address such as 127.0.0.1:9000"))
}

fn number(matches: &Matches, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = matches.opt_str(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(format!("--{name} {text:?}: expected a number above 0")),
    }
}

/// Whether anybody reads it is no concern of the proxy.
fn say(text: &str) {
    let mut stdout = stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn connect(near: TcpStream, to: SocketAddr, road: Road, number: u64) {
    let far = match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(far) => far,
        Err(error) => {
            say(&format!("{number}: {to}: {error}"));
            return abort(&near);
        }
    };
    let is_cut = Arc::new(AtomicBool::new(false));
    let ways = [(&near, &far, "there", 0), (&far, &near, "back", 1)];
    for (from, to, name, direction) in ways {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
            return;
        };
        let (sender, receiver) = sync_channel(ON_THEIR_WAY);
        let Ok(source) = from.try_clone() else {
            return;
        };
        let _ = thread::Builder::new().spawn(move || take(source, &sender));
        let way = Way {
            name: format!("{number}, {name}"),
            from,
            to,
            road,
            dice: road.seed.map(|seed| Dice(seed ^ number << 1 ^ direction)),
            is_cut: Arc::clone(&is_cut),
        };
        let _ = thread::Builder::new().spawn(move || way.give(&receiver));
    }
}

/// Reads all that comes, and notes when it came. Nothing is the end.
fn take(mut from: TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = [0; READ];
    loop {
        let count = match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome.unwrap_or(0),
        };
        let sent = sender.send((Instant::now(), buffer[..count].to_vec()));
        if count == 0 || sent.is_err() {
            return;
        }
    }
}

/// One way of a connection.
struct Way {
    name: String,
    from: TcpStream,
    to: TcpStream,
    road: Road,
    dice: Option<Dice>,
    /// One of the two ways has cut both.
    is_cut: Arc<AtomicBool>,
}

impl Way {
    /// Writes what came, late, in pieces, up to the cut.
    fn give(mut self, receiver: &Receiver<(Instant, Vec<u8>)>) {
        let _ = self.to.set_nodelay(true);
        let cut_after = self.draw(self.road.cut_after);
        let mut left = cut_after.unwrap_or(u64::MAX);
        for (came, mut bytes) in receiver {
            let delay = self.draw(self.road.delay).map(Duration::from_millis);
            thread::sleep(delay.unwrap_or_default().saturating_sub(came.elapsed()));
            if self.is_cut.load(Ordering::Relaxed) {
                return;
            }
            if bytes.is_empty() {
                let _ = self.to.shutdown(Shutdown::Write);
                return;
            }
            bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= bytes.len() as u64;
            if self.write(&bytes).is_err() {
                return self.end(false);
            }
            if let (0, Some(count)) = (left, cut_after) {
                say(&format!("{}: cut after {count} bytes", self.name));
                return self.end(self.road.reset);
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let size = self.draw(self.road.split).unwrap_or(u64::MAX);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(size.min(bytes.len()));
            self.to.write_all(piece)?;
            if !rest.is_empty() {
                thread::sleep(APART);
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Ends both ways.
    fn end(&self, by_reset: bool) {
        self.is_cut.store(true, Ordering::Relaxed);
        for stream in [&self.from, &self.to] {
            match by_reset {
                true => abort(stream),
                false => {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        }
    }

    /// The number that an option has, or one that is drawn up to it.
    fn draw(&mut self, most: Option<u64>) -> Option<u64> {
        let most = most?;
        let dice = self.dice.as_mut();
        Some(dice.map_or(most, |dice| 1 + dice.roll() % most))
    }
}

/// A close that the other side hears as a reset. Other threads still hold the socket: a shutdown of
/// what is written would be a FIN, so the last of them to let go must find the option set.
fn abort(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }
}
