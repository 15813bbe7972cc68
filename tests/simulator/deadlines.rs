//! How long the server waits for whom, in virtual time: no test here waits for a second.

use std::io;
use std::time::Duration;

use herd::config::Config;
use herd::portions::UNSENT_HIGH;
use herd::server::{
    CLIENT_LINE_DEADLINE, CLIENT_UNSENT_DEADLINE, LINGER_DEADLINE, LINGER_MAX, Node,
};
use herd::worlds::sim::{End, SimWorld, Simulation, Weather};

use crate::stage::{Play, SECOND, boot, solo};

/// One server without neighbours, and a client.
struct Stage {
    sim: Simulation<Node<SimWorld>>,
    client: End,
}

impl Stage {
    fn new(change: impl FnOnce(&mut Config)) -> Stage {
        let mut config = solo();
        change(&mut config);
        let mut sim = Simulation::new(1, 1, Weather::default());
        boot(&mut sim, 0, config);
        let client = sim.client(0);
        let mut stage = Stage { sim, client };
        stage.wait(Duration::from_millis(1));
        stage
    }

    fn wait(&mut self, time: Duration) {
        self.sim.wait(time);
    }

    /// Sends as much as the stream takes.
    fn send(&mut self, text: &str) -> usize {
        let mut sent = 0;
        while sent < text.len() {
            let written = self
                .sim
                .net_mut()
                .write(self.client, &text.as_bytes()[sent..]);
            match written {
                Ok(count) => sent += count,
                Err(_) => break,
            }
            // Long enough for an answer to come back.
            self.wait(Duration::from_millis(10));
        }
        sent
    }

    /// Bytes that are held for all its clients.
    fn held(&self) -> usize {
        self.sim.application(0).expect("it is up").held()
    }

    /// What has come, and whether the stream is over.
    fn take(&mut self) -> (String, bool) {
        self.sim.hear(self.client)
    }

    /// The connection is open now and closed after `time`.
    fn ends_in(&mut self, time: Duration) {
        self.wait(time - Duration::from_millis(20));
        assert!(!self.take().1, "closed too early");
        self.wait(Duration::from_millis(40));
        assert!(self.take().1, "still open");
    }
}

#[test]
fn an_unfinished_line_has_thirty_seconds_from_its_first_byte() {
    let mut stage = Stage::new(|_| {});
    stage.wait(100 * SECOND);
    stage.send("IAMAT ki");
    stage.wait(20 * SECOND);
    stage.send("wi");
    stage.ends_in(CLIENT_LINE_DEADLINE - 20 * SECOND);
}

/// Real handshakes that stall are in tests/places/bounds_tls.rs.
#[test]
fn a_handshake_that_is_never_finished_has_thirty_seconds() {
    let mut stage = Stage::new(|config| config.tls = true);
    // Whoever has said nothing has begun nothing.
    stage.wait(100 * SECOND);
    stage.sim.net_mut().stall_handshake(stage.client);
    stage.wait(SECOND / 100);
    stage.ends_in(CLIENT_LINE_DEADLINE - SECOND / 100);
}

/// A server that was stopped finds its timers due, and its sockets full. (SIGSTOP, a paused container.)
#[test]
fn what_came_during_a_stop_is_read_before_anybody_is_given_up() {
    let mut stage = Stage::new(|config| config.client_idle = 10 * SECOND);
    stage.send("half");
    let idle = stage.sim.client(0);
    stage.wait(SECOND);
    stage.sim.freeze(0);
    stage.send(" a line\n");
    stage.sim.say(idle, "not idle\n");
    stage.wait(2 * CLIENT_LINE_DEADLINE);
    stage.sim.thaw(0);
    stage.wait(SECOND);
    assert_eq!(stage.take(), (String::from("? half a line\n"), false));
    let idle = stage.sim.hear(idle);
    assert_eq!(idle, (String::from("? not idle\n"), false));
}

#[test]
fn a_finished_line_starts_the_clock_anew_and_none_stops_it() {
    let mut stage = Stage::new(|_| {});
    stage.send("one");
    stage.wait(25 * SECOND);
    stage.send("\ntwo");
    stage.wait(25 * SECOND);
    stage.send("\n");
    stage.wait(10_000 * SECOND);
    assert_eq!(stage.take(), (String::from("? one\n? two\n"), false));
}

