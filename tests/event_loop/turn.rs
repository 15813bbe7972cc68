//! One turn: taken apart by a stepper, stopped, looked at, measured, and when a callback fails.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use crate::stage::recorder::{Act, Loop, Recorder, Seen};
use crate::stage::{SCRIPT_ENDS, Scripted};
use herd::event_loop::{Application, EventLoop, Origin, Readiness, SLOW_CALLBACK, SLOW_ITERATION};

const MS: Duration = Duration::from_millis(1);

fn stage() -> (Loop, Recorder) {
    (EventLoop::new(Scripted::default()), Recorder::default())
}

#[test]
fn a_turn_can_be_taken_one_callback_at_a_time() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_soon(Act::Soon("behind a"));
    let dropped = event_loop.call_soon(Act::Note("dropped"));
    event_loop.call_soon(Act::Note("b"));
    event_loop.cancel(dropped);
    assert!(!event_loop.run_next(&mut recorder), "nothing was collected");

    event_loop.collect(&mut recorder).unwrap();
    assert_eq!((event_loop.iteration(), recorder.ran.len()), (1, 0));
    assert!(event_loop.run_next(&mut recorder));
    assert_eq!(
        recorder.names(),
        ["behind a"],
        "one, and not what it queued"
    );
    assert!(
        event_loop.run_next(&mut recorder),
        "the cancelled is no step"
    );
    assert_eq!(recorder.names(), ["behind a", "b"]);
    for _ in 0..2 {
        assert!(
            !event_loop.run_next(&mut recorder),
            "the snapshot is used up"
        );
    }
    assert!(recorder.flushes.is_empty(), "finish alone flushes");
    event_loop.finish(&mut recorder);
    assert_eq!(recorder.flushes, [2]);
    assert_eq!(event_loop.ready().count(), 1);

    event_loop.collect(&mut recorder).unwrap();
    assert!(event_loop.run_next(&mut recorder));
    assert!(!event_loop.run_next(&mut recorder));
    assert_eq!(recorder.names(), ["behind a", "b", "behind a"]);
    assert_eq!(event_loop.iteration(), 2);
}

/// What somebody cancels between two steps does not run.
#[test]
fn a_stepper_may_cancel_and_queue_between_callbacks() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_soon(Act::Note("a"));
    let last = event_loop.call_soon(Act::Note("last"));
    event_loop.collect(&mut recorder).unwrap();
    assert!(event_loop.run_next(&mut recorder));
    event_loop.call_soon(Act::Note("mine"));
    assert!(event_loop.cancel(last));
    assert!(
        !event_loop.run_next(&mut recorder),
        "mine is of the next turn"
    );
    event_loop.finish(&mut recorder);
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.names(), ["a", "mine"]);
}

/// A turn that was left before its end goes on with the next: nothing is lost, order is kept.
#[test]
fn callbacks_left_over_run_first_in_the_next_turn() {
    let (mut event_loop, mut recorder) = stage();
    for name in ["a", "b", "c"] {
        event_loop.call_soon(Act::Soon(name));
    }
    event_loop.collect(&mut recorder).unwrap();
    assert!(event_loop.run_next(&mut recorder));
    event_loop.finish(&mut recorder);
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.names(), ["a", "b", "c", "a"]);
}

#[test]
fn the_loop_time_stands_still_within_a_turn() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_soon(Act::Spend(50 * MS));
    event_loop.call_soon(Act::Later(10 * MS, "timer"));
    event_loop.collect(&mut recorder).unwrap();
    while event_loop.run_next(&mut recorder) {
        assert_eq!(event_loop.time(), Duration::ZERO);
    }
    event_loop.finish(&mut recorder);
    assert_eq!(event_loop.time(), Duration::ZERO);
    event_loop.call_soon(Act::Note("turn"));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(event_loop.time(), 50 * MS);
    assert_eq!(recorder.names().last(), Some(&"timer"));
}

