//! The loop on the real system: other threads, the executor, real timers.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crate::stage::{PATIENCE, this_thread, wait_asleep};
use herd::event_loop::{
    Application, Callback, EXECUTOR_QUEUE_MAX, EXECUTOR_THREADS, EventLoop, ExecutorError,
    INBOX_MAX, InboxFull, Observation, Origin, Readiness, Token, World,
};
use herd::worlds::os::OsWorld;

type Loop = EventLoop<OsWorld, Call>;

#[derive(Clone, Debug, PartialEq)]
enum Call {
    /// Thread and number.
    Note(usize, usize),
    /// A job's result: what it was, and the name of its thread.
    Result(usize, String),
    /// Not before this loop time.
    Timer(Duration),
    /// Comes back in the next turn, so many times.
    Spin(usize),
    /// What the test waits for did not come.
    GiveUp,
}

impl Callback for Call {
    fn ready(token: Token, readiness: Readiness) -> Call {
        panic!("no socket is here: {token:?} {readiness:?}");
    }

    fn done(job: u64) -> Call {
        panic!("nobody asked for job {job}");
    }

    fn signal(number: i32) -> Call {
        panic!("no signal is watched: {number}");
    }
}

/// Remembers what ran; a turn is (events of its poll, callbacks to run).
#[derive(Default)]
struct Log {
    ran: Vec<Call>,
    turns: Vec<(usize, usize)>,
    origins: Vec<Origin>,
    /// For each timer: its deadline, and the clock when it ran.
    timers: Vec<(Duration, Duration)>,
}

impl Application<OsWorld> for Log {
    type Callback = Call;

    fn call(&mut self, event_loop: &mut Loop, callback: Call) -> Result<(), Box<dyn Error>> {
        match callback {
            Call::GiveUp => panic!("it did not come within {PATIENCE:?}"),
            Call::Timer(deadline) => self.timers.push((deadline, event_loop.world.time())),
            Call::Spin(left) if left > 0 => {
                event_loop.call_soon(Call::Spin(left - 1));
            }
            Call::Note(..) | Call::Result(..) | Call::Spin(_) => {}
        }
        self.ran.push(callback);
        Ok(())
    }

    fn before_poll(&mut self, _: &mut Loop) {}

    fn observe(&mut self, observation: Observation<'_, Call>) {
        match observation {
            Observation::Polled { events, todo, .. } => self.turns.push((events, todo)),
            Observation::Started(_, pending) => self.origins.push(pending.origin),
            _ => {}
        }
    }
}

fn stage() -> (Loop, Log) {
    let event_loop = EventLoop::new(OsWorld::new().unwrap());
    (event_loop, Log::default())
}

/// Runs until so many callbacks ran. Fails if they do not come.
fn run_to(event_loop: &mut Loop, log: &mut Log, count: usize) {
    let give_up = event_loop.call_later(PATIENCE, Call::GiveUp);
    event_loop
        .run_until(log, |log| log.ran.len() >= count)
        .unwrap();
    assert!(event_loop.cancel(give_up));
}

#[test]
fn another_thread_wakes_a_sleeping_poll() {
    let (mut event_loop, mut log) = stage();
    let remote = event_loop.remote();
    let sleeper = this_thread();
    let helper = thread::spawn(move || {
        wait_asleep(&sleeper);
        remote.call_soon_threadsafe(Call::Note(0, 0)).unwrap();
    });
    run_to(&mut event_loop, &mut log, 1);
    helper.join().unwrap();
    assert_eq!(log.ran, [Call::Note(0, 0)]);
    assert_eq!(log.origins, [Origin::Thread]);
    // The idle loop slept in one poll until then.
    assert_eq!(log.turns, [(1, 1)]);
}

#[test]
fn a_wake_up_before_the_poll_is_not_lost() {
    let (mut event_loop, mut log) = stage();
    let remote = event_loop.remote();
    thread::spawn(move || remote.call_soon_threadsafe(Call::Note(0, 0)).unwrap())
        .join()
        .unwrap();
    run_to(&mut event_loop, &mut log, 1);
    assert_eq!(log.turns, [(1, 1)]);
}

