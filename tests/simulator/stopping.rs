//! The end of a server whose last snapshot takes its time: the disk is slow, or stands still.

use std::io;
use std::time::Duration;

use herd::event_loop::EventLoop;
use herd::herd::SnapshotReader;
use herd::probe::{Probed, Recording, header};
use herd::server::{Callback, Node, SIGTERM, SNAPSHOT_STALL, STOP_DEADLINE};
use herd::worlds::Stage;
use herd::worlds::recording::{Ending, Recorder};
use herd::worlds::sim::{End, SimWorld, Simulation, Weather};
use herd::worlds::watched::Watched;

use crate::stage::{Memory, Play, SECOND, solo};

type World = Watched<SimWorld>;

const RECORDS: usize = 500;
const TICK: Duration = Duration::from_millis(100);

/// A server with a table of some pieces, recorded; and a client that does not read.
struct Stopping {
    sim: Simulation<Probed<World>, World>,
    event_loop: EventLoop<World, Callback>,
    probed: Probed<World>,
    file: Memory,
    deaf: End,
}

impl Stopping {
    fn new() -> Stopping {
        let mut config = solo();
        config.snapshot_every = Some(3600 * SECOND);
        let file = Memory::default();
        let recorder = Recorder::new(Box::new(file.clone()), &header(&config));
        let mut sim = Simulation::new(1, 1, Weather::default());
        let start = |probed: &mut Probed<World>,
                     event_loop: &mut EventLoop<World, Callback>|
         -> io::Result<()> { probed.node.start(event_loop) };
        let around = |world| Watched::new(world, Some(recorder), None, "");
        sim.boot_in(0, around, Probed::new(Node::new(config)), start)
            .expect("boots");
        let deaf = sim.client(0);
        let (event_loop, probed) = sim.take(0).expect("it runs");
        let mut stopping = Stopping {
            sim,
            event_loop,
            probed,
            file,
            deaf,
        };
        stopping.fill();
        stopping
    }

    fn fill(&mut self) {
        let client = self.sim.client(0);
        for number in 0..RECORDS {
            let id = format!("{}{number}", "x".repeat(4000));
            self.sim.say(client, &format!("IAMAT {id} +1+1 5\n"));
            self.turn(TICK);
            self.sim.hear(client);
        }
        self.sim.net_mut().close(client);
        for _ in 0..100 {
            let _ = self.sim.net_mut().write(self.deaf, &[b'x'; 4095]);
            let _ = self.sim.net_mut().write(self.deaf, b"\n");
            self.turn(TICK);
        }
    }

    fn turn(&mut self, later: Duration) {
        let mut net = self.sim.net_mut();
        net.now += later;
        net.deliver_due();
        drop(net);
        self.event_loop.run_once(&mut self.probed).expect("it runs");
    }

    fn signal(&mut self) {
        self.sim.net_mut().signal(0, SIGTERM);
        self.turn(Duration::ZERO);
    }

    /// Turns until the loop ends. Every `pause` the disk takes a piece.
    fn end(&mut self, pause: Duration, pieces: usize) -> Duration {
        let begun = self.event_loop.time();
        let mut given = 0;
        while !self.event_loop.is_stopping() {
            let took = self.event_loop.time() - begun;
            if took >= pause * (given + 1) && given < pieces as u32 {
                self.sim.net_mut().set_disk(0, Some(1));
                given += 1;
            }
            if took >= STOP_DEADLINE + TICK * 2 {
                let view = self.probed.node.view(&self.event_loop);
                assert_eq!(view["connections"]["total"], 0, "who is deaf is left");
            }
            assert!(took < 100 * SECOND, "it never ends");
            self.turn(TICK);
        }
        self.event_loop.time() - begun
    }

    /// Records that stand on the disk.
    fn saved(&self) -> usize {
        let net = self.sim.net();
        let mut reader = SnapshotReader::new(net.snapshot(0));
        let records = reader.by_ref().count();
        assert_eq!(reader.damage(), None);
        records
    }