#[test]
fn the_ready_view_shows_what_why_since_and_from_where() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_later(7 * MS, Act::Note("wait"));
    event_loop.run_once(&mut recorder).unwrap();
    let token = event_loop.world.watch(4);
    event_loop.world.write(4);
    event_loop.world.signal(15);
    let remote = event_loop.remote();
    remote.call_soon_threadsafe(Act::Note("thread")).unwrap();
    let gone = event_loop.call_soon(Act::Stop);
    event_loop.cancel(gone);
    let (soon, line) = (event_loop.call_soon(Act::Note("soon")), line!());
    let (timer, timer_line) = (event_loop.call_at(MS, Act::Note("timer")), line!());
    event_loop.collect(&mut recorder).unwrap();

    let rows: Vec<_> = event_loop
        .ready()
        .map(|(_, pending)| (pending.origin, pending.callback.clone(), pending.since))
        .collect();
    let ready = Act::Ready(token, Readiness::READABLE);
    let expected = [
        (Origin::Soon, Act::Note("soon"), 7 * MS),
        (Origin::Thread, Act::Note("thread"), 7 * MS),
        (Origin::Signal, Act::Signal(15), 7 * MS),
        (Origin::Io, ready, 7 * MS),
        (Origin::Timer, Act::Note("timer"), 7 * MS),
    ];
    assert_eq!(rows, expected);
    for (handle, line) in [(soon, line), (timer, timer_line)] {
        let (_, pending) = event_loop.ready().find(|row| row.0 == handle).unwrap();
        let location = pending.location;
        assert_eq!((location.file(), location.line()), (file!(), line));
    }
    assert!(event_loop.run_next(&mut recorder));
    assert_eq!(event_loop.ready().count(), 4, "what runs is ready no more");
}

#[test]
fn the_timer_view_shows_deadlines_and_since_when_they_wait() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_later(5 * MS, Act::Note("due"));
    event_loop.call_later(30 * MS, Act::Note("early"));
    event_loop.run_once(&mut recorder).unwrap();
    let (late, line) = (event_loop.call_later(20 * MS, Act::Stop), line!());
    let cancelled = event_loop.call_later(MS, Act::Note("cancelled"));
    event_loop.cancel(cancelled);
    let mut rows: Vec<_> = event_loop
        .timers()
        .map(|(when, handle, pending)| (when, handle.serial(), pending.origin, pending.since))
        .collect();
    rows.sort_by_key(|row| row.0);
    let expected = [
        (25 * MS, late.serial(), Origin::Timer, 5 * MS),
        (30 * MS, 1, Origin::Timer, Duration::ZERO),
    ];
    assert_eq!(rows, expected);
    let (.., pending) = event_loop.timers().find(|row| row.1 == late).unwrap();
    assert_eq!(pending.location.file(), file!());
    assert_eq!(pending.location.line(), line);
    assert_eq!(event_loop.timer_heap_len(), 3);
    assert_eq!(event_loop.ready().count(), 0, "a timer is not ready");
}

#[test]
fn stop_ends_the_run_and_keeps_what_is_ready() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_soon(Act::Stop);
    event_loop.call_soon(Act::Soon("behind"));
    event_loop.call_later(MS, Act::Note("timer"));
    event_loop.run_forever(&mut recorder).unwrap();
    assert_eq!(recorder.names(), ["stop", "behind"]);
    assert_eq!(recorder.flushes, [2], "the turn was flushed");
    assert_eq!(event_loop.ready().count(), 1);
    // The next run starts afresh.
    let error = event_loop.run_forever(&mut recorder).unwrap_err();
    assert_eq!(error.kind(), SCRIPT_ENDS);
    assert_eq!(recorder.names(), ["stop", "behind", "behind", "timer"]);
}

#[test]
fn a_run_that_is_stopped_beforehand_takes_one_turn_and_does_not_wait() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_later(MS, Act::Note("timer"));
    event_loop.stop();
    event_loop.run_forever(&mut recorder).unwrap();
    assert_eq!(event_loop.world.timeouts, [Some(Duration::ZERO)]);
    assert_eq!(event_loop.iteration(), 1);
    assert!(recorder.ran.is_empty());
}

