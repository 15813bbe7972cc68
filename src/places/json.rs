//! Where things stand in a JSON text, which itself stays as it is. Pure.

use std::ops::Range;

use serde_json::Deserializer;
use serde_json::value::RawValue;

/// How many arrays and objects may stand in one another; Google's answers need 8.
pub(super) const DEPTH_MAX: usize = 64;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    NotJson,
    /// Deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Another kind of value than was looked for.
    OtherKind,
    /// A member that was looked for is there twice.
    Duplicate(&'static str),
}

/// Where the values of an object's members of these names stand, if they are there. The whole text
/// must be one JSON object, white space around it allowed.
pub(super) fn find<const N: usize>(
    text: &str,
    names: [&'static str; N],
) -> Result<[Option<Range<usize>>; N], Flaw> {
    if is_too_deep(text) {
        return Err(Flaw::TooDeep);
    }
    serde_json::from_str::<&RawValue>(text).map_err(|_| Flaw::NotJson)?;
    let mut found = [const { None }; N];
    let mut cursor = Cursor { text, at: 0 };
    if !cursor.take(b'{') {
        return Err(Flaw::OtherKind);
    }
    let mut more = !cursor.take(b'}');
    while more {
        let key = cursor.string().ok_or(Flaw::NotJson)?;
        cursor.take(b':');
        let value = cursor.value().ok_or(Flaw::NotJson)?;
        for (name, place) in names.iter().zip(&mut found) {
            if *name == key && place.replace(value.clone()).is_some() {
                return Err(Flaw::Duplicate(name));
            }
        }
        more = cursor.take(b',');
    }
    Ok(found)
}

/// Where the elements of an array end, which stands in a valid text at `array`. All must be
/// objects.
pub(super) fn ends_of_objects(text: &str, array: &Range<usize>) -> Result<Vec<usize>, Flaw> {
    let mut cursor = Cursor {
        text: &text[..array.end],
        at: array.start,
    };
    if !cursor.take(b'[') {
        return Err(Flaw::OtherKind);
    }
    let mut ends = Vec::new();
    let mut more = !cursor.take(b']');
    while more {
        let value = cursor.value().ok_or(Flaw::NotJson)?;
        if !text[value.clone()].starts_with('{') {
            return Err(Flaw::OtherKind);
        }
        ends.push(value.end);
        more = cursor.take(b',');
    }
    Ok(ends)
}

/// Counts brackets outside strings. serde_json has no such limit for values that it only skips.
fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    text.bytes().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

/// A place in a text. serde_json reads the values from there on; white space before a thing is
/// skipped.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    /// Steps over `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let space = rest.iter().take_while(is_space).count();
        let comes = rest.get(space) == Some(&byte);
        if comes {
            self.at += space + 1;
        }
        comes
    }

    /// Reads a string, unescaped. One that no text can be (half of a surrogate pair: RFC 8259 leaves open
    /// what that is) stays as it is written, and equals nothing that is looked for.
    fn string(&mut self) -> Option<String> {
        let place = self.value()?;
        let written = self.text.get(place)?;
        let text = || serde_json::from_str(written).unwrap_or_else(|_| written.to_string());
        written.starts_with('"').then(text)
    }

    /// Steps over a value of any kind.
    fn value(&mut self) -> Option<Range<usize>> {
        let mut values = Deserializer::from_str(self.text.get(self.at..)?).into_iter();
        let value: &RawValue = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(self.at - value.get().len()..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_where_they_stand() {
        let text = " {\"a\\u0062\" : [1, {\"x\":\"}\"}] ,\n\"c\":-1.50e3,\"d\":\"\\ud800\"}\r\n";
        let found = find(text, ["ab", "c", "x", "d"]).unwrap();
        let texts = found.map(|range| range.map(|range| &text[range]));
        let wanted = [
            Some("[1, {\"x\":\"}\"}]"),
            Some("-1.50e3"),
            None,
            Some("\"\\ud800\""),
        ];
        assert_eq!(texts, wanted);
        let odd = r#"{"\ud800": 1, "a\udc00b": {"c": 2}, "c": 3}"#;
        assert_eq!(
            find(odd, ["c"]).map(|[c]| c.map(|c| &odd[c])),
            Ok(Some("3"))
        );
        assert_eq!(find("{}", ["a"]), Ok([None]));
        assert_eq!(find("\t{ } ", ["a"]), Ok([None]));
    }

    #[test]
    fn what_is_not_an_object() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":1}x",
            "{\"a\":1}{}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "{\"a\":\"\n\"}",
            "nul",
            "\u{feff}{}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":[1,]}",
            "{}\0",
            "{}]",
        ] {
            assert_eq!(find(text, ["a"]), Err(Flaw::NotJson), "{text:?}");
        }
        for text in ["[]", "null", "\"{}\"", "1"] {
            assert_eq!(find(text, ["a"]), Err(Flaw::OtherKind), "{text:?}");
        }
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"b":2,"\u0061":1}"#] {
            assert_eq!(
                find(text, ["b", "a"]),
                Err(Flaw::Duplicate("a")),
                "{text:?}"
            );
        }
        assert!(find(r#"{"a":1,"a":1}"#, ["b"]).is_ok());
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            find(&format!("{{\"a\":{open}\"[[\\\"[[\"{close}}}"), ["a"])
        };
        assert!(nested(DEPTH_MAX).is_ok());
        assert_eq!(nested(DEPTH_MAX + 1), Err(Flaw::TooDeep));
        assert_eq!(find(&"[".repeat(1_000_000), ["a"]), Err(Flaw::TooDeep));
        let wide = "[],".repeat(1000);
        assert!(find(&format!("{{\"a\":[{wide}[]]}}"), ["a"]).is_ok());
    }

    #[test]
    fn elements_end_where_they_end() {
        let text = r#"x [ {} , {"a":"]},{"} ,{ }] y"#;
        let array = 2..text.len() - 2;
        let ends = ends_of_objects(text, &array).unwrap();
        let before: Vec<_> = ends.iter().map(|&end| &text[2..end]).collect();
        let wanted = [
            "[ {}",
            r#"[ {} , {"a":"]},{"}"#,
            r#"[ {} , {"a":"]},{"} ,{ }"#,
        ];
        assert_eq!(before, wanted);
        assert_eq!(ends_of_objects("[ ]", &(0..3)), Ok(vec![]));
        for other in ["{}", "[1]", "[{},[]]", "\"[]\"", "null"] {
            assert_eq!(
                ends_of_objects(other, &(0..other.len())),
                Err(Flaw::OtherKind)
            );
        }
    }
}
