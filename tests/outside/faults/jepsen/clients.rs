//! Phones that report at random servers, and readers that ask each server all the time.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::oracle::{ANSWER_MAX, Oracle};
use super::report::{PHONES, name, wall};
use super::service::FIVE;
use crate::common::{Client, Quiet};

/// Threads that report; each has phones of its own.
pub const WRITERS: u16 = 6;
/// Between two batches.
const REST: Duration = Duration::from_millis(15);
/// How long a read waits before the oracle is asked whether the answer is overdue.
const LOOK: Duration = Duration::from_millis(100);
/// A writer hangs up on a stopped server after this long.
const WRITER_PATIENCE: Duration = Duration::from_millis(200);

/// What clients and nemesis share.
pub struct Stage {
    oracle: Mutex<Oracle>,
    /// Writers hold it for a batch. Locked for writing, it means that no report is on its way.
    pub gate: RwLock<()>,
    over: AtomicBool,
    addresses: [SocketAddr; FIVE],
}

impl Stage {
    /// A herd at these addresses.
    pub fn new(addresses: [SocketAddr; FIVE]) -> Stage {
        Stage {
            oracle: Mutex::new(Oracle::new()),
            gate: RwLock::new(()),
            over: AtomicBool::new(false),
            addresses,
        }
    }

    /// The oracle, for a moment.
    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all clients to stop.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// A small generator (SplitMix64, by Sebastiano Vigna).
pub struct Dice(pub u64);

impl Dice {
    /// A number below this.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    /// A time between these, in milliseconds.
    pub fn time(&mut self, least: usize, most: usize) -> Duration {
        Duration::from_millis((least + self.roll(most - least)) as u64)
    }
}

/// A client of one server, through all its lives. What goes wrong while that runs is a violation.
struct Caller<'s> {
    stage: &'s Stage,
    server: usize,
    patience: Duration,
    line: Option<(Client, u32)>,
}

