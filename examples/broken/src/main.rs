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
use std::process::{Command, ExitCode, Output};

struct Patch {
    /// The row of the faults, and what is taken away.
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// Arguments of `cargo test`.
    test: &'static [&'static str],
    /// What the failure must say: the invariant that is broken. Empty if any failure will do.
    says: &'static str,
}

const PATCHES: [Patch; 28] = [
    Patch {
        name: "1 the dump at link-up",
        file: "src/server/links/part.rs",
        from: "(greeting, Backlog::dump(records), shared.news.subscribe())",
        to: "(greeting, Backlog::dump(records * 0), shared.news.subscribe())",
        test: &["--test", "simulator", "all_tables_agree_after_every_storm"],
        says: "",
    },
    Patch {
        name: "2 what is owed to a slow link",
        file: "src/server/links/link.rs",
        from: "self.backlog.mark(item.position);",
        to: "",
        test: &["--test", "simulator", "a_clogged_link"],
        says: "",
    },
    Patch {
        name: "4 a bound in the parser of snapshots",
        file: "src/herd/snapshot.rs",
        from: "line.split_at_checked(9).unwrap_or((line, b\"\"))",
        to: "line.split_at(9)",
        test: &["--test", "simulator", "fuzzing"],
        says: "",
    },
    Patch {
        name: "5 the rest of a line that came in pieces",
        file: "src/server/clients/part.rs",
        from: "kept.extend(&scratch[progress.used..count]);",
        to: "",
        test: &["--test", "simulator", "splits"],
        says: "",
    },
    Patch {
        name: "6 the total order",
        file: "src/herd/wire.rs",
        from: ".then_with(|| self.server.cmp(other.server))",
        to: "",
        test: &["--test", "simulator", "lww"],
        says: "",
    },
    Patch {
        name: "11 a deadline for an unfinished line",
        file: "src/server/clients/inbound.rs",
        from: "(handshake || !self.partial.is_empty())",
        to: "handshake",
        test: &["--test", "simulator", "deadlines"],
        says: "",
    },
    Patch {
        name: "12 a deadline for those who never read",
        file: "src/server/clients/inbound.rs",
        from: "keep(unsent, deadlines.unsent, CLIENT_UNSENT_DEADLINE)",
        to: "keep(false, deadlines.unsent, CLIENT_UNSENT_DEADLINE)",
        test: &["--test", "simulator", "a_client_that_takes_nothing"],
        says: "",
    },
    Patch {
        name: "13 the spare descriptor and the timer",
        file: "src/net/listen.rs",
        from: "if out_of_descriptors(&error)",
        to: "if out_of_descriptors(&error) && false",
        test: &["--test", "protocol", "faults::descriptors"],
        says: "",
    },
    Patch {
        name: "14 a greeting has us dial at once",
        file: "src/server/links/part.rs",
        from: "if when < slot.redial {",
        to: "if false {",
        test: &[
            "--test",
            "protocol",
            "a_neighbour_that_greets_is_dialled_at_once",
        ],
        says: "",
    },
    Patch {
        name: "25 the budget of a turn",
        file: "src/server/clients/conversation.rs",
        from: "(may_work && share) || self",
        to: "may_work || share || self",
        test: &["--test", "simulator", "a_turn_and_a_visit_spend_so_much"],
        says: "",
    },
    Patch {
        name: "26 the order of what is owed",
        file: "src/server/links/link.rs",
        from: "(!self.backlog.is_empty()).then_some(0)",
        to: "None",
        test: &["--test", "simulator", "what_a_slow_link_owes"],
        says: "",
    },
    Patch {
        name: "29 a look before a deadline",
        file: "src/server/clients/part.rs",
        from: "inbound.note(Readiness::READABLE | Readiness::WRITABLE);",
        to: "inbound.note(Readiness::WRITABLE);",
        test: &["--test", "simulator", "what_came_during_a_stop"],
        says: "",
    },
    Patch {
        name: "16 dialling again",
        file: "src/server/links/part.rs",
        from: "floor.event_loop.time() + delay);",
        to: "floor.event_loop.time() + delay * 1000);",
        test: &[
            "--test",
            "protocol",
            "a_server_dials_its_neighbours_again_and_again",
        ],
        says: "",
    },
    Patch {
        name: "20 the checksum of a record",
        file: "src/herd/snapshot.rs",
        from: "if stated != format!(\"{:08x} \", checksum.0).as_bytes()",
        to: "if stated.len() != 9",
        test: &["--lib", "snapshot"],
        says: "",
    },
    Patch {
        name: "22 the proof of a name",
        file: "src/server/clients/conversation.rs",
        from: "if self.shared.config.secured {",
        to: "if self.shared.config.secured && false {",
        test: &["--test", "protocol", "plants_nothing"],
        says: "",
    },
    Patch {
        name: "the limit by address",
        file: "src/server/door.rs",
        from: "if count >= config.max_per_address",
        to: "if count == usize::MAX",
        test: &["--test", "simulator", "one_far_address"],
        says: "",
    },
    Patch {
        name: "a timer for a deadline",
        file: "src/server/clients/part.rs",
        from: "inbound.armed(when, handle);",
        to: "let _ = handle;",
        test: &["--test", "simulator", "deadlines"],
        says: "no timer for its deadline",
    },
    Patch {
        name: "a reader less of the news",
        file: "src/server/links/part.rs",
        from: "Kind::Standing => shared.news.unsubscribe(),",
        to: "Kind::Standing => {}",
        test: &["--test", "simulator", "all_tables_agree_after_every_storm"],
        says: "links that read the news",
    },
    Patch {
        name: "a link that knows its connection is gone",
        file: "src/server/links/part.rs",
        from: "self.dial_later(floor, index, why);\n    }\n\n    fn",
        to: "let _ = why;\n    }\n\n    fn",
        test: &["--test", "simulator", "all_tables_agree_after_every_storm"],
        says: "and there is no such connection of its",
    },
    Patch {
        name: "a question that forgets a failed attempt",
        file: "src/server/questions/talking.rs",
        from: "lookup.attempts.retain(|&other| other != token);",
        to: "let _ = lookup;",
        test: &["--test", "simulator", "places::"],
        says: "its connection is another's",
    },
    Patch {
        name: "a question that queues",
        file: "src/server/questions/lookup.rs",
        from: "self.queue.push_back(number);",
        to: "",
        test: &["--test", "simulator", "places::"],
        says: "in the queue, or not",
    },
    Patch {
        name: "the count of an address",
        file: "src/server/door.rs",
        from: "self.per_address.insert(host, count + 1);",
        to: "self.per_address.insert(host, count + 2);",
        test: &["--test", "simulator", "one_far_address"],
        says: "connections of far addresses are counted",
    },
    Patch {
        name: "a file's sync before its name",
        file: "src/worlds/disk.rs",
        from: "let mut put = disk.sync(&mut self.file);",
        to: "let mut put: io::Result<()> = Ok(());",
        test: &["--test", "simulator", "what_is_safe_survives"],
        says: "",
    },
    Patch {
        name: "a folder's sync behind it",
        file: "src/worlds/disk.rs",
        from: "disk.sync_folder()?;",
        to: "",
        test: &["--test", "simulator", "what_is_safe_survives"],
        says: "",
    },
    Patch {
        name: "a stop that waits for links",
        file: "src/server/parts.rs",
        from: "&& self.links.are_flushed(desk)",
        to: "",
        test: &["--test", "simulator", "a_stop_waits_for_a_slow_neighbour"],
        says: "",
    },
    Patch {
        name: "the bytes of a record that is replaced",
        file: "src/herd/store.rs",
        from: "let bytes = self.bytes - stored.len() + line.len();",
        to: "let bytes = self.bytes + line.len();",
        test: &["--lib", "the_bytes_are_those"],
        says: "",
    },
    Patch {
        name: "a closed connection's timer",
        file: "src/server/clients/part.rs",
        from: "if let Some(timer) = inbound.close(&mut floor.event_loop.world) {\n            floor.event_loop.cancel(timer);\n        }",
        to: "inbound.close(&mut floor.event_loop.world);",
        test: &["--test", "simulator", "a_connection_takes_its_timer"],
        says: "",
    },
    Patch {
        name: "a freed descriptor that wakes the listener",
        file: "src/server/door.rs",
        from: "event_loop.cancel(retry);\n            self.accept_soon(event_loop);",
        to: "self.accept_retry = Some(retry);",
        test: &["--test", "simulator", "whoever_leaves_makes_room"],
        says: "",
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
        let compiles = test(&copy, &["--no-run"], patch)?.status.success();
        let outcome = test(&copy, &[], patch)?;
        let said = String::from_utf8_lossy(&outcome.stdout);
        let verdict = match (compiles, outcome.status.success()) {
            (false, _) => "does not even compile",
            (true, true) => "ITS TEST STILL PASSES",
            (true, false) if said.contains(patch.says) => "its test fails, as it should",
            (true, false) => "ITS TEST FAILS FOR ANOTHER REASON",
        };
        println!("without {:<46} {verdict}", patch.name);
        all_fail &= verdict.starts_with("its test fails");
    }
    Ok(all_fail)
}

/// Runs the test; with `--no-run`, compiles it.
fn test(copy: &Path, more: &[&str], patch: &Patch) -> Result<Output, Box<dyn Error>> {
    let output = Command::new("cargo")
        .args(["test", "--quiet", "--offline"])
        .args(more)
        .args(patch.test)
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .output()?;
    Ok(output)
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
