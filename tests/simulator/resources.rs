//! What a connection has, a server gets back with its end.

use std::io;
use std::time::Duration;

use herd::event_loop::EventLoop;
use herd::server::{CLIENT_LINE_DEADLINE, Callback, Node};
use herd::worlds::sim::{SimWorld, Simulation, Weather};

use crate::stage::{Play, SECOND, boot, solo};

/// The listener starves, and no event will tell of who waits: its timer looks again after a second, and
/// whoever leaves before that makes room at once.
#[test]
fn whoever_leaves_makes_room_for_who_waits() {
    let mut sim = Simulation::new(1, 3, Weather::default());
    boot(&mut sim, 0, solo());
    sim.net_mut().set_descriptors(0, Some(2));
    let first = sim.client(0);
    let second = sim.client(0);
    sim.wait(SECOND / 10);
    let waiting = sim.client(0);
    sim.say(waiting, "hello\n");
    sim.wait(SECOND / 10);
    assert_eq!(sim.hear(waiting).0, "", "there is a descriptor for it");
    sim.net_mut().close(first);
    sim.wait(SECOND / 10);
    assert_eq!(sim.hear(waiting).0, "? hello\n");
    // Nobody leaves, but somebody else gives a descriptor back: the timer finds it.
    let later = sim.client(0);
    sim.say(later, "hello\n");
    sim.wait(SECOND / 10);
    sim.net_mut().set_descriptors(0, Some(1));
    sim.wait(2 * SECOND);
    assert_eq!(sim.hear(later).0, "? hello\n");
    sim.say(second, "still here\n");
    sim.wait(SECOND / 10);
    assert_eq!(sim.hear(second).0, "? still here\n");
}

/// Each has a deadline for its line, and leaves long before.
#[test]
fn a_connection_takes_its_timer_along() {
    let mut sim = Simulation::new(1, 4, Weather::default());
    let start = |node: &mut Node<SimWorld>,
                 event_loop: &mut EventLoop<SimWorld, Callback>|
     -> io::Result<()> { node.start(event_loop) };
    sim.boot(0, Node::new(solo()), start).expect("boots");
    for _ in 0..200 {
        let client = sim.client(0);
        sim.say(client, "half a line");
        sim.wait(Duration::from_millis(20));
        sim.net_mut().close(client);
        sim.wait(Duration::from_millis(20));
    }
    assert!(sim.net().now < CLIENT_LINE_DEADLINE);
    let (event_loop, _) = sim.take(0).expect("it is up");
    assert!(
        event_loop.timers_len() < 5,
        "{} timers",
        event_loop.timers_len()
    );
}