impl<'s> Caller<'s> {
    fn new(stage: &'s Stage, server: usize, patience: Duration) -> Caller<'s> {
        Caller {
            stage,
            server,
            patience,
            line: None,
        }
    }

    /// In which of its lives the server is that this is connected to, if there is one.
    fn connected(&mut self) -> Option<u32> {
        if self.line.is_none() {
            let (server, address) = (self.server, self.stage.addresses[self.server]);
            let life = |oracle: &Oracle| (oracle.incarnation(server), oracle.serves(server));
            let before = life(&self.stage.oracle());
            let connected = TcpStream::connect_timeout(&address, ANSWER_MAX);
            let mut oracle = self.stage.oracle();
            let after = life(&oracle);
            match connected {
                Ok(stream) if before.0 == after.0 => {
                    self.line = Some((Client::on(stream), after.0));
                }
                // It restarted meanwhile: this may be a connection to either process.
                Ok(_) => {}
                Err(error) if before.1.is_some() && before == after => {
                    oracle.violated(server, "connect", &error.to_string());
                }
                Err(_) => {}
            }
        }
        self.line.as_ref().map(|(_, incarnation)| *incarnation)
    }

    fn send(&mut self, text: &str) -> bool {
        let Some((client, _)) = &self.line else {
            return false;
        };
        let sent = client.stream().write_all(text.as_bytes());
        if let Err(error) = sent {
            self.lost(&error.to_string());
        }
        self.line.is_some()
    }

    /// The next line of an answer to what was sent then, if the server lives to say it.
    fn line(&mut self, sent: Instant) -> Option<String> {
        loop {
            let (client, _) = self.line.as_mut()?;
            let came = client.try_line(LOOK);
            let mut oracle = self.stage.oracle();
            let serves = oracle.serves(self.server);
            let waited = serves.map(|(since, _)| sent.max(since).elapsed());
            match came {
                Ok(line) => {
                    oracle.counts.slow = oracle.counts.slow.max(waited.unwrap_or_default());
                    return Some(line);
                }
                Err(Quiet::Timeout) => {
                    if waited.is_some_and(|waited| waited > ANSWER_MAX) {
                        oracle.violated(self.server, "no answer", &format!("for {waited:?}"));
                        self.line = None;
                    } else if self.stage.is_over()
                        || waited.is_none() && sent.elapsed() > self.patience
                    {
                        self.line = None;
                    }
                }
                Err(why) => {
                    drop(oracle);
                    self.lost(&format!("{why:?}"));
                }
            }
        }
    }

    /// A connection ended: its server must have.
    fn lost(&mut self, why: &str) {
        if let Some((_, incarnation)) = self.line.take() {
            let mut oracle = self.stage.oracle();
            if oracle
                .serves(self.server)
                .is_some_and(|(_, now)| now == incarnation)
            {
                oracle.violated(self.server, "the connection ended", why);
            }
        }
    }
}

/// One writer: its phones report one after the other, at random servers.
pub fn report(stage: &Stage, writer: u16, mut dice: Dice) {
    let mut callers: Vec<_> = (0..FIVE)
        .map(|server| Caller::new(stage, server, WRITER_PATIENCE))
        .collect();
    let own: Vec<u16> = (0..PHONES)
        .filter(|phone| phone % WRITERS == writer)
        .collect();
    while !stage.is_over() {
        {
            let _open = stage.gate.read().unwrap_or_else(PoisonError::into_inner);
            // Low numbers report often, high ones rarely: a rare report is not soon replaced by a
            // newer one, so it must get past the faults itself.
            let busy = 1 + dice.roll(own.len());
            let phone = own[dice.roll(busy)];
            // One in ten is old, and must change nothing.
            let time = wall() - if dice.roll(10) == 0 { 7_000_000_000 } else { 0 };
            let (first, second, more) = (dice.roll(FIVE), dice.roll(FIVE), dice.roll(3) as i64);
            send_reports(&mut callers[first], phone, time..=time + more);
            // Sometimes a second server gets the same time: the total order decides.
            if dice.roll(5) == 0 {
                send_reports(&mut callers[second], phone, time + more..=time + more);
            }
        }
        sleep(REST);
    }
}

/// Sends reports of a phone in one write, one for each time, and hears the answers.
fn send_reports(caller: &mut Caller, phone: u16, times: RangeInclusive<i64>) {
    let Some(incarnation) = caller.connected() else {
        return;
    };
    let say = |time| caller.stage.oracle().say(phone, caller.server, time);
    let said: Vec<_> = times.map(say).collect();
    let text: String = said.iter().map(|(_, command)| command.as_str()).collect();
    let sent = Instant::now();
    if !caller.send(&text) {
        return;
    }
    for (serial, _) in said {
        let Some(line) = caller.line(sent) else {
            return;
        };
        caller.stage.oracle().answered(serial, incarnation, &line);
    }
}

/// One reader: it asks one server where phones are.
pub fn read(stage: &Stage, server: usize, mut dice: Dice) {
    let mut caller = Caller::new(stage, server, Duration::MAX);
    while !stage.is_over() {
        if let Some(incarnation) = caller.connected() {
            let phones: Vec<u16> = (0..8).map(|_| dice.roll(PHONES.into()) as u16).collect();
            let places = [0, 0, 0, 2][dice.roll(4)];
            ask(&mut caller, incarnation, &phones, places);
        }
        sleep(REST);
    }
}

/// Asks about phones in one write, then says something that is no command.
fn ask(caller: &mut Caller, incarnation: u32, phones: &[u16], places: usize) -> Option<()> {
    let (stage, server) = (caller.stage, caller.server);
    let command = |phone: u16| format!("WHATSAT {} 10 {places}\n", name(phone));
    let mut text: String = phones.iter().map(|phone| command(*phone)).collect();
    text.push_str("WHATSAT nobody 51 1\n");
    let questions: Vec<_> = {
        let mut oracle = stage.oracle();
        phones
            .iter()
            .map(|phone| oracle.ask(server, *phone))
            .collect()
    };
    let sent = Instant::now();
    caller.send(&text).then_some(())?;
    for question in questions {
        let line = caller.line(sent)?;
        let refused = line == format!("? {}", command(question.phone));
        if !refused {
            let json = json(caller, sent)?;
            if let Err(why) = judge(&json, places) {
                stage.oracle().violated(server, &json, &why);
            }
        }
        let shown = (!refused).then_some(line.as_str());
        stage.oracle().shown(server, incarnation, question, shown);
    }
    let line = caller.line(sent)?;
    if line != "? WHATSAT nobody 51 1\n" {
        stage
            .oracle()
            .violated(server, &line, "no echo of what is no command");
    }
    Some(())
}

/// What stands before the blank line.
fn json(caller: &mut Caller, sent: Instant) -> Option<String> {
    let mut json = String::new();
    loop {
        match caller.line(sent)?.as_str() {
            "\n" => return Some(json),
            line => json.push_str(line),
        }
    }
}

fn judge(json: &str, places: usize) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    match value["results"].as_array() {
        Some(results) if results.len() <= places => Ok(()),
        _ => Err(format!("no list of at most {places} places")),
    }
}
