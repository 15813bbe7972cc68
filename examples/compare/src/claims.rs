//! The table that the report opens with: each claim of the paper, the figure
//! of this run that bears on it, and the sentence that follows.
//!
//! ```text
//! for answer in claims::answers(&sections) { answer.figure; }
//! ```

use crate::section::{Section, Table};
use serde_json::{Value, json};

/// Where the figure of a claim stands.
enum Place {
    /// In this row and column.
    Cell {
        row: &'static str,
        column: &'static str,
    },
    /// In the last row, of what is listed by age.
    Last { column: &'static str },
    /// As many rows as say this in that column.
    Count {
        says: &'static str,
        column: &'static str,
    },
}

struct Claim {
    /// What the paper says.
    says: &'static str,
    /// The experiment, and how its table's caption begins.
    experiment: &'static str,
    caption: &'static str,
    place: Place,
    /// What the figure counts.
    unit: &'static str,
    /// How the sentence begins, among those that follow.
    sentence: &'static str,
}

const ASYNCIO: &str = "asyncio streams";

const fn cell(row: &'static str, column: &'static str) -> Place {
    Place::Cell { row, column }
}

/// In the order of the paper's sections.
const CLAIMS: [Claim; 14] = [
    Claim {
        says: "Platforms can be compared by one herd.",
        experiment: "conformance",
        caption: "Cases",
        place: cell(ASYNCIO, "passed"),
        unit: "cases, asyncio",
        sentence: "",
    },
    Claim {
        says: "Python finds type errors late; annotations help.",
        experiment: "mistakes",
        caption: "Who finds",
        place: Place::Count {
            says: "type checker",
            column: ASYNCIO,
        },
        unit: "mistakes found by a type checker",
        sentence: ASYNCIO,
    },
    Claim {
        says: "Reference counts cost little memory for a server of this size.",
        experiment: "memory",
        caption: "Memory and start",
        place: cell(ASYNCIO, "bytes an idle connection"),
        unit: "bytes an idle connection, asyncio",
        sentence: "bytes an idle connection",
    },
    Claim {
        says: "A collector stops everybody now and then.",
        experiment: "collectors",
        caption: "Answers under churn",
        place: cell("Java NIO, G1", "p99.9 ms"),
        unit: "ms, Java's slowest of a thousand",
        sentence: "asyncio, p99.9",
    },
    Claim {
        says: "Threads use many cores; Python's lock lets one run.",
        experiment: "threads",
        caption: "Python at pure computing",
        place: cell("a thread a core", "speed, × one thread"),
        unit: "× one thread, Python's threads",
        sentence: "Python at pure computing",
    },
    Claim {
        says: "Node is asyncio's like: a loop on one thread.",
        experiment: "node",
        caption: "50 connections, 1 in",
        place: cell("Node", "× asyncio streams"),
        unit: "× asyncio streams, Node",
        sentence: "",
    },
    Claim {
        says: "asyncio is fast enough for servers that wait for the network.",
        experiment: "speed",
        caption: "C50 P1",
        place: cell(ASYNCIO, "requests a second"),
        unit: "requests a second, asyncio",
        sentence: "C50 P1",
    },
    Claim {
        says: "A location told to one server is soon known to all.",
        experiment: "flood",
        caption: "An update",
        place: cell(ASYNCIO, "farthest p50 ms"),
        unit: "ms to the farthest, asyncio",
        sentence: "",
    },
    Claim {
        says: "Not asked there: does the loop suit a herd of any size?",
        experiment: "growth",
        caption: "Exponents",
        place: cell("CPU an IAMAT by records: herd (mio)", "exponent"),
        unit: "exponent of CPU by records, ours",
        sentence: "",
    },
    Claim {
        says: "Not asked there: why not take a store that exists?",
        experiment: "instead",
        caption: "The same positions",
        place: cell("Redis", "C50 P1, CPU µs"),
        unit: "CPU µs a report, Redis",
        sentence: "",
    },
    Claim {
        says: "While one coroutine awaits Google, the loop runs others.",
        experiment: "places",
        caption: "WHATSAT",
        place: cell(ASYNCIO, "questions a second"),
        unit: "questions a second, asyncio",
        sentence: "",
    },
    Claim {
        says: "A callback that computes holds up everybody.",
        experiment: "blocking",
        caption: "Everybody else",
        place: cell("asyncio streams, here", "p99 ms"),
        unit: "ms, the slowest in a hundred, asyncio",
        sentence: ASYNCIO,
    },
    Claim {
        says: "The newest Python makes life easier, and is not needed.",
        experiment: "versions",
        caption: "C50 P1",
        place: Place::Last {
            column: "× the oldest",
        },
        unit: "× the oldest CPython here, the newest",
        sentence: "C50 P1",
    },
    Claim {
        says: "Python and asyncio are quick to write.",
        experiment: "writing",
        caption: "What it takes",
        place: cell(ASYNCIO, "lines"),
        unit: "lines, asyncio",
        sentence: "",
    },
];

/// One row of the opening table.
pub struct Answer {
    pub claim: &'static str,
    pub experiment: &'static str,
    /// With what it counts; none if this run did not measure it.
    pub figure: Option<String>,
    pub sentence: Option<String>,
}

/// A row for each claim, whatever was run.
pub fn answers(sections: &[Section]) -> Vec<Answer> {
    let answer = |claim: &Claim| {
        let section = sections.iter().find(|one| one.key == claim.experiment);
        let sentence = section.and_then(|section| {
            let mut said = section.follows.iter();
            said.find(|said| said.starts_with(claim.sentence)).cloned()
        });
        let figure = section.and_then(|section| figure(claim, section));
        Answer {
            claim: claim.says,
            experiment: claim.experiment,
            figure: figure.map(|figure| format!("{figure} {}", claim.unit)),
            sentence,
        }
    };
    CLAIMS.iter().map(answer).collect()
}

pub fn json(sections: &[Section]) -> Value {
    let each = answers(sections).into_iter().map(|answer| {
        json!({
            "claim": answer.claim,
            "experiment": answer.experiment,
            "figure": answer.figure,
            "sentence": answer.sentence,
        })
    });
    each.collect()
}

fn figure(claim: &Claim, section: &Section) -> Option<String> {
    let named = |table: &&Table| table.caption.starts_with(claim.caption);
    let table = section.tables().find(named)?;
    let column = |name: &str| table.columns.iter().position(|column| column == name);
    match claim.place {
        Place::Cell { row, column: name } => {
            let row = table.rows.iter().find(|one| one.label == row)?;
            Some(row.cells.get(column(name)?)?.texts().0)
        }
        Place::Last { column: name } => {
            let row = table.rows.last()?;
            Some(row.cells.get(column(name)?)?.texts().0)
        }
        Place::Count { says, column: name } => {
            let at = column(name)?;
            let cells = table.rows.iter().filter_map(|row| row.cells.get(at));
            let count = cells.filter(|cell| cell.texts().0 == says).count();
            Some(format!("{count} of {}", table.rows.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_the_figure_of_its_cell_and_its_sentence() {
        let mut section = Section::new("writing", "", "");
        let mut table = Table::new("What it takes", &["files", "lines"]);
        table.row(ASYNCIO, vec![Some(3.0).into(), Some(640.0).into()]);
        section.table(table);
        section.follows.push("The shortest is short.".into());
        let all = answers(&[section]);
        assert_eq!(all.len(), CLAIMS.len());
        let writing = all.iter().find(|one| one.experiment == "writing").unwrap();
        assert_eq!(writing.figure.as_deref(), Some("640 lines, asyncio"));
        assert_eq!(writing.sentence.as_deref(), Some("The shortest is short."));
        let others = all.iter().filter(|one| one.experiment != "writing");
        assert!(others.clone().all(|one| one.figure.is_none()));
        assert!(others.clone().all(|one| one.sentence.is_none()));
    }

    #[test]
    fn rows_are_counted_by_what_they_say() {
        let mut section = Section::new("mistakes", "", "");
        let mut table = Table::new("Who finds it first", &[ASYNCIO]);
        for finder in ["production", "type checker", "type checker"] {
            table.row("one", vec![finder.into()]);
        }
        section.table(table);
        let all = answers(&[section]);
        let mistakes = all.iter().find(|one| one.experiment == "mistakes").unwrap();
        let due = "2 of 3 mistakes found by a type checker";
        assert_eq!(mistakes.figure.as_deref(), Some(due));
    }

    #[test]
    fn every_experiment_has_a_claim() {
        for (name, ..) in crate::EXPERIMENTS {
            let has = CLAIMS.iter().any(|claim| claim.experiment == name);
            assert!(has, "{name}");
        }
    }
}
