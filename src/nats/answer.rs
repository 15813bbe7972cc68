//! What JetStream answers. Pure.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value};

/// There is no such stream.
const STREAM_NOT_FOUND: u32 = 10059;
/// Another value of the key was put since the one that we saw; or is being put.
const WRONG_LAST_SEQUENCE: [u32; 2] = [10071, 10164];

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Refusal>;

/// What JetStream says instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As HTTP has it.
    pub code: u16,
    /// What it is exactly, among JetStream's own numbers.
    pub number: u32,
    /// In words.
    pub description: String,
}

/// An answer that we cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What became of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was taken; the revision is its key's now.
    Taken(u64),
    /// Its key has another revision than was expected.
    Raced,
    /// It was not taken for another reason.
    Refused(Refusal),
}

/// A bucket's stream, as far as it matters to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Any replica answers gets.
    pub allow_direct: bool,
    /// Its values expire.
    pub expires: bool,
    /// How many copies of it there are.
    pub replicas: u64,
}

/// A watch that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// How the server calls it.
    pub name: String,
    /// How many values come first.
    pub pending: u64,
}

impl Refusal {
    /// The bucket is not there.
    pub fn is_no_stream(&self) -> bool {
        self.number == STREAM_NOT_FOUND
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Refusal {
            code,
            number,
            description,
        } = self;
        write!(f, "{} ({code}, {number})", description.escape_default())
    }
}

/// Reads the answer to a put.
///
/// # Errors
/// It is no answer to a put.
pub fn put(payload: &[u8]) -> Result<Put, Malformed> {
    let object = object(payload)?;
    match refusal(&object)? {
        Some(refusal) if WRONG_LAST_SEQUENCE.contains(&refusal.number) => Ok(Put::Raced),
        Some(refusal) => Ok(Put::Refused(refusal)),
        None => Ok(Put::Taken(number(&object, "seq")?)),
    }
}

/// Reads what is said of a stream that was looked for, or made.
///
/// # Errors
/// It is no answer of that kind.
pub fn stream(payload: &[u8]) -> Result<Answer<Stream>, Malformed> {
    let object = object(payload)?;
    if let Some(refusal) = refusal(&object)? {
        return Ok(Err(refusal));
    }
    let config = member(&object, "config")?;
    Ok(Ok(Stream {
        allow_direct: config.get("allow_direct") == Some(&Value::Bool(true)),
        expires: config
            .get("max_age")
            .is_some_and(|age| age.as_i64() != Some(0)),
        replicas: number(config, "num_replicas")?,
    }))
}

/// Reads what is said of a watch that was to be made.
///
/// # Errors
/// It is no answer of that kind.
pub fn consumer(payload: &[u8]) -> Result<Answer<Consumer>, Malformed> {
    let object = object(payload)?;
    if let Some(refusal) = refusal(&object)? {
        return Ok(Err(refusal));
    }
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // It becomes part of a subject.
    let plain = |byte: u8| byte.is_ascii_graphic() && !b".*>".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(Malformed);
    }
    Ok(Ok(Consumer {
        name: name.to_string(),
        pending: number(&object, "num_pending")?,
    }))
}

fn object(payload: &[u8]) -> Result<Map<String, Value>, Malformed> {
    serde_json::from_slice(payload).map_err(|_| Malformed)
}

fn member<'a>(
    object: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a Map<String, Value>, Malformed> {
    object.get(name).and_then(Value::as_object).ok_or(Malformed)
}

fn number(object: &Map<String, Value>, name: &str) -> Result<u64, Malformed> {
    object.get(name).and_then(Value::as_u64).ok_or(Malformed)
}

fn refusal(object: &Map<String, Value>) -> Result<Option<Refusal>, Malformed> {
    if !object.contains_key("error") {
        return Ok(None);
    }
    let error = member(object, "error")?;
    let description = error.get("description").and_then(Value::as_str);
    Ok(Some(Refusal {
        code: u16::try_from(number(error, "code")?).map_err(|_| Malformed)?,
        // Refusals of before JetStream's own numbers have none.
        number: number(error, "err_code")
            .map_or(Ok(0), u32::try_from)
            .map_err(|_| Malformed)?,
        description: description.unwrap_or_default().to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_are_taken_raced_or_refused() {
        assert_eq!(put(br#"{"stream":"KV_herd", "seq":2}"#), Ok(Put::Taken(2)));
        assert_eq!(
            put(br#"{"stream":"KV_herd","domain":"ucla","seq":2}"#),
            Ok(Put::Taken(2))
        );
        for number in WRONG_LAST_SEQUENCE {
            let text = format!(
                r#"{{"error":{{"code":400,"err_code":{number},"description":"wrong last sequence: 1"}},"seq":0}}"#
            );
            assert_eq!(put(text.as_bytes()), Ok(Put::Raced));
        }
        let full =
            br#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#;
        let Ok(Put::Refused(refusal)) = put(full) else {
            panic!("not refused");
        };
        assert_eq!(
            refusal.to_string(),
            "maximum messages exceeded (503, 10077)"
        );
        let old = br#"{"error":{"code":503}}"#;
        assert!(matches!(put(old), Ok(Put::Refused(refusal)) if refusal.number == 0));
    }

    #[test]
    fn what_is_no_answer() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"seq":-1}"#,
            r#"{"error":1}"#,
            r#"{"error":{}}"#,
        ] {
            assert_eq!(put(text.as_bytes()), Err(Malformed), "{text}");
            assert_eq!(stream(text.as_bytes()), Err(Malformed), "{text}");
        }
        for name in ["", "a.b", "*", "a b"] {
            let text = format!(r#"{{"name":"{name}","num_pending":0}}"#);
            assert_eq!(consumer(text.as_bytes()), Err(Malformed), "{name}");
        }
    }
}