#[test]
fn a_client_that_takes_nothing_is_closed_and_costs_a_bounded_amount() {
    let mut stage = Stage::new(|_| {});
    let line = format!("{}\n", "x".repeat(999));
    let mut accepted = 0;
    while stage.send(&line) == line.len() {
        accepted += line.len();
        assert!(accepted < 1 << 20, "it reads on and on");
    }
    // What waits: the window each way, what is unsent, and what was read and not yet answered.
    let windows = 2 * Weather::default().window;
    assert!(accepted > UNSENT_HIGH, "{accepted}");
    assert!(accepted < 3 * UNSENT_HIGH + windows, "{accepted}");
    stage.wait(CLIENT_UNSENT_DEADLINE - SECOND);
    let written = stage.sim.net_mut().write(stage.client, b"");
    assert!(
        matches!(&written, Err(error) if error.kind() == io::ErrorKind::WouldBlock),
        "closed too early: {written:?}"
    );
    stage.wait(2 * SECOND);
    while !stage.take().0.is_empty() {}
    assert!(stage.take().1, "still open");
}

#[test]
fn a_client_that_reads_a_little_now_and_then_is_served_to_the_end() {
    let mut stage = Stage::new(|_| {});
    let line = format!("{}\n", "x".repeat(999));
    let mut sent = 0;
    let mut received = 0;
    for _ in 0..200 {
        sent += stage.send(&line);
        received += stage.sim.net_mut().client_take(stage.client).0.len();
        stage.wait(5 * SECOND);
    }
    assert!(received > 0 && sent > 0);
    assert!(!stage.take().1, "closed although it reads");
}

#[test]
fn an_idle_client_is_closed_only_if_asked_for() {
    let mut patient = Stage::new(|_| {});
    patient.wait(100_000 * SECOND);
    assert!(!patient.take().1);
    let mut strict = Stage::new(|config| config.client_idle = 10 * SECOND);
    strict.wait(8 * SECOND);
    strict.send("HELLO\n");
    assert_eq!(strict.take(), (String::from("? HELLO\n"), false));
    strict.ends_in(10 * SECOND);
}

/// One far address may hold so many connections, and another as many; one that leaves makes room.
#[test]
fn one_far_address_cannot_take_all_connections() {
    let mut stage = Stage::new(|config| config.max_per_address = 3);
    let mut visit = |host: [u8; 4]| {
        stage.sim.net_mut().client_host = std::net::IpAddr::from(host);
        stage.client = stage.sim.client(0);
        stage.wait(SECOND);
        let refused = stage.take() == (String::new(), true);
        (refused, stage.client)
    };
    let mut far = Vec::new();
    for _ in 0..3 {
        let (refused, client) = visit([192, 0, 2, 1]);
        assert!(!refused);
        far.push(client);
    }
    // Without a word: the end is all that comes.
    assert!(visit([192, 0, 2, 1]).0, "a fourth from there");
    assert!(!visit([192, 0, 2, 2]).0, "a neighbour of theirs");
    for _ in 0..10 {
        assert!(!visit([127, 0, 0, 1]).0, "loopback has no such limit");
    }
    stage.sim.net_mut().close(far[0]);
    stage.wait(SECOND * 2);
    let mut visit = |host: [u8; 4]| {
        stage.sim.net_mut().client_host = std::net::IpAddr::from(host);
        stage.client = stage.sim.client(0);
        stage.wait(SECOND);
        stage.take() == (String::new(), true)
    };
    assert!(!visit([192, 0, 2, 1]), "one has left");
    assert!(visit([192, 0, 2, 1]), "and its place is taken");
}

/// Whoever has one address of IPv6 has 2^64 of them.
#[test]
fn the_addresses_of_one_network_are_one_visitor() {
    let mut stage = Stage::new(|config| config.max_per_address = 2);
    let mut refused = |host: &str| {
        stage.sim.net_mut().client_host = host.parse().expect("an address");
        stage.client = stage.sim.client(0);
        stage.wait(SECOND);
        stage.take() == (String::new(), true)
    };
    for (host, too_many) in [
        ("2001:db8:0:1::1", false),
        ("2001:db8:0:1::2", false),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", true),
        ("2001:db8:0:2::1", false),
        // These are addresses of IPv4, each for itself.
        ("::ffff:192.0.2.1", false),
        ("::ffff:192.0.2.2", false),
        ("192.0.2.1", false),
        ("::ffff:192.0.2.1", true),
        ("::1", false),
        ("::1", false),
        ("::1", false),
    ] {
        assert_eq!(refused(host), too_many, "{host}");
    }
}

/// Whoever says PEER is no friend yet: half a line is waited for no longer than a client's.
#[test]
fn a_neighbour_that_does_not_finish_its_line_is_closed() {
    let mut stage = pair(|_| {});
    stage.send("PEER Other\n");
    stage.wait(5 * CLIENT_LINE_DEADLINE);
    assert!(!stage.take().1, "a neighbour may be silent");
    stage.send(&"x".repeat(3_000));
    stage.ends_in(CLIENT_LINE_DEADLINE);
}

