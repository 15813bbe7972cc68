//! The stand-in for Google Places, as a process: `examples/places`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{Plan, TempDir, example, wait_for, wait_until};

/// How long it may take to start, on a busy machine.
const LIFE: Duration = Duration::from_secs(10);

/// A stand-in that runs. It ends with its value.
pub struct Places {
    directory: TempDir,
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Places {
    /// Starts one with these options, that also ends with the test program.
    pub fn start(args: &[&str]) -> Places {
        Places::alone(&[args, &["--until-stdin-ends"]].concat())
    }

    /// Starts one with these options.
    pub fn alone(args: &[&str]) -> Places {
        let directory = TempDir::new();
        let out = directory.path().join("out");
        let child = Command::new(example("places"))
            .args(args)
            .args(["--ca-file", "ca.pem"])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(File::create(&out).expect("a file for the output"))
            .spawn()
            .expect("the stand-in starts");
        let mut places = Places {
            directory,
            child,
            address: ([127, 0, 0, 1], 0).into(),
        };
        places.address = wait_for(LIFE, "the stand-in listens", || {
            let ended = places.ended();
            assert!(ended.is_none(), "the stand-in ended: {ended:?}");
            let events = places.events();
            let address = events.first()?.strip_prefix("places listens on https://")?;
            Some(address.parse().expect("an address"))
        });
        places
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Its address by name.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Where the certificate is that vouches for it.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A server called Clark, by itself, that asks this stand-in.
    pub fn clark(&self, api: &str) -> Plan {
        self.clark_at(api, &self.url())
    }

    /// The same, at another address of the stand-in's.
    pub fn clark_at(&self, api: &str, url: &str) -> Plan {
        let ca_file = self.ca_file();
        let ca_file = ca_file.to_str().expect("a path in UTF-8");
        Plan::only("Clark").args(&["--places", api, "--places-url", url, "--ca-file", ca_file])
    }

    /// The same, but the authority that vouches for the stand-in is unknown to it.
    pub fn clark_who_trusts_nobody(&self, api: &str) -> Plan {
        Plan::only("Clark").args(&["--places", api, "--places-url", &self.url()])
    }

    /// What has happened so far: whole lines.
    pub fn events(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("out")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_string).collect()
    }

    /// Requests that have come.
    pub fn requests(&self) -> usize {
        self.count("request ", "")
    }

    /// Waits until so many requests have come.
    pub fn wait_for_requests(&self, count: usize) {
        let what = format!("{count} requests come");
        wait_until(super::PATIENCE, &what, || self.requests() >= count);
    }

    /// Handshakes: full ones, and those that took up a session.
    pub fn handshakes(&self) -> (usize, usize) {
        let count = |end| self.count("connection ", end);
        (count(" full"), count(" resumed"))
    }

    /// The most connections that were open at a time.
    pub fn most_open(&self) -> usize {
        let (mut open, mut most) = (0_usize, 0);
        for event in self.events() {
            match event.split(' ').next() {
                Some("connection") => open += 1,
                Some("closed") => open = open.saturating_sub(1),
                _ => {}
            }
            most = most.max(open);
        }
        most
    }

    fn count(&self, start: &str, end: &str) -> usize {
        let events = self.events();
        let counts = |event: &&String| event.starts_with(start) && event.ends_with(end);
        events.iter().filter(counts).count()
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let events = self.events();
            let tail = &events[events.len().saturating_sub(12)..];
            eprintln!("--- the end of what Places said\n{}", tail.join("\n"));
        }
    }
}
