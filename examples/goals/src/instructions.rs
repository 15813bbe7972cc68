//! Instructions an IAMAT costs the server, counted by callgrind: with the
//! server's own observer and with one that does nothing. The difference of two
//! runs of different length, so that the start does not count.
//!
//! The servers measured are this very program (`goals --serve`), so that both
//! are one build.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use herd::config::Config;
use herd::event_loop::{Application, Context, EventLoop, Observation};
use herd::herd::Roster;
use herd::server::{Callback, Loop, Node, SIGTERM};
use herd::worlds::os::OsWorld;

use lab::Result;
use lab::servers::Lab;
use lab::table::Table;

/// Fewer clients than the shorter run has requests, so that the difference is of updates alone: a new
/// client costs an allocation and now and then a larger map.
const KEYS: &str = "1000";
const SHORT: u64 = 2_000;
const LONG: u64 = 12_000;
/// The most that an IAMAT may take, by depth: a twentieth above what it took on 2026-12-01 (2,942 and 1,201).
const INSTRUCTIONS_MAX: [(u64, f64); 2] = [(1, 3_090.0), (16, 1_261.0)];
/// The most that the server's own observer may add.
const SHARE_MAX: f64 = 1.01;

pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    for (depth, most) in INSTRUCTIONS_MAX {
        let plain = instructions(lab, "plain", depth)?;
        let quiet = instructions(lab, "quiet", depth)?;
        table.at_most(&format!("instructions an IAMAT, P{depth}"), most, plain);
        let what = format!("the same, as a share of a no-op observer's, P{depth}");
        table.at_most(&what, SHARE_MAX, plain / quiet);
    }
    Ok(())
}

fn instructions(lab: &Lab, observer: &str, depth: u64) -> Result<f64> {
    let short = run(lab, observer, depth, SHORT)?;
    let long = run(lab, observer, depth, LONG)?;
    Ok((long - short) as f64 / (LONG - SHORT) as f64)
}

/// Instructions of a whole run.
fn run(lab: &Lab, observer: &str, depth: u64, requests: u64) -> Result<u64> {
    let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut server = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--serve", observer, "--addr", &addr.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("valgrind is needed: {e}"))?;
    let mut first = [0; 7];
    server
        .stdout
        .as_mut()
        .ok_or("stdout is piped")?
        .read_exact(&mut first)?;
    let load = lab
        .load(addr)?
        .args(["--connections", "1", "--warmup", "0", "--keys", KEYS])
        .args([
            "--depth",
            &depth.to_string(),
            "--requests",
            &requests.to_string(),
        ])
        .output()?;
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let output = server.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !load.status.success() {
        return Err(format!(
            "the load failed: {}{said}",
            String::from_utf8_lossy(&load.stderr)
        )
        .into());
    }
    let count = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    let count = count.ok_or_else(|| format!("callgrind counted nothing: {said}"))?;
    Ok(count.trim().parse()?)
}

/// A server whose loop tells nobody anything.
struct Quiet(Node<OsWorld>);

impl Application<OsWorld> for Quiet {
    type Callback = Callback;

    fn call(
        &mut self,
        event_loop: &mut Loop<OsWorld>,
        callback: Callback,
    ) -> std::result::Result<(), Box<dyn Error>> {
        self.0.call(event_loop, callback)
    }

    fn before_poll(&mut self, event_loop: &mut Loop<OsWorld>) {
        self.0.before_poll(event_loop);
    }

    fn exception_handler(
        &mut self,
        context: &Context<Callback>,
    ) -> std::result::Result<(), Box<dyn Error>> {
        self.0.exception_handler(context)
    }

    fn observe(&mut self, _: Observation<'_, Callback>) {}
}

/// Serves at `addr` until it is told to stop.
pub fn serve(observer: &str, addr: SocketAddr) -> Result<()> {
    let herd = serde_json::json!({"servers": {"Clark": addr.to_string()}, "links": []});
    let mut config = Config::new(Roster::parse(&herd.to_string())?, 0);
    config.journal = false;
    let mut world = OsWorld::new()?;
    world.watch_signal(SIGTERM)?;
    let mut event_loop = EventLoop::new(world);
    let mut node = Node::new(config);
    node.start(&mut event_loop)?;
    let mut stdout = std::io::stdout();
    stdout.write_all(b"listens\n")?;
    stdout.flush()?;
    match observer {
        "quiet" => event_loop.run_forever(&mut Quiet(node))?,
        _ => event_loop.run_forever(&mut node)?,
    }
    Ok(())
}
