//! From a connection to a watch of the bucket, and back.

use std::time::Duration;

use super::super::answer::{self, Answer, Malformed, Stream};
use super::super::command;
use super::super::delivery::Delivery;
use super::super::frame::Message;
use super::super::headers::Headers;
use super::super::request::Requests;
use super::notice::Notice;
use super::pause::Pause;
use super::registers::Registers;
use super::settings::Settings;
use super::turn::Turn;
use super::watch::Watch;
use crate::herd::Store;

/// An answer about the bucket that takes longer is not waited for. (With three replicas one took two
/// seconds.)
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The subscription to all answers; watches have the numbers behind.
const ANSWERS: u64 = 1;

/// The machine of one bucket. A connection lends it its messages; the loop its time.
pub struct Bucket {
    settings: Settings,
    requests: Requests,
    state: State,
    registers: Registers,
    /// Numbers of subscriptions and of requests about the bucket, all of one connection.
    sid: u64,
    number: u64,
    pause: Pause,
}

enum State {
    /// There is no connection.
    Away,
    /// Something failed; until then we wait.
    Waiting(Duration),
    /// We have asked for the bucket.
    Looking(Asked),
    /// We have asked for it to be made.
    Making(Asked),
    /// It is watched, and records are put once all of it has come.
    Watching(Watch),
}

/// A request about the bucket: its number, and when its answer is late.
#[derive(Clone, Copy)]
struct Asked {
    number: u64,
    late: Duration,
}

impl Bucket {
    /// A machine without a connection.
    pub fn new(settings: Settings) -> Bucket {
        Bucket {
            requests: Requests::new(&settings.bucket, 0),
            registers: Registers::new(settings.clone()),
            settings,
            state: State::Away,
            sid: ANSWERS,
            number: 0,
            pause: Pause::default(),
        }
    }

    /// How many records the bucket lacks, as far as we know.
    pub fn dirty(&self) -> usize {
        self.registers.marks().dirty()
    }

    /// How many requests about records are under way.
    pub fn in_flight(&self) -> usize {
        self.registers.in_flight()
    }

    /// True if the watch has shown all that the bucket holds.
    pub fn is_whole(&self) -> bool {
        matches!(&self.state, State::Watching(watch) if watch.whole)
    }

    /// The revision of the key of a record, as far as we know.
    pub fn revision(&self, position: u32) -> u64 {
        self.registers.marks().revision(position)
    }

