//! Plays scenarios of `tests/data/loop_order.txt` on our loop; `loop_order.py` beside them plays
//! them on asyncio's and explains the steps.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use herd::event_loop::{Application, Callback, Context, EventLoop, Handle, Readiness, Token};

use crate::stage::{SCRIPT_ENDS, Scripted};

const SIGUSR1: i32 = 10;

type Loop = EventLoop<Scripted, Call>;
type Outcome = Result<(), Box<dyn Error>>;

/// One scenario as it is written.
pub struct Scenario {
    pub name: String,
    blocks: HashMap<String, Vec<Step>>,
}

/// What to do in the first `bound` runs of a block.
struct Step {
    bound: usize,
    words: Vec<String>,
}

/// What a scenario did.
pub struct Played {
    /// Scenario, iteration, callback.
    pub lines: Vec<String>,
    /// Whether two timers waited for the same deadline, so that asyncio leaves their order open.
    pub ties: bool,
}

/// Scenarios in order.
pub fn parse(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("scenario ") {
            scenarios.push(Scenario {
                name: name.to_string(),
                blocks: HashMap::new(),
            });
            continue;
        }
        let (name, steps) = line.split_once(':').expect("a block is NAME: STEPS");
        let steps = steps.split(';').map(step).collect();
        let scenario = scenarios.last_mut().expect("blocks follow a scenario line");
        let again = scenario.blocks.insert(name.to_string(), steps);
        assert!(again.is_none(), "{}: two blocks {name}", scenario.name);
    }
    scenarios
}

fn step(text: &str) -> Step {
    let mut words: Vec<String> = text.split_whitespace().map(String::from).collect();
    let mut bound = usize::MAX;
    if let Some(number) = words[0].strip_suffix('*') {
        bound = number.parse().expect("a number of runs");
        words.remove(0);
    }
    Step { bound, words }
}

/// Plays one scenario on a loop of its own.
pub fn play(scenario: &Scenario) -> Played {
    let mut event_loop = EventLoop::new(Scripted::default());
    let mut player = Player {
        scenario,
        played: Played {
            lines: Vec::new(),
            ties: false,
        },
        runs: HashMap::new(),
        handles: HashMap::new(),
        deadlines: BTreeSet::new(),
        sockets: Vec::new(),
        readers: HashMap::new(),
        watched: HashMap::new(),
        on_signal: None,
        handler_fails: false,
        iteration: 0,
    };
    player
        .block(&mut event_loop, "start")
        .expect("start cannot fail");
    player.played
}

#[derive(Clone, Debug)]
enum Call {
    Block(Arc<str>),
    Ready(Token),
    Signal,
}

impl Callback for Call {
    fn ready(token: Token, _readiness: Readiness) -> Call {
        Call::Ready(token)
    }

    fn done(job: u64) -> Call {
        panic!("nobody asked for job {job}");
    }

    fn signal(number: i32) -> Call {
        assert_eq!(number, SIGUSR1);
        Call::Signal
    }
}

struct Player<'a> {
    scenario: &'a Scenario,
    played: Played,
    runs: HashMap<String, usize>,
    handles: HashMap<String, Handle>,
    deadlines: BTreeSet<Duration>,
    /// Names of sockets; a place here is the socket's number.
    sockets: Vec<String>,
    /// The callback of each registration that ever was.
    readers: HashMap<Token, Arc<str>>,
    /// The registrations that are.
    watched: HashMap<u32, Token>,
    on_signal: Option<Arc<str>>,
    handler_fails: bool,
    /// The turn in which we are, for the exception handler, who is not told.
    iteration: u64,
}

impl Application<Scripted> for Player<'_> {
    type Callback = Call;

    fn call(&mut self, event_loop: &mut Loop, callback: Call) -> Outcome {
        if let Call::Ready(token) = callback
            && self.watched.get(&token.index) != Some(&token)
        {
            // An earlier callback of this turn took the socket out of the poller. (asyncio cancels
            // the reader's handle then.)
            return Ok(());
        }
        let name = self.name_of(&callback);
        self.iteration = event_loop.iteration();
        self.print(&name);
        self.block(event_loop, &name)
    }

    fn before_poll(&mut self, _event_loop: &mut Loop) {}

    fn exception_handler(&mut self, context: &Context<Call>) -> Outcome {
        let name = self.name_of(&context.callback);
        self.print(&format!("handler({} in {name})", context.error));
        if self.handler_fails {
            return Err("the handler fails too".into());
        }
        Ok(())
    }
}