#[test]
fn many_messages_need_one_wake_up() {
    let (mut event_loop, mut log) = stage();
    let remote = event_loop.remote();
    for number in 0..1_000 {
        remote.call_soon_threadsafe(Call::Note(0, number)).unwrap();
    }
    run_to(&mut event_loop, &mut log, 1_000);
    assert_eq!(log.turns, [(1, 1_000)]);
}

/// A wake-up with an empty inbox: somebody else's turn took the message already.
#[test]
fn a_wake_up_for_nothing_is_an_empty_turn() {
    let (mut event_loop, mut log) = stage();
    event_loop.world.waker().wake();
    event_loop.run_once(&mut log).unwrap();
    assert_eq!(log.turns, [(1, 0)]);
}

#[test]
fn each_thread_keeps_its_order() {
    const THREADS: usize = 4;
    const EACH: usize = 5_000;
    let (mut event_loop, mut log) = stage();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let remote = event_loop.remote();
            scope.spawn(move || {
                for number in 0..EACH {
                    let sent = remote.call_soon_threadsafe(Call::Note(thread, number));
                    sent.expect("the inbox has room for all");
                }
            });
        }
        run_to(&mut event_loop, &mut log, THREADS * EACH);
    });
    for thread in 0..THREADS {
        let of_thread = log.ran.iter().filter_map(|call| match call {
            Call::Note(from, number) if *from == thread => Some(*number),
            _ => None,
        });
        assert!(of_thread.eq(0..EACH), "thread {thread}");
    }
}

#[test]
fn a_full_inbox_gives_the_callback_back() {
    let (mut event_loop, mut log) = stage();
    let remote = event_loop.remote();
    for number in 0..INBOX_MAX {
        remote.call_soon_threadsafe(Call::Note(0, number)).unwrap();
    }
    let refused = remote.call_soon_threadsafe(Call::Note(1, 7));
    assert_eq!(refused, Err(InboxFull(Call::Note(1, 7))));
    run_to(&mut event_loop, &mut log, INBOX_MAX);
    assert_eq!(log.ran.last(), Some(&Call::Note(0, INBOX_MAX - 1)));
    remote.call_soon_threadsafe(Call::Note(2, 0)).unwrap();
    run_to(&mut event_loop, &mut log, INBOX_MAX + 1);
    assert_eq!(log.ran.last(), Some(&Call::Note(2, 0)));
}

/// Threads that talk without pause stop neither timers nor what is ready.
#[test]
fn a_busy_inbox_does_not_starve_timers() {
    let (mut event_loop, mut log) = stage();
    let remote = event_loop.remote();
    let (done, stop) = channel::<()>();
    let talker = thread::spawn(move || {
        while stop.try_recv().is_err() {
            // A full inbox is no reason to stop talking.
            let _ = remote.call_soon_threadsafe(Call::Note(0, 0));
        }
    });
    for ms in 1..=20 {
        let deadline = event_loop.time() + Duration::from_millis(ms);
        event_loop.call_at(deadline, Call::Timer(deadline));
    }
    event_loop
        .run_until(&mut log, |log| log.timers.len() == 20)
        .unwrap();
    done.send(()).unwrap();
    talker.join().unwrap();
}

#[test]
fn results_of_jobs_come_back_as_callbacks() {
    let (mut event_loop, mut log) = stage();
    for job in 0..20 {
        event_loop
            .run_in_executor(move || Call::Result(job, thread_name()))
            .unwrap();
    }
    run_to(&mut event_loop, &mut log, 20);
    let mut jobs = BTreeSet::new();
    for call in &log.ran {
        let Call::Result(job, thread) = call else {
            panic!("{call:?}");
        };
        assert!(thread.starts_with("executor_"), "{thread}");
        jobs.insert(*job);
    }
    assert_eq!(jobs, (0..20).collect());
    assert_eq!(log.origins, [Origin::Thread; 20]);
}

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_string()
}

/// Each job waits for all others: they end only if that many run at once.
#[test]
fn the_executor_runs_as_many_jobs_at_once_as_it_has_threads() {
    let (mut event_loop, mut log) = stage();
    let barrier = Arc::new(Barrier::new(EXECUTOR_THREADS));
    for job in 0..EXECUTOR_THREADS {
        let barrier = barrier.clone();
        event_loop
            .run_in_executor(move || {
                barrier.wait();
                Call::Result(job, thread_name())
            })
            .unwrap();
    }
    run_to(&mut event_loop, &mut log, EXECUTOR_THREADS);
    let threads: BTreeSet<String> = log.ran.iter().map(|call| format!("{call:?}")).collect();
    assert_eq!(threads.len(), EXECUTOR_THREADS);
}