/// A server with a neighbour that is never there.
fn pair(change: impl FnOnce(&mut Config)) -> Stage {
    Stage::new(|config| {
        *config = crate::stage::config(&["Solo", "Other"]);
        change(config);
    })
}

/// So many that each holds little: those that hold most go first, whoever came first.
#[test]
fn all_clients_together_hold_so_much_and_no_more() {
    let mut stage = pair(|config| config.max_client_bytes = 100_000);
    let modest = stage.client;
    stage.send("half a li");
    let mut greedy = Vec::new();
    for number in 0..40 {
        let client = stage.sim.client(0);
        // One in four says that it is a neighbour.
        let greeting = if number % 4 == 0 { "PEER Other\n" } else { "" };
        let line = "x".repeat(3_000 + number);
        stage.client = client;
        stage.send(greeting);
        stage.send(&line);
        greedy.push(client);
        let held = stage.held();
        assert!(held <= 100_000, "{held} bytes are held");
    }
    let closed = greedy.iter().filter(|end| stage.sim.hear(**end).1).count();
    assert!((8..20).contains(&closed), "{closed} of 40 were closed");
    stage.client = modest;
    stage.send("ne\n");
    assert_eq!(stage.take(), (String::from("? half a line\n"), false));
}

#[test]
fn absurd_options_are_no_danger() {
    let mut stage = Stage::new(|config| {
        config.client_idle = Duration::from_secs(u64::MAX);
        config.max_ahead = Duration::from_secs(u64::MAX);
    });
    stage.wait(SECOND);
    stage.send("IAMAT a +1-1 9999999999\n");
    assert!(stage.take().0.starts_with("AT Solo -"), "no answer");
}

#[test]
fn after_our_end_a_client_has_one_second_for_its_own() {
    let mut stage = Stage::new(|config| config.one_shot = true);
    stage.send("HELLO\nmore that nobody reads\n");
    let (text, over) = stage.take();
    assert_eq!(text, "? HELLO\n");
    assert!(over, "one answer, then the end");
    // Until the deadline what we send is read and thrown away; after it, it is refused.
    stage.wait(LINGER_DEADLINE * 2);
    stage.send("x");
    assert!(stage.sim.net_mut().write(stage.client, b"x").is_err());
}

/// A client that goes on talking may not have read our end yet: it has four seconds in all.
#[test]
fn after_our_end_a_talker_has_four_seconds() {
    let mut stage = Stage::new(|config| config.one_shot = true);
    stage.send("HELLO\nmore that nobody reads\n");
    assert!(stage.take().1, "one answer, then the end");
    let mut talked = Duration::ZERO;
    while stage.sim.net_mut().write(stage.client, b"x").is_ok() {
        stage.wait(LINGER_DEADLINE / 2);
        talked += LINGER_DEADLINE / 2;
        assert!(talked < LINGER_MAX * 2, "it is never closed");
    }
    assert!(talked >= LINGER_MAX - LINGER_DEADLINE, "{talked:?}");
}

/// No place for one is no place for any, and nobody is counted.
#[test]
fn no_connection_comes_from_afar_if_none_may() {
    let mut stage = Stage::new(|config| config.max_per_address = 0);
    stage.sim.net_mut().client_host = "192.0.2.1".parse().expect("an address");
    for _ in 0..3 {
        let far = stage.sim.client(0);
        stage.wait(SECOND);
        assert!(stage.sim.hear(far).1, "closed without a word");
    }
    stage.send("x\n");
    assert_eq!(stage.take().0, "? x\n", "loopback is not counted");
}

/// So many answer so much in one turn that it is sent in the middle of it, while three others end.
#[test]
fn far_connections_that_end_in_the_middle_of_a_turn_are_counted_right() {
    let mut stage = Stage::new(|_| {});
    stage.sim.net_mut().client_host = "192.0.2.1".parse().expect("an address");
    let mut clients: Vec<End> = (0..100).map(|_| stage.sim.client(0)).collect();
    stage.wait(SECOND);
    let line = format!("{}\n", "x".repeat(15_000));
    let gone: Vec<End> = clients.drain(..3).collect();
    for &client in &clients {
        stage.sim.say(client, &line);
    }
    for end in gone {
        stage.sim.net_mut().close(end);
    }
    stage.wait(SECOND);
    for client in clients {
        assert!(stage.sim.hear(client).0.starts_with("? xxx"));
    }
}
