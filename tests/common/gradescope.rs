//! What Gradescope documents of an autograder's results.json ("Autograder Specifications", "Output Format"):
//! the fields that there are, and what they may hold.

use serde_json::Value;

/// What a field may hold.
enum Kind {
    Number,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Texts,
    Anything,
    /// A list of objects with these fields.
    Rows(&'static [(&'static str, Kind)]),
}

const FORMATS: &[&str] = &["text", "html", "simple_format", "md", "ansi"];
const VISIBILITIES: &[&str] = &["hidden", "after_due_date", "after_published", "visible"];

const TOP: &[(&str, Kind)] = &[
    ("score", Kind::Number),
    ("execution_time", Kind::Number),
    ("output", Kind::Text),
    ("output_format", Kind::Word(FORMATS)),
    ("test_output_format", Kind::Word(FORMATS)),
    ("test_name_format", Kind::Word(FORMATS)),
    ("visibility", Kind::Word(VISIBILITIES)),
    ("stdout_visibility", Kind::Word(VISIBILITIES)),
    ("extra_data", Kind::Anything),
    ("tests", Kind::Rows(TEST)),
    ("leaderboard", Kind::Anything),
];

const TEST: &[(&str, Kind)] = &[
    ("score", Kind::Number),
    ("max_score", Kind::Number),
    ("status", Kind::Word(&["passed", "failed"])),
    ("name", Kind::Text),
    ("name_format", Kind::Word(FORMATS)),
    ("number", Kind::Text),
    ("output", Kind::Text),
    ("output_format", Kind::Word(FORMATS)),
    ("tags", Kind::Texts),
    ("visibility", Kind::Word(VISIBILITIES)),
    ("extra_data", Kind::Anything),
];

/// What is wrong with results: fields that are not documented, or hold something else; no score at all.
pub fn faults(results: &Value) -> Vec<String> {
    let mut faults = faults_of(results, TOP, "");
    let scores = |test: &Value| test["score"].is_number();
    let tests = results["tests"].as_array();
    let has_tests = tests.is_some_and(|tests| !tests.is_empty() && tests.iter().all(scores));
    if !results["score"].is_number() && !has_tests {
        faults.push(String::from("neither a score nor tests that have one each"));
    }
    faults
}

fn faults_of(value: &Value, fields: &[(&str, Kind)], place: &str) -> Vec<String> {
    let Some(object) = value.as_object() else {
        return vec![format!("{place}: no object")];
    };
    let mut faults = Vec::new();
    for (name, value) in object {
        let place = format!("{place}{name}");
        match fields.iter().find(|(field, _)| field == name) {
            None => faults.push(format!("{place}: not documented")),
            Some((_, Kind::Rows(fields))) => match value.as_array() {
                None => faults.push(format!("{place}: no list")),
                Some(rows) => {
                    let rows = rows.iter().enumerate();
                    let of_row = |(at, row)| faults_of(row, fields, &format!("{place}[{at}]."));
                    faults.extend(rows.flat_map(of_row));
                }
            },
            Some((_, kind)) if !is_one(value, kind) => faults.push(format!("{place}: {value}")),
            Some(_) => {}
        }
    }
    faults
}

fn is_one(value: &Value, kind: &Kind) -> bool {
    match kind {
        Kind::Number => value.is_number(),
        Kind::Text => value.is_string(),
        Kind::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Kind::Texts => value
            .as_array()
            .is_some_and(|texts| texts.iter().all(Value::is_string)),
        Kind::Anything | Kind::Rows(_) => true,
    }
}
