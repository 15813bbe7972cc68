//! Scheduling: ties, cancelling, the timer heap, and what the poll is asked for.
//!
//! `tests/loop_order.rs` compares the order of callbacks with asyncio's; `event_loop_turn.rs` takes
//! a turn apart; `event_loop_os.rs` and `event_loop_signals.rs` run on the real system.

use std::sync::Arc;
use std::time::Duration;

use crate::stage::recorder::{Act, Loop, Recorder};
use crate::stage::{SCRIPT_ENDS, Scripted};
use herd::event_loop::{COMPACT_ABOVE, EventLoop, Handle, MAXIMUM_POLL_TIMEOUT};

const MS: Duration = Duration::from_millis(1);
const NOW: Option<Duration> = Some(Duration::ZERO);

fn stage() -> (Loop, Recorder) {
    (EventLoop::new(Scripted::default()), Recorder::default())
}

/// Runs until nothing can happen any more.
fn run_out(event_loop: &mut Loop, recorder: &mut Recorder) {
    let error = event_loop.run_forever(recorder).expect_err("no stop");
    assert_eq!(error.kind(), SCRIPT_ENDS, "{error}");
}

#[test]
fn equal_deadlines_run_first_in_first_out() {
    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let (mut event_loop, mut recorder) = stage();
    // Three deadlines, dealt in turn and from the last to the first, so that a heap that compares
    // deadlines alone must shuffle them.
    for (i, name) in NAMES.into_iter().enumerate() {
        let when = MS * (30 - 10 * (i as u32 % 3));
        event_loop.call_at(when, Act::Note(name));
    }
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(
        recorder.names(),
        ["c", "f", "i", "l", "b", "e", "h", "k", "a", "d", "g", "j"]
    );
}

#[test]
fn equal_deadlines_keep_their_order_when_the_heap_is_compacted() {
    let (mut event_loop, mut recorder) = stage();
    let handles: Vec<Handle> = (0..4 * COMPACT_ABOVE)
        .map(|i| event_loop.call_later(MS, Act::Spend(Duration::from_nanos(i as u64))))
        .collect();
    for (i, &handle) in handles.iter().enumerate() {
        if i % 4 != 1 {
            assert!(event_loop.cancel(handle));
        }
    }
    run_out(&mut event_loop, &mut recorder);
    let expected: Vec<Act> = (0..4 * COMPACT_ABOVE)
        .filter(|i| i % 4 == 1)
        .map(|i| Act::Spend(Duration::from_nanos(i as u64)))
        .collect();
    assert_eq!(recorder.ran, expected);
}

#[test]
fn cancel_says_whether_it_cancelled() {
    let (mut event_loop, mut recorder) = stage();
    let soon = event_loop.call_soon(Act::Note("soon"));
    let timer = event_loop.call_later(MS, Act::Note("timer"));
    let ran = event_loop.call_soon(Act::Note("ran"));
    assert!(event_loop.cancel(soon), "it was ready");
    assert!(!event_loop.cancel(soon), "cancelled before");
    assert!(event_loop.cancel(timer), "it was scheduled");
    assert!(!event_loop.cancel(timer), "cancelled before");
    run_out(&mut event_loop, &mut recorder);
    assert!(!event_loop.cancel(ran), "it ran");
    assert_eq!(recorder.names(), ["ran"]);
}

#[test]
fn a_callback_cannot_cancel_itself_but_the_next_of_its_turn() {
    let (mut event_loop, mut recorder) = stage();
    // Serial numbers count up, so the first handle of a loop like this one names what comes first.
    let itself = stage().0.call_soon(Act::Stop);
    let canceller = event_loop.call_soon(Act::Cancel(itself));
    assert_eq!(canceller, itself);
    let victim_timer = event_loop.call_later(Duration::ZERO, Act::Note("due timer"));
    event_loop.call_soon(Act::Cancel(victim_timer));
    event_loop.call_soon(Act::Cancel(victim_timer));
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(recorder.cancelled, [false, true, false]);
    assert_eq!(recorder.names(), ["cancel", "cancel", "cancel"]);
}

