//! Runs a case against real servers.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::case::Case;
use super::crowd;
use super::failure::{Failure, Judged};
use super::ghost::Ghost;
use super::given::compare;
use super::log::{Entry, Log};
use super::places::{Circle, Manner as Google, StandIn};
use super::servers::{CannotRun, Servers};
use super::step::Step;
use super::talk::{Manner, Talk};
use super::text::{Text, Values};
use super::wire::Quiet;

/// Between two tries of what is to come true soon.
const AGAIN: Duration = Duration::from_millis(20);
/// How far degrees may be apart that are the same, and metres.
const SAME: f64 = 1e-6;
/// A connection of its own, in the log.
const ITS_OWN: &str = "client";

/// How a case ended.
pub struct Outcome {
    /// `None`: it passed.
    pub failure: Option<Failure>,
    /// It failed, and a lenient grader would not mind.
    pub forgiven: bool,
    /// What happened on the way, if anybody wants to know.
    pub happened: Vec<Entry>,
}

impl Outcome {
    /// Of a case that could not be run: there is a server that does not start any more.
    pub fn lost(why: &str) -> Outcome {
        Outcome {
            failure: Some(Failure::nothing(
                "",
                &format!("five servers that run ({why})"),
            )),
            forgiven: false,
            happened: Vec::new(),
        }
    }

    /// True if it failed because nothing came.
    pub fn is_silent(&self) -> bool {
        self.quiet() == Some(Quiet::Silence)
    }

    /// True if it failed because a connection ended, or none came about.
    pub fn is_broken_off(&self) -> bool {
        matches!(self.quiet(), Some(Quiet::Closed | Quiet::Reset))
    }

    fn quiet(&self) -> Option<Quiet> {
        self.failure.as_ref().and_then(|failure| failure.quiet)
    }
}

/// What all cases have in common.
pub struct Stage {
    /// The servers.
    pub servers: Servers,
    /// What they ask for places, if they do.
    pub google: StandIn,
    /// What happens.
    pub log: Log,
}

struct Run<'a> {
    stage: &'a mut Stage,
    talks: BTreeMap<String, Talk>,
    ghosts: BTreeMap<String, Ghost>,
    values: Values,
    begun: Instant,
    manner: Manner,
}

