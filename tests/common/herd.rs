//! A herd of real processes in a directory of its own, on ports of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::process::{LIFE, TempDir, read_text, spawn, wait_for_exit};
use super::{Client, Fake, Proxy, UCLA, now, short, unique, wait_for, wait_until};

/// The five servers of the course.
pub const NAMES: [&str; 5] = ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"];

/// Who talks to whom.
pub const LINKS: [(&str, &str); 6] = [
    ("Clark", "Jaquez"),
    ("Clark", "Bona"),
    ("Campbell", "Bailey"),
    ("Campbell", "Bona"),
    ("Campbell", "Jaquez"),
    ("Bona", "Bailey"),
];

/// What a herd should be like, before it is started.
pub struct Plan {
    real: Vec<String>,
    fakes: BTreeMap<String, Fake>,
    links: Vec<(String, String)>,
    course: Vec<String>,
    args: Vec<String>,
    key: Option<String>,
    proxied: bool,
}

impl Plan {
    /// The course's five servers and six links.
    pub fn five() -> Plan {
        let links = LINKS.map(|(a, b)| (a.to_string(), b.to_string()));
        Plan {
            real: NAMES.map(str::to_string).into(),
            links: links.into(),
            ..Plan::only("")
        }
    }

    /// One server without neighbours: enough for grammar and framing.
    pub fn only(name: &str) -> Plan {
        Plan {
            real: vec![name.to_string()],
            fakes: BTreeMap::new(),
            links: Vec::new(),
            course: Vec::new(),
            args: Vec::new(),
            key: None,
            proxied: false,
        }
    }

    /// A neighbour of `neighbour` that the test plays itself.
    pub fn fake(mut self, name: &str, neighbour: &str) -> Plan {
        self.fakes.insert(name.to_string(), Fake::new(name));
        self.links.push((neighbour.to_string(), name.to_string()));
        self
    }

    /// Names a course server.
    pub fn course(mut self, name: &str) -> Plan {
        self.course.push(name.to_string());
        self
    }

    /// More words for the command line of every server; `{name}` in them is its name.
    pub fn args(mut self, args: &[&str]) -> Plan {
        self.args.extend(args.iter().map(|arg| arg.to_string()));
        self
    }

    /// Each link goes over a [`Proxy`] of ours, in each direction another.
    pub fn proxied(mut self) -> Plan {
        self.proxied = true;
        self
    }

    /// A key for Places in the environment of every server; without this there is none.
    pub fn key(mut self, key: &str) -> Plan {
        self.key = Some(key.to_string());
        self
    }

    /// Starts all the real servers and waits until the herd is whole.
    pub fn start(self) -> Herd {
        let herd = self.start_apart();
        herd.wait_whole();
        herd
    }

    /// Starts all the real servers, which may never find each other.
    ///
    /// Between our finding a free port and the server's taking it somebody
    /// else may have it; then we start over with other ports.
    pub fn start_apart(self) -> Herd {
        let Plan {
            real,
            fakes,
            links,
            course,
            args,
            key,
            proxied,
        } = self;
        let mut herd = Herd {
            directory: TempDir::new(),
            addresses: BTreeMap::new(),
            children: BTreeMap::new(),
            fakes,
            args,
            key,
            proxies: BTreeMap::new(),
        };
        for _ in 0..5 {
            let held = herd.take_addresses(&real);
            if proxied {
                herd.take_proxies(&links);
            }
            // Until here, or a proxy might be given a server's port.
            drop(held);
            herd.write_files(&links, &course);
            if real.iter().all(|name| herd.try_start(name)) {
                return herd;
            }
            herd.kill_all();
        }
        panic!("five times in a row somebody took our ports");
    }
}

/// A herd that runs. It dies with its value.
pub struct Herd {
    directory: TempDir,
    addresses: BTreeMap<String, SocketAddr>,
    children: BTreeMap<String, Child>,
    fakes: BTreeMap<String, Fake>,
    args: Vec<String>,
    key: Option<String>,
    proxies: BTreeMap<(String, String), Proxy>,
}

impl Herd {
    /// The course's herd, whole.
    pub fn start() -> Herd {
        Plan::five().start()
    }

    /// A server by itself.
    pub fn solo(name: &str) -> Herd {
        Plan::only(name).start()
    }

