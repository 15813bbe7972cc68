//! The loop itself. (asyncio: base_events.BaseEventLoop.)

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use super::context::Context;
use super::executor::{Executor, ExecutorError};
use super::handle::{Handle, Handles, Origin, Pending};
use super::inbox::Remote;
use super::observe::{Observation, SLOW_CALLBACK, SLOW_ITERATION};
use super::timers::Timers;
use super::world::{Event, Readiness, Token, World};

/// The longest that one poll sleeps, whatever the timers say. (asyncio: `MAXIMUM_SELECT_TIMEOUT`.)
pub const MAXIMUM_POLL_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A callback as data: a small enum of the application, with the two forms the loop itself makes.
pub trait Callback: Clone + fmt::Debug {
    /// The poll says that `token` has become ready.
    fn ready(token: Token, readiness: Readiness) -> Self;
    /// A signal arrived. (asyncio: `add_signal_handler`.)
    fn signal(number: i32) -> Self;
    /// A blocking job is done, by the number under which it was asked for.
    fn done(job: u64) -> Self;
}

/// The program that runs on the loop.
pub trait Application<W: World> {
    /// Its callbacks.
    type Callback: Callback;

    /// Runs one callback: the only place in the program where callbacks run.
    ///
    /// # Errors
    /// Goes to [`Application::exception_handler`]; the loop goes on.
    fn call(
        &mut self,
        event_loop: &mut EventLoop<W, Self::Callback>,
        callback: Self::Callback,
    ) -> Result<(), Box<dyn Error>>;

    /// The end of a turn, before the next poll: flush what the turn produced. asyncio has no such
    /// phase; Redis calls it beforeSleep.
    fn before_poll(&mut self, event_loop: &mut EventLoop<W, Self::Callback>);

    /// A callback failed. If the handler fails too, the loop prints both to standard error.
    ///
    /// # Errors
    /// Falls back to the default: a line on standard error.
    fn exception_handler(
        &mut self,
        context: &Context<Self::Callback>,
    ) -> Result<(), Box<dyn Error>> {
        Err(context.to_string().into())
    }

    /// Something happened in the loop. Does nothing unless it is overridden.
    fn observe(&mut self, observation: Observation<'_, Self::Callback>) {
        let _ = observation;
    }
}

/// The loop. It belongs to the thread that made it: sending it elsewhere does not compile, which
/// is what asyncio checks at run time in debug mode (`_check_thread`).
///
/// ```compile_fail
/// fn must_be_send<T: Send>() {}
/// must_be_send::<herd::event_loop::EventLoop<herd::worlds::os::OsWorld, herd::server::Callback>>();
/// ```
pub struct EventLoop<W, C> {
    /// The outside.
    pub world: W,
    handles: Handles<C>,
    ready: VecDeque<Handle>,
    timers: Timers,
    remote: Remote<C>,
    executor: Option<Executor>,
    events: Vec<Event>,
    now: Duration,
    /// Callbacks left in this turn's snapshot. (asyncio: `ntodo`.)
    todo: usize,
    ran: usize,
    iteration: u64,
    stopping: bool,
    /// The stopwatch at the end of the last callback or, before the first and after the last of a
    /// turn, of the poll and of the finish. A clock costs as much as parsing half a command, so each
    /// of these moments reads it once and the next stretch of time begins where the last one ended.
    last_lap: Duration,
    not_send: PhantomData<*const ()>,
}

impl<W: World, C: Callback> EventLoop<W, C> {
    /// A loop in `world`, with nothing scheduled.
    pub fn new(mut world: W) -> EventLoop<W, C> {
        let now = world.time();
        let remote = Remote::new(world.waker());
        EventLoop {
            world,
            handles: Handles::new(),
            ready: VecDeque::new(),
            timers: Timers::new(),
            remote,
            executor: None,
            events: Vec::new(),
            now,
            todo: 0,
            ran: 0,
            iteration: 0,
            stopping: false,
            last_lap: now,
            not_send: PhantomData,
        }
    }

    /// Time since the loop was born, as of the end of this turn's poll. (asyncio: `loop.time`,
    /// which reads the clock at each call; ours stands still within a turn.)
    pub fn time(&self) -> Duration {
        self.now
    }

    /// How many turns have begun.
    pub fn iteration(&self) -> u64 {
        self.iteration
    }

    /// Queues a callback behind everything that is ready; it runs in the next turn, after a poll.
    /// (asyncio: base_events.call_soon.)
    #[track_caller]
    pub fn call_soon(&mut self, callback: C) -> Handle {
        self.enqueue(callback, Origin::Soon, Location::caller())
    }

    /// Runs `callback` once `delay` has passed. (asyncio: base_events.call_later.)
    #[track_caller]
    pub fn call_later(&mut self, delay: Duration, callback: C) -> Handle {
        self.schedule(self.now.saturating_add(delay), callback, Location::caller())
    }

    /// Runs `callback` at loop time `when`, never earlier. (asyncio: base_events.call_at.)
    #[track_caller]
    pub fn call_at(&mut self, when: Duration, callback: C) -> Handle {
        self.schedule(when, callback, Location::caller())
    }