#[test]
fn run_until_asks_after_each_turn() {
    let (mut event_loop, mut recorder) = stage();
    for ms in 1..=5 {
        event_loop.call_later(ms * MS, Act::Note("timer"));
    }
    let enough = |recorder: &mut Recorder| recorder.ran.len() >= 3;
    event_loop.run_until(&mut recorder, enough).unwrap();
    assert_eq!((recorder.ran.len(), event_loop.iteration()), (3, 3));
    event_loop.run_until(&mut recorder, enough).unwrap();
    assert_eq!(event_loop.iteration(), 4, "at least one turn");
    event_loop.call_soon(Act::Stop);
    event_loop.run_until(&mut recorder, |_| false).unwrap();
    assert_eq!(recorder.names().last(), Some(&"stop"));
}

/// What a flush queues is of the next turn, and the loop does not sleep before it.
#[test]
fn a_flush_comes_once_a_turn_and_may_queue() {
    let (mut event_loop, mut recorder) = stage();
    recorder.queue_in_flush = vec!["queued by the flush"];
    event_loop.call_soon(Act::Note("a"));
    event_loop.call_soon(Act::Note("b"));
    event_loop.call_later(MS, Act::Note("timer"));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.flushes, [2]);
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.flushes, [2, 3]);
    assert_eq!(event_loop.time(), Duration::ZERO);
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.names(), ["a", "b", "queued by the flush", "timer"]);
}

#[test]
fn an_observer_sees_the_whole_turn_in_order() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.world.watch(0);
    event_loop.world.arrive(5 * MS, 0);
    let gone = event_loop.call_later(4 * MS, Act::Note("gone"));
    let timer = event_loop.call_later(5 * MS, Act::Spend(2 * MS));
    event_loop.cancel(gone);
    event_loop.run_once(&mut recorder).unwrap();
    let ready = recorder.ran[0].clone();
    let [_, Seen::Started(io, _), ..] = recorder.seen[..] else {
        panic!("{:?}", recorder.seen);
    };
    let expected = [
        Seen::Polled(5 * MS, 1, 2),
        Seen::Started(io, ready),
        Seen::Finished(io, Duration::ZERO),
        Seen::Started(timer, Act::Spend(2 * MS)),
        Seen::Finished(timer, 2 * MS),
        Seen::Iteration(2, 2 * MS),
    ];
    assert_eq!(recorder.seen, expected);
}

#[test]
fn what_was_before_the_first_turn_is_no_part_of_it() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.world.spend(3 * MS);
    event_loop.call_soon(Act::Note("first"));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.seen[0], Seen::Polled(Duration::ZERO, 0, 1));
    recorder.clear();
    event_loop.world.spend(2 * MS);
    event_loop.call_soon(Act::Note("second"));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.seen[0], Seen::Polled(2 * MS, 0, 1));
}

#[test]
fn what_waits_can_be_counted() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_soon(Act::Soon("the next turn's"));
    let gone = event_loop.call_soon(Act::Note("gone"));
    event_loop.call_soon(Act::Note("this turn's"));
    event_loop.cancel(gone);
    for deadline in [9, 5, 7] {
        event_loop.call_later(deadline * MS, Act::Note("timer"));
    }
    let gone = event_loop.call_later(6 * MS, Act::Note("gone"));
    event_loop.cancel(gone);
    event_loop.collect(&mut recorder).unwrap();
    assert_eq!((event_loop.todo(), event_loop.ready_len()), (3, 3));
    assert!(event_loop.run_next(&mut recorder));
    assert_eq!((event_loop.todo(), event_loop.ready_len()), (2, 3));
    assert_eq!(
        (event_loop.timers_len(), event_loop.timer_heap_len()),
        (3, 4)
    );
    let first = event_loop.first_timers(2);
    let deadlines: Vec<_> = first.iter().map(|(when, ..)| *when).collect();
    assert_eq!(deadlines, [5 * MS, 7 * MS]);
}

fn slow(recorder: &Recorder) -> Vec<Seen> {
    let slow = |seen: &&Seen| matches!(seen, Seen::SlowCallback(..) | Seen::SlowIteration(..));
    recorder.seen.iter().filter(slow).cloned().collect()
}

