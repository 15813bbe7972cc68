//! One turn of the event loop, phase by phase: the smallest program on it.
//!
//! ```text
//! cargo run --example one_turn
//! ```
//!
//! It calls the three parts of `run_once` itself, `collect`, `run_next` and
//! `finish`, and prints between them what the loop has to do and why.

use std::error::Error;
use std::time::Duration;

use herd::event_loop::{
    Application, Callback, EventLoop, Observation, Origin, Readiness, Token, World,
};
use herd::net::{Network, Read, Transport};
use herd::worlds::os::OsWorld;

/// Everything this program ever has to do: callbacks are data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// The listener or the connection became ready.
    Ready(Token, Readiness),
    /// Queued by hand.
    Greet,
    /// Queued by Greet: it runs in the next turn.
    GreetAgain,
    /// A timer.
    Ring,
    Other,
}

impl Callback for Act {
    fn ready(token: Token, readiness: Readiness) -> Act {
        Act::Ready(token, readiness)
    }
    fn signal(_: i32) -> Act {
        Act::Other
    }
    fn done(_: u64) -> Act {
        Act::Other
    }
}

const CONNECTION: Token = Token {
    index: 1,
    generation: 1,
};

type Loop = EventLoop<OsWorld, Act>;

/// The application: what each callback does.
struct Demo {
    connection: Transport<<OsWorld as Network>::Stream>,
    unsent: Vec<u8>,
}

impl Application<OsWorld> for Demo {
    type Callback = Act;

    fn call(&mut self, event_loop: &mut Loop, act: Act) -> Result<(), Box<dyn Error>> {
        match act {
            Act::Greet => {
                println!("    says hello, and queues another greeting");
                event_loop.call_soon(Act::GreetAgain);
            }
            Act::GreetAgain => println!("    says hello again, a turn later"),
            Act::Ring => println!("    rings"),
            Act::Ready(_, readiness) => {
                self.connection.note(readiness);
                let mut buffer = [0; 100];
                if let Read::Bytes(count) =
                    self.connection.read(&mut event_loop.world, &mut buffer)?
                {
                    println!("    reads {:?}", String::from_utf8_lossy(&buffer[..count]));
                    self.unsent.extend_from_slice(b"heard you\n");
                }
            }
            Act::Other => {}
        }
        Ok(())
    }

    /// The end of a turn: one write for all that its callbacks had to say.
    fn before_poll(&mut self, event_loop: &mut Loop) {
        let answer = std::mem::take(&mut self.unsent);
        if !answer.is_empty() {
            println!("    sends {:?}", String::from_utf8_lossy(&answer));
            if let Err(error) = self.connection.write(&mut event_loop.world, &answer) {
                println!("    cannot: {error}");
            }
        }
    }

    fn observe(&mut self, observation: Observation<'_, Act>) {
        match observation {
            Observation::Polled { events, todo, .. } => {
                println!("  the poll told of {events} events; {todo} callbacks will run");
            }
            Observation::Started(_, pending) => {
                let why = match pending.origin {
                    Origin::Soon => "somebody called call_soon",
                    Origin::Timer => "its time has come",
                    Origin::Io => "the poll said that its socket is ready",
                    Origin::Signal | Origin::Thread => "it came from outside",
                };
                let line = pending.location.line();
                let file = pending.location.file();
                println!(
                    "  run {:?}: {why} (queued at {file}:{line})",
                    pending.callback
                );
            }
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut event_loop = EventLoop::new(OsWorld::new()?);
    let stream = event_loop
        .world
        .connect(listener.local_addr()?, CONNECTION)?;
    let (mut other_side, _) = listener.accept()?;
    std::io::Write::write_all(&mut other_side, b"is anybody there?")?;
    let mut demo = Demo {
        connection: Transport::connecting(stream, CONNECTION),
        unsent: Vec::new(),
    };

    // Three things to do, of three kinds; the bytes of the other side are here already.
    event_loop.call_soon(Act::Greet);
    event_loop.call_later(Duration::ZERO, Act::Ring);
    for turn in 1..=2 {
        println!("turn {turn}: collect: prune timers, poll, queue what is ready and what is due");
        event_loop.collect(&mut demo)?;
        while event_loop.run_next(&mut demo) {}
        println!("  finish: send what the turn produced");
        event_loop.finish(&mut demo);
    }
    let took = event_loop.world.stopwatch();
    println!("two turns, {} µs", took.as_micros());
    Ok(())
}
