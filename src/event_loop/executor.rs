//! A small fixed pool of threads for calls that block. (asyncio: `run_in_executor`.)

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Threads in the pool. asyncio takes min(32, cores + 4); we only ever resolve names there.
pub const EXECUTOR_THREADS: usize = 4;

/// Jobs that may wait for a thread.
pub const EXECUTOR_QUEUE_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// The pool could not take a job.
#[derive(Debug, PartialEq, Eq)]
pub enum ExecutorError {
    /// [`EXECUTOR_QUEUE_MAX`] jobs wait already.
    Full,
    /// The operating system gave no thread.
    NoThread(String),
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecutorError::Full => write!(f, "{EXECUTOR_QUEUE_MAX} jobs wait already"),
            ExecutorError::NoThread(why) => write!(f, "no thread for the executor: {why}"),
        }
    }
}

impl std::error::Error for ExecutorError {}

/// The pool. Threads end when it is dropped and their job is done; nobody waits for them, since a
/// resolver may hang for longer than a server may take to stop.
pub struct Executor {
    jobs: SyncSender<Job>,
}

impl Executor {
    /// Starts the threads, named `executor_0` and up.
    ///
    /// # Errors
    /// [`ExecutorError::NoThread`] if not one could be started.
    pub fn start() -> Result<Executor, ExecutorError> {
        let (jobs, queue) = sync_channel::<Job>(EXECUTOR_QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..EXECUTOR_THREADS {
            let queue = Arc::clone(&queue);
            let started = thread::Builder::new()
                .name(format!("executor_{number}"))
                .spawn(move || work(&queue));
            if let (Err(error), 0) = (started, number) {
                return Err(ExecutorError::NoThread(error.to_string()));
            }
        }
        Ok(Executor { jobs })
    }

    /// Hands `job` to a free thread, or queues it.
    ///
    /// # Errors
    /// [`ExecutorError::Full`] when [`EXECUTOR_QUEUE_MAX`] jobs wait already.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), ExecutorError> {
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(ExecutorError::Full),
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting, so one idle thread waits and the others wait for it.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // A job that panics has no result; the thread stays for the others.
            Ok(job) => drop(catch_unwind(AssertUnwindSafe(job))),
            Err(_) => return,
        }
    }
}
