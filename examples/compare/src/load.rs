//! Runs the load generator, and reads what it reports.
//!
//! ```text
//! let run = Load::new(&server).connections(50).depth(16).seconds(0.4).run(&lab)?;
//! run.per_second
//! ```

use lab::servers::{Lab, Server};
use lab::{Result, guard};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// What the load generator is told.
pub struct Load {
    addr: SocketAddr,
    args: Vec<String>,
}

/// What it measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub per_second: f64,
    /// Of the server, for a request.
    pub cpu_us: Option<f64>,
    /// Of the server, for a request: it slept, or was put to sleep.
    pub switches: Option<f64>,
    /// All that it said.
    pub report: Value,
}

impl Load {
    pub fn new(server: &Server) -> Load {
        let load = Load {
            addr: server.addr,
            args: Vec::new(),
        };
        load.with("pid", server.pid())
    }

    /// An option with its value.
    pub fn with(mut self, name: &str, value: impl ToString) -> Load {
        self.args.push(format!("--{name}"));
        self.args.push(value.to_string());
        self
    }

    pub fn flag(mut self, name: &str) -> Load {
        self.args.push(format!("--{name}"));
        self
    }

    pub fn run(self, lab: &Lab) -> Result<Measured> {
        let mut command: Command = lab.load(self.addr)?;
        command.args(&self.args).arg("--json");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = child.id();
        guard::enter(pid);
        let output = child.wait_with_output();
        guard::leave(pid);
        let output = output?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // Behind its name it says what is wrong, on a line or two.
            let said = said.rfind("load:").map_or(said.as_str(), |at| &said[at..]);
            return Err(said
                .split('\n')
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" ")
                .into());
        }
        Measured::of(serde_json::from_slice(&output.stdout)?)
    }
}

impl Measured {
    fn of(report: Value) -> Result<Measured> {
        let requests = report["requests"].as_f64().unwrap_or(0.0);
        let switches = |name: &str| report["server"][name].as_f64();
        let both = switches("voluntary_switches").zip(switches("involuntary_switches"));
        Ok(Measured {
            per_second: report["per_second"]
                .as_f64()
                .ok_or("load reports no per_second")?,
            cpu_us: report["server"]["cpu_us_per_request"].as_f64(),
            switches: both.map(|(one, other)| (one + other) / requests.max(1.0)),
            report,
        })
    }

    /// Of the latencies, in milliseconds: `p50`, `p99`, `p99.9`, `max`.
    pub fn latency_ms(&self, quantile: &str) -> Option<f64> {
        Some(self.report["latency_us"][quantile].as_f64()? / 1000.0)
    }
}
