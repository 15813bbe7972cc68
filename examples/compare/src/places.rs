//! The stand-in for Google Places as a process, and WHATSAT at a slow one.
//!
//! ```text
//! let places = Places::start(&lab, "slow", 100)?;      // thinks 100 ms each time
//! let args = places.args(peer.platform);
//! ```

use crate::bench::{Bench, part};
use crate::chart::Chart;
use crate::load::Load;
use crate::peers::Platform;
use crate::section::{Best, Section, Table};
use crate::stats::{Spread, figure};
use lab::servers::{Lab, Server};
use lab::{Result, guard};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

/// A stand-in that runs; it ends with its value.
pub struct Places {
    child: Child,
    url: String,
    ca_file: PathBuf,
}

impl Places {
    pub fn start(lab: &Lab, name: &str, delay_ms: u32) -> Result<Places> {
        let ca_file = lab.directory.join(format!("{name}.pem"));
        let mut child = Command::new(lab.example("places")?)
            .arg("--ca-file")
            .arg(&ca_file)
            .args(["--delay", &delay_ms.to_string(), "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        guard::enter(child.id());
        let stdout = child.stdout.take().ok_or("stdout is piped")?;
        let mut places = Places {
            child,
            url: String::new(),
            ca_file,
        };
        places.url = listening(stdout)?;
        Ok(places)
    }

    /// The options of a server that asks here.
    pub fn args(&self, platform: Platform) -> Vec<String> {
        args_of(platform, &self.url, &self.ca_file.display().to_string())
    }
}

/// The options of a server that asks at this URL, and trusts this authority there.
pub fn args_of(platform: Platform, url: &str, ca_file: &str) -> Vec<String> {
    // Ours knows both of Google's APIs; the peers know the older.
    let api: &[&str] = match platform {
        Platform::Ours => &["--places", "legacy"],
        _ => &[],
    };
    let place = ["--places-url", url, "--ca-file", ca_file];
    let words = api.iter().chain(&place);
    words.map(|word| word.to_string()).collect()
}

/// Its address by name: the certificate is for that.
fn listening(stdout: ChildStdout) -> Result<String> {
    let mut lines = BufReader::new(stdout).lines();
    let first = lines
        .next()
        .ok_or("the stand-in for Places said nothing")??;
    let port = first.rsplit(':').next().unwrap_or_default().to_string();
    if !first.starts_with("places listens on https://") {
        return Err(format!("the stand-in for Places said {first:?}").into());
    }
    // It goes on telling what it does: somebody must read that.
    thread::spawn(move || lines.for_each(drop));
    Ok(format!("https://localhost:{port}"))
}

impl Drop for Places {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        guard::leave(self.child.id());
    }
}

const DELAY_MS: u32 = 100;
const CONNECTIONS: u32 = 50;

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "places",
        "Performance: many questions at a slow Places",
        "A server that waits for Google should serve others meanwhile. The paper expects this of asyncio: \
         while one coroutine awaits an answer over HTTP, the loop runs the others.",
    );
    section.measured.push(format!(
        "{CONNECTIONS} clients ask WHATSAT, one question at a time each, of a stand-in for Places over \
         HTTPS on loopback that thinks for {DELAY_MS} ms before each answer. If nobody waits for anybody, \
         a question takes {DELAY_MS} ms and there are {} a second.",
        CONNECTIONS * 1000 / DELAY_MS
    ));
    let places = Places::start(&bench.lab, "slow", DELAY_MS)?;
    let peers = bench.few_herds(&mut section);
    let names: Vec<String> = peers.iter().map(|peer| peer.label.clone()).collect();
    let seconds = bench.sized(1.5, 0.5);
    let rounds = bench.rounds(&mut section, "places", (3, 1), &names, |index| {
        let args = places.args(peers[index].platform);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let server: Server = bench.alone(&peers[index].program, false, &args)?;
        Load::new(&server)
            .with("mode", "whatsat")
            .with("connections", CONNECTIONS)
            .with("warmup", 2 * CONNECTIONS)
            .with("seconds", seconds)
            .run(&bench.lab)
    });
    let columns = [
        "questions a second",
        "p50 ms",
        "p99 ms",
        "CPU ms a question",
    ];
    let mut table =
        Table::new("WHATSAT at a Places that thinks 100 ms", &columns).ranked(0, Best::Most);
    let mut bars = Vec::new();
    for (name, rounds) in names.iter().zip(&rounds) {
        let per_second = Spread::of(
            part(rounds, |run| Some(run.per_second))
                .into_iter()
                .flatten(),
        );
        bars.push((name.clone(), per_second.clone()));
        let latency = |q| Spread::of(part(rounds, |run| run.latency_ms(q)).into_iter().flatten());
        let cpu = part(rounds, |run| run.cpu_us.map(|us| us / 1000.0));
        table.row(
            name,
            vec![
                per_second.into(),
                latency("p50").into(),
                latency("p99").into(),
                Spread::of(cpu.into_iter().flatten()).into(),
            ],
        );
    }
    follow(&mut section, &bars);
    let ideal = f64::from(CONNECTIONS * 1000 / DELAY_MS);
    section.chart(
        Chart::bars("Questions a second", bars).reference(ideal, "nobody waits for anybody"),
    );
    section.table(table);
    section.beware.push(
        "That asyncio does the work of a faster platform: here Google is what everybody waits for, so \
         everybody looks alike. That is what the paper means by I/O-bound.",
    );
    Ok(section)
}

fn follow(section: &mut Section, bars: &[(String, Spread)]) {
    let ideal = f64::from(CONNECTIONS * 1000 / DELAY_MS);
    let (near, far): (Vec<_>, Vec<_>) = bars
        .iter()
        .filter(|(_, spread)| !spread.is_empty())
        .partition(|(_, spread)| spread.median() >= 0.9 * ideal);
    let names = |some: &[&(String, Spread)]| {
        let each = some
            .iter()
            .map(|(name, spread)| format!("{name} ({})", figure(spread.median())));
        each.collect::<Vec<_>>().join(", ")
    };
    if !near.is_empty() {
        section.follows.push(format!(
            "Within a tenth of what is possible: {}. Their loops (or threads) wait for many answers at once.",
            names(&near)
        ));
    }
    if !far.is_empty() {
        section
            .follows
            .push(format!("Further from it in this run: {}.", names(&far)));
    }
}
