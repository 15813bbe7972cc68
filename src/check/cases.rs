//! All cases, in the order in which they are run.

use super::case::{Case, parse};

/// The files: a new one is one line here.
const FILES: [(&str, &str); 9] = [
    ("echo.txt", include_str!("cases/echo.txt")),
    ("grammar.txt", include_str!("cases/grammar.txt")),
    ("spaces.txt", include_str!("cases/spaces.txt")),
    ("framing.txt", include_str!("cases/framing.txt")),
    ("reports.txt", include_str!("cases/reports.txt")),
    ("whatsat.txt", include_str!("cases/whatsat.txt")),
    ("places.txt", include_str!("cases/places.txt")),
    ("flood.txt", include_str!("cases/flood.txt")),
    ("faults.txt", include_str!("cases/faults.txt")),
];

/// The servers as the files call them.
const NAMES: [&str; 5] = ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"];

/// Reads all of them, for servers of these names, in the order of the files' own.
///
/// # Errors
/// There are not five; or the file, the line, and what is wrong with it: a test reads them all.
pub fn all(names: &[&str]) -> Result<Vec<Case>, String> {
    if names.len() != NAMES.len() {
        let found = names.len();
        return Err(format!(
            "the cases are about five servers; this herd has {found}"
        ));
    }
    let mut cases = Vec::new();
    for (file, text) in FILES {
        // In two steps, since a name may be another's.
        let mut text = text.to_string();
        for (number, name) in NAMES.iter().enumerate() {
            text = text.replace(name, &format!("\u{1}{number}\u{1}"));
        }
        for (number, name) in names.iter().enumerate() {
            text = text.replace(&format!("\u{1}{number}\u{1}"), name);
        }
        cases.extend(parse(&text).map_err(|why| format!("{file}, {why}"))?);
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::places::Manner;
    use crate::check::step::Step;

    #[test]
    fn each_case_has_a_name_of_its_own_a_title_a_rule_and_something_to_do() {
        let cases = all(&NAMES).expect("they can be read");
        let names: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        assert!(cases.len() >= 150, "{}", cases.len());
        for case in &cases {
            assert!(
                !case.title.is_empty() && !case.steps.is_empty(),
                "{}",
                case.id
            );
            assert!(case.rule.sentence.ends_with('.'), "{}", case.id);
            for step in &case.steps {
                if let Step::Google(word) = step {
                    assert!(Manner::named(word).is_some(), "{}: {word}", case.id);
                }
            }
        }
    }
}
