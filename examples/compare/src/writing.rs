//! The cost of writing it: lines, dependencies, build, start, size on disk.

use crate::bench::{Bench, fail};
use crate::chart::Chart;
use crate::peers::{Peer, Platform, files, root};
use crate::section::{Best, Cell, Section, Table};
use crate::source;
use crate::stats::{Spread, figure};
use lab::Result;
use lab::herd::Herd;
use lab::servers::Start;
use lab::talk::Client;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "writing",
        "The cost of writing it",
        "Python and asyncio are quick to write and easy to read, the paper finds: a server herd of a few \
         hundred lines, and a library that has what it takes.",
    );
    section.measured.push(
        "Lines of each peer's own files, without comments, blanks and unit tests; what it needs besides its \
         language's standard library; from start to first answer; the program on disk, and the runtime that \
         has to be there."
            .to_string(),
    );
    let peers: Vec<&Peer> = bench.herds().collect();
    let names: Vec<String> = peers.iter().map(|peer| peer.label.clone()).collect();
    let starts = bench.rounds(&mut section, "first reply", (5, 1), &names, |index| {
        first_reply_ms(bench, peers[index])
    });
    let columns = [
        "lines",
        "files",
        "packages besides",
        "first reply, ms",
        "program, kB",
        "runtime, MB",
    ];
    let mut table = Table::new("What it takes", &columns).ranked(0, Best::Least);
    let mut bars = Vec::new();
    for (peer, starts) in peers.iter().zip(&starts) {
        let lines = source::lines(&peer.sources);
        bars.push((peer.label.clone(), Spread::of([lines as f64])));
        table.row(
            &peer.label,
            vec![
                Some(lines as f64).into(),
                Some(peer.sources.len() as f64).into(),
                Cell::Text(packages(peer)),
                Spread::of(starts.iter().flatten().copied()).into(),
                program_bytes(bench, peer).map(|bytes| bytes / 1e3).into(),
                runtime_bytes(bench, peer).map(|bytes| bytes / 1e6).into(),
            ],
        );
    }
    follow(&mut section, &bars);
    section.chart(Chart::bars("Lines of code", bars));
    section.table(table);
    match bench.quick {
        true => section
            .left_out
            .push("Build times: a build from nothing takes minutes.".into()),
        false => builds(bench, &mut section),
    }
    section.beware.extend([
        "That lines measure effort. Ours is more program than the others: an event loop, a simulator, \
         recordings, an inspector, its own HTTP and TLS waiting. The tokio peer leaves grammar, table and \
         Google's answers to our library, so its own lines are fewer than it would need alone.",
        "That a peer without packages has no dependencies: its runtime is one.",
        "That our binary and tokio's are as large as they look: both carry line tables for profiles.",
    ]);
    Ok(section)
}

fn first_reply_ms(bench: &Bench, peer: &Peer) -> Result<f64> {
    let herd = Herd::alone("Clark")?;
    let begun = Instant::now();
    let start = Start::new("Clark").program(&peer.program).pinned();
    let server = start.run(&bench.lab, &herd)?;
    Client::connect(server.addr)?.report("first")?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}

/// How many packages a crate depends on, by the section of its Cargo.toml.
fn dependencies(folder: &str) -> usize {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap_or_default();
    let section = text
        .split("\n[")
        .find(|section| section.starts_with("dependencies]"));
    section.map_or(0, |section| {
        section.lines().filter(|line| line.contains(" = ")).count()
    })
}

fn packages(peer: &Peer) -> String {
    match peer.platform {
        Platform::Ours => dependencies("").to_string(),
        Platform::Tokio => format!(
            "{}, and our library",
            dependencies("examples/tokio_herd") - 1
        ),
        Platform::Python if peer.key.starts_with("uvloop") => "1 (uvloop)".to_string(),
        _ => "none".to_string(),
    }
}

fn size(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .map(|entry| {
                // A link is small, whatever it leads to.
                let of_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                if of_link { 0 } else { size(&entry.path()) }
            })
            .sum(),
        Err(_) => fs::metadata(path).map_or(0, |file| file.len()),
    }
}

/// What is handed to the platform: a binary, classes, scripts.
fn program_bytes(bench: &Bench, peer: &Peer) -> Option<f64> {
    let bytes = match peer.platform {
        Platform::Ours | Platform::Tokio => size(Path::new(peer.program.argv.first()?)),
        Platform::Java => size(&bench.lab.directory.join("classes")),
        _ => peer.sources.iter().map(|path| size(path)).sum(),
    };
    (bytes > 0).then_some(bytes as f64)
}

