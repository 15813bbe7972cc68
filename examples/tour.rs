//! A tour of the herd for somebody who has never seen it: five real servers,
//! a phone that moves, a server that dies and comes back.
//!
//! ```text
//! cargo build && cargo run --example tour
//! ```
//!
//! Lines that begin with `>` are sent, lines that begin with `<` come back;
//! with `nc` you could type the first and see the second. The tour checks all
//! that it tells: it ends with status 0 only if every word of it was true.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Every step either keeps its promise or says in one sentence how it did not.
type Kept<T = ()> = Result<T, String>;

/// How long anything may take before we call the promise broken.
const PATIENCE: Duration = Duration::from_secs(5);

const NAMES: [&str; 5] = ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"];

const LINKS: [(&str, &str); 6] = [
    ("Clark", "Jaquez"),
    ("Clark", "Bona"),
    ("Campbell", "Bailey"),
    ("Campbell", "Bona"),
    ("Campbell", "Jaquez"),
    ("Bona", "Bailey"),
];

const MAP: &str = "
      Jaquez ------ Campbell ------ Bailey
        |               |              |
      Clark ---------- Bona -----------+
";

fn main() -> ExitCode {
    match tour() {
        Ok(()) => ExitCode::SUCCESS,
        Err(broken) => {
            eprintln!("\nNot as promised: {broken}");
            ExitCode::FAILURE
        }
    }
}

fn tour() -> Kept {
    let mut herd = the_herd_wakes_up()?;
    let told = a_phone_says_where_it_is(&herd)?;
    the_farthest_server_is_asked(&herd, &told)?;
    everybody_knows(&herd, &told)?;
    let moved = a_server_dies_and_the_phone_moves_on(&mut herd)?;
    the_server_returns_and_knows_everything(&mut herd, &moved)?;
    nonsense_comes_back(&herd)?;
    chapter("The end");
    println!("All was as promised. Try it yourself: `herd --all` starts such a herd,");
    println!("and `nc 127.0.0.1 10003` talks to its Clark.");
    Ok(())
}

// ---- The story ----

fn the_herd_wakes_up() -> Kept<Herd> {
    chapter("Five servers, six links");
    println!("Each server is a process of its own and talks to its neighbours only:");
    println!("{MAP}");
    let herd = Herd::start()?;
    for name in NAMES {
        println!("  {name:8} listens on {}", herd.address(name));
    }
    Ok(herd)
}

fn a_phone_says_where_it_is(herd: &Herd) -> Kept<String> {
    chapter("A phone says where it is");
    println!("It is called kiwi.cs.ucla.edu, it is on the campus of UCLA, and it tells");
    println!("Clark: IAMAT, its name, latitude and longitude, its time.\n");
    let at = herd.report("Clark", "+34.068930-118.445127")?;
    println!("\nThe answer says which server heard it (Clark), by how many seconds the");
    println!("server's clock differs from the phone's, and repeats what it heard.");
    Ok(at)
}

fn the_farthest_server_is_asked(herd: &Herd, told: &str) -> Kept {
    chapter("What is at its place? Somebody else is asked");
    println!("Bailey is two links away from Clark and has never met the phone. Which two");
    println!("places, at most, are within 10 km of it?\n");
    herd.wait_until_known("Bailey", told)?;
    let mut bailey = herd.dial("Bailey")?;
    bailey.say("WHATSAT kiwi.cs.ucla.edu 10 2")?;
    let at = bailey.hear_line()?;
    expect(at == told, || {
        format!("Bailey should have answered with {told:?}")
    })?;
    let places = bailey.hear_places()?;
    expect(places <= 2, || {
        format!("at most 2 places were asked for, {places} came")
    })?;
    println!("\nThe first line is the very answer that Clark gave: the servers pass on");
    println!("what they are told. The rest is JSON in the form of Google Places; without a");
    println!("key for it, a gazetteer built into the server knows the world's towns.");
    Ok(())
}

