//! Whether places are those that Google gave, as the protocol wants them handed on. Pure.

use serde_json::Value;

/// So much of what was expected is shown.
const SHOWN: usize = 60;

/// What differs, and from which byte of the answer on.
pub type Difference = (usize, String);

/// Compares an answer's frame with what Google gave: byte for byte, newlines folded; by value if the bound
/// cuts results off, since what white space stays behind them is nobody's rule.
///
/// # Errors
/// What differs.
pub fn compare(frame: &[u8], gave: &[u8], bound: usize) -> Result<(), Difference> {
    let cut = serde_json::from_slice(gave)
        .ok()
        .and_then(|value| cut(value, bound));
    if let Some(expected) = cut {
        let found: Option<Value> = serde_json::from_slice(frame).ok();
        return match found.as_ref() == Some(&expected) {
            true => Ok(()),
            false => Err((
                0,
                format!("Google's answer as it is, but for the results behind the first {bound}"),
            )),
        };
    }
    let expected = folded(gave);
    let same = expected.iter().zip(frame).take_while(|(a, b)| a == b);
    let same = same.count();
    if same == expected.len() && same == frame.len() {
        return Ok(());
    }
    let rest = &expected[same..expected.len().min(same + SHOWN)];
    let rest = rest.escape_ascii();
    Err((
        same,
        format!("Google's answer byte for byte, newlines folded: here \"{rest}\""),
    ))
}

/// Every run of newlines is made one, those at the end are removed, and two end it. CR LF is a newline.
fn folded(body: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut rest = body;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'\r', [b'\n', ..]) => {}
            (b'\n', _) if out.last() == Some(&b'\n') => {}
            (other, _) => out.push(*other),
        }
    }
    while out.last() == Some(&b'\n') {
        out.pop();
    }
    out.extend_from_slice(b"\n\n");
    out
}

/// The value with so many results, if it has more.
fn cut(mut value: Value, bound: usize) -> Option<Value> {
    let key = if value.get("results").is_some() {
        "results"
    } else {
        "places"
    };
    let results = value.get_mut(key)?.as_array_mut()?;
    let is_more = results.len() > bound;
    results.truncate(bound);
    is_more.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_google_s_by_the_byte() {
        let gave =
            "{\n\n \"results\" : [ {\"name\" : \"Caf\u{e9}\"} ],\r\n\"status\" : \"OK\"}\n\n\n";
        let right = "{\n \"results\" : [ {\"name\" : \"Caf\u{e9}\"} ],\n\"status\" : \"OK\"}\n\n";
        assert_eq!(compare(right.as_bytes(), gave.as_bytes(), 1), Ok(()));
        for (wrong, at) in [
            (right.replace('\u{e9}', "\\u00e9"), 31),
            (right.replace(" : ", ":"), 12),
            (right.replace("\n\n", "\n"), right.len() - 1),
            (format!("{right}\n"), right.len()),
        ] {
            let found = compare(wrong.as_bytes(), gave.as_bytes(), 1).expect_err(&wrong);
            assert_eq!(found.0, at, "{found:?}");
        }
    }

    #[test]
    fn what_is_cut_is_compared_by_value() {
        let gave = br#"{"results" : [ {"a":1}, {"a":2}, {"a":3} ], "status" : "OK"}"#;
        let right = br#"{"results":[{"a":1},{"a":2}],"status":"OK"}"#;
        assert_eq!(compare(right, gave, 2), Ok(()));
        assert!(compare(right, gave, 1).is_err() && compare(right, gave, 3).is_err());
        assert!(compare(br#"{"results":[{"a":1},{"a":2}]}"#, gave, 2).is_err());
    }
}