/// What has to be there besides: an interpreter with its library, a JVM.
fn runtime_bytes(bench: &Bench, peer: &Peer) -> Option<f64> {
    let program = fs::canonicalize(peer.program.argv.first()?).ok()?;
    let bytes = match peer.platform {
        Platform::Java => size(program.parent()?.parent()?),
        Platform::Node => size(&program),
        Platform::Python => {
            let name = program.file_name()?.to_string_lossy().into_owned();
            let python = bench.runtimes.python()?;
            let library = format!("lib/python{}.{}", python.number.0, python.number.1);
            let library = program.parent()?.parent()?.join(library);
            size(&library) + size(&program.with_file_name(name))
        }
        _ => return None,
    };
    Some(bytes as f64)
}

fn follow(section: &mut Section, bars: &[(String, Spread)]) {
    let mut sorted: Vec<_> = bars
        .iter()
        .map(|(name, lines)| (lines.median(), name))
        .collect();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    if let (Some((few, short)), Some((many, long))) = (sorted.first(), sorted.last()) {
        section.follows.push(format!(
            "The shortest is {short} with {} lines, the longest {long} with {}.",
            figure(*few),
            figure(*many)
        ));
    }
}

/// Each built from nothing, and once more after a change.
fn builds(bench: &Bench, section: &mut Section) {
    let mut table = Table::new("Build, in seconds", &["from nothing", "after a change"]);
    let copy = bench.lab.directory.join("build");
    let made = copy_crates(&copy);
    if let Err(error) = made {
        fail(section, "builds", "copying the source", &error.to_string());
        return;
    }
    let crates = [
        ("herd (mio), release", "herd", "herd"),
        ("tokio herd, release", "tokio_herd", "tokio_herd"),
    ];
    for (label, folder, binary) in crates {
        bench.tell(&format!("building {label} from nothing"));
        let folder = copy.join(folder);
        let build = || -> Result<f64> {
            let words = [
                "cargo",
                "build",
                "--release",
                "--offline",
                "--quiet",
                "--bin",
                binary,
            ];
            timed(bench, &words, &folder)
        };
        let again = || -> Result<f64> {
            let main = folder.join("src/main.rs");
            let text = fs::read_to_string(&main)?;
            fs::write(&main, text + "\n// A change.\n")?;
            build()
        };
        match build().and_then(|first| Ok((first, again()?))) {
            Ok((first, second)) => table.row(label, vec![Some(first).into(), Some(second).into()]),
            Err(error) => section.left_out.push(format!("Build of {label}: {error}")),
        }
    }
    if let Some(javac) = &bench.runtimes.javac {
        let sources = files(&["examples/peers/java"], "java");
        let mut words = vec![
            javac.path.display().to_string(),
            "-d".into(),
            copy.display().to_string(),
        ];
        words.extend(sources.iter().map(|path| path.display().to_string()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match timed(bench, &words, &root()) {
            Ok(seconds) => table.row(
                "Java, both",
                vec![Some(seconds).into(), Some(seconds).into()],
            ),
            Err(error) => fail(section, "javac", "build", &error.to_string()),
        }
    }
    for label in ["Node", "Python"] {
        table.row(
            label,
            vec!["nothing to build".into(), "nothing to build".into()],
        );
    }
    section.table(table);
}

/// How long a command takes with all cores.
fn timed(bench: &Bench, words: &[&str], directory: &Path) -> Result<f64> {
    let begun = Instant::now();
    let output = Command::new("taskset")
        .args(["--cpu-list", &bench.cores])
        .args(words)
        .current_dir(directory)
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .output()?;
    match output.status.success() {
        true => Ok(begun.elapsed().as_secs_f64()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(said
                .lines()
                .next()
                .unwrap_or("it failed")
                .to_string()
                .into())
        }
    }
}

/// Our crate and the tokio peer's, each without the workspace.
pub fn copy_crates(to: &Path) -> Result<()> {
    let ours = to.join("herd");
    copy_folder(&root().join("src"), &ours.join("src"))?;
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    fs::write(ours.join("Cargo.toml"), lab::alone(&manifest))?;
    let tokio = to.join("tokio_herd");
    copy_folder(&root().join("examples/tokio_herd"), &tokio)?;
    copy_folder(&root().join("examples/burner"), &to.join("burner"))?;
    let manifest = fs::read_to_string(tokio.join("Cargo.toml"))?;
    fs::write(
        tokio.join("Cargo.toml"),
        manifest.replace("../..", "../herd"),
    )?;
    for folder in [ours, tokio] {
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    }
    Ok(())
}

pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let from: PathBuf = entry?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        match from.is_dir() {
            true => copy_folder(&from, &to)?,
            false => drop(fs::copy(&from, &to)?),
        }
    }
    Ok(())
}
