//! Clients that get one answer: the one they waited for, not an early end. And many that get the same.

use herd::server::{BREAKER_FAILURES, LOOKUP_DEADLINE};

use super::{GOOD, HERD, Places, Stage, UNKNOWN, assert_answer};
use crate::stage::{Play, SECOND, asking};

#[test]
fn one_who_is_refused_gets_the_answer_before_the_end() {
    let places = Places {
        silent: true,
        ..Places::default()
    };
    let mut config = asking("places.test");
    config.one_shot = true;
    let mut stage = Stage::with(9, places, config);
    for number in 0..BREAKER_FAILURES + 3 {
        let client = stage.sim.client(HERD);
        stage.send_as(client, "WHATSAT kiwi 10 5\n");
        if number < BREAKER_FAILURES {
            stage.wait(LOOKUP_DEADLINE);
        }
        stage.wait(SECOND);
        let (text, over) = stage.sim.hear(client);
        assert_answer(&text, UNKNOWN);
        assert!(over, "question {number}: it is closed behind the answer");
    }
}

/// A turn that has nothing left to spend hands on the rest of a popular answer in the next ones.
#[test]
fn an_answer_that_many_wait_for_is_handed_on_over_several_turns() {
    let mut config = asking("places.test");
    config.portions.work_a_turn = 1;
    let mut stage = Stage::with(10, Places::default(), config);
    let clients: Vec<_> = (0..50).map(|_| stage.sim.client(HERD)).collect();
    for &client in &clients {
        stage.send_as(client, "WHATSAT kiwi 10 5\n");
    }
    stage.wait(SECOND);
    for client in clients {
        let (text, _) = stage.sim.hear(client);
        assert_answer(&text, GOOD);
    }
    assert_eq!(stage.places().accepted, 1, "one request for all");
}