/// Runs a case.
///
/// # Errors
/// A server is gone for good, or we are to stop.
pub fn run(
    case: &Case,
    stage: &mut Stage,
    number: u64,
    manner: Manner,
) -> Result<Outcome, CannotRun> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.unwrap_or_default().as_nanos() as i128;
    let unique = format!("{}.{number}", nanos / 1_000_000 % 1_000_000_000);
    stage.google.begin();
    let mut run = Run {
        stage,
        talks: BTreeMap::new(),
        ghosts: BTreeMap::new(),
        values: Values::new(&unique, nanos),
        begun: Instant::now(),
        manner,
    };
    let mut failure = None;
    for step in &case.steps {
        run.stage.servers.go_on()?;
        if let Step::Do { act, to } = step {
            run.stage.servers.act(*act, to)?;
        } else if let Err(why) = run.step(step) {
            failure = Some(why);
            break;
        }
    }
    drop(run);
    if case.needs_processes() {
        stage.servers.mend()?;
    }
    Ok(Outcome {
        failure,
        forgiven: false,
        happened: stage.log.take(),
    })
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Judged {
        let (manner, patience) = (self.manner, self.manner.patience);
        match step {
            Step::Send {
                on,
                to,
                pieces,
                end,
            } => self.send(on, to, pieces, *end),
            Step::Read { on, line } => {
                let values = &mut self.values;
                talk(&mut self.talks, on)?.line(line, values, manner)
            }
            Step::Places {
                on,
                line,
                most,
                given,
                within,
            } => {
                let talk = talk(&mut self.talks, on)?;
                let patience = within.unwrap_or(patience);
                let manner = Manner { patience, ..manner };
                talk.line(line, &mut self.values, manner)?;
                let frame = talk.places(*most, patience)?;
                match given {
                    true => given_by(&self.stage.google, talk, &frame, *most),
                    false => Ok(()),
                }
            }
            Step::Quiet { on, time } => talk(&mut self.talks, on)?.quiet(*time),
            Step::End { on } => talk(&mut self.talks, on)?.end(patience),
            Step::Reset { on } => {
                talk(&mut self.talks, on)?;
                self.talks.remove(on).into_iter().for_each(Talk::reset);
                Ok(())
            }
            Step::Ask { .. } => self.ask(step),
            Step::Google(word) => self.google(word),
            Step::Asked {
                latitude,
                longitude,
                radius,
            } => self.asked(*latitude, *longitude, *radius),
            Step::By(time) => self.by(*time),
            Step::Crowd { clients, reports } => {
                let Stage { servers, log, .. } = &*self.stage;
                crowd::crowd(servers, log, &self.values, manner, [*clients, *reports])
            }
            Step::Burst {
                to,
                reports,
                length,
            } => self.burst(to, [*reports, *length]),
            Step::Stand { to } => self.stand(to),
            Step::Told {
                to,
                text,
                most,
                time,
            } => self.told(to, text, *most, *time),
            Step::Pause(time) => {
                thread::sleep(*time);
                Ok(())
            }
            Step::Do { .. } => Ok(()),
        }
    }

    /// On a new connection; again and again on new ones, until it is right or the time is over.
    fn ask(&mut self, step: &Step) -> Judged {
        let Step::Ask {
            to,
            command,
            line,
            most,
            within,
        } = step
        else {
            return Ok(());
        };
        let mut once = || {
            let mut talk = self.open(ITS_OWN, to)?;
            talk.say(&[command.bytes(&self.values)])?;
            talk.line(line, &mut self.values, self.manner)?;
            match most {
                Some(most) => talk.places(*most, self.manner.patience).map(drop),
                None => Ok(()),
            }
        };
        let until = within.map(|within| Instant::now() + within);
        loop {
            let judged = once();
            let is_over = until.is_none_or(|until| Instant::now() >= until);
            if judged.is_ok() || is_over {
                return judged;
            }
            thread::sleep(AGAIN);
        }
    }

    fn open(&self, on: &str, to: &str) -> Result<Talk, Failure> {
        Talk::open(on, to, self.stage.servers.address(to), &self.stage.log)
    }

    fn send(&mut self, on: &str, to: &str, pieces: &[Text], end: bool) -> Judged {
        let mut talk = match self.talks.remove(on) {
            Some(talk) => talk,
            None => self.open(on, to)?,
        };
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|text| text.bytes(&self.values)).collect();
        let said = talk.say(&pieces);
        if end {
            talk.half_close();
        }
        self.talks.insert(on.to_string(), talk);
        said
    }

    fn google(&mut self, word: &str) -> Judged {
        let manner = Google::named(word);
        let manner = manner.ok_or_else(|| wrong_case(&format!("a manner {word:?}")))?;
        self.stage.google.behave(manner);
        Ok(())
    }

    fn asked(&self, latitude: f64, longitude: f64, radius: f64) -> Judged {
        let asked = self.stage.google.asked();
        let is_near = |a: f64, b: f64| (a - b).abs() < SAME;
        let is_it = |it: &Circle| {
            is_near(it.latitude, latitude)
                && is_near(it.longitude, longitude)
                && is_near(it.radius, radius)
        };
        if asked.iter().any(is_it) {
            return Ok(());
        }
        let shown = |it: &Circle| {
            let Circle {
                latitude,
                longitude,
                radius,
            } = it;
            format!("location {latitude},{longitude} radius {radius}; ")
        };
        let got: String = asked.iter().map(shown).collect();
        let expected = format!(
            "a question to Google: location {latitude},{longitude} radius {radius} (in metres)"
        );
        Err(Failure::new("Google", b"", got.into_bytes(), &expected, 0))
    }

    fn by(&self, time: Duration) -> Judged {
        let taken = self.begun.elapsed();
        if taken <= time {
            return Ok(());
        }
        let expected = format!("all of this within {time:?}, and not {taken:?}");
        Err(Failure::new("", b"", Vec::new(), &expected, 0))
    }

    fn burst(&mut self, to: &str, many: [u64; 2]) -> Judged {
        let mut talk = self.open(ITS_OWN, to)?;
        crowd::burst(
            &self.stage.servers,
            &mut talk,
            to,
            &mut self.values,
            self.manner,
            many,
        )
    }

    fn stand(&mut self, to: &str) -> Judged {
        let address = self.stage.servers.address(to);
        let address = address.ok_or_else(|| wrong_case(&format!("a server {to:?}")))?;
        let ghost = Ghost::stand(to, address, &self.stage.log).map_err(|error| {
            let expected = format!("that its port is free once it is killed ({error})");
            Failure::nothing(to, &expected)
        })?;
        self.ghosts.insert(to.to_string(), ghost);
        Ok(())
    }

    fn told(&mut self, to: &str, text: &Text, most: usize, time: Duration) -> Judged {
        let ghost = self.ghosts.get(to);
        let ghost = ghost.ok_or_else(|| wrong_case(&format!("that we stand for {to:?}")))?;
        thread::sleep(time);
        let count = ghost.count(&text.bytes(&self.values));
        if count <= most {
            return Ok(());
        }
        let shown = text.shown(&self.values);
        let expected = format!(
            "that {to} is told \"{shown}\" {most} times at most; it was told {count} times"
        );
        Err(Failure::new(to, b"", Vec::new(), &expected, 0))
    }
}

fn talk<'a>(talks: &'a mut BTreeMap<String, Talk>, on: &str) -> Result<&'a mut Talk, Failure> {
    let talk = talks.get_mut(on);
    talk.ok_or_else(|| wrong_case(&format!("a connection {on:?}")))
}

/// A mistake of the case's own: a test reads and runs them all.
fn wrong_case(lacks: &str) -> Failure {
    Failure::nothing("", &format!("{lacks}: the case has none"))
}

/// Looks whether a frame is what the stand-in gave, in one of its answers.
fn given_by(google: &StandIn, talk: &Talk, frame: &[u8], most: usize) -> Judged {
    let mut differs = None;
    for gave in google.gave() {
        match compare(frame, &gave, most) {
            Ok(()) => return Ok(()),
            Err(difference) => differs = Some(difference),
        }
    }
    let never = || (0, String::from("what Google says, and it was not asked"));
    let (at, expected) = differs.unwrap_or_else(never);
    Err(talk.failed(frame.to_vec(), &expected, at))
}
