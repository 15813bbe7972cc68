//! The machine, one situation at a time.

use std::time::Duration;

use herd::herd::{Command, Heard, Taken};
use herd::nats::bucket::{
    Bucket, Event, FOREIGN_SHOWN_MAX, GRACE, IN_FLIGHT_MAX, Notice, REQUEST_TIMEOUT, Rules,
    SWEEP_A_STEP, Turn,
};
use serde_json::json;

use crate::world::{Server, World, settings};

const HERD: &[&str] = &["Bona", "Clark"];
const SECOND: Duration = Duration::from_secs(1);

/// Clark alone of its herd.
fn world() -> World {
    World::new(1, vec![Server::new("Clark", HERD, Rules::default())])
}

fn watching() -> World {
    let mut world = world();
    assert!(world.run_until_holds(SECOND, |world| world.servers[0].bucket.is_whole()));
    world
}

fn said(world: &World, wanted: &Notice) -> usize {
    let said = world.servers[0].said.iter();
    said.filter(|notice| *notice == wanted).count()
}

/// Until the register holds the table, and the machine knows.
fn settles(world: &mut World, within: Duration) -> bool {
    world.run_until_holds(within, |world| {
        let server = &world.servers[0];
        let lines = world.engine.register().into_values();
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        server.bucket.is_whole() && server.bucket.dirty() == 0 && server.table() == lines
    })
}

#[test]
fn a_bucket_is_made_and_holds_what_a_client_reports_under_a_readable_key() {
    let mut world = watching();
    assert_eq!(
        world.servers[0].said,
        [Notice::Made, Notice::Watching(0), Notice::Whole]
    );
    world.report(0, b"kiwi.cs.ucla.edu", 1, 10);
    assert!(settles(&mut world, SECOND));
    let register = world.engine.register();
    assert!(register["kiwi=2Ecs=2Eucla=2Eedu"].starts_with(b"AT Clark "));
    assert_ne!(world.servers[0].bucket.revision(0), 0);
}

#[test]
fn a_bucket_that_forgets_or_answers_no_gets_is_not_used() {
    for (name, value, word) in [
        ("max_age", json!(1), "expire"),
        ("allow_direct", json!(false), "gets"),
    ] {
        let mut world = world();
        world.engine.config = Some((name, value));
        world.run_until(SECOND);
        let said = world.servers[0].said.iter();
        assert!(said.clone().any(|notice| notice.to_string().contains(word)));
        assert!(!world.servers[0].bucket.is_whole());
    }
}

/// What is nobody's AT line stays where it is, and its key is not put.
#[test]
fn foreign_values_are_left_alone_and_a_few_are_journalled() {
    let mut world = world();
    for number in 0..FOREIGN_SHOWN_MAX + 4 {
        world
            .engine
            .put_by_hand(&format!("phone{number}"), b"", b"mine!\n");
    }
    assert!(world.run_until_holds(SECOND, |world| world.servers[0].bucket.is_whole()));
    let said = world.servers[0].said.iter();
    let foreign = said.filter(|notice| matches!(notice, Notice::Foreign(_)));
    assert_eq!(foreign.count(), FOREIGN_SHOWN_MAX);
    world.report(0, b"phone1", 1, 10);
    world.run_until(SECOND * 30);
    assert_eq!(world.engine.register()["phone1"], b"mine!\n");
    assert_eq!(world.servers[0].bucket.dirty(), 0);
}

#[test]
fn what_somebody_deletes_is_put_again() {
    let mut world = watching();
    world.report(0, b"kiwi", 1, 10);
    assert!(settles(&mut world, SECOND));
    let marker = b"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n";
    world.engine.put_by_hand("kiwi", marker, b"");
    assert!(world.engine.register().is_empty());
    assert!(settles(&mut world, SECOND));
    assert_eq!(world.engine.register().len(), 1);
}