    /// Cancels a handle, whether it waits in the timers or is ready already, and drops its callback
    /// at once. False if it ran, was cancelled before, or runs right now. (asyncio: Handle.cancel.)
    pub fn cancel(&mut self, handle: Handle) -> bool {
        match self.handles.take(handle) {
            Some(pending) => {
                if pending.scheduled {
                    self.timers.note_cancelled();
                }
                true
            }
            None => false,
        }
    }

    /// A door for other threads. (asyncio: call_soon_threadsafe.)
    pub fn remote(&self) -> Remote<C> {
        self.remote.clone()
    }

    /// Runs `job` on a thread of the pool, which starts with the first job; what `job` returns
    /// comes back as a callback. (asyncio: run_in_executor.)
    ///
    /// # Errors
    /// [`ExecutorError`] if the queue is full or there is no thread.
    pub fn run_in_executor(
        &mut self,
        job: impl FnOnce() -> C + Send + 'static,
    ) -> Result<(), ExecutorError>
    where
        C: Send + 'static,
    {
        if self.executor.is_none() {
            self.executor = Some(Executor::start()?);
        }
        let remote = self.remote();
        let deliver = move || {
            // A loop that is gone or drowning cannot take the result; nobody waits for it then.
            let _ = remote.call_soon_threadsafe(job());
        };
        match &self.executor {
            Some(executor) => executor.submit(deliver),
            None => Err(ExecutorError::Full),
        }
    }

    /// Ends `run_forever` after the current turn. (asyncio: base_events.stop.)
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// True from [`stop`](EventLoop::stop) until the loop has ended: for whoever drives the turns.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Turns until [`stop`](EventLoop::stop). (asyncio: base_events.run_forever.)
    ///
    /// # Errors
    /// Only if the world cannot poll any more.
    pub fn run_forever<A>(&mut self, application: &mut A) -> io::Result<()>
    where
        A: Application<W, Callback = C>,
    {
        self.run_until(application, |_| false)
    }

    /// Turns until `done` says so after a turn, or until [`stop`](EventLoop::stop).
    ///
    /// # Errors
    /// Only if the world cannot poll any more.
    pub fn run_until<A>(
        &mut self,
        application: &mut A,
        mut done: impl FnMut(&mut A) -> bool,
    ) -> io::Result<()>
    where
        A: Application<W, Callback = C>,
    {
        loop {
            self.run_once(application)?;
            if self.stopping || done(application) {
                self.stopping = false;
                return Ok(());
            }
        }
    }

    /// One turn. (asyncio: base_events._run_once.)
    ///
    /// # Errors
    /// Only if the world cannot poll any more.
    pub fn run_once<A>(&mut self, application: &mut A) -> io::Result<()>
    where
        A: Application<W, Callback = C>,
    {
        self.collect(application)?;
        while self.run_next(application) {}
        self.finish(application);
        Ok(())
    }

    /// The first part of a turn: prunes cancelled timers, polls, queues what is ready and then what
    /// is due, and fixes how many callbacks this turn will run. Those that they queue in turn wait
    /// for the next one, so a callback that re-queues itself cannot starve the sockets.
    ///
    /// # Errors
    /// Only if the world cannot poll any more.
    pub fn collect<A>(&mut self, application: &mut A) -> io::Result<()>
    where
        A: Application<W, Callback = C>,
    {
        self.timers.prune(&self.handles);
        let timeout = self.poll_timeout();
        if self.iteration == 0 {
            // What was before the first turn is no part of it.
            self.last_lap = self.world.stopwatch();
        }
        self.world.poll(timeout, &mut self.events)?;
        self.now = self.world.time();
        let began = std::mem::replace(&mut self.last_lap, self.now);
        let events = self.process_events();
        self.queue_due_timers();
        self.todo = self.ready.len();
        self.ran = 0;
        self.iteration += 1;
        application.observe(Observation::Polled {
            began,
            took: self.now.saturating_sub(began),
            timeout,
            events,
            todo: self.todo,
        });
        Ok(())
    }

    /// Runs the next callback of this turn's snapshot, skipping cancelled ones. False if none is
    /// left.
    pub fn run_next<A>(&mut self, application: &mut A) -> bool
    where
        A: Application<W, Callback = C>,
    {
        while self.todo > 0 {
            self.todo -= 1;
            let Some(handle) = self.ready.pop_front() else {
                break;
            };
            if let Some(pending) = self.handles.take(handle) {
                self.run_handle(application, handle, pending);
                return true;
            }
        }
        false
    }

    /// The last part of a turn: lets the application flush what the turn produced.
    pub fn finish<A>(&mut self, application: &mut A)
    where
        A: Application<W, Callback = C>,
    {
        application.before_poll(self);
        self.last_lap = self.world.stopwatch();
        let (ran, began) = (self.ran, self.now);
        let took = self.last_lap.saturating_sub(began);
        application.observe(Observation::Iteration { ran, began, took });
        if took >= SLOW_ITERATION {
            application.observe(Observation::SlowIteration { ran, took });
        }
    }

