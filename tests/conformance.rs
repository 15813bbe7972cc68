//! Runs every case of `data/cases/cases.json` against five real servers, as
//! the README beside it says. One herd serves all cases; every failure is
//! listed, not just the first.

mod common;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use common::{Client, Herd, Whatsat, as_time, nanos, to_latin1, unique};
use regex::Regex;
use serde_json::Value;

/// How many cases there are: a case that is not run is a failure too.
const CASES: usize = 30;

#[test]
fn every_case() {
    let file: Value =
        serde_json::from_str(include_str!("data/cases/cases.json")).expect("the cases are JSON");
    let cases = file["cases"].as_array().expect("a list of cases");
    let herd = Herd::start();
    let mut failures = Vec::new();
    for case in cases {
        let id = text(case, "id");
        let title = text(case, "title");
        match catch_unwind(AssertUnwindSafe(|| Run::of(&herd).case(case))) {
            Ok(()) => println!("ok     {id}  {title}"),
            Err(panic) => {
                println!("FAILED {id}  {title}");
                failures.push(format!("{id} ({title}): {}", what_it_said(&*panic)));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(cases.len(), CASES, "the number of cases");
}

/// One case under way.
struct Run<'h> {
    herd: &'h Herd,
    /// What the placeholders that stay the same in a case stand for.
    cid: String,
    cid2: String,
    t0: i128,
    /// Connections by their labels, answers by the names they were saved under.
    clients: HashMap<String, Client>,
    saved: HashMap<String, String>,
}

impl Run<'_> {
    fn of(herd: &Herd) -> Run<'_> {
        Run {
            herd,
            cid: unique("case.cs.ucla.edu"),
            cid2: unique("other.cs.ucla.edu"),
            t0: nanos(),
            clients: HashMap::new(),
            saved: HashMap::new(),
        }
    }

    fn case(mut self, case: &Value) {
        for step in case["steps"].as_array().expect("a list of steps") {
            for key in step.as_object().expect("a step is an object").keys() {
                assert!(
                    KEYS.contains(&key.as_str()),
                    "this runner does not know {key:?}"
                );
            }
            let op = text(step, "op");
            if op == "cmd" {
                self.cmd(step);
                continue;
            }
            let label = text(step, "c").to_string();
            let known = self.clients.remove(&label);
            let mut client = known.unwrap_or_else(|| self.herd.client(text(step, "to")));
            match op {
                "open" => {}
                "send" => self.send(&mut client, step),
                "recv" => self
                    .check(&mut client, step)
                    .unwrap_or_else(|wrong| panic!("{wrong}")),
                other => panic!("this runner does not know the step {other:?}"),
            }
            self.clients.insert(label, client);
        }
    }

    /// A question on a connection of its own; asked again, if the step allows
    /// it, until the answer is right.
    fn cmd(&mut self, step: &Value) {
        let until = Instant::now() + milliseconds(step, "retry_ms");
        loop {
            let mut client = self.herd.client(text(step, "to"));
            self.send(&mut client, step);
            match self.check(&mut client, step) {
                Ok(()) => return,
                Err(wrong) if Instant::now() >= until => panic!("{wrong}"),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn send(&self, client: &mut Client, step: &Value) {
        let data = to_latin1(&self.fill(text(step, "data"), str::to_string));
        let pause = milliseconds(step, "bytewise_ms");
        if pause.is_zero() {
            client.send(data);
        } else {
            for byte in data {
                client.send([byte]);
                std::thread::sleep(pause);
            }
        }
        if step["eof"] == true {
            client.half_close();
        }
    }

    /// Reads one answer and says what is wrong with it.
    fn check(&mut self, client: &mut Client, step: &Value) -> Result<(), String> {
        match text(step, "unit") {
            "line" => {
                let line = client.line();
                self.matches(step, "re", &line)?;
                self.remember(step, &line);
            }
            "whatsat" => {
                let answer = client.whatsat_or_refusal().ok_or("refused")?;
                self.matches(step, "head", &answer.at)?;
                self.check_whatsat(step, &answer)?;
                self.remember(step, &answer.at);
            }
            "silence" => client.silence(step["within_ms"].as_u64().expect("within_ms")),
            "eof" => client.eof(),
            other => panic!("this runner does not know the unit {other:?}"),
        }
        let quiet = milliseconds(step, "then_silence_ms");
        if !quiet.is_zero() {
            let more = client.try_line(quiet);
            if more.is_ok() || !client.pending().is_empty() {
                return Err(format!(
                    "silence was due, not {more:?} {:?}",
                    client.pending()
                ));
            }
        }
        Ok(())
    }

    fn check_whatsat(&self, step: &Value, answer: &Whatsat) -> Result<(), String> {
        if let Some(name) = step["head_same_as"].as_str() {
            let before = self
                .saved
                .get(name)
                .unwrap_or_else(|| panic!("nothing saved as {name}"));
            if *before != answer.at {
                return Err(format!(
                    "{:?} is not the line of before, {before:?}",
                    answer.at
                ));
            }
        }
        let results = answer.results();
        if let Some(most) = step["at_most"].as_u64()
            && results.len() as u64 > most
        {
            return Err(format!("{} results, not at most {most}", results.len()));
        }
        if let Some(count) = step["results_prefix"].as_u64() {
            let all = self.all_results(step);
            let due: Vec<Value> = all.into_iter().take(count as usize).collect();
            if results != due {
                return Err(format!(
                    "not the first {count} results: {results:?}, due: {due:?}"
                ));
            }
        }
        Ok(())
    }

    /// What the same question gives when it asks for as much as there may be.
    fn all_results(&self, step: &Value) -> Vec<Value> {
        let question = self.fill(text(step, "data"), str::to_string);
        let fields: Vec<&str> = question.split_ascii_whitespace().collect();
        let [command, id, radius, _] = fields[..] else {
            panic!("no WHATSAT: {question:?}")
        };
        let mut client = self.herd.client(text(step, "to"));
        client
            .send(format!("{command} {id} {radius} 20\n"))
            .whatsat()
            .results()
    }

    fn matches(&self, step: &Value, key: &str, line: &str) -> Result<(), String> {
        let Some(pattern) = step[key].as_str() else {
            return Ok(());
        };
        let pattern = self.fill(pattern, regex::escape);
        let regex = Regex::new(&pattern).expect("the pattern of a case");
        if regex.is_match(line) {
            Ok(())
        } else {
            Err(format!("{line:?} is not {pattern:?}"))
        }
    }

    fn remember(&mut self, step: &Value, line: &str) {
        if let Some(name) = step["save"].as_str() {
            self.saved.insert(name.to_string(), line.to_string());
        }
    }

    /// Puts values in the place of `${…}`, each passed through `guard` first.
    fn fill(&self, text: &str, guard: impl Fn(&str) -> String) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').expect("a placeholder ends");
            filled.push_str(before);
            filled.push_str(&guard(&self.value(name)));
            rest = after;
        }
        filled + rest
    }

    fn value(&self, name: &str) -> String {
        match name {
            "cid" => self.cid.clone(),
            "cid2" => self.cid2.clone(),
            _ if name.starts_with("S:") => name["S:".len()..].to_string(),
            _ if name.starts_with("now") => moved(nanos(), &name["now".len()..]),
            _ if name.starts_with("t0") => moved(self.t0, &name["t0".len()..]),
            other => panic!("this runner does not know ${{{other}}}"),
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
fn moved(nanos: i128, by: &str) -> String {
    let seconds: f64 = if by.is_empty() {
        0.0
    } else {
        by.parse().expect("seconds")
    };
    as_time(nanos + (seconds * 1e9) as i128)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key:?} in {value}"))
}

fn milliseconds(step: &Value, key: &str) -> Duration {
    Duration::from_millis(step[key].as_u64().unwrap_or(0))
}

/// The words of a panic.
fn what_it_said(panic: &(dyn std::any::Any + Send)) -> String {
    let formatted = panic.downcast_ref::<String>().cloned();
    formatted
        .or_else(|| panic.downcast_ref::<&str>().map(|words| words.to_string()))
        .unwrap_or_else(|| "it said nothing".to_string())
}
