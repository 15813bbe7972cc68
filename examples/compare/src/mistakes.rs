//! Ten mistakes that people make, seeded into a copy of each platform's peer:
//! who finds them? The compiler, a type checker, the first test, or nobody.
//!
//! The mistakes are data: `mistakes/*.json`. What is to be replaced must occur
//! exactly once in its file, so that a peer that changes is noticed.

use crate::bench::{Bench, fail};
use crate::conformance;
use crate::peers::{Peer, root};
use crate::section::{Cell, Section, Table};
use crate::seeded::{self, Workshop};
use crate::stats::figure;
use lab::Result;
use serde_json::Value;

/// One mistake in one peer.
pub struct Mistake {
    /// Which of the ten.
    pub kind: String,
    pub file: String,
    find: String,
    replace: String,
    /// What has to go with it, as an import that nobody uses any more.
    also: Option<(String, String)>,
    /// Why it cannot be made there at all.
    pub impossible: Option<String>,
}

/// The mistakes of one peer.
pub struct Seeds {
    pub peer: String,
    pub folder: String,
    pub mistakes: Vec<Mistake>,
}

/// Who found a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Impossible,
    Compiler,
    Warning,
    Checker,
    Test,
    Nobody,
}

impl Found {
    fn words(self) -> &'static str {
        match self {
            Found::Impossible => "cannot be made",
            Found::Compiler => "compiler",
            Found::Warning => "compiler, a warning",
            Found::Checker => "type checker",
            Found::Test => "first test",
            Found::Nobody => "production",
        }
    }
}

/// So many of the ten in miniature.
const QUICK: usize = 2;

/// The ten, as tables name them.
const KINDS: [(&str, &str); 10] = [
    (
        "text-for-number",
        "a number kept as text where it is compared",
    ),
    ("missing-await", "a result that nobody waits for"),
    ("wrong-field", "a field's name misspelt"),
    ("unhandled-none", "the case of nothing there left out"),
    ("swapped-arguments", "latitude and longitude swapped"),
    (
        "wrong-type",
        "text written where bytes are wanted, or the reverse",
    ),
    ("not-called", "a function named and not called"),
    ("not-closed", "a connection never closed"),
    ("off-by-one", "one byte too few of each line"),
    ("blocking", "a blocking wait on the loop"),
];

const FILES: [(&str, &str); 4] = [
    ("python", include_str!("mistakes/python.json")),
    ("node", include_str!("mistakes/node.json")),
    ("java", include_str!("mistakes/java.json")),
    ("tokio", include_str!("mistakes/tokio.json")),
];

/// Reads a file of mistakes.
fn parse(text: &str) -> std::result::Result<Seeds, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_string();
    let mistakes: Vec<Mistake> = file["mistakes"]
        .as_array()
        .ok_or("no list of mistakes")?
        .iter()
        .map(|mistake| Mistake {
            kind: text(mistake, "kind"),
            file: text(mistake, "file"),
            find: text(mistake, "find"),
            replace: text(mistake, "replace"),
            also: mistake["also"].is_object().then(|| {
                (
                    text(&mistake["also"], "find"),
                    text(&mistake["also"], "replace"),
                )
            }),
            impossible: mistake["impossible"].as_str().map(str::to_string),
        })
        .collect();
    let kinds: Vec<&str> = mistakes
        .iter()
        .map(|mistake| mistake.kind.as_str())
        .collect();
    if kinds != KINDS.map(|(kind, _)| kind) {
        return Err(format!(
            "expected the ten mistakes in their order, not {kinds:?}"
        ));
    }
    Ok(Seeds {
        peer: text(&file, "peer"),
        folder: text(&file, "folder"),
        mistakes,
    })
}

impl Mistake {
    /// The text with the mistake in it.
    pub fn made_in(&self, text: &str) -> std::result::Result<String, String> {
        let also = self.also.iter().map(|(find, replace)| (find, replace));
        let mut text = text.to_string();
        for (find, replace) in std::iter::once((&self.find, &self.replace)).chain(also) {
            match text.matches(find.as_str()).count() {
                1 if find != replace => text = text.replacen(find.as_str(), replace, 1),
                count => return Err(format!("{}: {find:?} occurs {count} times", self.file)),
            }
        }
        Ok(text)
    }
}

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "mistakes",
        "Type checking",
        "Python finds type errors while it runs, Java before. The paper weighs the freedom of the one \
         against the safety of the other, and sees annotations as a way between.",
    );
    section.measured.push(
        "Ten mistakes that people make, one at a time in a copy of each peer. Whatever finds one first \
         counts: what compiles or only parses it (py_compile, node --check, javac, rustc), a type checker \
         that one may run (mypy --strict, tsc over the JSDoc types), the cases of the protocol, or nobody, \
         which means production. A checker counts what it says of the mistake and not of the peer as it is."
            .to_string(),
    );
    check_seeds()?;
    let mut columns: Vec<String> = Vec::new();
    let mut found: Vec<Vec<Cell>> = KINDS.map(|_| Vec::new()).into();
    for (platform, text) in FILES {
        let seeds = parse(text).map_err(|error| format!("mistakes/{platform}.json: {error}"))?;
        let Some(peer) = bench.peers.iter().find(|peer| peer.key == seeds.peer) else {
            section.left_out.push(format!(
                "Mistakes in {platform}: {} is not here.",
                seeds.peer
            ));
            continue;
        };
        columns.push(peer.label.clone());
        match seed_all(bench, &mut section, &seeds, peer) {
            Ok(results) => {
                follow(&mut section, &peer.label, &results);
                for (row, result) in found.iter_mut().zip(results) {
                    row.push(result.map_or(Cell::Nothing, |found| found.words().into()));
                }
            }
            Err(error) => {
                fail(&mut section, &peer.label, "mistakes", &error.to_string());
                found.iter_mut().for_each(|row| row.push(Cell::Nothing));
            }
        }
    }
    let mut table = Table::new("Who finds it first", &[]);
    table.columns = columns;
    for ((_, kind), cells) in KINDS.iter().zip(found) {
        table.row(*kind, cells);
    }
    section.table(table);
    leave_out(bench, &mut section);
    section.beware.extend([
        "That ten mistakes are a sample of anything. They were chosen to be realistic; others would choose \
         others.",
        "That a type checker that can be run is run.",
        "Anything about our own server: it is Rust like the tokio peer, and its compiler the same.",
    ]);
    Ok(section)
}

