//! How large things may be: if one grows past that, something is done twice.

use std::collections::BTreeMap;

use crate::source::{Source, assert_none, sources};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

/// The parts of the house: how many lines of code each may have, and which files and folders below
/// `src` are its own (the longest name that fits decides). The first is the core: what every server
/// runs, asked or not.
const PARTS: [(&str, usize, &[&str]); 26] = [
    (
        "core",
        6500,
        &[
            "portions.rs",
            "event_loop",
            "net",
            "herd",
            "server",
            "worlds/mod.rs",
            "worlds/mix.rs",
            "worlds/os",
        ],
    ),
    // Each number is read in two ways: quickly as phones write it, and in any form.
    (
        "the grammar of a line",
        700,
        &["scan.rs", "herd/wire.rs", "herd/geo.rs", "herd/time.rs"],
    ),
    ("the herd file", 1200, &["herd/roster.rs", "herd/keys.rs"]),
    ("questions to Places", 1200, &["server/questions"]),
    (
        "snapshots",
        1200,
        &[
            "server/snapshots.rs",
            "worlds/disk.rs",
            "worlds/os/disk.rs",
            "worlds/os/saver.rs",
            "worlds/sim/disk.rs",
        ],
    ),
    (
        "journal",
        1200,
        &[
            "server/journal.rs",
            "worlds/os/appender.rs",
            "worlds/os/journal_file.rs",
        ],
    ),
    (
        "what a server shows",
        1200,
        &[
            "server/view.rs",
            "server/limits.rs",
            "server/rows.rs",
            "server/bounds.rs",
            "server/links/shown.rs",
        ],
    ),
    ("Places", 1200, &["places"]),
    (
        "Places' HTTP",
        1200,
        &[
            "places/bounds.rs",
            "places/chunked.rs",
            "places/head.rs",
            "places/request.rs",
            "places/response.rs",
            "places/response_error.rs",
        ],
    ),
    (
        "links that end",
        1200,
        &[
            "herd/course.rs",
            "herd/newest.rs",
            "server/clients/other_end.rs",
            "server/links/brief.rs",
        ],
    ),
    ("simulation", 1200, &["worlds/sim"]),
    ("recordings", 1200, &["worlds/recording"]),
    (
        "watching",
        1200,
        &["worlds/watched", "worlds/stage.rs", "worlds/tap.rs"],
    ),
    ("probe", 1200, &["probe"]),
    ("meters", 1200, &["probe/histogram.rs", "probe/meters.rs"]),
    (
        "stepper",
        1200,
        &[
            "probe/command.rs",
            "probe/console.rs",
            "probe/narrate.rs",
            "probe/obey.rs",
            "probe/session.rs",
            "probe/words.rs",
        ],
    ),
    (
        "breakpoints",
        1200,
        &["probe/condition.rs", "probe/stops.rs"],
    ),
    (
        "page",
        1200,
        &[
            "probe/bounds.rs",
            "probe/http.rs",
            "probe/inspection.rs",
            "probe/inspector.rs",
            "probe/pace.rs",
            "probe/visitors.rs",
        ],
    ),
    (
        "traces and replays",
        1200,
        &[
            "probe/trace.rs",
            "probe/tracer.rs",
            "probe/header.rs",
            "probe/replay.rs",
            "worlds/replay",
        ],
    ),
    (
        "command line",
        1200,
        &["main.rs", "cli", "config.rs", "lib.rs"],
    ),
    ("checker", 1200, &["check", "cli/checking.rs"]),
    (
        "the checker's cases",
        1200,
        &[
            "check/case",
            "check/step.rs",
            "check/text.rs",
            "check/words.rs",
        ],
    ),
    (
        "the checker's report",
        1200,
        &[
            "check/gradescope.rs",
            "check/hints.rs",
            "check/log.rs",
            "check/report.rs",
        ],
    ),
    (
        "the checker's stand-in for Google",
        1200,
        &["check/places", "check/given.rs"],
    ),
    (
        "the servers that are checked",
        1200,
        &["check/servers.rs", "check/ghost.rs"],
    ),
    ("the whole herd", 1200, &["cli/all.rs", "cli/children.rs"]),
];

/// The part that a file belongs to.
fn part(source: &Source) -> Option<&'static str> {
    let inside = source.inside();
    let claims = PARTS.iter().flat_map(|(name, _, places)| {
        let fitting = places.iter().filter(|place| inside.starts_with(place));
        fitting.map(move |place| (place.len(), *name))
    });
    claims.max().map(|(_, name)| name)
}

#[test]
fn each_part_is_small() {
    let is_code = |(_, line): &(usize, &str)| !line.trim().is_empty();
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for source in sources(&["src"]) {
        match part(&source) {
            Some(name) => {
                let lines = source.code().into_iter().filter(is_code).count();
                *sizes.entry(name).or_default() += lines;
            }
            None => findings.push(format!("{}: of no part", source.path.display())),
        }
    }
    for (name, most, _) in PARTS {
        let lines = sizes.get(name).copied().unwrap_or(0);
        println!("{name}: {lines} lines of code, comments and unit tests not counted");
        if lines == 0 || lines > most {
            findings.push(format!("{name}: {lines} lines, expected 1 to {most}"));
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