#[test]
fn a_name_that_another_herd_claimed_is_told_and_nothing_is_put() {
    let mut world = world();
    world
        .engine
        .put_by_hand("_herd=Bona", b"", b"Bona Wedding\n");
    world.report(0, b"kiwi", 1, 10);
    world.run_until(SECOND * 5);
    let clash = world.servers[0]
        .said
        .iter()
        .find_map(|notice| match notice {
            Notice::Clash(clash) => Some((clash.name.as_str(), &clash.theirs[..])),
            _ => None,
        });
    assert_eq!(clash, Some(("Bona", &b"Bona Wedding"[..])));
    assert!(world.engine.register().is_empty());
    assert_eq!(world.servers[0].bucket.dirty(), 1);
}

/// A record of a neighbour that died before it put it arrives, but only after a grace.
#[test]
fn what_a_neighbour_told_is_put_after_a_grace() {
    let mut world = watching();
    let line = b"AT Bona +0.1 kiwi +1.5-118.25 10";
    let Some(Command::At(at)) = Command::parse(line) else {
        panic!("no AT line");
    };
    let (now, server) = (world.now, &mut world.servers[0]);
    let Heard::News(position) = server.replica.at(&at) else {
        panic!("no news");
    };
    server.bucket.changed(position, server.replica.store(), now);
    world.run_until(now + GRACE);
    assert!(world.engine.register().is_empty());
    assert!(settles(&mut world, GRACE + SECOND));
    assert_eq!(world.engine.register().len(), 1);
}

#[test]
fn a_register_that_was_seen_greater_is_never_put_less() {
    let mut world = watching();
    let theirs = b"AT Mitte +0.1 kiwi +1.5-118.25 99\n";
    world.engine.put_by_hand("kiwi", b"", theirs);
    world.report(0, b"kiwi", 1, 10);
    assert!(world.run_until_holds(SECOND * 5, |world| {
        world.servers[0].table() == [theirs.to_vec()] && world.servers[0].bucket.dirty() == 0
    }));
    assert_eq!(world.engine.register()["kiwi"], theirs);
    assert_eq!(world.engine.went_back, 0);
    assert_eq!(world.engine.puts.1, 1, "one race");
}

#[test]
fn no_more_than_so_many_puts_are_under_way() {
    let mut world = watching();
    for number in 0..IN_FLIGHT_MAX + 100 {
        world.report(0, format!("phone{number}").as_bytes(), 1, 10);
    }
    world.step();
    assert_eq!(world.servers[0].bucket.in_flight(), IN_FLIGHT_MAX);
    assert_eq!(world.servers[0].bucket.dirty(), IN_FLIGHT_MAX + 100);
    assert!(settles(&mut world, SECOND * 5));
}

/// A table out of a snapshot: nobody said that its records changed.
#[test]
fn what_the_bucket_lacks_is_found_a_portion_a_step() {
    let mut world = world();
    let records = SWEEP_A_STEP + 10;
    for number in 0..records {
        let line = format!("IAMAT phone{number} +1.5-118.25 10");
        let Some(Command::Iamat(report)) = Command::parse(line.as_bytes()) else {
            panic!("no IAMAT");
        };
        let taken = world.servers[0]
            .replica
            .iamat(report, Duration::ZERO, &mut Vec::new());
        assert!(matches!(taken, Taken::News(_)));
    }
    world.room = 0;
    assert!(world.run_until_holds(SECOND, |world| world.servers[0].bucket.is_whole()));
    assert_eq!(world.servers[0].bucket.dirty(), SWEEP_A_STEP);
    world.step();
    assert_eq!(world.servers[0].bucket.dirty(), records);
}

#[test]
fn a_record_that_is_longer_than_the_server_takes_is_said_and_let_go() {
    let mut world = world();
    world.payload_max = 1024;
    assert!(world.run_until_holds(SECOND, |world| world.servers[0].bucket.is_whole()));
    world.report(0, &[b'x'; 1024], 1, 10);
    world.report(0, b"kiwi", 1, 10);
    world.run_until(SECOND * 5);
    assert_eq!(said(&world, &Notice::TooLong(0)), 1);
    assert_eq!(world.servers[0].bucket.dirty(), 0);
    assert_eq!(world.engine.register().len(), 1);
}