#[test]
fn a_slow_callback_is_reported_with_where_it_was_queued() {
    let (mut event_loop, mut recorder) = stage();
    let almost = SLOW_CALLBACK - Duration::from_nanos(1);
    event_loop.call_soon(Act::Spend(almost));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(slow(&recorder), [], "not quite");

    event_loop.call_soon(Act::Note("quick"));
    event_loop.call_soon(Act::Spend(SLOW_CALLBACK));
    let line = line!() - 1;
    event_loop.run_once(&mut recorder).unwrap();
    let [
        Seen::SlowCallback(ref callback, location, took),
        Seen::SlowIteration(2, turn),
    ] = slow(&recorder)[..]
    else {
        panic!("{:?}", slow(&recorder));
    };
    assert_eq!(*callback, Act::Spend(SLOW_CALLBACK));
    assert_eq!((location.file(), location.line()), (file!(), line));
    assert_eq!((took, turn), (SLOW_CALLBACK, SLOW_CALLBACK));
}

/// What asyncio cannot tell (cpython#101946): no callback was slow, and yet nobody was served.
#[test]
fn ten_callbacks_of_10_ms_are_a_slow_iteration_and_no_slow_callback() {
    let (mut event_loop, mut recorder) = stage();
    for _ in 0..9 {
        event_loop.call_soon(Act::Spend(10 * MS));
    }
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(slow(&recorder), []);
    for _ in 0..10 {
        event_loop.call_soon(Act::Spend(10 * MS));
    }
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(slow(&recorder), [Seen::SlowIteration(10, SLOW_ITERATION)]);
}

#[test]
fn a_long_poll_is_neither_a_slow_callback_nor_a_slow_iteration() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_later(Duration::from_secs(3600), Act::Note("timer"));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.names(), ["timer"]);
    assert_eq!(slow(&recorder), []);
}

#[test]
fn a_failure_reaches_the_handler_with_its_context() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_soon(Act::Fail("it broke"));
    let line = line!() - 1;
    event_loop.call_soon(Act::Note("next"));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(recorder.names(), ["it broke", "next"]);
    let [(message, error, callback, location)] = &recorder.failures[..] else {
        panic!("{:?}", recorder.failures);
    };
    assert_eq!(
        (*message, error.as_str()),
        ("a callback failed", "it broke")
    );
    assert_eq!(*callback, Act::Fail("it broke"));
    assert_eq!((location.file(), location.line()), (file!(), line));
    let column = location.column();
    let expected = format!(
        "a callback failed: it broke (in Fail(\"it broke\"), queued at {}:{line}:{column})",
        file!()
    );
    assert_eq!(recorder.printed, [expected]);
    let finished = |seen: &&Seen| matches!(seen, Seen::Finished(..));
    assert_eq!(recorder.seen.iter().filter(finished).count(), 2);
}

/// An application that leaves the exception handler as it is.
struct Plain(Vec<Act>);

impl Application<Scripted> for Plain {
    type Callback = Act;

    fn call(&mut self, _: &mut Loop, callback: Act) -> Result<(), Box<dyn Error>> {
        self.0.push(callback.clone());
        match callback {
            Act::Fail(message) => Err(message.into()),
            _ => Ok(()),
        }
    }

    fn before_poll(&mut self, _: &mut Loop) {}
}

const FALL_BACK: &str = "turn::a_failing_handler_falls_back_to_standard_error";

#[test]
fn a_failing_handler_falls_back_to_standard_error() {
    let mut event_loop: Loop = EventLoop::new(Scripted::default());
    let mut plain = Plain(Vec::new());
    event_loop.call_soon(Act::Fail("the first"));
    event_loop.call_soon(Act::Note("between"));
    event_loop.call_later(MS, Act::Fail("the second"));
    let error = event_loop.run_forever(&mut plain).unwrap_err();
    assert_eq!(error.kind(), SCRIPT_ENDS);
    let expected = [
        Act::Fail("the first"),
        Act::Note("between"),
        Act::Fail("the second"),
    ];
    assert_eq!(plain.0, expected);
}

/// The same test once more, in a process whose standard error can be read.
#[test]
fn the_line_on_standard_error_says_what_and_where() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([FALL_BACK, "--exact", "--nocapture"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    for failure in ["the first", "the second"] {
        let said = format!(
            "a callback failed: {failure} (in Fail({failure:?}), queued at {}:",
            file!()
        );
        let lines: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with(&said))
            .collect();
        assert_eq!(lines.len(), 1, "{said}\n{stderr}");
        assert!(
            lines[0].contains("; the exception handler says: "),
            "{stderr}"
        );
    }
}