    /// The recording of all of it does the same.
    fn replays(mut self) {
        self.event_loop.world.finish();
        let bytes = self.file.0.borrow().clone();
        let outcome = Recording::new(&bytes).expect("a recording").run();
        assert_eq!(outcome.ending, Ending::Complete);
    }
}

#[test]
fn a_last_snapshot_takes_as_long_as_it_takes() {
    let mut stopping = Stopping::new();
    stopping.sim.net_mut().set_disk(0, Some(0));
    stopping.signal();
    let took = stopping.end(2 * SECOND, usize::MAX);
    assert!(took > 2 * STOP_DEADLINE, "{took:?}");
    assert_eq!(stopping.saved(), RECORDS);
    assert_eq!(stopping.probed.node.lost(), None);
    stopping.replays();
}

#[test]
fn a_last_snapshot_that_gets_no_further_is_lost_and_that_is_said() {
    for pieces in [0, 3] {
        let mut stopping = Stopping::new();
        stopping.sim.net_mut().set_disk(0, Some(0));
        stopping.signal();
        let took = stopping.end(2 * SECOND, pieces);
        let last = 2 * SECOND * pieces as u32;
        assert!(took >= last + SNAPSHOT_STALL, "{took:?}");
        assert!(took <= last + SNAPSHOT_STALL + SECOND, "{took:?}");
        assert_eq!(stopping.saved(), 0);
        let why = Some("the disk takes nothing of it");
        assert_eq!(stopping.probed.node.lost(), why);
        stopping.replays();
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_last_snapshot() {
    let mut stopping = Stopping::new();
    stopping.sim.net_mut().set_disk(0, Some(2));
    stopping.signal();
    for _ in 0..10 {
        stopping.turn(TICK);
    }
    assert!(!stopping.event_loop.is_stopping());
    stopping.signal();
    assert!(stopping.event_loop.is_stopping());
    assert_eq!(stopping.saved(), 0);
    let why = Some("a second signal cut it short");
    assert_eq!(stopping.probed.node.lost(), why);
    stopping.replays();
}

/// A disk that is behind is asked again when it says so, and not before.
#[test]
fn a_walk_waits_for_room() {
    let mut stopping = Stopping::new();
    stopping.sim.net_mut().set_disk(0, Some(0));
    stopping.turn(3600 * SECOND);
    let mut walks = 0;
    for _ in 0..100 {
        walks += usize::from(stopping.event_loop.next_deadline().is_some());
        stopping.turn(TICK);
    }
    assert!(walks < 10, "{walks} turns for nothing");
    stopping.sim.net_mut().set_disk(0, None);
    for _ in 0..100 {
        stopping.turn(Duration::ZERO);
    }
    assert_eq!(stopping.saved(), RECORDS);
}

/// What it has answered, its neighbours shall know, however slow the way to them.
#[test]
fn a_stop_waits_for_a_slow_neighbour() {
    let config = crate::stage::config(&["Solo", "Slow"]);
    let mut sim = Simulation::new(2, 8, Weather::default());
    for me in 0..2 {
        let config = herd::config::Config {
            me,
            ..config.clone()
        };
        crate::stage::boot(&mut sim, me, config);
    }
    sim.wait(SECOND);
    // Four seconds for all of it, and the kernel's share for a fifth of it.
    sim.net_mut().slow(0, 1, 20_000);
    let client = sim.client(0);
    for number in 0..40 {
        let id = format!("{number}{}", "x".repeat(2_000));
        sim.say(client, &format!("IAMAT {id} +1+1 5\n"));
        sim.wait(TICK / 10);
        assert!(sim.hear(client).0.ends_with('\n'));
    }
    sim.net_mut().close(client);
    sim.net_mut().signal(0, SIGTERM);
    sim.wait(STOP_DEADLINE);
    let known = sim.application(1).expect("it is up").store().len();
    assert_eq!(known, 40);
}
