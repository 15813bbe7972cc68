//! A stand-in for Google Places on loopback, over real TLS: both of Google's Nearby Searches,
//! answered from the embedded gazetteer. No key, no network, no cost.
//!
//! ```text
//! cargo run --example places -- --address 127.0.0.1:8443 --ca-file places.pem
//! cargo run -- Clark --places legacy --places-url https://localhost:8443 --ca-file places.pem
//! printf 'IAMAT kiwi %s %s\nWHATSAT kiwi 10 2\n' +34.06893-118.445127 1621464827 | nc -N 127.0.0.1 10003
//! ```
//!
//! The authority that vouches for it is made anew at every start, for `localhost` and the addresses
//! of loopback, and is worth nothing afterwards. The program runs until it is stopped (with
//! `--until-stdin-ends` also until its standard input ends, so that it does not outlive its parent),
//! and says on standard output what happens, one line an event:
//!
//! | line | when |
//! |---|---|
//! | `places listens on https://127.0.0.1:8443` | it is ready |
//! | `connection 1 full` | a TLS handshake is done; `resumed` if it took up an earlier session |
//! | `connection 1 failed: …` | there was none |
//! | `request 1 legacy` | a request has come; `new` for the other API, `other` for anything else |
//! | `closed 1` | the connection is over |
//!
//! A stand-in may well block: a thread for each connection, one request after the other.

mod answers;
mod certificates;
mod http;

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use getopts::{Matches, Options};
use rustls::ServerConfig;

/// How the stand-in behaves.
pub struct Manners {
    /// Any other key is refused.
    key: Option<String>,
    /// Thinks for so long before each answer.
    delay: Duration,
    /// Waits for so long between the head of an answer and its body.
    pause: Duration,
    /// Closes a connection after so many answers.
    requests_per_connection: u64,
    /// Does not say beforehand that it will.
    unannounced: bool,
    /// Then closes only when one more request has come, which it ignores.
    abrupt: bool,
    /// Sends bodies in chunks.
    chunked: bool,
    /// Reads requests and never answers.
    hang: bool,
    /// Requests so far.
    requests: AtomicU64,
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optopt(
            "",
            "address",
            "where to listen (default 127.0.0.1:0)",
            "ADDRESS",
        )
        .optopt(
            "",
            "ca-file",
            "where the authority's certificate goes",
            "FILE",
        )
        .optopt(
            "",
            "key",
            "refuse every other key (default: none is needed)",
            "KEY",
        )
        .optopt(
            "",
            "delay",
            "think for so long before each answer",
            "MILLIS",
        )
        .optopt(
            "",
            "pause",
            "wait for so long between the head of an answer and its body",
            "MILLIS",
        )
        .optopt(
            "",
            "requests-per-connection",
            "close a connection after so many answers",
            "N",
        )
        .optflag(
            "",
            "unannounced",
            "close without a word of it in the last answer",
        )
        .optflag(
            "",
            "abrupt",
            "the same, only when one more request has come, which is ignored",
        )
        .optflag("", "chunked", "send bodies in chunks")
        .optflag("", "hang", "take requests and never answer")
        .optflag(
            "",
            "until-stdin-ends",
            "stop when standard input ends, not only when told to",
        )
        .optflag("h", "help", "print this");
    options
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("places: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Listens, and with `--until-stdin-ends` returns when standard input has ended.
fn start(arguments: &[String]) -> Result<(), String> {
    let options = options();
    let matches = options
        .parse(arguments)
        .map_err(|error| error.to_string())?;
    if matches.opt_present("help") {
        print!(
            "{}",
            options.usage("Usage: places --ca-file FILE [options]")
        );
        return Ok(());
    }
    let manners = Arc::new(manners(&matches)?);
    let file = matches
        .opt_str("ca-file")
        .ok_or("expected --ca-file FILE")?;
    let (config, authority) = certificates::make()?;
    std::fs::write(&file, authority).map_err(|error| format!("--ca-file {file}: {error}"))?;
    let address = matches.opt_str("address");
    let address = address.as_deref().unwrap_or("127.0.0.1:0");
    let listen = || -> io::Result<_> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) = listen().map_err(|error| format!("--address {address}: {error}"))?;
    say(format_args!("places listens on https://{address}"));
    let accepting = thread::spawn(move || accept(&listener, &config, &manners));
    if matches.opt_present("until-stdin-ends") {
        let copied = io::copy(&mut io::stdin(), &mut io::sink());
        return copied
            .map(drop)
            .map_err(|error| format!("standard input: {error}"));
    }
    accepting
        .join()
        .map_err(|_| String::from("the thread that accepts has ended"))
}

fn manners(matches: &Matches) -> Result<Manners, String> {
    let number = |name: &str| match matches.opt_str(name) {
        None => Ok(0),
        Some(text) => {
            let expected = |_| format!("--{name} {text}: expected a whole number");
            text.parse::<u64>().map_err(expected)
        }
    };
    Ok(Manners {
        key: matches.opt_str("key"),
        delay: Duration::from_millis(number("delay")?),
        pause: Duration::from_millis(number("pause")?),
        requests_per_connection: match number("requests-per-connection")? {
            0 => u64::MAX,
            count => count,
        },
        unannounced: matches.opt_present("unannounced") || matches.opt_present("abrupt"),
        abrupt: matches.opt_present("abrupt"),
        chunked: matches.opt_present("chunked"),
        hang: matches.opt_present("hang"),
        requests: AtomicU64::new(0),
    })
}

fn accept(listener: &TcpListener, config: &Arc<ServerConfig>, manners: &Arc<Manners>) {
    for number in 1_u64.. {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        let (config, manners) = (Arc::clone(config), Arc::clone(manners));
        thread::spawn(move || {
            http::serve(number, stream, config, &manners);
            say(format_args!("closed {number}"));
        });
    }
}

impl Manners {
    /// A request has come.
    fn count(&self, kind: &str) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        say(format_args!("request {number} {kind}"));
    }
}

/// One line for whoever started us; that nobody reads it is no reason to stop.
fn say(line: std::fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
