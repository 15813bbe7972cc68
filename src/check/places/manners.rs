//! How the stand-in behaves, and what it says: a table. Pure.

use std::time::Duration;

use super::question::Question;

/// A slow one thinks for so long.
const SLOW: Duration = Duration::from_millis(2_000);

/// One way to behave.
pub struct Manner {
    /// What `google WORD` in a case calls it.
    pub name: &'static str,
    /// Before each answer.
    pub delay: Duration,
    /// How the answer goes out.
    pub frame: Frame,
    says: Says,
}

/// How an answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// With its length.
    Length,
    /// In chunks.
    Chunked,
    /// Its end is the connection's.
    ToTheEnd,
    /// With its length, of which half comes.
    Cut,
    /// None goes out: the connection closes.
    Closed,
    /// None goes out, and nothing closes.
    Hang,
    /// Bytes that are no HTTP.
    Garbage,
}

enum Says {
    /// So many places, with these names in turn; between their lines stands this.
    Places(usize, &'static [&'static str], &'static str),
    /// The older search's `status`; the newer one's HTTP status and `error.status`.
    Refusal(&'static str, u16, &'static str),
    /// This, with this HTTP status.
    Text(u16, &'static str),
}

const PLAIN: &[&str] = &["Diddy Riese", "Ackerman Union", "Powell Library"];
/// As bytes and as escapes: both are right, and each stays what it is.
const ACCENTS: &[&str] = &[
    "Caf\u{e9} Zo\u{eb}",
    r"Caf\u00e9 Zo\u00EB",
    "\u{65e5}\u{672c}\u{6a4b}",
    "\u{1f411} \\ud83d\\udc11",
    r#"a\/b \"c\" \n d"#,
];
const HTML: &str = "<!DOCTYPE html>\n<title>Error 500 (Server Error)!!1</title>\n";

const fn manner(name: &'static str, says: Says) -> Manner {
    Manner {
        name,
        delay: Duration::ZERO,
        frame: Frame::Length,
        says,
    }
}

const fn framed(name: &'static str, frame: Frame) -> Manner {
    let says = Says::Places(3, ACCENTS, "\n");
    Manner {
        frame,
        ..manner(name, says)
    }
}

/// All of them; the first is what a case finds.
static MANNERS: [Manner; 20] = [
    manner("places", Says::Places(20, PLAIN, "\n")),
    manner("few", Says::Places(3, PLAIN, "\n")),
    manner("accents", Says::Places(5, ACCENTS, "\n")),
    manner("blank-lines", Says::Places(3, PLAIN, "\n\n\n")),
    manner("returns", Says::Places(3, PLAIN, "\r\n")),
    manner("one-line", Says::Places(3, PLAIN, "")),
    manner("none", Says::Refusal("ZERO_RESULTS", 200, "")),
    manner(
        "over-limit",
        Says::Refusal("OVER_QUERY_LIMIT", 429, "RESOURCE_EXHAUSTED"),
    ),
    manner(
        "denied",
        Says::Refusal("REQUEST_DENIED", 403, "PERMISSION_DENIED"),
    ),
    manner(
        "invalid",
        Says::Refusal("INVALID_REQUEST", 400, "INVALID_ARGUMENT"),
    ),
    manner("broken", Says::Text(500, HTML)),
    manner("html", Says::Text(200, HTML)),
    manner("half", Says::Text(200, "{\"results\" : [ {}, ")),
    framed("chunked", Frame::Chunked),
    framed("to-the-end", Frame::ToTheEnd),
    framed("cut", Frame::Cut),
    framed("closed", Frame::Closed),
    framed("hangs", Frame::Hang),
    framed("garbage", Frame::Garbage),
    Manner {
        delay: SLOW,
        ..manner("slow", Says::Places(20, PLAIN, "\n"))
    },
];

impl Manner {
    /// The one that a case finds.
    pub fn usual() -> &'static Manner {
        &MANNERS[0]
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Manner> {
        MANNERS.iter().find(|manner| manner.name == name)
    }