/// Jobs that block until the sender is dropped.
struct Blockers {
    started: Receiver<()>,
    release: Sender<()>,
}

/// Occupies every thread of the executor, and returns once all are occupied.
fn block_all_threads(event_loop: &mut Loop) -> Blockers {
    let (starts, started) = channel();
    let (release, blocked) = channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    for _ in 0..EXECUTOR_THREADS {
        let (starts, blocked) = (starts.clone(), blocked.clone());
        event_loop
            .run_in_executor(move || {
                starts.send(()).unwrap();
                // Ends with an error when the sender is dropped, for one after the other.
                let _ = blocked.lock().unwrap().recv();
                Call::Result(usize::MAX, thread_name())
            })
            .unwrap();
    }
    let blockers = Blockers { started, release };
    for _ in 0..EXECUTOR_THREADS {
        blockers.started.recv_timeout(PATIENCE).unwrap();
    }
    blockers
}

#[test]
fn a_full_executor_says_so_and_recovers() {
    let (mut event_loop, mut log) = stage();
    let blockers = block_all_threads(&mut event_loop);
    let job = |number| move || Call::Result(number, thread_name());
    for number in 0..EXECUTOR_QUEUE_MAX {
        event_loop.run_in_executor(job(number)).unwrap();
    }
    let refused = event_loop.run_in_executor(job(EXECUTOR_QUEUE_MAX));
    assert_eq!(refused, Err(ExecutorError::Full));
    drop(blockers);
    run_to(
        &mut event_loop,
        &mut log,
        EXECUTOR_THREADS + EXECUTOR_QUEUE_MAX,
    );
    let numbers: BTreeSet<usize> = log
        .ran
        .iter()
        .map(|call| match call {
            Call::Result(number, _) => *number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(!numbers.contains(&EXECUTOR_QUEUE_MAX), "it was refused");
    assert_eq!(
        numbers.len(),
        EXECUTOR_QUEUE_MAX + 1,
        "blockers count as one"
    );
    event_loop.run_in_executor(job(0)).unwrap();
}

#[test]
fn blocking_jobs_do_not_stop_the_loop() {
    let (mut event_loop, mut log) = stage();
    let blockers = block_all_threads(&mut event_loop);
    event_loop.call_soon(Call::Spin(50));
    let deadline = event_loop.time() + Duration::from_millis(5);
    event_loop.call_at(deadline, Call::Timer(deadline));
    run_to(&mut event_loop, &mut log, 52);
    let result = |call: &Call| matches!(call, Call::Result(..));
    assert!(!log.ran.iter().any(result), "the jobs block still");
    assert_eq!(log.timers.len(), 1);
    drop(blockers.release);
    run_to(&mut event_loop, &mut log, 52 + EXECUTOR_THREADS);
}

/// Deadlines between the milliseconds that epoll counts.
#[test]
fn a_real_timer_never_fires_early() {
    let (mut event_loop, mut log) = stage();
    for i in 0..200 {
        let deadline = event_loop.time() + Duration::from_nanos(137_531 * i);
        event_loop.call_at(deadline, Call::Timer(deadline));
    }
    run_to(&mut event_loop, &mut log, 200);
    for (deadline, ran) in &log.timers {
        assert!(ran >= deadline, "due at {deadline:?}, ran at {ran:?}");
    }
    assert!(log.timers.is_sorted(), "in order of their deadlines");
}

/// The poll sleeps once for as long as the timer asks: a timeout rounded down would spin.
#[test]
fn an_idle_loop_wakes_up_once_for_a_timer() {
    let (mut event_loop, _) = stage();
    for i in 0..10 {
        let mut log = Log::default();
        let deadline = event_loop.time() + Duration::from_nanos(20_000_001 + 77_777 * i);
        event_loop.call_at(deadline, Call::Timer(deadline));
        run_to(&mut event_loop, &mut log, 1);
        assert_eq!(log.turns, [(0, 1)]);
    }
}
