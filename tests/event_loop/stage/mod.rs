//! A stage for the loop: a world that follows a script, and a look at sleeping threads.
//!
//! Every test crate compiles this module for itself and uses its own part of it.
#![allow(dead_code)]

pub mod recorder;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herd::event_loop::{Event, Readiness, Token, Wake, World};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a poll fails with when it would sleep for ever.
pub const SCRIPT_ENDS: io::ErrorKind = io::ErrorKind::UnexpectedEof;

/// A world whose clock moves only while a poll "sleeps" or when a test says so, and whose sockets
/// have something to read when a test says so.
#[derive(Default)]
pub struct Scripted {
    now: Duration,
    sockets: Vec<Socket>,
    arrivals: Vec<(Duration, u32)>,
    signals: Vec<i32>,
    woken: Arc<Flag>,
    generation: u32,
    /// What each poll was asked for.
    pub timeouts: Vec<Option<Duration>>,
}

#[derive(Clone, Default)]
struct Socket {
    watched: Option<Token>,
    readable: bool,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Scripted {
    /// Lets time pass, as a callback does that takes so long.
    pub fn spend(&mut self, time: Duration) {
        self.now += time;
    }

    /// Registers a socket under a token that nobody had before.
    pub fn watch(&mut self, index: u32) -> Token {
        self.generation += 1;
        let token = Token {
            index,
            generation: self.generation,
        };
        self.socket(index).watched = Some(token);
        token
    }

    /// Takes a socket out of the poller.
    pub fn unwatch(&mut self, index: u32) {
        self.socket(index).watched = None;
    }

    /// Gives a socket something to read.
    pub fn write(&mut self, index: u32) {
        self.socket(index).readable = true;
    }

    /// Reads all that a socket has.
    pub fn read(&mut self, index: u32) {
        self.socket(index).readable = false;
    }

    /// Gives a socket something to read once the clock has come to `when`.
    pub fn arrive(&mut self, when: Duration, index: u32) {
        self.socket(index);
        self.arrivals.push((when, index));
    }

    /// A signal arrives.
    pub fn signal(&mut self, number: i32) {
        self.signals.push(number);
    }

    fn socket(&mut self, index: u32) -> &mut Socket {
        let index = index as usize;
        if self.sockets.len() <= index {
            self.sockets.resize(index + 1, Socket::default());
        }
        &mut self.sockets[index]
    }

    fn deliver_arrivals(&mut self) {
        let now = self.now;
        for (_, index) in self.arrivals.extract_if(.., |&mut (when, _)| when <= now) {
            self.sockets[index as usize].readable = true;
        }
    }

    /// What is ready now: the wake-up, then signals, then sockets in order of their indices.
    fn gather(&mut self, events: &mut Vec<Event>) {
        if self.woken.0.swap(false, Ordering::SeqCst) {
            events.push(Event::Woken);
        }
        events.extend(self.signals.drain(..).map(Event::Signal));
        for socket in &self.sockets {
            if let (Some(token), true) = (socket.watched, socket.readable) {
                events.push(Event::Ready(token, Readiness::READABLE));
            }
        }
    }
}

impl World for Scripted {
    fn time(&mut self) -> Duration {
        self.now
    }

    /// Instead of sleeping, moves the clock: to the next arrival, or to the end of the timeout.
    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        self.timeouts.push(timeout);
        self.deliver_arrivals();
        self.gather(events);
        if events.is_empty() && timeout != Some(Duration::ZERO) {
            let arrivals = self.arrivals.iter().map(|&(when, _)| when);
            let wake_up = timeout.map(|timeout| self.now + timeout);
            let Some(moment) = arrivals.chain(wake_up).min() else {
                return Err(SCRIPT_ENDS.into());
            };
            self.now = moment;
            self.deliver_arrivals();
            self.gather(events);
        }
        Ok(())
    }

    fn stopwatch(&self) -> Duration {
        self.now
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.woken.clone()
    }
}

/// Names the thread that asks, for [`wait_asleep`].
pub fn this_thread() -> PathBuf {
    let task = fs::read_link("/proc/thread-self").expect("Linux has /proc/thread-self");
    Path::new("/proc").join(task)
}

/// Waits until that thread sleeps.
pub fn wait_asleep(thread: &Path) {
    let until = Instant::now() + PATIENCE;
    loop {
        let stat = fs::read_to_string(thread.join("stat")).expect("the thread lives");
        // The name of the thread, in parentheses, may hold anything.
        let (_, rest) = stat.rsplit_once(") ").expect("a state behind the name");
        if rest.starts_with('S') {
            return;
        }
        assert!(Instant::now() < until, "the thread does not sleep");
        thread::yield_now();
    }
}