    /// The answer to a question: an HTTP status and a body.
    pub fn answer(&self, question: &Question) -> (u16, String) {
        if question.circle.is_none() {
            return refusal("INVALID_REQUEST", 400, "INVALID_ARGUMENT", question.is_new);
        }
        match self.says {
            Says::Places(count, names, newline) => {
                let lines = match question.is_new {
                    true => newer(question, count.min(question.count), names),
                    false => older(question, count, names),
                };
                let ended = lines.iter().map(|line| format!("{line}{newline}"));
                (200, ended.collect())
            }
            Says::Refusal(word, status, newer) => refusal(word, status, newer, question.is_new),
            Says::Text(status, text) => (status, text.to_string()),
        }
    }
}

/// Nearby Search as it was: the layout is Google's.
fn older(question: &Question, count: usize, names: &[&str]) -> Vec<String> {
    let mut lines = vec!["{".into(), "   \"html_attributions\" : [],".into()];
    lines.push("   \"results\" : [".into());
    let (latitude, longitude) = middle(question);
    for (number, name) in names.iter().cycle().take(count).enumerate() {
        let comma = if number + 1 < count { "," } else { "" };
        lines.extend([
            "      {".into(),
            "         \"geometry\" : {".into(),
            format!(
                "            \"location\" : {{ \"lat\" : {latitude:.7}, \"lng\" : {longitude:.7} }}"
            ),
            "         },".into(),
            format!("         \"name\" : \"{name}\","),
            format!("         \"place_id\" : \"place-{number}\","),
            "         \"rating\" : 4.0,".into(),
            "         \"types\" : [ \"cafe\", \"food\" ]".into(),
            format!("      }}{comma}"),
        ]);
    }
    lines.extend(["   ],".into(), "   \"status\" : \"OK\"".into(), "}".into()]);
    lines
}

/// `places:searchNearby`.
fn newer(question: &Question, count: usize, names: &[&str]) -> Vec<String> {
    let mut lines = vec!["{".into(), "  \"places\": [".into()];
    let (latitude, longitude) = middle(question);
    for (number, name) in names.iter().cycle().take(count).enumerate() {
        let comma = if number + 1 < count { "," } else { "" };
        lines.extend([
            "    {".into(),
            format!("      \"id\": \"place-{number}\","),
            "      \"location\": {".into(),
            format!("        \"latitude\": {latitude:.7},"),
            format!("        \"longitude\": {longitude:.7}"),
            "      },".into(),
            format!("      \"displayName\": {{ \"text\": \"{name}\" }}"),
            format!("    }}{comma}"),
        ]);
    }
    lines.extend(["  ]".into(), "}".into()]);
    lines
}

fn middle(question: &Question) -> (f64, f64) {
    let circle = question.circle;
    circle.map_or((0.0, 0.0), |circle| (circle.latitude, circle.longitude))
}

fn refusal(word: &str, status: u16, newer: &str, is_new: bool) -> (u16, String) {
    match (is_new, newer) {
        (true, "") => (200, String::from("{}\n")),
        (true, _) => (
            status,
            format!(
                "{{\n  \"error\": {{\n    \"code\": {status},\n    \"message\": \"The stand-in says no.\",\n    \
                 \"status\": \"{newer}\"\n  }}\n}}\n"
            ),
        ),
        (false, _) => (
            200,
            format!(
                "{{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"{word}\"\n}}\n"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::check::places::question::Circle;

    fn question(is_new: bool) -> Question {
        Question {
            is_new,
            circle: Some(Circle {
                latitude: 34.5,
                longitude: -118.25,
                radius: 10.0,
            }),
            count: 2,
            stays: true,
        }
    }

    #[test]
    fn places_are_json_however_they_are_laid_out() {
        let names: BTreeSet<&str> = MANNERS.iter().map(|manner| manner.name).collect();
        assert_eq!(names.len(), MANNERS.len());
        for manner in &MANNERS {
            let Says::Places(count, _, newline) = manner.says else {
                continue;
            };
            for (is_new, key, count) in [(false, "results", count), (true, "places", 2)] {
                let (status, body) = manner.answer(&question(is_new));
                let value: Value = serde_json::from_str(&body).expect(manner.name);
                let results = value[key].as_array().expect("an array");
                assert_eq!((status, results.len()), (200, count), "{}", manner.name);
                assert!(body.ends_with(&format!("}}{newline}")));
            }
        }
        assert_eq!(Manner::usual().name, "places");
        assert!(Manner::named("hangs").is_some() && Manner::named("nothing").is_none());
    }

    #[test]
    fn refusals_are_google_s() {
        let denied = Manner::named("denied").expect("one");
        let (status, body) = denied.answer(&question(false));
        let value: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &value["status"]), (200, &"REQUEST_DENIED".into()));
        let (status, body) = denied.answer(&question(true));
        let value: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(status, 403);
        assert_eq!(value["error"]["status"], "PERMISSION_DENIED");
        let nowhere = Question {
            circle: None,
            ..question(false)
        };
        assert!(denied.answer(&nowhere).1.contains("INVALID_REQUEST"));
    }
}
