//! Keys that stand twice in one object: RFC 8259 leaves open who wins, so nobody should. Pure.

use std::collections::BTreeSet;

/// One object or array that is open.
#[derive(Default)]
struct Open {
    /// `None` in an array.
    keys: Option<BTreeSet<String>>,
    /// The key whose value is read.
    key: String,
}

/// The place of the first key that stands twice in its object, such as `servers.Ada`. The text is
/// JSON that was parsed already.
pub fn repeated_key(text: &str) -> Option<String> {
    let mut open: Vec<Open> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '{', '}', '[', ']']) {
        let length = match rest.as_bytes()[at] {
            b'"' => string_length(&rest[at..]),
            _ => 1,
        };
        let (token, behind) = (&rest[at..at + length], &rest[at + length..]);
        rest = behind;
        match token {
            "{" => open.push(Open {
                keys: Some(BTreeSet::new()),
                ..Open::default()
            }),
            "[" => open.push(Open::default()),
            "}" | "]" => drop(open.pop()),
            // A string that a colon follows is a key.
            string if rest.trim_ascii_start().starts_with(':') => {
                let Some(Open {
                    keys: Some(keys),
                    key,
                }) = open.last_mut()
                else {
                    continue;
                };
                *key = serde_json::from_str(string).unwrap_or_default();
                if !keys.insert(key.clone()) {
                    let path: Vec<&str> = open.iter().map(|open| open.key.as_str()).collect();
                    return Some(path.join("."));
                }
            }
            _ => {}
        }
    }
    None
}

/// How long the string is that a text begins with, quotation marks included.
fn string_length(text: &str) -> usize {
    let mut escaped = true;
    let end = text.bytes().position(|byte| {
        let is_end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_wherever_it_is() {
        for (text, wanted) in [
            (
                r#"{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": 4}]}"#,
                None,
            ),
            (r#"{"a": "a", "b": ["a", "b", "\"a\": {"]}"#, None),
            (r#"{"a" : 1, "a":2}"#, Some("a")),
            (r#"{"b": {"x\\": 1, "x\"": 2, "x\\": 3}}"#, Some("b.x\\")),
            (r#"{"b": [{"x": 1, "\u0078": 3}]}"#, Some("b..x")),
            (r#"{"": 1, "": 2}"#, Some("")),
            ("7", None),
        ] {
            assert_eq!(repeated_key(text).as_deref(), wanted, "{text}");
        }
    }
}
