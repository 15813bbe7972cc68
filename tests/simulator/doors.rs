//! A program that listens at two doors, in the simulator, recorded and replayed.

use std::error::Error;
use std::io;

use herd::event_loop::{self, Application, EventLoop, Readiness, Token};
use herd::net::{Accepted, Network, Transport, accept};
use herd::worlds::Stage;
use herd::worlds::recording::{Ending, Recorder, Records, Tape};
use herd::worlds::replay::ReplayWorld;
use herd::worlds::sim::{SimWorld, Simulation, Weather};
use herd::worlds::watched::Watched;

use crate::stage::{Memory, Play, SECOND};

const FRONT: Token = Token::listener(0);
const BACK: Token = Token::listener(7);

#[derive(Clone, Copy, Debug)]
struct Ready(Token);

impl event_loop::Callback for Ready {
    fn ready(token: Token, _: Readiness) -> Ready {
        Ready(token)
    }

    fn signal(_: i32) -> Ready {
        Ready(FRONT)
    }

    fn done(_: u64) -> Ready {
        Ready(FRONT)
    }
}

/// Tells whoever comes by which door it was, and closes the back door behind the second guest.
struct House<W: Network> {
    doors: Vec<(Token, W::Listener)>,
    guests: u32,
    came_by: Vec<Token>,
}

impl<W: Network> House<W> {
    fn new() -> House<W> {
        House {
            doors: Vec::new(),
            guests: 0,
            came_by: Vec::new(),
        }
    }

    fn start(&mut self, event_loop: &mut EventLoop<W, Ready>) -> io::Result<()> {
        for (port, door) in [(1, FRONT), (2, BACK)] {
            let address = ([127, 0, 0, 1], port).into();
            let listener = event_loop.world.listen(address, door)?;
            self.doors.push((door, listener));
        }
        Ok(())
    }
}

impl<W: Stage> Application<W> for House<W> {
    type Callback = Ready;

    fn call(
        &mut self,
        event_loop: &mut EventLoop<W, Ready>,
        Ready(token): Ready,
    ) -> Result<(), Box<dyn Error>> {
        event_loop.world.begin(token.index);
        let world = &mut event_loop.world;
        let Some((_, listener)) = self.doors.iter_mut().find(|(door, _)| *door == token) else {
            return Ok(());
        };
        while let Accepted::Stream(stream, _) = accept(world, listener, guest(self.guests + 1)) {
            self.guests += 1;
            self.came_by.push(token);
            let mut transport = Transport::accepted(stream, guest(self.guests));
            transport.write(world, format!("door {}\n", token.index).as_bytes())?;
            transport.close(world);
        }
        if self.guests >= 2 && self.doors.len() > 1 {
            let (_, back) = self.doors.remove(1);
            world.close_listener(back);
        }
        Ok(())
    }

    fn before_poll(&mut self, _: &mut EventLoop<W, Ready>) {}
}

fn guest(number: u32) -> Token {
    Token {
        index: number,
        generation: number,
    }
}

type World = Watched<SimWorld>;

#[test]
fn two_doors_are_told_apart_in_the_simulator_in_a_recording_and_in_its_replay() {
    let file = Memory::default();
    let recorder = Recorder::new(Box::new(file.clone()), "{}");
    let mut sim: Simulation<House<World>, World> = Simulation::new(1, 1, Weather::default());
    let around = |world| Watched::new(world, Some(recorder), None, "");
    sim.boot_in(0, around, House::new(), House::start)
        .expect("boots");
    let mut heard = Vec::new();
    for door in [BACK, FRONT, FRONT] {
        let client = sim.net_mut().client_connect_at(0, door);
        let client = client.expect("it listens");
        sim.wait(SECOND);
        heard.push(sim.hear(client).0);
    }
    assert_eq!(heard, ["door 7\n", "door 0\n", "door 0\n"]);
    let closed = sim.net_mut().client_connect_at(0, BACK);
    assert!(closed.is_none(), "the back door is closed");
    assert!(
        sim.net_mut().client_connect(0).is_some(),
        "the front is not"
    );
    let (mut event_loop, house) = sim.take(0).expect("it is up");
    event_loop.world.finish();
    let order = event_loop.world.order();

    let bytes = file.0.borrow().clone();
    let (_, records) = Tape::header(&bytes).expect("a recording");
    let replay = |bytes: Vec<u8>| {
        let world = ReplayWorld::new(Tape::new(Records::read(&bytes, records).into()));
        let (mut event_loop, mut again) = (EventLoop::new(world), House::new());
        again.start(&mut event_loop).expect("it listens");
        while !event_loop.world.has_ended() {
            if event_loop.run_once(&mut again).is_err() {
                // What the recording asks next is its end.
                event_loop.world.finish();
            }
            if again.came_by.len() == house.came_by.len() {
                event_loop.world.finish();
            }
        }
        let order = event_loop.world.order();
        (again.came_by, event_loop.world.ending(), order)
    };
    assert_eq!(
        replay(bytes),
        (house.came_by, Some(Ending::Complete), order)
    );
}