fn everybody_knows(herd: &Herd, told: &str) -> Kept {
    chapter("Everybody knows");
    println!("News floods from neighbour to neighbour until it meets itself. So all five");
    println!("know, whomever the phone has spoken to:\n");
    for name in NAMES {
        let took = herd.wait_until_known(name, told)?;
        println!("  {name:8} knows, and told us within {took:.1?}");
    }
    Ok(())
}

fn a_server_dies_and_the_phone_moves_on(herd: &mut Herd) -> Kept<String> {
    chapter("A server dies");
    println!("kill -9 Bona: no good-bye, nothing saved. Meanwhile the phone flies to");
    println!("Sydney and tells Jaquez.\n");
    herd.kill("Bona")?;
    let moved = herd.report("Jaquez", "-33.867052+151.195700")?;
    for name in ["Bailey", "Campbell", "Clark"] {
        herd.wait_until_known(name, &moved)?;
    }
    println!("\nThe other three know it all the same: the news went around the gap.");
    Ok(moved)
}

fn the_server_returns_and_knows_everything(herd: &mut Herd, moved: &str) -> Kept {
    chapter("The server comes back");
    println!("Bona starts again with an empty memory. Nobody tells it anything; but its");
    println!("neighbours find it and give it all they know.\n");
    herd.run("Bona")?;
    let took = herd.wait_until_known("Bona", moved)?;
    let mut bona = herd.dial("Bona")?;
    bona.say("WHATSAT kiwi.cs.ucla.edu 10 0")?;
    let at = bona.hear_line()?;
    expect(at == moved, || {
        format!("Bona should have answered with {moved:?}")
    })?;
    bona.hear_places()?;
    println!("\nThat took {took:.1?} from the moment it listened.");
    Ok(())
}

fn nonsense_comes_back(herd: &Herd) -> Kept {
    chapter("Nonsense comes back");
    println!("What a server does not understand it gives back after a question mark,");
    println!("as it came, and listens on:\n");
    let mut campbell = herd.dial("Campbell")?;
    for line in [
        "IAMAT kiwi.cs.ucla.edu somewhere around noon",
        "WHATSAT nobody.has.met.me 10 5",
        "AT Bailey +0.5 kiwi.cs.ucla.edu +0+0 99999999999",
    ] {
        campbell.say(line)?;
        let back = campbell.hear_line()?;
        expect(back == format!("? {line}"), || {
            format!("\"? {line}\" should have come back")
        })?;
    }
    println!("\nThe last is what servers say to each other. A phone may not say it, or it");
    println!("could move everybody else's.");
    Ok(())
}

// ---- A conversation ----

/// A connection to a server; what is said and heard on it is shown.
struct Phone {
    name: &'static str,
    stream: BufReader<TcpStream>,
}

impl Phone {
    fn say(&mut self, line: &str) -> Kept {
        println!("  {:8} > {line}", self.name);
        self.whisper(line)
    }

    fn hear_line(&mut self) -> Kept<String> {
        let line = self.overhear()?;
        println!("  {:8} < {line}", self.name);
        Ok(line)
    }

    /// Reads the JSON up to the blank line, shows it in short, and counts.
    fn hear_places(&mut self) -> Kept<usize> {
        let json = self.overhear_json()?;
        let value: serde_json::Value =
            serde_json::from_str(&json).map_err(|error| format!("no JSON, {error}: {json}"))?;
        let places = value["results"]
            .as_array()
            .ok_or_else(|| format!("no results in {json}"))?;
        let names: Vec<&str> = places
            .iter()
            .filter_map(|place| place["name"].as_str())
            .collect();
        println!("  {:8} < {{ {} bytes of JSON }}", self.name, json.len());
        for name in &names {
            println!("  {:8}     … {name} …", "");
        }
        Ok(places.len())
    }

