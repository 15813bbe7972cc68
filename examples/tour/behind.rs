//! Behind the scenes: processes, files, ports.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::phone::Phone;
use crate::{Kept, LINKS, NAMES, PATIENCE, expect};

/// Five processes and a directory for their files. All of it goes when this
/// value goes, however the tour ends.
pub struct Herd {
    program: PathBuf,
    directory: PathBuf,
    addresses: BTreeMap<&'static str, SocketAddr>,
    children: BTreeMap<&'static str, Child>,
}

impl Herd {
    /// Starts all five.
    pub fn start() -> Kept<Herd> {
        let program = program("", "herd")?;
        let directory = env::temp_dir().join(format!("herd-tour-{}", std::process::id()));
        let file = directory.join("herd.json");
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let children = BTreeMap::new();
        let mut herd = Herd {
            program,
            directory,
            addresses: BTreeMap::new(),
            children,
        };
        herd.addresses = free_addresses()?;
        let text = serde_json::json!({ "servers": herd.addresses, "links": LINKS }).to_string();
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        for name in NAMES {
            herd.run(name, &[])?;
        }
        Ok(herd)
    }

    /// Starts one server and waits for the line that says it listens.
    pub fn run(&mut self, name: &'static str, options: &[&str]) -> Kept {
        let path = self.directory.join(format!("{name}.out"));
        let open = || File::create(&path).and_then(|file| Ok((file.try_clone()?, file)));
        let (output, complaints) =
            open().map_err(|error| format!("{}: {error}", path.display()))?;
        let child = Command::new(&self.program)
            .env_remove("GOOGLE_PLACES_API_KEY")
            .args([name, "--herd", "herd.json"])
            .args(options)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(complaints)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", self.program.display()))?;
        self.children.insert(name, child);
        let mut said = String::new();
        within(&format!("{name} should listen"), || {
            said = fs::read_to_string(&path).unwrap_or_default();
            said.contains("listens on")
        })
        .map(drop)
        .map_err(|broken| format!("{broken}; it said {said:?}"))
    }

    /// `kill -9`.
    pub fn kill(&mut self, name: &str) -> Kept {
        let mut child = self
            .children
            .remove(name)
            .ok_or_else(|| format!("{name} is not there"))?;
        let killed = child.kill().and_then(|()| child.wait());
        killed
            .map(drop)
            .map_err(|error| format!("{name} cannot be killed: {error}"))
    }

    /// Where a server listens.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.addresses[name]
    }

    /// A connection to a server.
    pub fn dial(&self, name: &'static str) -> Kept<Phone> {
        let stream = TcpStream::connect_timeout(&self.address(name), PATIENCE)
            .and_then(|stream| stream.set_read_timeout(Some(PATIENCE)).map(|()| stream))
            .map_err(|error| format!("{name} cannot be reached: {error}"))?;
        Ok(Phone {
            name,
            stream: BufReader::new(stream),
        })
    }

    /// What a server has journalled so far.
    pub fn journal(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(format!("{name}.log"))).unwrap_or_default()
    }

    /// The phone tells a server where it is, and the answer is what it should be.
    pub fn report(&self, name: &'static str, position: &str) -> Kept<String> {
        let said = format!("kiwi.cs.ucla.edu {position} {}", now()?);
        let mut phone = self.dial(name)?;
        phone.say(&format!("IAMAT {said}"))?;
        let at = phone.hear_line()?;
        let right = at.starts_with(&format!("AT {name} ")) && at.ends_with(&format!(" {said}"));
        expect(right, || {
            format!("{name} should have answered AT {name} …, and repeated {said}")
        })?;
        Ok(at)
    }

    /// Asks a server about the phone until it answers with this line.
    pub fn wait_until_known(&self, name: &'static str, line: &str) -> Kept<Duration> {
        let mut answer = String::new();
        within(&format!("{name} should know {line:?}"), || {
            answer = self.quietly_ask(name).unwrap_or_else(|broken| broken);
            answer == line
        })
        .map_err(|broken| format!("{broken}; it last said {answer:?}"))
    }

    /// The first line of what a server says about the phone.
    fn quietly_ask(&self, name: &'static str) -> Kept<String> {
        let mut phone = self.dial(name)?;
        phone.whisper("WHATSAT kiwi.cs.ucla.edu 1 0")?;
        phone.overhear()
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        // Nothing to be done about failures here: what has gone is gone.
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The stand-in for Google, on loopback. It goes with this value.
pub struct StandIn {
    child: Child,
    output: PathBuf,
    /// Its address.
    pub url: String,
    /// The certificate that vouches for it.
    pub ca_file: PathBuf,
}

impl StandIn {
    /// Starts it, with its files in the herd's directory.
    pub fn start(herd: &Herd) -> Kept<StandIn> {
        let program = program("examples", "places")?;
        let output = herd.directory.join("places.out");
        let ca_file = herd.directory.join("places.pem");
        let file = File::create(&output);
        let file = file.map_err(|error| format!("{}: {error}", output.display()))?;
        let child = Command::new(&program)
            .arg("--ca-file")
            .arg(&ca_file)
            .arg("--until-stdin-ends")
            .stdin(Stdio::piped())
            .stdout(file)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let url = String::new();
        let mut stand_in = StandIn {
            child,
            output,
            url,
            ca_file,
        };
        within("the stand-in should listen", || {
            let said = stand_in.said();
            let line = said.lines().next().filter(|_| said.ends_with('\n'));
            let address = line.and_then(|line| line.rsplit_once("https://127.0.0.1:"));
            stand_in.url = address.map_or(String::new(), |(_, port)| {
                format!("https://localhost:{port}")
            });
            !stand_in.url.is_empty()
        })?;
        Ok(stand_in)
    }

    /// What it has said: one line an event.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition, and tells how long it took.
pub fn within(what: &str, mut holds: impl FnMut() -> bool) -> Kept<Duration> {
    let begun = Instant::now();
    while !holds() {
        expect(begun.elapsed() < PATIENCE, || {
            format!("{what} within {PATIENCE:?}")
        })?;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(begun.elapsed())
}

/// A program that cargo built beside us: `folder` below the profile's.
fn program(folder: &str, name: &str) -> Kept<PathBuf> {
    let me = env::current_exe().map_err(|error| format!("where am I? {error}"))?;
    let profile = me
        .parent()
        .and_then(Path::parent)
        .ok_or("this program stands alone")?;
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let program = profile.join(folder).join(file);
    let hint = || {
        let program = program.display();
        format!("there is no {program} yet: run `cargo build --bins --examples` first")
    };
    expect(program.is_file(), hint)?;
    Ok(program)
}

/// Five free ports: all are held before any is let go, so that they differ.
fn free_addresses() -> Kept<BTreeMap<&'static str, SocketAddr>> {
    let held: Result<Vec<_>, _> = NAMES
        .iter()
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect();
    let held = held.map_err(|error| format!("no free port: {error}"))?;
    let addresses: Result<Vec<_>, _> = held.iter().map(TcpListener::local_addr).collect();
    let addresses = addresses.map_err(|error| format!("no address: {error}"))?;
    Ok(NAMES.into_iter().zip(addresses).collect())
}

/// The present as the protocol writes it.
fn now() -> Kept<String> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|error| error.to_string())?;
    Ok(format!("{}.{:09}", since.as_secs(), since.subsec_nanos()))
}
