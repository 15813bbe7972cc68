//! What cases that failed have in common: likely causes, in words that help to find them. Pure.

use super::case::Case;
use super::failure::Failure;
use super::wire::Quiet;

/// A cause: what it looks like in one failure.
struct Cause {
    looks_like: fn(&Case, &Failure) -> bool,
    /// How often before it is said.
    least: usize,
    says: &'static str,
}

const CAUSES: [Cause; 19] = [
    Cause {
        looks_like: |_, failure| {
            let text = skew_of(failure);
            text.is_some_and(|skew| skew.contains('e') || decimals(&skew) != 9)
        },
        least: 1,
        says: "a skew looks like str(time.time() - t): print a sign and nine decimals, as f'{skew:+.9f}' does",
    },
    Cause {
        looks_like: |_, failure| {
            skew_of(failure)
                .is_some_and(|skew| !skew.starts_with(['+', '-']) && decimals(&skew) == 9)
        },
        least: 1,
        says: "a skew that is not negative has its + too",
    },
    Cause {
        looks_like: |case, failure| {
            case.rule.topic == "skew" && failure.expected.contains("skew of about")
        },
        least: 1,
        says: "a skew is the server's time minus the client's: this one is turned around, or measured at another moment",
    },
    Cause {
        looks_like: |case, _| case.rule.topic == "segment",
        least: 2,
        says: "it answers a read instead of a line: gather what comes, and take a command out at each LF (asyncio: readline, not read)",
    },
    Cause {
        looks_like: |_, failure| {
            failure.quiet == Some(Quiet::Silence)
                && failure.got.is_empty()
                && !failure.sent.is_empty()
        },
        least: 1,
        says: "there was no answer at all to some lines: look for an exception in what your server prints",
    },
    Cause {
        looks_like: |_, failure| {
            failure.quiet == Some(Quiet::Silence)
                && !failure.got.is_empty()
                && !failure.got.ends_with(b"\n")
        },
        least: 1,
        says: "an answer does not end with a line feed",
    },
    Cause {
        looks_like: |case, failure| {
            matches!(failure.quiet, Some(Quiet::Closed | Quiet::Reset))
                && case.rule.topic == "close"
        },
        least: 1,
        says: "it closes after one answer: read on until the client ends",
    },
    Cause {
        looks_like: |case, failure| {
            case.rule.topic == "position" && failure.got.starts_with(b"AT ")
        },
        least: 1,
        says: "it takes positions that are none: check both signs, the digits, and the ranges -90 to 90 and -180 to 180, by the text and not by float()",
    },
    Cause {
        looks_like: |case, failure| {
            matches!(case.rule.topic.as_str(), "time" | "bounds")
                && !failure.got.starts_with(b"? ")
                && failure.expected.contains("? ")
        },
        least: 1,
        says: "it takes numbers that are none, or too large: check the text before int() or float(), which take signs, underscores, exponents and nan",
    },
    Cause {
        looks_like: |_, failure| {
            let sent = failure.sent.trim_ascii();
            let copy = failure
                .got
                .strip_prefix(b"?")
                .unwrap_or_default()
                .trim_ascii();
            failure.expected.contains("\"? ")
                && !copy.is_empty()
                && squeezed(copy) == squeezed(sent)
        },
        least: 1,
        says: "an invalid command comes back with other white space: copy the line, not its fields",
    },
    Cause {
        looks_like: |case, failure| case.rule.topic == "newest" && failure.got.starts_with(b"AT "),
        least: 1,
        says: "an older report changes something: keep a report only if its time is newer, at the server that is told and at those that hear of it",
    },
    Cause {
        looks_like: |_, failure| {
            failure.sent.starts_with(b"AT ") && failure.expected.contains("\"? AT ")
        },
        least: 1,
        says: "it believes an AT from a phone: only servers may say AT, so know which connections are theirs",
    },
    Cause {
        looks_like: |case, _| case.rule.topic == "flood",
        least: 2,
        says: "reports do not reach all servers: forward each new one to every neighbour but the one it came from",
    },
    Cause {
        looks_like: |case, failure| {
            case.rule.topic == "places" && failure.expected.contains("two newlines")
        },
        least: 1,
        says: "behind the JSON stand exactly two newlines, and within it never two in a row",
    },
    Cause {
        looks_like: |_, failure| {
            failure.got.starts_with(b"?") && failure.expected.contains("\"AT ")
        },
        least: 1,
        says: "a command that is right is answered as if it were not: look which of its fields your server minds",
    },
    Cause {
        looks_like: |case, failure| {
            case.rule.topic == "google" && failure.expected.contains("byte for byte")
        },
        least: 2,
        says: "Google's JSON is printed anew: hand on its bytes, and do not read and write it (json.dumps makes \\u00e9 of é)",
    },
    Cause {
        looks_like: |_, failure| failure.expected.contains("and it was not asked"),
        least: 1,
        says: "your server has not asked the stand-in for Google, though COMMAND names it: use the address that it is given",
    },
    Cause {
        looks_like: |case, failure| case.rule.topic == "question" && failure.server == "Google",
        least: 1,
        says: "Google is asked about another circle: location=LATITUDE,LONGITUDE in degrees, radius in metres",
    },
    Cause {
        looks_like: |case, _| case.rule.topic == "upstream",
        least: 2,
        says: "if Google fails, the client has to wait or gets nothing: catch what goes wrong, and set a time limit",
    },
];

/// Likely causes of these failures, the most frequent first, and how many cases point to each.
pub fn hints(failed: &[(&Case, &Failure)]) -> Vec<(usize, &'static str)> {
    let count = |cause: &Cause| {
        let like = |(case, failure): &&(&Case, &Failure)| (cause.looks_like)(case, failure);
        failed.iter().filter(like).count()
    };
    let mut hints: Vec<_> = CAUSES
        .iter()
        .map(|cause| (count(cause), cause))
        .filter(|(count, cause)| *count >= cause.least)
        .map(|(count, cause)| (count, cause.says))
        .collect();
    hints.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    hints
}

/// What stands where a skew should, if that is where an answer differs.
fn skew_of(failure: &Failure) -> Option<String> {
    let text = String::from_utf8_lossy(&failure.got).into_owned();
    let mut fields = text.split(' ');
    let is_at = fields.next() == Some("AT") && failure.expected.contains("skew");
    let skew = fields.nth(1)?;
    let begins = text.find(skew)?;
    (is_at && failure.at == begins).then(|| skew.to_string())
}

fn decimals(skew: &str) -> usize {
    skew.split_once('.')
        .map_or(0, |(_, decimals)| decimals.len())
}

fn squeezed(bytes: &[u8]) -> Vec<u8> {
    let kept = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    kept.copied().collect()
}
