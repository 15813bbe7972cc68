//! Every peer has to pass the required cases of `herd --check` before
//! anything is compared.
//!
//! ```text
//! let check = Check::start(bench, &peer.program, peer.platform, peer.key)?;
//! let report = check.report()?;
//! ```

use crate::bench::{Bench, again_if_taken, fail};
use crate::peers::{Peer, Platform};
use crate::places::args_of;
use crate::section::{Cell, Section, Table};
use lab::herd::Herd;
use lab::servers::Program;
use lab::{Result, guard};
use serde_json::Value;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "conformance",
        "Is it the same work?",
        "The paper compares platforms by what is known of them. Here each has the same herd to run, so first \
         it is checked that each does the same.",
    );
    section.measured.push(
        "Five servers of each peer, and all cases of herd --check: grammar, white space, framing, floods, \
         neighbours that die and come back, WHATSAT at a stand-in for Places over HTTPS. A peer that fails a \
         required one is told of here, and the whole run counts as failed. Beyond those are a few of our own \
         decisions: an update before its answer, catching up, a frozen neighbour."
            .to_string(),
    );
    let peers: Vec<&Peer> = bench.herds().collect();
    bench.tell(&format!("conformance of {} peers at once", peers.len()));
    let start = |peer: &Peer| Check::start(bench, &peer.program, peer.platform, peer.key);
    // Nothing is timed here, and they wait most of the time.
    let begun: Vec<Result<Check>> = peers.iter().map(|peer| start(peer)).collect();
    let mut table = Table::new("Cases of the protocol", &["passed", "failed", "beyond"]);
    for (peer, begun) in peers.into_iter().zip(begun) {
        let mut begun = Some(begun);
        let report = again_if_taken(|| begun.take().unwrap_or_else(|| start(peer))?.report());
        match report {
            Ok(report) => {
                if report.0["skipped"] != 0 {
                    fail(
                        &mut section,
                        &peer.label,
                        "conformance",
                        "some cases were skipped",
                    );
                }
                for row in report.failed() {
                    fail(&mut section, &peer.label, word(row, "id"), &told(row));
                }
                table.row(&peer.label, report.cells());
            }
            Err(error) => fail(&mut section, &peer.label, "conformance", &error.to_string()),
        }
    }
    section.follows.push(match section.failures.is_empty() {
        true => "All of them do the same work: what follows compares like with like.".to_string(),
        false => "Not all of them do the same work: figures of those that fail compare nothing."
            .to_string(),
    });
    section.table(table);
    section.beware.push(
        "That the peers agree beyond these cases. The cases are examples of the protocol, not all of it.",
    );
    Ok(section)
}

/// Whether a program passes all required cases. One that does not even start
/// does not.
pub fn passes(bench: &Bench, program: &Program, platform: Platform, key: &str) -> bool {
    let report = Check::start(bench, program, platform, key).and_then(Check::report);
    report.is_ok_and(|report| report.failed().next().is_none())
}

/// `herd --check` at work on five servers of a program.
struct Check {
    child: Child,
    /// Where it writes what it finds, and why it could not.
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Check {
    fn start(bench: &Bench, program: &Program, platform: Platform, key: &str) -> Result<Check> {
        let file = |ending: &str| bench.lab.directory.join(format!("check-{key}.{ending}"));
        let herd = file("herd");
        Herd::standard()?.save(&herd)?;
        let (stdout, stderr) = (file("json"), file("err"));
        let checker = bench.on_all_cores(&bench.lab.ours);
        let mut words = checker.argv.iter();
        let mut command = Command::new(words.next().ok_or("a program without words")?);
        command
            .args(words)
            .args(["--check", "--json", "--herd"])
            .arg(&herd)
            .arg("--")
            .args(&program.argv)
            .args(["{name}", "--herd"])
            .arg(&herd)
            .args(args_of(platform, "{places_url}", "{ca_file}"))
            .args(["--log", "none"])
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&bench.lab.directory)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?);
        let child = command.spawn()?;
        guard::enter(child.id());
        Ok(Check {
            child,
            stdout,
            stderr,
        })
    }

    /// What it found, once it has ended.
    fn report(mut self) -> Result<Report> {
        let ended = self.child.wait();
        guard::leave(self.child.id());
        match ended?.code() {
            Some(0 | 1) => Ok(Report(serde_json::from_str(&fs::read_to_string(
                &self.stdout,
            )?)?)),
            _ => Err(fs::read_to_string(&self.stderr)?.into()),
        }
    }
}

/// Its report, as `--json` has it.
struct Report(Value);

impl Report {
    /// The required cases that do not pass.
    fn failed(&self) -> impl Iterator<Item = &Value> {
        let rows = self.0["cases"].as_array().into_iter().flatten();
        rows.filter(|row| row["required"] == true && row["passed"] != true)
    }

    fn cells(&self) -> Vec<Cell> {
        let ids: Vec<&str> = self.failed().map(|row| word(row, "id")).collect();
        let failed = match ids.is_empty() {
            true => "none".to_string(),
            false => ids.join(" "),
        };
        let counts = |kind: &str| format!("{} of {}", self.0[kind]["passed"], self.0[kind]["all"]);
        let words = [counts("required"), failed, counts("beyond")];
        words.map(Cell::Text).into()
    }
}

fn word<'r>(row: &'r Value, key: &str) -> &'r str {
    row[key].as_str().unwrap_or_default()
}

/// A case that failed, in a line.
fn told(row: &Value) -> String {
    let [title, sent, expected, came] =
        ["title", "sent", "expected", "came"].map(|key| word(row, key));
    format!("{title}: sent {sent:?}, expected {expected}, came {came:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_beyond_fails_nobody() {
        let case = |id, required, passed| json!({"id": id, "required": required, "passed": passed});
        let report = Report(json!({
            "cases": [
                case("ECH-01", true, true),
                case("ECH-02", true, false),
                case("CAT-01", false, false),
            ],
            "required": {"passed": 1, "all": 2},
            "beyond": {"passed": 0, "all": 1},
        }));
        let failed: Vec<&str> = report.failed().map(|row| word(row, "id")).collect();
        assert_eq!(failed, ["ECH-02"]);
        let cells = report.cells();
        let is = |(cell, text): (&Cell, &str)| matches!(cell, Cell::Text(it) if it == text);
        assert!(cells.iter().zip(["1 of 2", "ECH-02", "0 of 1"]).all(is));
    }
}
