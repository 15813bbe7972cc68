//! The verdict as Gradescope's autograders want it: the results.json of its documentation ("Autograder
//! Specifications", "Output Format"). Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::report::{self, Ran, Style};

/// What all required cases are worth together.
const POINTS: f64 = 100.0;

/// `tests`, one for each topic of the required rules, each worth the same share of 100 points, of which
/// it gets what passes; and one without points for each topic beyond.
pub fn results(ran: &[Ran<'_>], notes: &[String]) -> Value {
    let mut topics: BTreeMap<(bool, &str), Vec<&Ran<'_>>> = BTreeMap::new();
    for one in ran {
        let rule = &one.0.rule;
        let key = (!rule.required, rule.topic.as_str());
        topics.entry(key).or_default().push(one);
    }
    let required = topics.keys().filter(|(beyond, _)| !beyond).count();
    let share = POINTS / required.max(1) as f64;
    let test = |(number, ((beyond, topic), cases)): (usize, (&(bool, &str), &Vec<&Ran<'_>>))| {
        let passed = cases
            .iter()
            .filter(|(_, outcome)| outcome.failure.is_none());
        let (passed, all) = (passed.count(), cases.len());
        let most = if *beyond { 0.0 } else { share };
        let style = Style::new(false);
        let output = cases.iter().map(|one| report::of_case(one, false, style));
        json!({
            "number": (number + 1).to_string(),
            "name": format!("{topic}: {passed} of {all} cases"),
            "score": rounded(most * passed as f64 / all as f64),
            "max_score": rounded(most),
            "status": if passed == all { "passed" } else { "failed" },
            "output": output.collect::<String>(),
            "visibility": "visible",
        })
    };
    json!({
        "output": report::summary(ran, notes, Style::new(false)),
        "visibility": "visible",
        "stdout_visibility": "visible",
        "tests": topics.iter().enumerate().map(test).collect::<Vec<_>>(),
    })
}

/// To a hundredth of a point.
fn rounded(points: f64) -> f64 {
    (points * 100.0).round() / 100.0
}
