//! What the checker says: in words for people, in JSON for programs.

use serde_json::{Value, json};

use super::case::Case;
use super::failure::Failure;
use super::hints::hints;
use super::log::Entry;
use super::run::Outcome;
use super::wire::Quiet;

/// How much of an answer is shown around the first byte that differs.
const AROUND: usize = 60;
/// How much is shown of what was sent, and of what was expected.
const SHOWN: usize = 400;

/// Colours, if there is a terminal.
#[derive(Clone, Copy)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// With colours or without.
    pub fn new(colours: bool) -> Style {
        Style { colours }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_string(),
        }
    }

    fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// A case that was run, and how it ended.
pub type Ran<'a> = (&'a Case, Outcome);

/// The line of a case that was run, and what it teaches if it failed.
pub fn of_case(ran: &Ran<'_>, verbose: bool, style: Style) -> String {
    let (case, outcome) = ran;
    let mut text = match &outcome.failure {
        None if verbose => format!("{} {}  {}\n", style.good("ok  "), case.id, case.title),
        None => String::new(),
        Some(failure) => {
            let beyond = if case.rule.required {
                ""
            } else {
                " (beyond what is required)"
            };
            let hint = match case.hint.is_empty() {
                true => String::new(),
                false => format!("      hint: {}\n", case.hint),
            };
            format!(
                "{} {}  {}{beyond}\n{}      rule: {}\n{hint}",
                style.bad("FAIL"),
                case.id,
                case.title,
                of_failure(failure),
                case.rule.sentence
            )
        }
    };
    if verbose {
        text.extend(outcome.happened.iter().map(of_entry));
    }
    text
}

/// A line of the log: seconds since the check began, who told whom, the bytes.
fn of_entry(entry: &Entry) -> String {
    let bytes = entry.bytes.escape_ascii();
    let more = entry.length - entry.bytes.len();
    let more = match more {
        0 => String::new(),
        more => format!("… ({more} bytes more)"),
    };
    let seconds = entry.when.as_secs_f64();
    let line = format!("      {seconds:9.3} s  {:24} {bytes}{more}", entry.what);
    format!("{}\n", line.trim_end())
}

fn of_failure(failure: &Failure) -> String {
    let mut text = String::new();
    if !failure.sent.is_empty() {
        text += &format!(
            "      sent to {}: {}\n",
            failure.server,
            shown(&failure.sent.escape_ascii().to_string())
        );
    }
    let from = failure.at.saturating_sub(AROUND);
    let end = failure.got.len().min(failure.at + AROUND);
    let before = failure.got[from.min(end)..failure.at.min(end)]
        .escape_ascii()
        .to_string();
    let behind = failure.got[failure.at.min(end)..end]
        .escape_ascii()
        .to_string();
    let dots = if from > 0 { "…" } else { "" };
    let lead = format!("      came: {dots}");
    match failure.got.is_empty() {
        true => text += &format!("{lead}nothing\n"),
        false => {
            text += &format!("{lead}{before}{behind}\n");
            let column = lead.chars().count() + before.len();
            text += &format!("{}^ byte {}\n", " ".repeat(column), failure.at);
        }
    }
    text += &format!("      expected: {}\n", shown(&failure.expected));
    let then = match failure.quiet {
        Some(Quiet::Silence) => "and then nothing more came in time",
        Some(Quiet::Closed) => "and then the connection was closed",
        Some(Quiet::Reset) => "and then the connection was broken off",
        Some(Quiet::TooMuch) => "and there was no end to it",
        None => return text,
    };
    text + &format!("      {then}\n")
}

/// A text, or the first of it.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes more)", &text[..end], text.len() - end),
        None => text.to_string(),
    }
}

/// How many passed, of those that are required and of those beyond.
pub fn counts(ran: &[Ran<'_>]) -> [(usize, usize); 2] {
    [true, false].map(|required| {
        let those = ran
            .iter()
            .filter(|(case, _)| case.rule.required == required);
        let (mut passed, mut all) = (0, 0);
        for (_, outcome) in those {
            all += 1;
            passed += usize::from(outcome.failure.is_none());
        }
        (passed, all)
    })
}

/// Likely causes, and the line that sums it up.
pub fn summary(ran: &[Ran<'_>], notes: &[String], style: Style) -> String {
    let mut text = String::new();
    let causes = hints(&failures(ran));
    if !causes.is_empty() {
        text += "\nLikely causes:\n";
        for (count, cause) in causes {
            let cases = if count == 1 { "case" } else { "cases" };
            text += &format!("  {count:3} {cases:5}  {cause}\n");
        }
    }
    for note in notes {
        text += &format!("\nnote: {note}\n");
    }
    let [(passed, required), (more, beyond)] = counts(ran);
    let mut line = format!("{passed} of {required} required cases pass, {more} of {beyond} beyond");
    let forgiven = ran.iter().filter(|(_, outcome)| outcome.forgiven).count();
    if forgiven > 0 {
        line += &format!("; {forgiven} that fail would be forgiven by a lenient grader");
    }
    let line = match passed == required {
        true => style.good(&line),
        false => style.bad(&line),
    };
    format!("{text}\n{line}\n")
}

fn failures<'a>(ran: &'a [Ran<'_>]) -> Vec<(&'a Case, &'a Failure)> {
    ran.iter()
        .filter_map(|(case, outcome)| Some((*case, outcome.failure.as_ref()?)))
        .collect()
}

/// The report for programs, as NOTES ("The report of a check") documents it.
pub fn json(ran: &[Ran<'_>], skipped: usize, notes: &[String]) -> Value {
    let case = |(case, outcome): &Ran<'_>| {
        let mut row = json!({
            "id": case.id,
            "title": case.title,
            "rule": case.rule.sentence,
            "hint": case.hint,
            "course": case.rule.of_the_course,
            "required": case.rule.required,
            "passed": outcome.failure.is_none(),
            "forgiven": outcome.forgiven,
        });
        if let Some(failure) = &outcome.failure {
            row["server"] = failure.server.clone().into();
            row["sent"] = failure.sent.escape_ascii().to_string().into();
            row["came"] = failure.got.escape_ascii().to_string().into();
            row["expected"] = failure.expected.clone().into();
            row["differs_at"] = failure.at.into();
        }
        row
    };
    let [required, beyond] = counts(ran).map(|(passed, all)| json!({"passed": passed, "all": all}));
    let causes = hints(&failures(ran));
    let hint = |(count, says): (usize, &str)| json!({"cases": count, "says": says});
    json!({
        "cases": ran.iter().map(case).collect::<Vec<_>>(),
        "skipped": skipped,
        "hints": causes.into_iter().map(hint).collect::<Vec<_>>(),
        "notes": notes,
        "required": required,
        "beyond": beyond,
    })
}