    /// The loop time at which the loop has something to do if nothing arrives: now when a callback
    /// is ready, else the earliest timer. A simulation asks this to move its clock.
    pub fn next_deadline(&mut self) -> Option<Duration> {
        self.timers.prune(&self.handles);
        if self.ready.is_empty() && !self.stopping {
            self.timers.next_deadline()
        } else {
            Some(self.now)
        }
    }

    /// How many handles of the ready queue, from its front, belong to this turn; what waits behind
    /// them runs in the next. (asyncio: `ntodo`.)
    pub fn todo(&self) -> usize {
        self.todo
    }

    /// The callback that [`run_next`](EventLoop::run_next) would run.
    pub fn next(&self) -> Option<(Handle, &Pending<C>)> {
        let mut turn = self.ready.iter().take(self.todo);
        turn.find_map(|&handle| Some((handle, self.handles.get(handle)?)))
    }

    /// The ready queue in order, without the cancelled.
    pub fn ready(&self) -> impl Iterator<Item = (Handle, &Pending<C>)> {
        self.ready
            .iter()
            .filter_map(|&handle| Some((handle, self.handles.get(handle)?)))
    }

    /// The timers in no particular order, without the cancelled.
    pub fn timers(&self) -> impl Iterator<Item = (Duration, Handle, &Pending<C>)> {
        self.timers
            .iter()
            .filter_map(|(when, handle)| Some((when, handle, self.handles.get(handle)?)))
    }

    /// The first `count` timers in order, without the cancelled; what comes behind them costs little.
    pub fn first_timers(&self, count: usize) -> Vec<(Duration, Handle, &Pending<C>)> {
        let first = self.timers.first(count, &self.handles).into_iter();
        first
            .filter_map(|(when, handle)| Some((when, handle, self.handles.get(handle)?)))
            .collect()
    }

    /// Number of timers, without the cancelled.
    pub fn timers_len(&self) -> usize {
        self.timers.alive()
    }

    /// Entries in the ready queue, cancelled ones included.
    pub fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Entries in the timer heap, cancelled ones included.
    pub fn timer_heap_len(&self) -> usize {
        self.timers.len()
    }

    fn enqueue(
        &mut self,
        callback: C,
        origin: Origin,
        location: &'static Location<'static>,
    ) -> Handle {
        let handle = self.handles.insert(callback, origin, self.now, location);
        self.ready.push_back(handle);
        handle
    }

    fn schedule(
        &mut self,
        when: Duration,
        callback: C,
        location: &'static Location<'static>,
    ) -> Handle {
        let handle = self
            .handles
            .insert(callback, Origin::Timer, self.now, location);
        self.timers.push(when, handle);
        handle
    }

    /// How long the poll may sleep. The clock is read anew for it, or a timer would be late by as
    /// long as the last turn's callbacks took.
    fn poll_timeout(&mut self) -> Option<Duration> {
        if !self.ready.is_empty() || self.stopping {
            return Some(Duration::ZERO);
        }
        let when = self.timers.next_deadline()?;
        let now = self.world.time();
        Some(when.saturating_sub(now).min(MAXIMUM_POLL_TIMEOUT))
    }

    /// Turns events into handles. (asyncio: selector_events._process_events, but one handle for a
    /// socket where asyncio has one for its reader and one for its writer.)
    fn process_events(&mut self) -> usize {
        let here = Location::caller();
        let mut events = std::mem::take(&mut self.events);
        let count = events.len();
        for event in events.drain(..) {
            match event {
                Event::Ready(token, readiness) => {
                    self.enqueue(C::ready(token, readiness), Origin::Io, here);
                }
                Event::Signal(number) => {
                    self.enqueue(C::signal(number), Origin::Signal, here);
                }
                Event::Done(job) => {
                    self.enqueue(C::done(job), Origin::Thread, here);
                }
                Event::Woken => {
                    for callback in self.remote.drain() {
                        self.enqueue(callback, Origin::Thread, here);
                    }
                }
            }
        }
        self.events = events;
        count
    }

    fn queue_due_timers(&mut self) {
        while let Some(handle) = self.timers.pop_due(self.now, &mut self.handles) {
            self.ready.push_back(handle);
        }
    }

    fn run_handle<A>(&mut self, application: &mut A, handle: Handle, pending: Pending<C>)
    where
        A: Application<W, Callback = C>,
    {
        application.observe(Observation::Started(handle, &pending));
        let location = pending.location;
        let callback = pending.callback.clone();
        self.ran += 1;
        if let Err(error) = application.call(self, pending.callback) {
            let context = Context {
                message: "a callback failed",
                error,
                callback: callback.clone(),
                location,
            };
            if let Err(failure) = application.exception_handler(&context) {
                eprintln!("{context}; the exception handler says: {failure}");
            }
        }
        let lap = self.world.stopwatch();
        let began = std::mem::replace(&mut self.last_lap, lap);
        let took = lap.saturating_sub(began);
        application.observe(Observation::Finished {
            handle,
            began,
            took,
        });
        if took >= SLOW_CALLBACK {
            application.observe(Observation::SlowCallback {
                callback: &callback,
                location,
                took,
            });
        }
    }
}
