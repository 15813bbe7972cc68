//! Names, resolved beside the loop: the system's resolver blocks, and may hang.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use super::waker::OsWaker;
use crate::event_loop::{Event, Executor, Wake};

/// What a resolver found.
pub type Answer = Result<Vec<SocketAddr>, String>;

/// A function that resolves a name and may block for as long as it likes.
pub type Resolver = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Jobs under way, and their answers.
pub struct Resolving {
    /// What resolves.
    pub resolver: Resolver,
    executor: Option<Executor>,
    /// Filled by the executor's threads; `told` holds what the poll has told of.
    done: Arc<Mutex<Vec<(u64, Answer)>>>,
    told: BTreeMap<u64, Answer>,
}

impl Resolving {
    /// The system's resolver, on threads that the first job starts.
    pub fn new() -> Resolving {
        Resolving {
            resolver: |host, port| Ok((host, port).to_socket_addrs()?.collect()),
            executor: None,
            done: Arc::default(),
            told: BTreeMap::new(),
        }
    }

    /// Starts a job that ends by a wake.
    pub fn start(
        &mut self,
        host: &str,
        port: u16,
        job: u64,
        waker: Arc<OsWaker>,
    ) -> io::Result<()> {
        if self.executor.is_none() {
            self.executor = Some(Executor::start().map_err(io::Error::other)?);
        }
        let (resolver, host, done) = (self.resolver, host.to_string(), Arc::clone(&self.done));
        let job = move || {
            let answer = match resolver(&host, port) {
                Ok(addresses) if addresses.is_empty() => Err(String::from("it has no address")),
                Ok(addresses) => Ok(addresses),
                Err(error) => Err(error.to_string()),
            };
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((job, answer));
            drop(done);
            waker.wake();
        };
        match &self.executor {
            Some(executor) => executor.submit(job).map_err(io::Error::other),
            None => Err(io::Error::other("no executor")),
        }
    }

    /// After a wake: tells of the jobs that are done.
    pub fn tell(&mut self, events: &mut Vec<Event>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        for (job, answer) in done.drain(..) {
            self.told.insert(job, answer);
            events.push(Event::Done(job));
        }
    }

    /// Takes the answer of a job that was told of.
    pub fn take(&mut self, job: u64) -> Option<Answer> {
        self.told.remove(&job)
    }
}
