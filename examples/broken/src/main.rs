//! Removes one protection after the other from a copy of the source, and sees that its test fails.
//!
//! ```text
//! cargo run -p broken [WORD]          those whose name contains WORD
//! ```
//!
//! A test that cannot fail proves nothing. Each line below is a patch: in this file, this text becomes that
//! one, and then this test must not pass any more.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

struct Patch {
    /// The row of the faults, and what is taken away.
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// Arguments of `cargo test`.
    test: &'static [&'static str],
}

const PATCHES: [Patch; 13] = [
    Patch {
        name: "1 the dump at link-up",
        file: "src/server/link.rs",
        from: "link.backlog = Backlog::dump(records);",
        to: "",
        test: &["--test", "simulator", "all_tables_agree_after_every_storm"],
    },
    Patch {
        name: "2 what is owed to a slow link",
        file: "src/server/link.rs",
        from: "link.backlog.mark(position);",
        to: "",
        test: &["--test", "simulator", "a_clogged_link"],
    },
    Patch {
        name: "4 a bound in the parser of snapshots",
        file: "src/herd/snapshot.rs",
        from: "line.split_at_checked(9).unwrap_or((line, b\"\"))",
        to: "line.split_at(9)",
        test: &["--test", "simulator", "fuzzing"],
    },
    Patch {
        name: "5 the rest of a line that came in pieces",
        file: "src/server/inbound.rs",
        from: "partial.extend(&scratch[progress.used..count]);",
        to: "",
        test: &["--test", "simulator", "splits"],
    },
    Patch {
        name: "6 the total order",
        file: "src/herd/wire.rs",
        from: ".then_with(|| self.server.cmp(other.server))",
        to: "",
        test: &["--test", "simulator", "lww"],
    },
    Patch {
        name: "11 a deadline for an unfinished line",
        file: "src/server/inbound.rs",
        from: "(handshake || !self.partial.is_empty())",
        to: "handshake",
        test: &["--test", "simulator", "deadlines"],
    },
    Patch {
        name: "12 a deadline for those who never read",
        file: "src/server/inbound.rs",
        from: "keep(unsent, deadlines.unsent, CLIENT_UNSENT_DEADLINE)",
        to: "keep(false, deadlines.unsent, CLIENT_UNSENT_DEADLINE)",
        test: &["--test", "simulator", "a_client_that_takes_nothing"],
    },
    Patch {
        name: "13 the spare descriptor and the timer",
        file: "src/net/listen.rs",
        from: "if out_of_descriptors(&error)",
        to: "if out_of_descriptors(&error) && false",
        test: &["--test", "protocol", "faults::descriptors"],
    },
    Patch {
        name: "14 a greeting has us dial at once",
        file: "src/server/link.rs",
        from: "if !self.stopping {\n            self.neighbours[index].backoff.reset();",
        to: "if false {\n            self.neighbours[index].backoff.reset();",
        test: &[
            "--test",
            "protocol",
            "a_neighbour_that_greets_is_dialled_at_once",
        ],
    },
    Patch {
        name: "16 dialling again",
        file: "src/server/link.rs",
        from: "event_loop.call_later(delay, Callback::Redial(index))",
        to: "event_loop.call_later(delay * 1000, Callback::Redial(index))",
        test: &[
            "--test",
            "protocol",
            "a_server_dials_its_neighbours_again_and_again",
        ],
    },
    Patch {
        name: "20 the checksum of a record",
        file: "src/herd/snapshot.rs",
        from: "if stated != format!(\"{:08x} \", checksum.0).as_bytes()",
        to: "if stated.len() != 9",
        test: &["--lib", "snapshot"],
    },
    Patch {
        name: "22 the proof of a name",
        file: "src/server/lines.rs",
        from: "if secured {",
        to: "if secured && false {",
        test: &["--test", "protocol", "plants_nothing"],
    },
    Patch {
        name: "the limit by address",
        file: "src/server/node.rs",
        from: "if *count >= self.config.max_per_address",
        to: "if *count == usize::MAX",
        test: &["--test", "simulator", "one_far_address"],
    },
];

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    match run(&word) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("broken: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(word: &str) -> Result<bool, Box<dyn Error>> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).ok_or("this package stands alone")?;
    let copy = root.join("target/broken");
    let mut all_fail = true;
    let wanted = PATCHES.iter().filter(|patch| patch.name.contains(word));
    for patch in wanted {
        for part in ["src", "tests"] {
            replace(&root.join(part), &copy.join(part))?;
        }
        // The walk of the notes and the examples' own code are not what is broken here.
        for file in ["Cargo.lock", "NOTES.md"] {
            fs::copy(root.join(file), copy.join(file))?;
        }
        let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
        fs::write(copy.join("Cargo.toml"), lab::alone(&manifest))?;
        let path = copy.join(patch.file);
        let text = fs::read_to_string(&path)?;
        if text.matches(patch.from).count() != 1 {
            return Err(format!("{}: expected {:?} once", patch.file, patch.from).into());
        }
        fs::write(&path, text.replace(patch.from, patch.to))?;
        let verdict = match (test(&copy, &["--no-run"], patch)?, test(&copy, &[], patch)?) {
            (false, _) => "does not even compile",
            (true, false) => "its test fails, as it should",
            (true, true) => "ITS TEST STILL PASSES",
        };
        println!("without {:<46} {verdict}", patch.name);
        all_fail &= verdict.starts_with("its test fails");
    }
    Ok(all_fail)
}

/// True if the test passes; with `--no-run`, if it compiles.
fn test(copy: &Path, more: &[&str], patch: &Patch) -> Result<bool, Box<dyn Error>> {
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--offline"])
        .args(more)
        .args(patch.test)
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}

/// Makes `to` what `from` is; a file that is the same keeps its time, so that little is built anew.
fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            // What cargo-fuzz makes beside the sources changes while we look.
            let made = ["target", "corpus", "artifacts"];
            if !made.iter().any(|name| entry.file_name() == *name) {
                replace(&path, &target)?;
            }
        } else if fs::read(&path)? != fs::read(&target).unwrap_or_default() {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
