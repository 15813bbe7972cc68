//! Bounds of what is written beside the server's work: recordings and traces, and the half lines
//! that a trace remembers.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use herd::event_loop::EventLoop;
use herd::net::ACCEPT_BUDGET;
use herd::probe::{Driver, Moved, PARTIAL_LINES_MAX, Probed, TRACE_BUFFER_MAX, Trace, Tracer};
use herd::server::{Callback, Node};
use herd::worlds::Tap;
use herd::worlds::recording::{Kind, Question, RECORD_BUFFER_MAX, Recorder, Records, Tape};
use herd::worlds::sim::{End, SimWorld, Simulation, Weather};
use herd::worlds::watched::Watched;

use crate::stage::{Play, config};

/// A file that remembers each write.
#[derive(Clone, Default)]
struct Writes(Rc<RefCell<Vec<Vec<u8>>>>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writes {
    /// The buffer was written when it was full, and never held more than one thing beyond.
    #[track_caller]
    fn check(&self, full: usize, thing: usize) {
        let sizes: Vec<usize> = self.0.borrow().iter().map(Vec::len).collect();
        assert!(sizes.len() > 2, "{sizes:?}");
        let is_full = |size: &usize| *size > full && *size <= full + thing;
        assert!(sizes.iter().all(is_full), "{sizes:?}");
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow().concat()).into_owned()
    }
}

#[test]
fn a_recording_is_written_when_so_much_waits() {
    let writes = Writes::default();
    let mut recorder = Recorder::new(Box::new(writes.clone()), "{}");
    let read = [b'x'; 1000];
    let count = 4 * RECORD_BUFFER_MAX / read.len();
    for _ in 0..count {
        recorder.record(Question::new(Kind::Read), |out| out.bytes(&read));
    }
    writes.check(RECORD_BUFFER_MAX, read.len() + 100);
    recorder.finish();
    // The head of a block may hold any byte.
    let file = writes.0.borrow().concat();
    let (_, header) = Tape::header(&file).expect("a header");
    let records = Records::read(&file, header).bytes;
    let read = records.iter().filter(|&&byte| byte == b'x').count();
    assert_eq!(read, count * 1000, "and the rest at its end");
}

#[test]
fn a_trace_is_written_when_so_much_waits() {
    let writes = Writes::default();
    let mut trace = Trace::new(Box::new(writes.clone()), "Clark", 1, Duration::ZERO);
    let name = "x".repeat(1000);
    let count = 4 * TRACE_BUFFER_MAX / name.len();
    for _ in 0..count {
        trace.slice(&name, Duration::ZERO, Duration::ZERO, &[]);
    }
    writes.check(TRACE_BUFFER_MAX, name.len() + 200);
    drop(trace);
    let slices = writes.text().matches(&name).count();
    assert_eq!(slices, count, "and the rest at its end");
}

type World = Watched<SimWorld>;

/// Ada, traced; her neighbour Bob is the test, as often as it likes.
struct Traced {
    sim: Simulation<Probed<World>, World>,
    driver: Driver<World>,
    tracer: Tracer,
    writes: Writes,
}

impl Traced {
    fn new() -> Traced {
        let config = config(&["Ada", "Bob"]);
        let mut sim = Simulation::new(1, 1, Weather::default());
        let start = |probed: &mut Probed<World>, event_loop: &mut EventLoop<World, Callback>| {
            probed.node.start(event_loop)
        };
        let around = |world| Watched::new(world, None, Some(Tap::default()), "");
        sim.boot_in(0, around, Probed::new(Node::new(config)), start)
            .expect("boots");
        let (event_loop, probed) = sim.take(0).expect("it runs");
        let writes = Writes::default();
        let trace = Trace::new(Box::new(writes.clone()), "Ada", 1, Duration::ZERO);
        Traced {
            sim,
            driver: Driver::new(event_loop, probed),
            tracer: Tracer::new(trace),
            writes,
        }
    }

    fn turn(&mut self) {
        let mut net = self.sim.net_mut();
        net.now += Duration::from_millis(1);
        net.deliver_due();
        drop(net);
        loop {
            let moved = self.driver.advance().expect("it runs");
            let exchanges = self.driver.take_exchanges();
            self.tracer.moment(&self.driver, &moved, "it", &exchanges);
            if matches!(moved, Moved::Finished) {
                return;
            }
        }
    }

    fn say(&mut self, bob: End, text: &str) {
        self.sim.say(bob, text);
    }

    /// Reports whose arrival was seen.
    fn arrows(&mut self) -> usize {
        self.tracer.flush();
        self.writes.text().matches("\"ph\":\"f\"").count()
    }
}

#[test]
fn a_trace_remembers_half_lines_of_so_many_connections() {
    let mut traced = Traced::new();
    let connect = |_| traced.sim.net_mut().client_connect(0).expect("it listens");
    let bobs: Vec<End> = (0..PARTIAL_LINES_MAX + 10).map(connect).collect();
    for _ in 0..=bobs.len() / ACCEPT_BUDGET + 1 {
        traced.turn();
    }
    for (number, &bob) in bobs.iter().enumerate() {
        traced.say(bob, &format!("PEER Bob\nAT Bob +0.1 c{number} +1"));
    }
    traced.turn();
    assert_eq!(traced.arrows(), 0);
    for &bob in &bobs {
        traced.say(bob, "+1 5\n");
    }
    traced.turn();
    // The server has heard all of them, and the trace what it could remember.
    let last = format!("c{}", bobs.len() - 1);
    assert!(traced.driver.node().record(&last).is_some());
    assert_eq!(traced.arrows(), PARTIAL_LINES_MAX);
    // There is room again.
    let bob = bobs[bobs.len() - 1];
    for half in ["AT Bob +0.1 again +1", "+1 5\n"] {
        traced.say(bob, half);
        traced.turn();
    }
    assert_eq!(traced.arrows(), PARTIAL_LINES_MAX + 1);
}