#[test]
fn room_for_a_byte_is_room_for_one_put() {
    let mut world = watching();
    world.run_until(world.now + SECOND);
    for number in 0..3 {
        world.report(0, format!("phone{number}").as_bytes(), 1, 10);
    }
    world.room = 0;
    world.step();
    assert_eq!(world.servers[0].bucket.in_flight(), 0);
    world.room = 1;
    world.step();
    assert_eq!(world.servers[0].bucket.in_flight(), 1);
}

#[test]
fn a_watch_that_falls_silent_or_misses_a_value_begins_anew() {
    for (silent, within) in [(true, SECOND * 14), (false, SECOND * 7)] {
        let mut world = watching();
        match silent {
            true => world.engine.kill_watches(),
            false => world.engine.drops = 1,
        }
        let theirs = b"AT Mitte +0.1 kiwi +1.5-118.25 99\n";
        world.engine.put_by_hand("kiwi", b"", theirs);
        let shows = |world: &World| world.servers[0].table().len() == 1;
        assert!(world.run_until_holds(within, shows), "silent: {silent}");
        let lost = |notice: &&Notice| matches!(notice, Notice::Lost(_));
        assert_eq!(world.servers[0].said.iter().filter(lost).count(), 1);
        assert_eq!(world.engine.watches, 2);
    }
}

#[test]
fn flow_control_is_answered_while_a_long_watch_begins() {
    let mut world = world();
    for number in 0..200 {
        let line = format!("AT Mitte +0.1 phone{number} +1.5-118.25 10\n");
        let key = format!("phone{number}");
        world.engine.put_by_hand(&key, b"", line.as_bytes());
    }
    assert!(settles(&mut world, SECOND * 5));
    assert_eq!(world.engine.watches, 1);
}

#[test]
fn no_leader_is_said_once_and_nothing_is_lost() {
    let mut world = watching();
    world.engine.leaderless = true;
    for number in 0..20 {
        world.report(0, format!("phone{number}").as_bytes(), 1, 10);
    }
    world.run_until(world.now + SECOND * 4);
    assert_eq!(said(&world, &Notice::PutsFail), 1);
    assert_eq!(world.servers[0].bucket.dirty(), 20);
    world.engine.leaderless = false;
    assert!(settles(&mut world, SECOND * 12));
    assert_eq!(said(&world, &Notice::PutsWork), 1);
}

#[test]
fn acknowledged_writes_that_the_server_lost_and_a_wiped_bucket_are_put_again() {
    let mut world = watching();
    for number in 0..20 {
        world.report(0, format!("phone{number}").as_bytes(), 1, 10);
    }
    assert!(settles(&mut world, SECOND));
    world.engine.restart(7);
    assert!(world.engine.register().len() < 20);
    assert!(settles(&mut world, SECOND * 3));
    assert_eq!(world.engine.register().len(), 20);
    world.engine.wipe();
    assert!(settles(&mut world, SECOND * 16));
    assert_eq!(world.engine.register().len(), 20);
}

#[test]
fn a_question_that_nobody_answers_is_asked_again_later() {
    let mut server = Server::new("Clark", HERD, Rules::default());
    let mut bucket = Bucket::new(settings("Clark", HERD, Rules::default()));
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let mut turn = Turn {
        now: Duration::ZERO,
        replica: &mut server.replica,
        out: &mut out,
        events: &mut events,
    };
    assert_eq!((bucket.state(), bucket.deadline(turn.now)), ("away", None));
    bucket.connected(1 << 20, 7, &mut turn);
    assert_eq!(bucket.deadline(turn.now), Some(REQUEST_TIMEOUT));
    turn.now = REQUEST_TIMEOUT;
    bucket.step(1 << 20, &mut turn);
    assert_eq!(bucket.state(), "waiting");
    let unanswered = Notice::Unanswered("the question for the bucket", 0);
    assert_eq!(turn.events[..], [Event::Notice(unanswered)]);
    let again = bucket.deadline(turn.now).expect("it waits");
    assert!(again > turn.now && again <= turn.now + Duration::from_millis(100));
    turn.now = again;
    bucket.step(1 << 20, &mut turn);
    assert_eq!(bucket.state(), "looking");
    bucket.disconnected();
    assert_eq!(bucket.deadline(turn.now), None);
}