    /// Where the herd's files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A server's address.
    pub fn address(&self, name: &str) -> SocketAddr {
        *self
            .addresses
            .get(name)
            .unwrap_or_else(|| panic!("no server {name}"))
    }

    /// A fresh connection to a server.
    pub fn client(&self, name: &str) -> Client {
        Client::connect(self.address(name))
    }

    /// A neighbour that the test plays.
    pub fn fake(&mut self, name: &str) -> Fake {
        self.fakes
            .remove(name)
            .unwrap_or_else(|| panic!("no fake {name}"))
    }

    /// A connection to `to` that has greeted as `name`.
    pub fn greeted(&self, name: &str, to: &str) -> Client {
        let mut client = self.client(to);
        client.send(format!("PEER {name}\n"));
        client
    }

    /// What a server has journalled so far. A thread of its own writes it, 20 ms later: so what is there
    /// once nothing has come for longer than that, or after a second of a journal that never rests.
    pub fn journal(&self, name: &str) -> String {
        let path = self.directory().join(format!("{name}.log"));
        let begun = Instant::now();
        let mut text = read_text(&path);
        loop {
            thread::sleep(Duration::from_millis(50));
            let now = read_text(&path);
            if now.len() == text.len() || begun.elapsed() > Duration::from_secs(1) {
                return now;
            }
            text = now;
        }
    }

    /// A server's process.
    pub fn pid(&self, name: &str) -> Pid {
        Pid::from_child(
            self.children
                .get(name)
                .unwrap_or_else(|| panic!("{name} is down")),
        )
    }

    /// Sends a signal to one server.
    pub fn signal(&self, name: &str, signal: Signal) {
        kill_process(self.pid(name), signal)
            .unwrap_or_else(|error| panic!("no signal to {name}: {error}"));
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self, name: &str) {
        let mut child = self
            .children
            .remove(name)
            .unwrap_or_else(|| panic!("{name} is down"));
        child.kill().expect("kill -9");
        child.wait().expect("a killed child ends");
    }

    /// How a server that nobody stopped has ended, if it has.
    pub fn ended(&mut self, name: &str) -> Option<ExitStatus> {
        let child = self.children.get_mut(name)?;
        child.try_wait().expect("a child can be asked")
    }

    /// Waits for a server to end by itself.
    pub fn wait_exit(&mut self, name: &str, within: Duration) -> ExitStatus {
        let child = self
            .children
            .get_mut(name)
            .unwrap_or_else(|| panic!("{name} is down"));
        let status = wait_for_exit(child, within)
            .unwrap_or_else(|| panic!("{name} still runs after {within:?}"));
        self.children.remove(name);
        status
    }

    /// Starts a server that is down, at its old address; it listens when this
    /// returns, but may not have found its neighbours yet.
    pub fn restart(&mut self, name: &str) {
        let port = self.address(name).port();
        assert!(
            self.try_start(name),
            "{name}: somebody took port {port} meanwhile"
        );
    }

    /// The AT line that a server would answer for this id, if it has one.
    pub fn holds(&self, name: &str, id: &str) -> Option<String> {
        let mut client = self.client(name);
        client.send(format!("WHATSAT {id} 1 0\n"));
        client.whatsat_or_refusal().map(|answer| answer.at)
    }

    /// The same for many ids, on one connection.
    pub fn holds_all(&self, name: &str, ids: &[String]) -> Vec<Option<String>> {
        let mut client = self.client(name);
        let mut found = Vec::with_capacity(ids.len());
        // A server stops reading from a client that does not read: so take turns.
        for some in ids.chunks(100) {
            let questions: String = some
                .iter()
                .map(|id| format!("WHATSAT {id} 1 0\n"))
                .collect();
            client.send(questions);
            found.extend(
                some.iter()
                    .map(|_| client.whatsat_or_refusal().map(|answer| answer.at)),
            );
        }
        found
    }

    /// Waits until a server answers exactly this AT line for the id.
    pub fn wait_holds(&self, name: &str, id: &str, line: &str) {
        let what = format!("{name} holds {:?}", short(line));
        wait_until(super::PATIENCE, &what, || {
            self.holds(name, id).as_deref() == Some(line)
        });
    }

    /// Waits until every running server answers exactly this AT line.
    pub fn wait_everywhere(&self, id: &str, line: &str) {
        for name in self.running() {
            self.wait_holds(&name, id, line);
        }
    }

