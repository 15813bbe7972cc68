//! The stand-in as a program: when it ends.

use crate::common::{PATIENCE, Places, iamat, wait_for};

#[test]
fn the_stand_in_runs_on_when_its_standard_input_ends() {
    let mut places = Places::alone(&[]);
    places.end_input();
    let herd = places.clark("legacy").start();
    let mut client = herd.client("Clark");
    client.ask(iamat("kiwi"));
    for _ in 0..3 {
        let answer = client.send("WHATSAT kiwi 10 3\n").whatsat();
        assert_eq!(answer.results().len(), 3, "{}", answer.json);
    }
    assert_eq!(places.ended(), None);
}

#[test]
fn the_stand_in_ends_with_its_standard_input_if_told_so() {
    let mut places = Places::start(&[]);
    assert_eq!(places.ended(), None);
    places.end_input();
    let status = wait_for(PATIENCE, "the stand-in ends", || places.ended());
    assert!(status.success(), "{status}");
}
