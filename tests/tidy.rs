//! The house rules that a machine can check: which floor may import which, how long a function and
//! a file may be, what the source may not contain, and what the card says about dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;
/// For the core: the loop, the transports, the herd, the server, the real world. Not counted are the
/// parsers of Places, the simulation, recordings, what looks at the server (its view and its table of
/// limits among that), and the command line.
const CORE_LINES_MAX: usize = 6350;
const CRATES_MAX: usize = 30;

/// Which floors of `src` each floor may import. What is not listed may import nothing.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("scan", &[]),
    ("event_loop", &[]),
    ("herd", &["scan"]),
    ("places", &[]),
    ("net", &["event_loop"]),
    ("worlds", &["event_loop", "net"]),
    ("config", &["herd", "places"]),
    ("server", &["config", "event_loop", "herd", "net", "places"]),
    (
        "probe",
        &[
            "config",
            "event_loop",
            "herd",
            "net",
            "places",
            "server",
            "worlds",
        ],
    ),
    ("lib", &[]),
];

/// The only direct dependencies at run time: the card's seven, and three with a reason in NOTES.md.
const DEPENDENCIES: [&str; 10] = [
    "getopts",
    "httparse",
    "memchr",
    "mio",
    "rustls",
    "serde_json",
    "signal-hook",
    "slab",
    "socket2",
    "webpki-roots",
];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The lines of code: without comments, and without the unit tests at the end.
    fn code(&self) -> Vec<(usize, &str)> {
        let is_comment = |line: &str| line.trim_start().starts_with("//");
        let lines = self
            .text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"));
        let numbered = lines.enumerate().map(|(index, line)| (index + 1, line));
        numbered.filter(|(_, line)| !is_comment(line)).collect()
    }

    /// `net` for `src/net/lines.rs` and for `src/net.rs`.
    fn floor(&self) -> String {
        let inside = self
            .path
            .strip_prefix(root().join("src"))
            .expect("below src");
        let first = inside.components().next().expect("a component");
        first
            .as_os_str()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_string()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut found);
    }
    assert!(!found.is_empty(), "no source was found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    if folder.is_file() {
        let text = fs::read_to_string(folder).expect("UTF-8");
        let path = folder.to_path_buf();
        return found.push(Source { path, text });
    }
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            found.push(Source { path, text });
        }
    }
}

/// Fails with all findings, not with the first.
fn assert_none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn imports_run_downwards_only() {
    let mut findings = Vec::new();
    for source in sources(&["src"]) {
        let floor = source.floor();
        // The binary is not part of the library: it may use all that the library shows.
        if ["main", "options", "google", "identity", "all", "look", "ps"].contains(&floor.as_str())
        {
            continue;
        }
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == floor);
        let Some((_, allowed)) = allowed else {
            findings.push(format!(
                "{}: a floor that tests/tidy.rs does not know",
                source.path.display()
            ));
            continue;
        };
        for (number, line) in source.code() {
            for part in line.split("crate::").skip(1) {
                let name: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if name != floor && !allowed.contains(&name.as_str()) {
                    let path = source.path.display();
                    findings.push(format!("{path}:{number}: {floor} may not import {name}"));
                }
            }
        }
    }
    assert_none(findings);
}

#[test]
fn functions_and_files_are_short() {
    let mut findings = Vec::new();
    for source in sources(&["src", "tests", "examples"]) {
        let path = source.path.display();
        let lines: Vec<&str> = source.text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            findings.push(format!("{path}: {} lines", lines.len()));
        }
        for (start, line) in lines.iter().enumerate() {
            let body = line.trim_start();
            let words: Vec<&str> = body.split_whitespace().take(4).collect();
            let is_function =
                words.contains(&"fn") && !body.starts_with("//") && !body.ends_with(';');
            if !is_function {
                continue;
            }
            // The formatter puts a function's last brace below its first letter.
            let close = format!("{}}}", &line[..line.len() - body.len()]);
            let length = lines[start..]
                .iter()
                .position(|line| *line == close)
                .map_or(1, |at| at + 1);
            if length > FUNCTION_LINES_MAX {
                findings.push(format!(
                    "{path}:{}: a function of {length} lines",
                    start + 1
                ));
            }
        }
    }
    assert_none(findings);
}