    fn whisper(&mut self, line: &str) -> Kept {
        let sent = self
            .stream
            .get_mut()
            .write_all(format!("{line}\n").as_bytes());
        sent.map_err(|error| format!("{} does not listen: {error}", self.name))
    }

    fn overhear(&mut self) -> Kept<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Err(error) => Err(format!("{} does not answer: {error}", self.name)),
            Ok(_) if !line.ends_with('\n') => Err(format!("{} hung up after {line:?}", self.name)),
            Ok(_) => Ok(line.trim_end_matches('\n').to_string()),
        }
    }

    fn overhear_json(&mut self) -> Kept<String> {
        let mut json = String::new();
        loop {
            let line = self.overhear()?;
            if line.is_empty() {
                return Ok(json);
            }
            json.push_str(&line);
            json.push('\n');
        }
    }
}

fn chapter(title: &str) {
    println!("\n== {title} ==\n");
}

fn expect(kept: bool, otherwise: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(otherwise()) }
}

/// The present as the protocol writes it.
fn now() -> Kept<String> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|error| error.to_string())?;
    Ok(format!("{}.{:09}", since.as_secs(), since.subsec_nanos()))
}

// ---- Behind the scenes ----

/// Five processes and a directory for their files. All of it goes when this
/// value goes, however the tour ends.
struct Herd {
    program: PathBuf,
    directory: PathBuf,
    addresses: BTreeMap<&'static str, SocketAddr>,
    children: BTreeMap<&'static str, Child>,
}

impl Herd {
    fn start() -> Kept<Herd> {
        let program = program()?;
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
            herd.run(name)?;
        }
        Ok(herd)
    }

    /// Starts one server and waits for the line that says it listens.
    fn run(&mut self, name: &'static str) -> Kept {
        let path = self.directory.join(format!("{name}.out"));
        let open = || File::create(&path).and_then(|file| Ok((file.try_clone()?, file)));
        let (output, complaints) =
            open().map_err(|error| format!("{}: {error}", path.display()))?;
        let child = Command::new(&self.program)
            .args([name, "--herd", "herd.json"])
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
    fn kill(&mut self, name: &str) -> Kept {
        let mut child = self
            .children
            .remove(name)
            .ok_or_else(|| format!("{name} is not there"))?;
        let killed = child.kill().and_then(|()| child.wait());
        killed
            .map(drop)
            .map_err(|error| format!("{name} cannot be killed: {error}"))
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.addresses[name]
    }

    fn dial(&self, name: &'static str) -> Kept<Phone> {
        let stream = TcpStream::connect_timeout(&self.address(name), PATIENCE)
            .and_then(|stream| stream.set_read_timeout(Some(PATIENCE)).map(|()| stream))
            .map_err(|error| format!("{name} cannot be reached: {error}"))?;
        Ok(Phone {
            name,
            stream: BufReader::new(stream),
        })
    }

    /// The phone tells a server where it is, and the answer is what it should be.
    fn report(&self, name: &'static str, position: &str) -> Kept<String> {
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
    fn wait_until_known(&self, name: &'static str, line: &str) -> Kept<Duration> {
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

/// Waits for a condition, and tells how long it took.
fn within(what: &str, mut holds: impl FnMut() -> bool) -> Kept<Duration> {
    let begun = Instant::now();
    while !holds() {
        expect(begun.elapsed() < PATIENCE, || {
            format!("{what} within {PATIENCE:?}")
        })?;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(begun.elapsed())
}

/// The server program: cargo puts it beside the directory of the examples.
fn program() -> Kept<PathBuf> {
    let me = env::current_exe().map_err(|error| format!("where am I? {error}"))?;
    let profile = me
        .parent()
        .and_then(Path::parent)
        .ok_or("this program stands alone")?;
    let program = profile.join(format!("herd{}", env::consts::EXE_SUFFIX));
    let hint = || {
        format!(
            "there is no {} yet: run `cargo build` first",
            program.display()
        )
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
