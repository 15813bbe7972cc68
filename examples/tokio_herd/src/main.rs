//! The herd on tokio: the peer of our own event loop in the comparison.
//!
//! ```text
//! cargo run --release -p tokio_herd -- NAME [--flavor current_thread|multi_thread|tuned]
//!     [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE|none] [--burn]
//! ```
//!
//! | flavour | runtime | a connection |
//! |---|---|---|
//! | `current_thread` | one thread | `lines.rs`: a codec, a line in, an answer out |
//! | `multi_thread` | a worker for each core | the same |
//! | `tuned` | one thread | `tuned.rs`: all lines of a read are answered by one write |
//!
//! All of them take the grammar, the table and the judgement of Google's answers from our own pure
//! floors, `herd::herd` and `herd::places`: those are a library to anybody. So what differs between
//! this herd and ours is who waits, who wakes whom, and who writes when. That is what is compared.

// The same work as in the server of ours that takes BURN.
#[path = "../../burner/burn.rs"]
mod burn;
mod codec;
mod journal;
mod lines;
mod link;
mod listen;
mod options;
mod places;
mod server;
mod tuned;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use options::{Flavor, Options};
use server::Server;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match options::parse(&arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("tokio_herd: {problem}");
            return ExitCode::from(2);
        }
    };
    let ended = runtime(options.flavor).and_then(|runtime| {
        let ended = runtime.block_on(run(options));
        // Dropping it would wait for what still burns on another thread.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_herd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Built by hand: `#[tokio::main]` would decide the flavour when it is compiled.
fn runtime(flavor: Flavor) -> io::Result<Runtime> {
    let mut builder = match flavor {
        Flavor::MultiThread => Builder::new_multi_thread(),
        Flavor::CurrentThread | Flavor::Tuned => Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

/// Serves until SIGTERM.
async fn run(options: Options) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = listen::bind(options.address())?;
    let address = listener.local_addr()?;
    let server = Arc::new(Server::new(&options)?);
    if options.log.is_some() {
        tokio::spawn(journal::keep(Arc::clone(&server)));
    }
    for index in 0..server.links.len() {
        tokio::spawn(link::keep(Arc::clone(&server), index, options.flavor));
    }
    // A task, so that a worker accepts: what `block_on` runs stays on the main thread.
    tokio::spawn(listen::accept(
        Arc::clone(&server),
        listener,
        options.flavor,
    ));
    // That nobody reads it is no reason to stop.
    let _ = writeln!(io::stdout(), "{} listens on {address}", options.name());
    terminate.recv().await;
    server.journal.flush();
    Ok(())
}
