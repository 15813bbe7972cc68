//! Clients that get one answer: the one they waited for, not an early end.

use herd::server::{BREAKER_FAILURES, LOOKUP_DEADLINE};

use super::{HERD, Places, Stage, UNKNOWN, assert_answer};
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