#[test]
fn cancelling_drops_the_callback_at_once() {
    let (mut event_loop, _) = stage();
    let something = Arc::new(());
    let soon = event_loop.call_soon(Act::Hold(something.clone()));
    let timer = event_loop.call_later(MS, Act::Hold(something.clone()));
    assert_eq!(Arc::strong_count(&something), 3);
    event_loop.cancel(timer);
    assert_eq!(Arc::strong_count(&something), 2);
    event_loop.cancel(soon);
    assert_eq!(Arc::strong_count(&something), 1);
    assert_eq!(event_loop.timer_heap_len(), 1, "the name stays, empty");
}

#[test]
fn a_stale_handle_cancels_nobody() {
    let (mut event_loop, mut recorder) = stage();
    let stale: Vec<Handle> = (0..8)
        .map(|_| event_loop.call_soon(Act::Note("old")))
        .collect();
    event_loop.cancel(stale[3]);
    run_out(&mut event_loop, &mut recorder);
    recorder.clear();
    // These take the slots of the old ones.
    for _ in 0..4 {
        event_loop.call_soon(Act::Note("new"));
        event_loop.call_later(MS, Act::Note("new timer"));
    }
    for &handle in &stale {
        assert!(!event_loop.cancel(handle), "{handle:?}");
    }
    run_out(&mut event_loop, &mut recorder);
    let expected = [["new"; 4], ["new timer"; 4]].concat();
    assert_eq!(recorder.names(), expected);
}

#[test]
fn handles_are_numbered_in_the_order_of_queueing() {
    let (mut event_loop, mut recorder) = stage();
    let first = event_loop.call_later(MS, Act::Soon("a"));
    let second = event_loop.call_soon(Act::Note("b"));
    event_loop.cancel(second);
    run_out(&mut event_loop, &mut recorder);
    let later = event_loop.call_soon(Act::Note("c"));
    assert_eq!([first, second, later].map(Handle::serial), [0, 1, 3]);
    assert!(first < second && second < later);
    assert_eq!(format!("{later:?}"), "handle 3");
}

#[test]
fn the_heap_stays_small_however_many_timers_are_cancelled() {
    const ALIVE: usize = 80;
    let (mut event_loop, mut recorder) = stage();
    for _ in 0..ALIVE {
        event_loop.call_later(Duration::from_secs(3600), Act::Note("alive"));
    }
    // A server that sets a deadline for each request and cancels it with the answer. These are due
    // before the living ones and behind them, so pruning the front alone would not do.
    for turn in 0..2_000_u32 {
        for request in 0..10 {
            let delay = Duration::from_secs(if request % 2 == 0 { 60 } else { 7200 });
            let deadline = event_loop.call_later(delay + MS * turn, Act::Note("deadline"));
            assert!(event_loop.cancel(deadline));
        }
        event_loop.call_soon(Act::Spend(MS));
        event_loop.run_once(&mut recorder).unwrap();
        let bound = COMPACT_ABOVE.max(2 * ALIVE);
        let entries = event_loop.timer_heap_len();
        assert!(entries <= bound, "{entries} entries after turn {turn}");
        assert_eq!(event_loop.timers().count(), ALIVE);
    }
    recorder.clear();
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(recorder.names(), vec!["alive"; ALIVE]);
    assert_eq!(event_loop.timer_heap_len(), 0);
}

#[test]
fn a_poll_does_not_wait_while_something_is_ready() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_later(10 * MS, Act::Note("timer"));
    event_loop.call_soon(Act::Soon("second"));
    run_out(&mut event_loop, &mut recorder);
    let timeouts = &event_loop.world.timeouts;
    assert_eq!(*timeouts, [NOW, NOW, Some(10 * MS), None]);
}

