//! Signals on the real system. Each test has a signal of its own: every world of a process that
//! watches a signal gets it, and a poll in another test that counts its turns would be cut short. So
//! they are a program of their own.

#[path = "../event_loop/stage/mod.rs"]
mod stage;

use std::error::Error;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use crate::stage::{PATIENCE, this_thread, wait_asleep};
use herd::event_loop::{Application, Callback, EventLoop, Observation, Origin, Readiness, Token};
use herd::worlds::os::OsWorld;
use rustix::process::{Signal, getpid, kill_process};

type Loop = EventLoop<OsWorld, Call>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Signal(i32),
    /// From another thread.
    Woken,
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
        Call::Signal(number)
    }
}

/// Remembers what ran; a turn is (events of its poll, callbacks to run).
#[derive(Default)]
struct Log {
    ran: Vec<(Origin, Call)>,
    turns: Vec<(usize, usize)>,
}

impl Application<OsWorld> for Log {
    type Callback = Call;

    fn call(&mut self, _: &mut Loop, callback: Call) -> Result<(), Box<dyn Error>> {
        assert_ne!(callback, Call::GiveUp, "it did not come in {PATIENCE:?}");
        Ok(())
    }

    fn before_poll(&mut self, _: &mut Loop) {}

    fn observe(&mut self, observation: Observation<'_, Call>) {
        match observation {
            Observation::Polled { events, todo, .. } => self.turns.push((events, todo)),
            Observation::Started(_, pending) => self.ran.push((pending.origin, pending.callback)),
            _ => {}
        }
    }
}

fn stage(signals: &[Signal]) -> (Loop, Log) {
    let mut world = OsWorld::new().unwrap();
    for signal in signals {
        world.watch_signal(signal.as_raw()).unwrap();
    }
    (EventLoop::new(world), Log::default())
}

/// Runs until so many callbacks ran. Fails if they do not come.
fn run_to(event_loop: &mut Loop, log: &mut Log, count: usize) {
    let give_up = event_loop.call_later(PATIENCE, Call::GiveUp);
    event_loop
        .run_until(log, |log| log.ran.len() >= count)
        .unwrap();
    assert!(event_loop.cancel(give_up));
}

/// Sends this process a signal and returns when its handler has run. The system merges a signal
/// with one like it that was not handled yet, so whoever wants two must wait in between.
struct Sender {
    signal: Signal,
    handled: UnixStream,
}

impl Sender {
    /// To be made after the world that watches: handlers run in the order of their registration.
    fn new(signal: Signal) -> Sender {
        let (handled, sender) = UnixStream::pair().unwrap();
        handled.set_read_timeout(Some(PATIENCE)).unwrap();
        signal_hook::low_level::pipe::register(signal.as_raw(), sender).unwrap();
        Sender { signal, handled }
    }

    fn send(&mut self) {
        kill_process(getpid(), self.signal).unwrap();
        self.handled.read_exact(&mut [0]).expect("it is handled");
    }
}

#[test]
fn two_signals_arrive_as_two_events() {
    let (mut event_loop, mut log) = stage(&[Signal::HUP]);
    let mut sender = Sender::new(Signal::HUP);
    sender.send();
    sender.send();
    run_to(&mut event_loop, &mut log, 2);
    let hup = (Origin::Signal, Call::Signal(Signal::HUP.as_raw()));
    assert_eq!(log.ran, [hup, hup]);
    assert_eq!(log.turns, [(2, 2)], "both out of one poll");
    // And a third one later: draining left the pipe ready to tell again.
    sender.send();
    run_to(&mut event_loop, &mut log, 3);
    assert_eq!(log.ran, [hup; 3]);
}

#[test]
fn each_signal_keeps_its_number() {
    let (mut event_loop, mut log) = stage(&[Signal::USR1, Signal::TERM]);
    Sender::new(Signal::TERM).send();
    run_to(&mut event_loop, &mut log, 1);
    Sender::new(Signal::USR1).send();
    run_to(&mut event_loop, &mut log, 2);
    let numbers = [Signal::TERM, Signal::USR1].map(|signal| Call::Signal(signal.as_raw()));
    assert_eq!(log.ran, numbers.map(|call| (Origin::Signal, call)));
}

#[test]
fn a_signal_wakes_a_sleeping_poll() {
    let (mut event_loop, mut log) = stage(&[Signal::USR2]);
    let sleeper = this_thread();
    let helper = thread::spawn(move || {
        wait_asleep(&sleeper);
        kill_process(getpid(), Signal::USR2).unwrap();
    });
    run_to(&mut event_loop, &mut log, 1);
    helper.join().unwrap();
    let usr2 = Call::Signal(Signal::USR2.as_raw());
    assert_eq!(log.ran, [(Origin::Signal, usr2)]);
}

/// epoll_wait fails with EINTR when its process was stopped and continues, as Ctrl-Z and `fg` do.
#[test]
fn a_poll_that_is_interrupted_is_an_empty_turn() {
    let (mut event_loop, mut log) = stage(&[]);
    let remote = event_loop.remote();
    let sleeper = this_thread();
    let helper = thread::spawn(move || {
        wait_asleep(&sleeper);
        // A SIGCONT that comes before the threads have stopped takes the SIGSTOP back.
        let script = "kill -STOP $PPID
            until grep -q 'State:.T' \"$0/status\"; do :; done
            kill -CONT $PPID";
        let status = Command::new("sh")
            .args(["-c", script])
            .arg(&sleeper)
            .status();
        // If the poll slept on, nothing else would end the turn.
        remote.call_soon_threadsafe(Call::Woken).unwrap();
        assert!(status.unwrap().success());
    });
    run_to(&mut event_loop, &mut log, 1);
    helper.join().unwrap();
    assert_eq!(log.ran, [(Origin::Thread, Call::Woken)]);
    let (last, interrupted) = log.turns.split_last().unwrap();
    assert_eq!(*last, (1, 1));
    assert!(!interrupted.is_empty(), "the poll was not interrupted");
    assert!(interrupted.iter().all(|&turn| turn == (0, 0)));
}
