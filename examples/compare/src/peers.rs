//! Who is compared: the same herd on each platform, and the floor.
//!
//! ```text
//! let (peers, absent) = peers::find(&lab, &runtimes)?;
//! let server = peer.start("Clark").run(&lab, &herd)?;
//! ```

use crate::runtimes::Runtimes;
use lab::Result;
use lab::servers::{Lab, Program};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// On what a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Ours,
    Floor,
    Tokio,
    Java,
    Node,
    Python,
}

#[derive(Clone, Debug)]
pub struct Peer {
    /// What `--peers` and the JSON call it.
    pub key: &'static str,
    /// What the report calls it.
    pub label: String,
    pub platform: Platform,
    pub program: Program,
    /// What takes `BURN` if it is started with `--burn`, and where the work can go.
    pub burner: Option<Program>,
    pub burn_places: &'static [&'static str],
    /// Source files, for counts and mistakes.
    pub sources: Vec<PathBuf>,
}

impl Peer {
    /// Whether it is a herd, and no echo.
    pub fn is_herd(&self) -> bool {
        self.platform != Platform::Floor
    }
}

/// The order of every table, and all keys there are.
pub const KEYS: [&str; 12] = [
    "herd",
    "floor",
    "tokio-tuned",
    "tokio-current",
    "tokio-multi",
    "java-nio",
    "java-threads",
    "node",
    "uvloop-protocol",
    "asyncio-protocol",
    "uvloop-streams",
    "asyncio-streams",
];

/// What the paper used: throughput is told as a multiple of its.
pub const BASE: &str = "asyncio-streams";
/// Parses nothing: CPU is told as a multiple of its.
pub const FLOOR: &str = "floor";

/// The root of the repository, where the peers' sources are.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Those that can run here, in the order of `KEYS`, and why others cannot.
pub fn find(lab: &Lab, runtimes: &Runtimes, wanted: &[String]) -> Result<(Vec<Peer>, Vec<String>)> {
    let (mut peers, mut absent) = (Vec::new(), Vec::new());
    let mut classes = None;
    for key in KEYS {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == key) {
            continue;
        }
        if key.starts_with("java") && classes.is_none() {
            classes = Some(compile_java(lab, runtimes));
        }
        let found = match key {
            "herd" => Ok(ours(lab)?),
            "floor" => Ok(floor(lab)?),
            "tokio-tuned" => Ok(tokio(lab, key, "tuned")?),
            "tokio-current" => Ok(tokio(lab, key, "current_thread")?),
            "tokio-multi" => Ok(tokio(lab, key, "multi_thread")?),
            "node" => node(runtimes),
            _ if key.starts_with("java") => java(key, runtimes, &classes),
            _ => python(key, runtimes),
        };
        match found {
            Ok(peer) => peers.push(peer),
            Err(why) => absent.push(format!("{key}: {why}")),
        }
    }
    Ok((peers, absent))
}

fn ours(lab: &Lab) -> Result<Peer> {
    // Google's older API is what the peers speak.
    let mut program = lab.ours.clone();
    program.name = "herd (mio)".to_string();
    Ok(Peer {
        key: "herd",
        label: program.name.clone(),
        platform: Platform::Ours,
        program,
        burner: Some(Program::new("burner", [lab.example("burner")?])),
        burn_places: &["away"],
        sources: files(&["src"], "rs"),
    })
}

fn floor(lab: &Lab) -> Result<Peer> {
    Ok(Peer {
        key: FLOOR,
        label: "floor (echo)".to_string(),
        platform: Platform::Floor,
        program: Program::new("floor", [lab.tool("floor")?]),
        burner: None,
        burn_places: &[],
        sources: files(&["examples/floor/src"], "rs"),
    })
}

fn tokio(lab: &Lab, key: &'static str, flavor: &str) -> Result<Peer> {
    let program = lab.tool("tokio_herd")?;
    let words = [program.into_os_string(), "--flavor".into(), flavor.into()];
    let label = match flavor {
        "tuned" => "tokio, tuned",
        "current_thread" => "tokio, one thread",
        _ => "tokio, many threads",
    };
    Ok(herd(
        key,
        label,
        Platform::Tokio,
        words,
        "examples/tokio_herd/src",
        "rs",
    ))
}

fn node(runtimes: &Runtimes) -> std::result::Result<Peer, String> {
    let node = runtimes.node.as_ref().ok_or("no node (package nodejs)")?;
    let script = existing("examples/peers/node/herd.mjs")?;
    let words = [node.path.clone().into_os_string(), script.into()];
    Ok(herd(
        "node",
        "Node",
        Platform::Node,
        words,
        "examples/peers/node",
        "mjs",
    ))
}

