//! An application whose callbacks say what they do, and that remembers all that happened to it.

use std::error::Error;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use herd::event_loop::{
    Application, Callback, Context, EventLoop, Handle, Observation, Readiness, Token,
};

use super::Scripted;

pub type Loop = EventLoop<Scripted, Act>;

/// A callback: what it does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Nothing.
    Note(&'static str),
    /// Queues a note.
    Soon(&'static str),
    /// Schedules a note.
    Later(Duration, &'static str),
    /// Takes that long.
    Spend(Duration),
    /// Fails.
    Fail(&'static str),
    /// Stops the loop.
    Stop,
    /// Cancels a handle and keeps the answer.
    Cancel(Handle),
    /// Holds on to something.
    Hold(Arc<()>),
    /// A socket is ready.
    Ready(Token, Readiness),
    /// A signal arrived.
    Signal(i32),
    /// A blocking job is done.
    Done(u64),
}

impl Callback for Act {
    fn ready(token: Token, readiness: Readiness) -> Act {
        Act::Ready(token, readiness)
    }

    fn done(job: u64) -> Act {
        Act::Done(job)
    }

    fn signal(number: i32) -> Act {
        Act::Signal(number)
    }
}

/// An [`Observation`] to keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Polled(Duration, usize, usize),
    Started(Handle, Act),
    Finished(Handle, Duration),
    SlowCallback(Act, &'static Location<'static>, Duration),
    Iteration(usize, Duration),
    SlowIteration(usize, Duration),
}

/// What happened.
#[derive(Default)]
pub struct Recorder {
    /// Callbacks in the order in which they ran.
    pub ran: Vec<Act>,
    /// What was observed. Flushes are not: see `flushes`.
    pub seen: Vec<Seen>,
    /// How many callbacks had run at each flush.
    pub flushes: Vec<usize>,
    /// What to do in the next flush: notes to queue.
    pub queue_in_flush: Vec<&'static str>,
    /// Answers to [`Act::Cancel`].
    pub cancelled: Vec<bool>,
    /// What the exception handler was told: message, error, callback, where it was queued.
    pub failures: Vec<(&'static str, String, Act, &'static Location<'static>)>,
    /// The same, as a person would read it.
    pub printed: Vec<String>,
}

impl Recorder {
    /// The notes among what ran, or the names of what else did.
    pub fn names(&self) -> Vec<&'static str> {
        let name = |act: &Act| match act {
            Act::Note(name) | Act::Soon(name) | Act::Later(_, name) | Act::Fail(name) => name,
            Act::Spend(_) => "spend",
            Act::Stop => "stop",
            Act::Cancel(_) => "cancel",
            Act::Hold(_) => "hold",
            Act::Ready(..) => "ready",
            Act::Signal(_) => "signal",
            Act::Done(_) => "done",
        };
        self.ran.iter().map(name).collect()
    }

    /// Forgets what happened so far.
    pub fn clear(&mut self) {
        *self = Recorder::default();
    }
}

impl Application<Scripted> for Recorder {
    type Callback = Act;

    fn call(&mut self, event_loop: &mut Loop, callback: Act) -> Result<(), Box<dyn Error>> {
        self.ran.push(callback.clone());
        match callback {
            Act::Note(_) | Act::Hold(_) | Act::Ready(..) | Act::Signal(_) | Act::Done(_) => {}
            Act::Soon(name) => {
                event_loop.call_soon(Act::Note(name));
            }
            Act::Later(delay, name) => {
                event_loop.call_later(delay, Act::Note(name));
            }
            Act::Spend(time) => event_loop.world.spend(time),
            Act::Fail(message) => return Err(message.into()),
            Act::Stop => event_loop.stop(),
            Act::Cancel(handle) => self.cancelled.push(event_loop.cancel(handle)),
        }
        Ok(())
    }

    fn before_poll(&mut self, event_loop: &mut Loop) {
        self.flushes.push(self.ran.len());
        for name in self.queue_in_flush.drain(..) {
            event_loop.call_soon(Act::Note(name));
        }
    }

    fn exception_handler(&mut self, context: &Context<Act>) -> Result<(), Box<dyn Error>> {
        let error = context.error.to_string();
        let callback = context.callback.clone();
        self.failures
            .push((context.message, error, callback, context.location));
        self.printed.push(context.to_string());
        Ok(())
    }

    fn observe(&mut self, observation: Observation<'_, Act>) {
        self.seen.push(match observation {
            Observation::Polled {
                took, events, todo, ..
            } => Seen::Polled(took, events, todo),
            Observation::Started(handle, pending) => {
                Seen::Started(handle, pending.callback.clone())
            }
            Observation::Finished { handle, took, .. } => Seen::Finished(handle, took),
            Observation::SlowCallback {
                callback,
                location,
                took,
            } => Seen::SlowCallback(callback.clone(), location, took),
            Observation::Iteration { ran, took, .. } => Seen::Iteration(ran, took),
            Observation::SlowIteration { ran, took } => Seen::SlowIteration(ran, took),
        });
    }
}