#[test]
fn the_core_is_small() {
    let is_code = |(_, line): &(usize, &str)| !line.trim().is_empty();
    let count = |source: &Source| source.code().into_iter().filter(is_code).count();
    let core = [
        "src/scan.rs",
        "src/event_loop",
        "src/net",
        "src/herd",
        "src/server",
        "src/worlds",
    ];
    let real = ["src/worlds/os.rs", "src/worlds/mod.rs"].map(|file| root().join(file));
    let looks = ["src/server/view.rs", "src/server/limits.rs"].map(|file| root().join(file));
    let is_core = |source: &&Source| {
        let of_a_world = source.path.starts_with(root().join("src/worlds"));
        (!of_a_world || real.contains(&source.path)) && !looks.contains(&source.path)
    };
    let lines: usize = sources(&core).iter().filter(is_core).map(count).sum();
    println!("{lines} lines of code in the core, comments and unit tests not counted");
    assert!(lines <= CORE_LINES_MAX, "{lines} lines");
}

#[test]
fn the_source_does_not_contain_what_it_must_not() {
    // (what, where it is allowed, why not elsewhere)
    let banned: [(&str, &[&str], &str); 12] = [
        ("unsafe ", &[], "no unsafe in our crate"),
        (
            "SystemTime",
            &["worlds/os.rs"],
            "the wall clock is asked of the world",
        ),
        ("Instant", &["worlds/os.rs"], "time is asked of the world"),
        ("sleep(", &[], "nothing waits but the poll"),
        ("std::net::Tcp", &[], "sockets are asked of the world"),
        (
            "TcpStream::connect",
            &["worlds/os.rs", "ps.rs"],
            "sockets are asked of the world",
        ),
        (".unwrap()", &[], "an error has an answer"),
        (".expect(", &[], "an error has an answer"),
        ("panic!", &[], "no panic"),
        ("unreachable!", &[], "no panic"),
        ("todo!", &[], "no stub"),
        (
            "RandomState",
            &["worlds/os.rs", "herd/store.rs"],
            "chance is asked of the world",
        ),
    ];
    let mut findings = Vec::new();
    for source in sources(&["src"]) {
        for (number, line) in source.code() {
            for (word, allowed, why) in banned {
                if line.contains(word) && !allowed.iter().any(|place| source.path.ends_with(place))
                {
                    findings.push(format!(
                        "{}:{number}: {word} ({why})",
                        source.path.display()
                    ));
                }
            }
        }
    }
    assert_none(findings);
}

#[test]
fn each_file_says_what_it_is() {
    let says = |source: &Source| source.text.starts_with("//! ");
    let silent = sources(&["src", "tests", "examples"])
        .into_iter()
        .filter(|source| !says(source));
    assert_none(
        silent
            .map(|source| format!("{}: no //! first line", source.path.display()))
            .collect(),
    );
}

/// The packages that a build for running needs, by name, from cargo itself.
fn run_time_packages(depth: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--depth",
            depth,
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let name = |line: &str| line.split_whitespace().next().map(str::to_string);
    text.lines()
        .filter_map(name)
        .filter(|name| name != "herd")
        .collect()
}

#[test]
fn only_the_dependencies_of_the_card() {
    let direct = run_time_packages("1");
    let unknown: Vec<_> = direct
        .iter()
        .filter(|name| !DEPENDENCIES.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not on the card: {unknown:?}");
    let notes = fs::read_to_string(root().join("NOTES.md")).expect("NOTES.md");
    let unsaid: Vec<_> = direct
        .iter()
        .filter(|name| !notes.contains(&format!("`{name}`")))
        .collect();
    assert!(unsaid.is_empty(), "no reason in NOTES.md: {unsaid:?}");
    let all = run_time_packages("99");
    println!(
        "{} direct dependencies, {} crates in all",
        direct.len(),
        all.len()
    );
    assert!(all.len() <= CRATES_MAX, "{} crates: {all:?}", all.len());
}