#[test]
fn a_poll_waits_exactly_until_the_first_deadline() {
    let (mut event_loop, mut recorder) = stage();
    let odd = Duration::new(3, 141_592_653);
    event_loop.call_later(odd, Act::Later(7 * MS, "c"));
    event_loop.call_later(2 * odd, Act::Note("d"));
    let first = event_loop.call_later(MS, Act::Note("cancelled"));
    event_loop.cancel(first);
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(
        event_loop.world.timeouts,
        [Some(odd), Some(7 * MS), Some(odd - 7 * MS), None]
    );
    assert_eq!(event_loop.time(), 2 * odd);
}

#[test]
fn a_poll_waits_not_at_all_for_what_is_overdue() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_later(10 * MS, Act::Note("now"));
    run_out(&mut event_loop, &mut recorder);
    event_loop.world.timeouts.clear();
    event_loop.call_at(3 * MS, Act::Note("past"));
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(event_loop.world.timeouts, [NOW, None]);
    assert_eq!(recorder.names(), ["now", "past"]);
}

#[test]
fn a_poll_waits_a_day_at_most() {
    let (mut event_loop, mut recorder) = stage();
    event_loop.call_later(MAXIMUM_POLL_TIMEOUT * 2 + MS, Act::Note("far"));
    event_loop.call_later(Duration::MAX, Act::Note("at the end of time"));
    for _ in 0..3 {
        event_loop.run_once(&mut recorder).unwrap();
    }
    assert_eq!(recorder.names(), ["far"]);
    // Later than the end of time is the end of time.
    event_loop.call_later(Duration::MAX, Act::Note("later still"));
    event_loop.run_once(&mut recorder).unwrap();
    let day = Some(MAXIMUM_POLL_TIMEOUT);
    assert_eq!(event_loop.world.timeouts, [day, day, Some(MS), day]);
    assert_eq!(recorder.names(), ["far"]);
}

#[test]
fn an_idle_loop_sleeps_for_ever() {
    let (mut event_loop, mut recorder) = stage();
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(event_loop.world.timeouts, [None]);
    event_loop.world.watch(0);
    let timer = event_loop.call_later(MS, Act::Note("timer"));
    event_loop.cancel(timer);
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(
        event_loop.world.timeouts,
        [None, None],
        "no wake-up for a cancelled timer"
    );
}

#[test]
fn a_poll_that_fails_ends_the_run_and_the_loop_survives() {
    let (mut event_loop, mut recorder) = stage();
    run_out(&mut event_loop, &mut recorder);
    assert_eq!(event_loop.iteration(), 0, "a turn begins with its poll");
    event_loop.call_soon(Act::Stop);
    event_loop.run_forever(&mut recorder).unwrap();
    assert_eq!(recorder.names(), ["stop"]);
}

#[test]
fn next_deadline_is_now_if_something_is_ready_else_the_first_timer() {
    let (mut event_loop, mut recorder) = stage();
    assert_eq!(event_loop.next_deadline(), None);
    let first = event_loop.call_later(5 * MS, Act::Soon("b"));
    let second = event_loop.call_later(8 * MS, Act::Note("c"));
    assert_eq!(event_loop.next_deadline(), Some(5 * MS));
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(event_loop.next_deadline(), Some(5 * MS), "b is ready");
    event_loop.run_once(&mut recorder).unwrap();
    assert_eq!(event_loop.next_deadline(), Some(8 * MS));
    event_loop.stop();
    assert_eq!(event_loop.next_deadline(), Some(5 * MS), "to stop is to do");
    event_loop.run_forever(&mut recorder).unwrap();
    assert!(event_loop.cancel(second) && !event_loop.cancel(first));
    assert_eq!(event_loop.next_deadline(), None);
    assert_eq!(event_loop.timer_heap_len(), 0, "asking prunes");
}