/// What was not asked.
fn leave_out(bench: &Bench, section: &mut Section) {
    if bench.quick {
        section.left_out.push(
            "In miniature only compilers and checkers were asked, of a few mistakes, and no test; of tokio \
             nothing."
                .into(),
        );
    }
    if bench.runtimes.mypy_words().is_none() {
        section
            .left_out
            .push("mypy is missing: what it would find is found later.".into());
    }
    if bench.runtimes.tsc.is_none() {
        section
            .left_out
            .push("tsc is missing: what it would find is found later.".into());
    }
}

/// Who finds each of the ten; nothing where this run did not ask.
fn seed_all(
    bench: &Bench,
    section: &mut Section,
    seeds: &Seeds,
    peer: &Peer,
) -> Result<Vec<Option<Found>>> {
    if bench.quick && peer.key.starts_with("tokio") {
        return Ok(seeds.mistakes.iter().map(|_| None).collect());
    }
    bench.tell(&format!("mistakes in {}", peer.label));
    let workshop = Workshop::new(bench, peer, &seeds.folder)?;
    let mut results = Vec::new();
    let asked = bench.sized(seeds.mistakes.len(), QUICK);
    for mistake in &seeds.mistakes[..asked] {
        let result = match &mistake.impossible {
            Some(_) => Ok(Some(Found::Impossible)),
            None => seed(bench, &workshop, mistake, peer),
        };
        match result {
            Ok(found) => results.push(found),
            Err(error) => {
                fail(section, &peer.label, &mistake.kind, &error.to_string());
                results.push(None);
            }
        }
    }
    results.resize(seeds.mistakes.len(), None);
    Ok(results)
}

fn seed(
    bench: &Bench,
    workshop: &Workshop,
    mistake: &Mistake,
    peer: &Peer,
) -> Result<Option<Found>> {
    workshop.restore()?;
    let path = workshop.path(&mistake.file);
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, mistake.made_in(&text)?)?;
    match workshop.compile(&path)? {
        seeded::Compiled::Refused => return Ok(Some(Found::Compiler)),
        seeded::Compiled::Warned => return Ok(Some(Found::Warning)),
        seeded::Compiled::Silent => {}
    }
    if workshop.checker_complains()? {
        return Ok(Some(Found::Checker));
    }
    if bench.quick {
        return Ok(None);
    }
    let program = workshop.program();
    let passed = conformance::passes(bench, &program, peer.platform, "mistake");
    Ok(Some(if passed { Found::Nobody } else { Found::Test }))
}

fn follow(section: &mut Section, label: &str, results: &[Option<Found>]) {
    let count = |wanted: &[Found]| {
        let some = results
            .iter()
            .flatten()
            .filter(|found| wanted.contains(found));
        some.count() as f64
    };
    let asked = results.iter().flatten().count();
    if asked < results.len() {
        return;
    }
    section.follows.push(format!(
        "{label}: of {} mistakes {} cannot be made or are found by what compiles, {} by a type checker, {} \
         by the first test, {} by nobody.",
        figure(asked as f64),
        figure(count(&[Found::Impossible, Found::Compiler, Found::Warning])),
        figure(count(&[Found::Checker])),
        figure(count(&[Found::Test])),
        figure(count(&[Found::Nobody])),
    ));
}

/// Whether every mistake can be made in the peers as they are.
fn check_seeds() -> std::result::Result<(), String> {
    for (platform, text) in FILES {
        let seeds = parse(text).map_err(|error| format!("mistakes/{platform}.json: {error}"))?;
        for mistake in seeds
            .mistakes
            .iter()
            .filter(|mistake| mistake.impossible.is_none())
        {
            let path = root().join(&seeds.folder).join(&mistake.file);
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let made = mistake.made_in(&text);
            made.map_err(|error| format!("mistakes/{platform}.json, {}: {error}", mistake.kind))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_can_be_made() {
        assert_eq!(check_seeds(), Ok(()));
    }

    #[test]
    fn a_text_that_is_not_there_once_is_no_place_for_a_mistake() {
        let mistake = Mistake {
            kind: String::new(),
            file: "a.py".into(),
            find: "x".into(),
            replace: "y".into(),
            also: None,
            impossible: None,
        };
        assert_eq!(mistake.made_in("axb").as_deref(), Ok("ayb"));
        assert!(mistake.made_in("ab").is_err());
        assert!(mistake.made_in("axxb").is_err());
    }
}