impl Player<'_> {
    fn name_of(&self, callback: &Call) -> Arc<str> {
        match callback {
            Call::Block(name) => name.clone(),
            Call::Ready(token) => self.readers[token].clone(),
            Call::Signal => self.on_signal.clone().expect("a handler of signals"),
        }
    }

    fn print(&mut self, text: &str) {
        let line = format!("{} {} {text}", self.scenario.name, self.iteration);
        self.played.lines.push(line);
    }

    fn block(&mut self, event_loop: &mut Loop, name: &str) -> Outcome {
        let run = self.runs.entry(name.to_string()).or_default();
        *run += 1;
        let run = *run;
        let scenario = self.scenario;
        for step in scenario.blocks.get(name).into_iter().flatten() {
            if run <= step.bound {
                let words: Vec<&str> = step.words.iter().map(String::as_str).collect();
                self.step(event_loop, &words)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, event_loop: &mut Loop, words: &[&str]) -> Outcome {
        match *words {
            ["soon", ref names @ ..] => {
                for name in names {
                    let handle = event_loop.call_soon(Call::Block((*name).into()));
                    self.handles.insert(name.to_string(), handle);
                }
            }
            ["later", delay, name] => self.later(event_loop, seconds(delay), name),
            ["at", when, name] => {
                let when = seconds(when);
                self.note_deadline(event_loop, when);
                let handle = event_loop.call_at(when, Call::Block(name.into()));
                self.handles.insert(name.to_string(), handle);
            }
            ["cancel", name] => self.cancel(event_loop, name),
            ["flock", count, delay, name] => {
                for i in 0..number(count) {
                    let delay = seconds(delay) + Duration::from_secs(i);
                    self.later(event_loop, delay, &format!("{name}{}", i + 1));
                }
            }
            ["unflock", first, last, name] => {
                for i in number(first)..=number(last) {
                    self.cancel(event_loop, &format!("{name}{i}"));
                }
            }
            ["thread", ref names @ ..] => self.thread(event_loop, names),
            ["on-signal", name] => self.on_signal = Some(name.into()),
            ["raise"] => event_loop.world.signal(SIGUSR1),
            ["fail", message] => return Err(message.into()),
            ["bad-handler"] => self.handler_fails = true,
            ["stop"] => event_loop.stop(),
            ["spend", time] => event_loop.world.spend(seconds(time)),
            ["heap"] => self.print(&format!("heap={}", event_loop.timer_heap_len())),
            ["time"] => self.print(&format!("time={}", event_loop.time().as_secs())),
            ["run"] => self.run(event_loop),
            _ => self.socket_step(event_loop, words),
        }
        Ok(())
    }

    fn socket_step(&mut self, event_loop: &mut Loop, words: &[&str]) {
        let world = &mut event_loop.world;
        match *words {
            ["reader", socket, callback] => {
                let index = self.socket(socket);
                let token = world.watch(index);
                self.watched.insert(index, token);
                self.readers.insert(token, callback.into());
            }
            ["noreader", socket] => {
                let index = self.socket(socket);
                world.unwatch(index);
                self.watched.remove(&index);
            }
            ["write", socket] => world.write(self.socket(socket)),
            ["read", socket] => world.read(self.socket(socket)),
            ["arrive", when, socket] => world.arrive(seconds(when), self.socket(socket)),
            _ => panic!("{}: no such step: {words:?}", self.scenario.name),
        }
    }

    fn socket(&mut self, name: &str) -> u32 {
        let known = self.sockets.iter().position(|socket| socket == name);
        known.unwrap_or_else(|| {
            self.sockets.push(name.to_string());
            self.sockets.len() - 1
        }) as u32
    }

    fn later(&mut self, event_loop: &mut Loop, delay: Duration, name: &str) {
        self.note_deadline(event_loop, event_loop.time() + delay);
        let handle = event_loop.call_later(delay, Call::Block(name.into()));
        self.handles.insert(name.to_string(), handle);
    }

    fn note_deadline(&mut self, event_loop: &Loop, when: Duration) {
        // A cancelled timer counts too: before or behind its equal, it leaves the heap sooner or
        // later. Those of the past have left.
        let again = !self.deadlines.insert(when) && when > event_loop.time();
        self.played.ties |= again || event_loop.timers().any(|(other, ..)| other == when);
    }

    fn cancel(&self, event_loop: &mut Loop, name: &str) {
        if let Some(&handle) = self.handles.get(name) {
            event_loop.cancel(handle);
        }
    }

    fn thread(&self, event_loop: &Loop, names: &[&str]) {
        let remote = event_loop.remote();
        thread::scope(|scope| {
            scope.spawn(move || {
                for &name in names {
                    let sent = remote.call_soon_threadsafe(Call::Block(name.into()));
                    sent.expect("the inbox has room");
                }
            });
        });
    }

    fn run(&mut self, event_loop: &mut Loop) {
        match event_loop.run_forever(self) {
            Ok(()) => {}
            Err(error) if error.kind() == SCRIPT_ENDS => {}
            Err(error) => panic!("{}: {error}", self.scenario.name),
        }
        self.iteration = event_loop.iteration();
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a whole number")
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(number(text))
}
