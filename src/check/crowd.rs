//! Many clients at once, and many reports in a row.

use std::thread;
use std::time::{Duration, Instant};

use super::failure::{Failure, Judged};
use super::log::Log;
use super::servers::{CannotRun, Servers};
use super::talk::{Manner, Talk};
use super::text::{Text, Values};

/// Every so many-th client of a crowd is asked for elsewhere.
const SAMPLE: usize = 10;
/// An update is at another server within this time.
const SOON: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(20);
/// All of a crowd's answers, or a burst's, have come within this time.
const ALL: Duration = Duration::from_secs(30);
/// The reports of a burst that are under way at a time.
const AT_ONCE: u64 = 20;

/// So many clients, one connection each and spread over the servers, send so many reports each, all before
/// the first answer is read. Each gets its answers in order; and at another server its last report counts.
///
/// # Errors
/// What is not so.
pub fn crowd(
    servers: &Servers,
    log: &Log,
    values: &Values,
    manner: Manner,
    [clients, reports]: [u64; 2],
) -> Judged {
    let names = servers.names();
    let name = |number: u64| names[number as usize % names.len()].as_str();
    let open = |number: u64| {
        let name = name(number);
        Talk::open(
            &format!("client {number}"),
            name,
            servers.address(name),
            log,
        )
    };
    let mut crowd = Vec::new();
    for number in 0..clients {
        crowd.push((number, open(number)?, values.of(number)));
    }
    for (_, talk, values) in &mut crowd {
        let mut commands = Vec::new();
        for report in 0..reports {
            commands.extend(text(&format!("IAMAT ${{id}} {}", at(report, reports)))?.bytes(values));
        }
        talk.say(&[commands])?;
    }
    let answer = |number: u64, report: u64| {
        let (name, at) = (name(number), at(report, reports));
        text(&format!("AT {name} ${{skew}} ${{id}} {at}"))
    };
    let all = Instant::now() + ALL;
    for (number, talk, values) in &mut crowd {
        for report in 0..reports {
            let manner = until(all, servers, manner)?;
            talk.line(&answer(*number, report)?, values, manner)?;
        }
    }
    let question = text("WHATSAT ${id} 10 5\\n")?;
    for (number, _, values) in crowd.iter_mut().step_by(SAMPLE) {
        let (line, until) = (answer(*number, reports - 1)?, Instant::now() + SOON);
        loop {
            let mut talk = open(*number + 2)?;
            talk.say(&[question.bytes(values)])?;
            match talk.line(&line, values, manner) {
                Err(failure) if Instant::now() >= until => return Err(failure),
                Err(_) => thread::sleep(AGAIN),
                Ok(()) => break,
            }
        }
    }
    Ok(())
}

/// So many reports in a row of one client, whose id has so many bytes: more than sockets hold, if nobody
/// reads them. Each gets its answer.
///
/// # Errors
/// What is not so.
pub fn burst(
    servers: &Servers,
    talk: &mut Talk,
    to: &str,
    values: &mut Values,
    manner: Manner,
    [reports, length]: [u64; 2],
) -> Judged {
    let long = "x".repeat(length as usize);
    let id = format!("${{id}}{long}");
    let (mut first, all) = (0, Instant::now() + ALL);
    while first < reports {
        let batch = first..reports.min(first + AT_ONCE);
        let mut commands = Vec::new();
        for report in batch.clone() {
            commands.extend(text(&format!("IAMAT {id} {}", at(report, reports)))?.bytes(values));
        }
        talk.say(&[commands])?;
        for report in batch.clone() {
            let line = format!("AT {to} ${{skew}} {id} {}", at(report, reports));
            let manner = until(all, servers, manner)?;
            talk.line(&text(&line)?, values, manner)?;
        }
        first = batch.end;
    }
    Ok(())
}

/// No line is waited for beyond this time, nor when we are to stop.
fn until(all: Instant, servers: &Servers, manner: Manner) -> Result<Manner, Failure> {
    let stopped = |CannotRun(why)| Failure::nothing("", &why);
    servers.go_on().map_err(stopped)?;
    let left = all.saturating_duration_since(Instant::now());
    let patience = manner.patience.min(left);
    Ok(Manner { patience, ..manner })
}

/// Where a client is, and when: each report is newer than the one before.
fn at(report: u64, reports: u64) -> String {
    format!("+34.{report:06}-118 ${{now-{}}}\\n", reports - report)
}

fn text(text: &str) -> Result<Text, Failure> {
    Text::parse(text).map_err(|why| Failure::nothing("", &why))
}
