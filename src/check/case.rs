//! Cases as data: the files of `cases/`, read. Pure.
//!
//! ```text
//! rule S required segment  A command is a line ended by LF; a segment is not a line.
//!
//! case FRM-02 two commands in one write
//!   send a Bailey "IAMAT ${id} +34-118 ${now}\nHELLO\n"
//!   read a "AT Bailey ${skew} ${id} +34-118 ${now}\n"
//!   read a "? HELLO\n"
//! ```
//!
//! A rule is that of all cases below it, and so is the `hint` behind it: which mistake is likely if they
//! fail. A case may have one of its own. Three lines are whole cases: `invalid ID "LINE" title`, which is
//! echoed; `position ID "TEXT" title` and `time ID "TEXT" title`, which an IAMAT may have.

use super::step::Step;
use super::text::Text;
use super::words::Words;

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name, such as `FRM-02`.
    pub id: String,
    /// What it is about, in a few words.
    pub title: String,
    /// The rule that it looks at.
    pub rule: Rule,
    /// The mistake that is likely if it fails.
    pub hint: String,
    /// What is done.
    pub steps: Vec<Step>,
}

/// A rule of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In a sentence.
    pub sentence: String,
    /// True if the course's specification says so; else it is silent, and this is our reading.
    pub of_the_course: bool,
    /// True if a right server passes; else it goes beyond what a course asks.
    pub required: bool,
    /// What mistakes against it have in common, for hints.
    pub topic: String,
}

impl Case {
    /// True if it does something to servers, which only whoever has started them can.
    pub fn needs_processes(&self) -> bool {
        self.steps.iter().any(Step::needs_processes)
    }

    /// True if it looks at places: servers must ask the stand-in for them.
    pub fn needs_places(&self) -> bool {
        self.steps.iter().any(Step::needs_places)
    }
}

/// Reads a file of cases.
///
/// # Errors
/// The line, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    let (mut rule, mut hint) = (None, String::new());
    for (number, line) in text.lines().enumerate() {
        let at = |why: String| format!("line {}: {why}: {line}", number + 1);
        let mut words = Words(line.trim());
        let first = words.word();
        match (line.starts_with(' '), first) {
            (_, "" | "#") => {}
            (true, "hint") => {
                let case = cases.last_mut();
                let case = case.ok_or_else(|| at("a hint for no case".into()))?;
                case.hint = words.0.to_string();
            }
            (false, "hint") => hint = words.0.to_string(),
            (true, first) => {
                let case = cases
                    .last_mut()
                    .ok_or_else(|| at("a step of no case".into()))?;
                case.steps.push(Step::parse(first, &mut words).map_err(at)?);
            }
            (false, "rule") => {
                rule = Some(read_rule(&mut words).map_err(at)?);
                hint.clear();
            }
            (false, first) => {
                let rule = rule.clone().ok_or_else(|| at("a case of no rule".into()))?;
                let mut case = case(first, &mut words, rule).map_err(at)?;
                case.hint.clone_from(&hint);
                cases.push(case);
            }
        }
    }
    Ok(cases)
}

fn read_rule(words: &mut Words<'_>) -> Result<Rule, String> {
    let of_the_course = match words.word() {
        "S" => true,
        "D" => false,
        other => return Err(format!("{other:?} is neither S nor D")),
    };
    let required = match words.word() {
        "required" => true,
        "beyond" => false,
        other => return Err(format!("{other:?} is neither required nor beyond")),
    };
    let topic = words.word().to_string();
    Ok(Rule {
        sentence: words.0.to_string(),
        of_the_course,
        required,
        topic,
    })
}

fn case(kind: &str, words: &mut Words<'_>, rule: Rule) -> Result<Case, String> {
    let id = words.word().to_string();
    let ask = |command: &str, line: &str| -> Result<Step, String> {
        Ok(Step::Ask {
            to: String::from("Bailey"),
            command: Text::parse(command)?,
            line: Text::parse(line)?,
            most: None,
            within: None,
        })
    };
    let report = |position: &str, time: &str| {
        let tail = format!("{position} {time}\\n");
        ask(
            &format!("IAMAT ${{id}} {tail}"),
            &format!("AT Bailey ${{skew}} ${{id}} {tail}"),
        )
    };
    let steps = match kind {
        "case" => Vec::new(),
        "invalid" => {
            let line = words.quoted()?;
            vec![ask(&format!("{line}\\n"), &format!("? {line}\\n"))?]
        }
        "position" => vec![report(words.quoted()?, "${now}")?],
        "time" => vec![report("+34.068930-118.445127", words.quoted()?)?],
        other => return Err(format!("{other:?} begins nothing")),
    };
    Ok(Case {
        id,
        title: words.0.to_string(),
        rule,
        hint: String::new(),
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_rules_and_cases() {
        let text = r#"
# A comment.
rule S required echo An invalid command is echoed.
invalid INV-1 "a \"b\"" a word
rule D beyond freeze A neighbour that freezes delays nobody.
case FRZ-1 one that is frozen
  freeze Bona
  send a Clark "IAMAT " "x\n" end
  places a "AT ${at}\n" 5
  ask Clark "HELLO\n" "? HELLO\n" 500
  thaw Bona
position POS-1 "+1-1" short
"#;
        let cases = parse(text).expect("cases");
        let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids, ["INV-1", "FRZ-1", "POS-1"]);
        assert_eq!(cases[0].title, "a word");
        assert!(cases[0].rule.required && !cases[1].rule.required);
        assert!(!cases[0].needs_processes() && cases[1].needs_processes());
        assert_eq!(cases[1].steps.len(), 5);
        let Step::Ask { command, line, .. } = &cases[0].steps[0] else {
            panic!("{:?}", cases[0].steps);
        };
        assert_eq!(command, &Text::parse("a \"b\"\\n").expect("a text"));
        assert_eq!(line, &Text::parse("? a \"b\"\\n").expect("a text"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, why) in [
            ("case A b", "line 1: a case of no rule"),
            ("rule X required a b", "neither S nor D"),
            ("rule S must a b", "neither required nor beyond"),
            ("  read a \"x\"", "a step of no case"),
            (
                "rule S required a b\nfoo X",
                "line 2: \"foo\" begins nothing",
            ),
            (
                "rule S required a b\ncase X y\n  jump a",
                "\"jump\" is no step",
            ),
            ("rule S required a b\ninvalid X y", "quotation mark"),
        ] {
            let said = parse(text).expect_err(text);
            assert!(said.contains(why), "{said}");
        }
    }
}
