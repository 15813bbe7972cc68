//! Runs the cases of `tests/data/cases/cases.json` against five servers that
//! run already, in whatever language. Used by the test of our own server and
//! by the comparison: unequal work is not compared.
//!
//! ```text
//! conformance::wait_whole(&addresses, LIFE)?;
//! for outcome in conformance::run(&addresses)? {
//!     println!("{} {:?}", outcome.id, outcome.wrong);
//! }
//! ```

// Each program that shares this uses its own part of it.
#![allow(dead_code)]

mod client;

use client::{Client, Whatsat, to_latin1};
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many cases there are: a case that is not run is a failure too.
pub const CASES: usize = 30;

/// The servers of a herd, by name.
pub type Addresses = BTreeMap<String, SocketAddr>;

/// How a case went.
#[derive(Debug)]
pub struct Outcome {
    pub id: String,
    pub title: String,
    /// What was wrong; nothing if it passed.
    pub wrong: Option<String>,
}

/// All cases, one after the other, on one herd.
///
/// # Errors
/// The file of cases is not what it should be.
pub fn run(addresses: &Addresses) -> Result<Vec<Outcome>, String> {
    cases()?
        .iter()
        .map(|case| outcome(addresses, case))
        .collect()
}

/// The first case that does not pass; those behind it are not run.
///
/// # Errors
/// The file of cases is not what it should be.
pub fn first_wrong(addresses: &Addresses) -> Result<Option<Outcome>, String> {
    for case in cases()? {
        let outcome = outcome(addresses, &case)?;
        if outcome.wrong.is_some() {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

fn cases() -> Result<Vec<Value>, String> {
    let text = include_str!("../../data/cases/cases.json");
    let mut file: Value =
        serde_json::from_str(text).map_err(|error| format!("cases.json: {error}"))?;
    match file["cases"].take() {
        Value::Array(cases) if cases.len() == CASES => Ok(cases),
        Value::Array(cases) => Err(format!("cases.json has {} cases, not {CASES}", cases.len())),
        _ => Err("cases.json has no list of cases".to_string()),
    }
}

fn outcome(addresses: &Addresses, case: &Value) -> Result<Outcome, String> {
    Ok(Outcome {
        id: text_of(case, "id")?.to_string(),
        title: text_of(case, "title")?.to_string(),
        wrong: Run::of(addresses).case(case).err(),
    })
}

/// Waits until what is said at any server is known at all others.
///
/// # Errors
/// It is not, in that time.
pub fn wait_whole(addresses: &Addresses, within: Duration) -> Result<(), String> {
    let until = Instant::now() + within;
    for said_at in addresses.values() {
        let id = unique("probe");
        // Said again in every round: a link that was not there forgets it.
        loop {
            let mut client = Client::connect(*said_at)?;
            let time = as_time(nanos());
            client.send(format!("IAMAT {id} +34.068930-118.445127 {time}\n").as_bytes())?;
            client.line()?;
            let holds = |address: &SocketAddr| -> Result<bool, String> {
                let mut client = Client::connect(*address)?;
                client.send(format!("WHATSAT {id} 1 0\n").as_bytes())?;
                Ok(client.line()?.starts_with("AT "))
            };
            let held: Vec<bool> = addresses.values().map(holds).collect::<Result<_, _>>()?;
            if held.iter().all(|&held| held) {
                break;
            }
            if Instant::now() > until {
                return Err(format!("not all hear {said_at} within {within:?}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// One case under way.
struct Run<'h> {
    addresses: &'h Addresses,
    /// What the placeholders that stay the same in a case stand for.
    cid: String,
    cid2: String,
    t0: i128,
    /// Connections by their labels, answers by the names they were saved under.
    clients: HashMap<String, Client>,
    saved: HashMap<String, String>,
}

impl Run<'_> {
    fn of(addresses: &Addresses) -> Run<'_> {
        Run {
            addresses,
            cid: unique("case.cs.ucla.edu"),
            cid2: unique("other.cs.ucla.edu"),
            t0: nanos(),
            clients: HashMap::new(),
            saved: HashMap::new(),
        }
    }

    fn case(mut self, case: &Value) -> Result<(), String> {
        for step in case["steps"].as_array().ok_or("a case without steps")? {
            let step_keys = step.as_object().ok_or("a step is an object")?.keys();
            if let Some(key) = step_keys
                .into_iter()
                .find(|key| !KEYS.contains(&key.as_str()))
            {
                return Err(format!("this runner does not know {key:?}"));
            }
            let op = text_of(step, "op")?;
            if op == "cmd" {
                self.cmd(step)?;
                continue;
            }
            let label = text_of(step, "c")?.to_string();
            let mut client = match self.clients.remove(&label) {
                Some(client) => client,
                None => self.client(step)?,
            };
            match op {
                "open" => {}
                "send" => self.send(&mut client, step)?,
                "recv" => self.check(&mut client, step)?,
                other => return Err(format!("this runner does not know the step {other:?}")),
            }
            self.clients.insert(label, client);
        }
        Ok(())
    }

    fn client(&self, step: &Value) -> Result<Client, String> {
        let name = text_of(step, "to")?;
        let address = self.addresses.get(name);
        Client::connect(*address.ok_or_else(|| format!("no server {name:?}"))?)
            .map_err(|error| format!("{name}: {error}"))
    }

    /// A question on a connection of its own; asked again, if the step allows
    /// it, until the answer is right.
    fn cmd(&mut self, step: &Value) -> Result<(), String> {
        let until = Instant::now() + milliseconds(step, "retry_ms");
        loop {
            let mut client = self.client(step)?;
            self.send(&mut client, step)?;
            match self.check(&mut client, step) {
                Err(wrong) if Instant::now() >= until => return Err(wrong),
                Err(_) => thread::sleep(Duration::from_millis(5)),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn send(&self, client: &mut Client, step: &Value) -> Result<(), String> {
        let data = self.fill(text_of(step, "data")?, str::to_string)?;
        let data = to_latin1(&data).ok_or("the data of a step is not Latin-1")?;
        let pause = milliseconds(step, "bytewise_ms");
        if pause.is_zero() {
            client.send(&data)?;
        } else {
            for byte in data {
                client.send(&[byte])?;
                thread::sleep(pause);
            }
        }
        match step["eof"] == true {
            true => client.half_close(),
            false => Ok(()),
        }
    }

    /// Reads one answer and says what is wrong with it.
    fn check(&mut self, client: &mut Client, step: &Value) -> Result<(), String> {
        match text_of(step, "unit")? {
            "line" => {
                let line = client.line()?;
                self.matches(step, "re", &line)?;
                self.remember(step, &line);
            }
            "whatsat" => {
                let answer = client.whatsat()?.ok_or("refused")?;
                self.matches(step, "head", &answer.at)?;
                self.check_whatsat(step, &answer)?;
                self.remember(step, &answer.at);
            }
            "silence" => client.silence(milliseconds(step, "within_ms"))?,
            "eof" => client.eof()?,
            other => return Err(format!("this runner does not know the unit {other:?}")),
        }
        match milliseconds(step, "then_silence_ms") {
            Duration::ZERO => Ok(()),
            quiet => client.silence(quiet),
        }
    }

    fn check_whatsat(&self, step: &Value, answer: &Whatsat) -> Result<(), String> {
        if let Some(name) = step["head_same_as"].as_str() {
            let before = self.saved.get(name);
            let before = before.ok_or_else(|| format!("nothing saved as {name}"))?;
            if *before != answer.at {
                return Err(format!(
                    "{:?} is not the line of before, {before:?}",
                    answer.at
                ));
            }
        }
        let results = answer.results()?;
        if let Some(most) = step["at_most"].as_u64()
            && results.len() as u64 > most
        {
            return Err(format!("{} results, not at most {most}", results.len()));
        }
        if let Some(count) = step["results_prefix"].as_u64() {
            let due: Vec<Value> = self
                .all_results(step)?
                .into_iter()
                .take(count as usize)
                .collect();
            if results != due {
                return Err(format!(
                    "not the first {count} results: {results:?}, due: {due:?}"
                ));
            }
        }
        Ok(())
    }

    /// What the same question gives when it asks for as much as there may be.
    fn all_results(&self, step: &Value) -> Result<Vec<Value>, String> {
        let question = self.fill(text_of(step, "data")?, str::to_string)?;
        let fields: Vec<&str> = question.split_ascii_whitespace().collect();
        let [command, id, radius, _] = fields[..] else {
            return Err(format!("no WHATSAT: {question:?}"));
        };
        let mut client = self.client(step)?;
        client.send(format!("{command} {id} {radius} 20\n").as_bytes())?;
        client.whatsat()?.ok_or("refused")?.results()
    }

    fn matches(&self, step: &Value, key: &str, line: &str) -> Result<(), String> {
        let Some(pattern) = step[key].as_str() else {
            return Ok(());
        };
        let pattern = self.fill(pattern, regex::escape)?;
        let regex = Regex::new(&pattern).map_err(|error| error.to_string())?;
        match regex.is_match(line) {
            true => Ok(()),
            false => Err(format!("{:?} is not {pattern:?}", client::short(line))),
        }
    }

    fn remember(&mut self, step: &Value, line: &str) {
        if let Some(name) = step["save"].as_str() {
            self.saved.insert(name.to_string(), line.to_string());
        }
    }

    /// Puts values in the place of `${…}`, each passed through `guard` first.
    fn fill(&self, text: &str, guard: impl Fn(&str) -> String) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or("a placeholder without its end")?;
            filled.push_str(before);
            filled.push_str(&guard(&self.value(name)?));
            rest = after;
        }
        Ok(filled + rest)
    }

    fn value(&self, name: &str) -> Result<String, String> {
        match name {
            "cid" => Ok(self.cid.clone()),
            "cid2" => Ok(self.cid2.clone()),
            _ if name.starts_with("S:") => Ok(name["S:".len()..].to_string()),
            _ if name.starts_with("now") => moved(nanos(), &name["now".len()..]),
            _ if name.starts_with("t0") => moved(self.t0, &name["t0".len()..]),
            other => Err(format!("this runner does not know ${{{other}}}")),
        }
    }
}

/// All that a step may say.
const KEYS: [&str; 16] = [
    "op",
    "to",
    "c",
    "data",
    "bytewise_ms",
    "eof",
    "unit",
    "re",
    "head",
    "within_ms",
    "retry_ms",
    "then_silence_ms",
    "save",
    "head_same_as",
    "at_most",
    "results_prefix",
];

/// A moment, so many seconds later or earlier: `` (as it is), `+1`, `-86400.25`.
fn moved(nanos: i128, by: &str) -> Result<String, String> {
    let seconds: f64 = match by {
        "" => 0.0,
        by => by
            .parse()
            .map_err(|_| format!("{by:?} is no number of seconds"))?,
    };
    Ok(as_time(nanos + (seconds * 1e9) as i128))
}

fn as_time(nanos: i128) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// Nanoseconds of the wall clock; one before 1970 is taken for 1970.
fn nanos() -> i128 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

/// An id that no other call in this process gets.
fn unique(stem: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn text_of<'v>(value: &'v Value, key: &str) -> Result<&'v str, String> {
    value[key]
        .as_str()
        .ok_or_else(|| format!("no {key:?} in {value}"))
}

fn milliseconds(step: &Value, key: &str) -> Duration {
    Duration::from_millis(step[key].as_u64().unwrap_or(0))
}