    /// The state in a word.
    pub fn state(&self) -> &'static str {
        match &self.state {
            State::Away => "away",
            State::Waiting(_) => "waiting",
            State::Looking(_) => "looking",
            State::Making(_) => "making",
            State::Watching(watch) if watch.whole => "watching",
            State::Watching(_) => "reading",
        }
    }

    /// A connection stands, on which messages have a greatest length. `chance` is evenly spread, and no other
    /// connection's.
    pub fn connected(&mut self, payload_max: usize, chance: u64, turn: &mut Turn<'_>) {
        self.registers.connected(payload_max, chance);
        let inbox = self.registers.random();
        self.requests = Requests::new(&self.settings.bucket, inbox);
        (self.sid, self.number) = (ANSWERS, 0);
        self.pause.worked();
        self.requests.listen(ANSWERS, turn.out);
        self.look(turn);
    }

    /// The connection is gone, and with it all that was under way.
    pub fn disconnected(&mut self) {
        self.registers.give_up();
        self.state = State::Away;
    }

    /// The record at a position changed, and not by what the bucket showed.
    pub fn changed(&mut self, position: u32, store: &Store, now: Duration) {
        self.registers.changed(position, store, now);
    }

    /// A message of the connection.
    pub fn message(&mut self, message: &Message<'_>, turn: &mut Turn<'_>) {
        if message.sid == ANSWERS {
            if let Some(number) = self.requests.number(message.subject) {
                self.answered(number, message, turn);
            }
        } else if let State::Watching(watch) = &mut self.state
            && watch.sid == message.sid
        {
            watch.lives(turn.now);
            if let Err(why) = self.watched(message, turn) {
                self.lose(Notice::Lost(why), turn);
            }
        }
    }

    fn answered(&mut self, number: u64, message: &Message<'_>, turn: &mut Turn<'_>) {
        let status = match Headers::parse(message.headers) {
            Some(headers) => headers.status,
            None => Some(0),
        };
        match &mut self.state {
            State::Looking(asked) if asked.number == number => match status {
                Some(status) => self.wait(
                    Notice::Unanswered("the question for the bucket", status),
                    turn,
                ),
                None => self.looked(answer::stream(message.payload), turn),
            },
            State::Making(asked) if asked.number == number => match status {
                Some(status) => {
                    self.wait(Notice::Unanswered("the making of the bucket", status), turn)
                }
                None => self.made(answer::stream(message.payload), turn),
            },
            State::Watching(watch) if watch.asked.is_some_and(|(asked, _)| asked == number) => {
                let what = "the watch";
                let lost = match (status, answer::consumer(message.payload)) {
                    (Some(status), _) => Notice::Unanswered(what, status),
                    (None, Err(Malformed)) => Notice::Unreadable(what),
                    (None, Ok(Err(refusal))) => Notice::Refused(what, refusal),
                    (None, Ok(Ok(consumer))) => {
                        turn.say(Notice::Watching(consumer.pending));
                        watch.made(consumer.name, consumer.pending);
                        return self.whole_if(None, turn);
                    }
                };
                self.lose(lost, turn);
            }
            _ => self
                .registers
                .answered(number, message, &self.requests, turn),
        }
    }

    fn looked(&mut self, answer: Result<Answer<Stream>, Malformed>, turn: &mut Turn<'_>) {
        match answer {
            Ok(Err(refusal)) if refusal.is_no_stream() => {
                let asked = self.ask(turn);
                let Settings {
                    replicas,
                    bytes_max,
                    ..
                } = self.settings;
                self.requests
                    .make(replicas, bytes_max, asked.number, turn.out);
                self.state = State::Making(asked);
            }
            Ok(Err(refusal)) => self.wait(
                Notice::Refused("the question for the bucket", refusal),
                turn,
            ),
            Ok(Ok(stream)) => self.watch(&stream, turn),
            Err(Malformed) => self.wait(Notice::Unreadable("the question for the bucket"), turn),
        }
    }

    fn made(&mut self, answer: Result<Answer<Stream>, Malformed>, turn: &mut Turn<'_>) {
        match answer {
            Ok(Ok(stream)) => {
                turn.say(Notice::Made);
                self.watch(&stream, turn);
            }
            // Somebody else may have made it at the same time: we look again.
            Ok(Err(refusal)) => {
                self.wait(Notice::Refused("the making of the bucket", refusal), turn)
            }
            Err(Malformed) => self.wait(Notice::Unreadable("the making of the bucket"), turn),
        }
    }

    /// The bucket is there: its watch begins with all that it holds. (A watch could go on where the one before
    /// it ended. But a server that lost values, as one without power may, gives their sequences to others;
    /// and those we would never see.)
    fn watch(&mut self, stream: &Stream, turn: &mut Turn<'_>) {
        if !stream.allow_direct || stream.expires {
            let why = match stream.expires {
                true => "its values expire, and a table forgets nothing",
                false => "it answers no direct gets",
            };
            return self.wait(Notice::Unfit(why), turn);
        }
        self.registers.forget();
        self.sid += 1;
        let asked = self.ask(turn);
        self.requests.watch(self.sid, asked.number, turn.out);
        self.state = State::Watching(Watch::new(self.sid, asked.number, turn.now, asked.late));
    }

    /// Something of the watch; or why it is over.
    fn watched(&mut self, message: &Message<'_>, turn: &mut Turn<'_>) -> Result<(), &'static str> {
        let State::Watching(watch) = &mut self.state else {
            return Ok(());
        };
        let headers = Headers::parse(message.headers).ok_or("headers that are none")?;
        match headers.status {
            None => {}
            Some(100) if !watch.beats(&headers) => {
                return Err("a heartbeat tells of a value that did not come");
            }
            Some(100) => {
                // Flow control has a reply subject; a heartbeat of a stalled watch names one.
                let stalled = headers
                    .get("Nats-Consumer-Stalled")
                    .unwrap_or(message.reply);
                return acknowledge(stalled, turn.out);
            }
            Some(_) => return Err("the server says that it is over"),
        }
        let delivery = Delivery::parse(message.reply).ok_or("a value without its place")?;
        if !watch.follows(&delivery) {
            return Err("a value is missing");
        }
        let key = self
            .requests
            .key(message.subject)
            .ok_or("a value of another bucket")?;
        let value = (!headers.is_marker()).then_some(message.payload);
        self.registers.shown(key, value, delivery.sequence, turn);
        self.whole_if(Some(delivery.pending), turn);
        Ok(())
    }

    fn whole_if(&mut self, pending: Option<u64>, turn: &mut Turn<'_>) {
        if let State::Watching(watch) = &mut self.state
            && watch.becomes_whole(pending)
        {
            turn.say(Notice::Whole);
            self.pause.worked();
            self.registers.shown_all(turn.replica.store().len());
        }
    }

    /// Does what time brings, and puts what is due into this many bytes.
    pub fn step(&mut self, room: usize, turn: &mut Turn<'_>) {
        match &self.state {
            State::Away => return,
            State::Waiting(until) if *until <= turn.now => self.look(turn),
            State::Looking(asked) if asked.late <= turn.now => {
                self.wait(Notice::Unanswered("the question for the bucket", 0), turn);
            }
            State::Making(asked) if asked.late <= turn.now => {
                self.wait(Notice::Unanswered("the making of the bucket", 0), turn);
            }
            State::Watching(watch) if watch.deadline() <= turn.now => {
                self.lose(Notice::Lost("it is silent"), turn);
            }
            _ => {}
        }
        self.registers.late(turn);
        if self.is_whole() {
            self.registers.put(&self.requests, room, turn);
        }
    }

    /// When [`Bucket::step`] has something to do, though nothing comes.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        let own = match &self.state {
            State::Away => return None,
            State::Waiting(until) => *until,
            State::Looking(asked) | State::Making(asked) => asked.late,
            State::Watching(watch) => watch.deadline(),
        };
        let registers = match self.is_whole() {
            true => self.registers.deadline(now),
            false => None,
        };
        Some(registers.map_or(own, |at| at.min(own)))
    }

    /// What must hold between two calls. Checked by tests, and in debug builds while the table is small.
    pub fn check_invariants(&self) {
        self.registers.check_invariants();
    }

    fn look(&mut self, turn: &mut Turn<'_>) {
        let asked = self.ask(turn);
        self.requests.look(asked.number, turn.out);
        self.state = State::Looking(asked);
    }

    fn ask(&mut self, turn: &Turn<'_>) -> Asked {
        self.number += 1;
        Asked {
            number: self.number,
            late: turn.now + REQUEST_TIMEOUT,
        }
    }

    /// Something failed: it is tried again from the start, after a while.
    fn wait(&mut self, why: Notice, turn: &mut Turn<'_>) {
        turn.say(why);
        let random = self.registers.random();
        self.pause.failed(turn.now, random);
        self.state = State::Waiting(self.pause.until());
    }

    /// The watch is over, or never was.
    fn lose(&mut self, why: Notice, turn: &mut Turn<'_>) {
        if let State::Watching(watch) = &self.state {
            let consumer = watch.consumer.as_deref();
            self.number += 1;
            self.requests
                .unwatch(watch.sid, consumer, self.number, turn.out);
        }
        self.wait(why, turn);
    }
}

/// Says that what came has been dealt with.
fn acknowledge(subject: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let subject = str::from_utf8(subject).map_err(|_| "a subject that is none")?;
    if !subject.is_empty() {
        let plain = subject.bytes().all(|byte| byte.is_ascii_graphic());
        plain
            .then(|| command::publish(subject, "", b"", out))
            .ok_or("a subject that is none")?;
    }
    Ok(())
}