    /// The servers that run now.
    pub fn running(&self) -> Vec<String> {
        self.children.keys().cloned().collect()
    }

    /// Waits until what is said at any running server is known at all others.
    ///
    /// A probe is said again in every round, because a herd without catch-up
    /// forgets what it was told before a link was there.
    pub fn wait_whole(&self) {
        let names = self.running();
        if names.len() < 2 {
            return;
        }
        for said_at in &names {
            let id = unique("probe");
            wait_until(LIFE, &format!("all hear {said_at}"), || {
                self.client(said_at)
                    .ask(format!("IAMAT {id} {UCLA} {}\n", now()));
                names.iter().all(|name| self.holds(name, &id).is_some())
            });
        }
    }

    /// Finds a free port for each server; it is free as long as its listener is held.
    fn take_addresses(&mut self, real: &[String]) -> Vec<TcpListener> {
        // All are held at once, or the same port might be found twice.
        let held: Vec<TcpListener> = real
            .iter()
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
            .collect();
        let found = held
            .iter()
            .map(|held| held.local_addr().expect("a listener has an address"));
        self.addresses = real.iter().cloned().zip(found).collect();
        for fake in self.fakes.values() {
            self.addresses.insert(fake.name.clone(), fake.address);
        }
        held
    }

    /// The proxies of all links, each with the server that dials it and the one behind it.
    pub fn proxies(&self) -> &BTreeMap<(String, String), Proxy> {
        &self.proxies
    }

    fn take_proxies(&mut self, links: &[(String, String)]) {
        for (a, b) in links {
            for (from, to) in [(a, b), (b, a)] {
                let proxy = Proxy::start(self.addresses[to]);
                self.proxies.insert((from.clone(), to.clone()), proxy);
            }
        }
    }

    /// A herd file for each server: with proxies, each sees its neighbours elsewhere.
    fn write_files(&self, links: &[(String, String)], course: &[String]) {
        for name in self.addresses.keys() {
            let mut addresses = self.addresses.clone();
            for ((from, to), proxy) in &self.proxies {
                if from == name {
                    addresses.insert(to.clone(), proxy.address());
                }
            }
            let mut file = serde_json::json!({ "servers": addresses, "links": links });
            if !course.is_empty() {
                file["course"] = serde_json::json!(course);
            }
            let path = self.directory().join(format!("{name}.json"));
            fs::write(path, file.to_string()).expect("a herd file");
        }
    }

    /// Starts one server; false if its port was taken.
    fn try_start(&mut self, name: &str) -> bool {
        let out = self.directory().join(format!("{name}.out"));
        let err = self.directory().join(format!("{name}.err"));
        let own: Vec<_> = self
            .args
            .iter()
            .map(|arg| arg.replace("{name}", name))
            .collect();
        let file = format!("{name}.json");
        let mut args = vec![name, "--herd", &file];
        args.extend(own.iter().map(String::as_str));
        // Kept at once, so that it is killed even if the wait below panics.
        let key = self.key.as_deref();
        let child = spawn(self.directory(), &args, key, &out, &err);
        self.children.insert(name.to_string(), child);
        let child = self.children.get_mut(name).expect("it was just put there");
        let ready = format!("{name} listens on {}\n", self.addresses[name]);
        wait_for(LIFE, &format!("{name} listens"), || {
            if read_text(&out).contains(&ready) {
                return Some(true);
            }
            let ended = child.try_wait().expect("a child can be asked");
            ended.map(|status| {
                let said = read_text(&err);
                assert!(
                    said.contains("in use"),
                    "{name} ended with {status}: {said}"
                );
                false
            })
        })
    }

    fn kill_all(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.children.clear();
    }

    fn print_tails(&self) {
        for name in self.addresses.keys() {
            for kind in ["err", "log"] {
                let text = read_text(&self.directory().join(format!("{name}.{kind}")));
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(12)..];
                if !tail.is_empty() {
                    let tail: Vec<String> = tail.iter().map(|line| short(line)).collect();
                    eprintln!("--- the end of {name}.{kind}\n{}", tail.join("\n"));
                }
            }
        }
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.kill_all();
        if std::thread::panicking() {
            self.print_tails();
        }
    }
}