fn java(
    key: &'static str,
    runtimes: &Runtimes,
    classes: &Option<std::result::Result<PathBuf, String>>,
) -> std::result::Result<Peer, String> {
    let java = runtimes
        .java
        .as_ref()
        .ok_or("no java (package default-jre-headless)")?;
    let classes = classes.clone().ok_or("not compiled")??;
    let (class, label) = match key {
        "java-nio" => ("NioHerd", "Java NIO"),
        _ => ("ThreadHerd", "Java threads"),
    };
    let words = [
        java.path.clone().into_os_string(),
        "-cp".into(),
        classes.into(),
        class.into(),
    ];
    Ok(herd(
        key,
        label,
        Platform::Java,
        words,
        "examples/peers/java",
        "java",
    ))
}

fn python(key: &'static str, runtimes: &Runtimes) -> std::result::Result<Peer, String> {
    let on_uvloop = key.starts_with("uvloop");
    let python = match on_uvloop {
        true => runtimes
            .uvloop_python()
            .ok_or("no uvloop (package python3-uvloop)")?,
        false => runtimes.python().ok_or("no python3 (package python3)")?,
    };
    let (file, label) = match key {
        "uvloop-protocol" => ("herd_protocol.py", "uvloop Protocol"),
        "asyncio-protocol" => ("herd_protocol.py", "asyncio Protocol"),
        "uvloop-streams" => ("herd_streams.py", "uvloop streams"),
        _ => ("herd_streams.py", "asyncio streams"),
    };
    let script = existing(&format!("examples/peers/python/{file}"))?;
    let mut words: Vec<OsString> = vec![python.path.clone().into(), script.into()];
    words.extend(on_uvloop.then(|| "--uvloop".into()));
    let mut peer = herd(
        key,
        label,
        Platform::Python,
        words,
        "examples/peers/python",
        "py",
    );
    peer.burn_places = &["away", "process"];
    Ok(peer)
}

/// A peer whose own program takes `BURN`.
fn herd<W: Into<OsString>>(
    key: &'static str,
    label: &str,
    platform: Platform,
    words: impl IntoIterator<Item = W>,
    folder: &str,
    extension: &str,
) -> Peer {
    let program = Program::new(key, words);
    Peer {
        key,
        label: label.to_string(),
        platform,
        burner: Some(program.clone()),
        program,
        burn_places: &["away"],
        sources: own_sources(key, folder, extension),
    }
}

fn existing(path: &str) -> std::result::Result<PathBuf, String> {
    let path = root().join(path);
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("{} is missing", path.display())),
    }
}

/// A peer's own files and those that it shares: not those of another peer of
/// its language.
fn own_sources(key: &str, folder: &str, extension: &str) -> Vec<PathBuf> {
    let of_others: &[&str] = match key {
        "java-nio" => &["Thread"],
        "java-threads" => &["Nio"],
        "tokio-tuned" => &["lines.rs", "codec.rs"],
        "tokio-current" | "tokio-multi" => &["tuned.rs"],
        _ if key.ends_with("-streams") => &["herd_protocol.py", "gil.py"],
        _ => &["herd_streams.py", "gil.py"],
    };
    let is_own = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !of_others.iter().any(|other| name.starts_with(other))
    };
    files(&[folder], extension)
        .into_iter()
        .filter(is_own)
        .collect()
}

/// All files below with this ending, or the file itself.
pub fn files(places: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for place in places {
        collect(&root().join(place), extension, &mut found);
    }
    found.sort();
    found
}

fn collect(path: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    if let Ok(entries) = std::fs::read_dir(path) {
        for entry in entries.flatten() {
            collect(&entry.path(), extension, found);
        }
    } else if path.extension().is_some_and(|ending| ending == extension) {
        found.push(path.to_path_buf());
    }
}

/// Compiles the Java peers into the lab's directory.
fn compile_java(lab: &Lab, runtimes: &Runtimes) -> std::result::Result<PathBuf, String> {
    let javac = runtimes
        .javac
        .as_ref()
        .ok_or("no javac (package default-jdk-headless)")?;
    let sources = files(&["examples/peers/java"], "java");
    if sources.is_empty() {
        return Err("examples/peers/java is missing".to_string());
    }
    let classes = lab.directory.join("classes");
    let output = Command::new(&javac.path)
        .arg("-d")
        .arg(&classes)
        .args(&sources)
        .output()
        .map_err(|e| format!("javac: {e}"))?;
    match output.status.success() {
        true => Ok(classes),
        false => Err(format!(
            "javac: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
