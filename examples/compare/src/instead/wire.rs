//! The client halves of three protocols, as far as this needs them: a request
//! as bytes, and where its answer ends.
//!
//! ```text
//! Wire::Resp.report(&position, 0, &mut batch);
//! Wire::Resp.answer(Asked::Report, b":1\r\n:3\r\n")?       // Head::Answer(8)
//! ```

use super::position::Position;
use lab::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Herd,
    Resp,
    Nats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Report,
    Near,
}

/// What stands at the head of what was heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// An answer of so many bytes.
    Answer(usize),
    /// So many bytes that answer nothing.
    Other(usize),
    /// Not all of it has come.
    Part,
}

/// The sorted set of everybody.
const KEY: &str = "positions";

/// The bucket's stream, as nats's own clients lay it out.
const BUCKET: &str = "KV_positions";

impl Wire {
    /// A report on the connection numbered `line`.
    pub fn report(self, position: &Position, line: usize, batch: &mut Vec<u8>) {
        let Position {
            id,
            latitude,
            longitude,
            time,
        } = position;
        let text = match self {
            Wire::Herd => format!("IAMAT {id} {latitude:+.6}{longitude:+.6} {time}\n"),
            Wire::Resp => {
                let (latitude, longitude) = (format!("{latitude:.6}"), format!("{longitude:.6}"));
                let client = format!("client:{id}");
                let fields = ["lat", &latitude, "lon", &longitude, "time", time];
                let hset = ["HSET", &client].into_iter().chain(fields);
                command(&["GEOADD", KEY, &longitude, &latitude, id])
                    + &command(&hset.collect::<Vec<_>>())
            }
            Wire::Nats => {
                let value = format!("{latitude:+.6}{longitude:+.6} {time}");
                publish(&format!("$KV.positions.{id}"), line, &value)
            }
        };
        batch.extend_from_slice(text.as_bytes());
    }

    /// Who, or what, is near a client; false if the protocol has no such question.
    pub fn near(self, id: &str, batch: &mut Vec<u8>) -> bool {
        let text = match self {
            Wire::Herd => format!("WHATSAT {id} 50 20\n"),
            Wire::Resp => command(&[
                "GEOSEARCH",
                KEY,
                "FROMMEMBER",
                id,
                "BYRADIUS",
                "5",
                "km",
                "ASC",
                "COUNT",
                "20",
            ]),
            Wire::Nats => return false,
        };
        batch.extend_from_slice(text.as_bytes());
        true
    }

    /// What a new connection says first.
    pub fn greeting(self, line: usize) -> Option<String> {
        let connect = "CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"compare\"}";
        (self == Wire::Nats).then(|| format!("{connect}\r\nSUB _INBOX.{line} 1\r\n"))
    }

    /// What makes the place for the records, once; it is answered like a report.
    pub fn creation(self, line: usize) -> Option<String> {
        let config = serde_json::json!({
            "name": BUCKET,
            "subjects": ["$KV.positions.>"],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_msgs_per_subject": 1,
            "num_replicas": 1,
            "allow_rollup_hdrs": true,
            "deny_delete": true,
            "allow_direct": true,
        });
        let subject = format!("$JS.API.STREAM.CREATE.{BUCKET}");
        (self == Wire::Nats).then(|| publish(&subject, line, &config.to_string()))
    }

    /// What the head of `heard` is, if it is right.
    pub fn answer(self, asked: Asked, heard: &[u8]) -> Result<Head> {
        match (self, asked) {
            (Wire::Herd, Asked::Report) => expected(heard, b"AT ", ends(heard, b"\n", 0)),
            (Wire::Herd, Asked::Near) => expected(heard, b"AT ", ends(heard, b"\n\n", 0)),
            (Wire::Resp, Asked::Report) => two_numbers(heard),
            (Wire::Resp, Asked::Near) => array(heard),
            (Wire::Nats, _) => message(heard),
        }
    }
}

fn command(words: &[&str]) -> String {
    let each = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), each.collect::<String>())
}

fn publish(subject: &str, line: usize, value: &str) -> String {
    let len = value.len();
    format!("PUB {subject} _INBOX.{line} {len}\r\n{value}\r\n")
}

/// Where the first `end` at or after `from` ends.
fn ends(heard: &[u8], end: &[u8], from: usize) -> Option<usize> {
    let rest = heard.get(from..)?;
    let at = rest.windows(end.len()).position(|window| window == end)?;
    Some(from + at + end.len())
}

fn expected(heard: &[u8], prefix: &[u8], end: Option<usize>) -> Result<Head> {
    let known = heard.len().min(prefix.len());
    match end {
        _ if heard[..known] != prefix[..known] => Err(wrong(heard)),
        Some(end) => Ok(Head::Answer(end)),
        None => Ok(Head::Part),
    }
}

fn wrong(heard: &[u8]) -> Box<dyn std::error::Error> {
    let beginning = String::from_utf8_lossy(&heard[..heard.len().min(120)]).into_owned();
    format!("wrong answer: {beginning:?}").into()
}

/// GEOADD and HSET each answer how many were new.
fn two_numbers(heard: &[u8]) -> Result<Head> {
    let Head::Answer(first) = expected(heard, b":", ends(heard, b"\r\n", 0))? else {
        return Ok(Head::Part);
    };
    expected(&heard[first..], b":", ends(heard, b"\r\n", first))
}

/// As many texts as it says: each its length and itself.
fn array(heard: &[u8]) -> Result<Head> {
    let Head::Answer(mut end) = expected(heard, b"*", ends(heard, b"\r\n", 0))? else {
        return Ok(Head::Part);
    };
    for _ in 0..number(&heard[1..end])? {
        let Some(length_end) = ends(heard, b"\r\n", end) else {
            return Ok(Head::Part);
        };
        expected(&heard[end..], b"$", Some(length_end))?;
        end = length_end + number(&heard[end + 1..length_end])? + b"\r\n".len();
        if end > heard.len() {
            return Ok(Head::Part);
        }
    }
    Ok(Head::Answer(end))
}

/// An acknowledgement is a message into our inbox: `MSG subject 1 len`, then
/// JSON. INFO and PING come in between; a PING is answered by no run this
/// short: the second one that stays unanswered, minutes later, would end it.
fn message(heard: &[u8]) -> Result<Head> {
    let Some(end) = ends(heard, b"\r\n", 0) else {
        return Ok(Head::Part);
    };
    if heard.starts_with(b"INFO ") || heard.starts_with(b"PING\r\n") {
        return Ok(Head::Other(end));
    }
    expected(heard, b"MSG ", Some(end))?;
    let length = heard[..end].rsplit(|&byte| byte == b' ').next();
    let whole = end + number(length.unwrap_or_default())? + b"\r\n".len();
    let Some(json) = heard.get(end..whole) else {
        return Ok(Head::Part);
    };
    match json.windows(7).any(|window| window == b"\"error\"") {
        true => Err(wrong(json)),
        false => Ok(Head::Answer(whole)),
    }
}

fn number(text: &[u8]) -> Result<usize> {
    let text = std::str::from_utf8(text)?.trim_end();
    text.parse()
        .map_err(|_| format!("expected a number, not {text:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole, it is one answer; of each part of it, the rest is awaited.
    fn is_one_answer(wire: Wire, asked: Asked, text: &[u8]) {
        let followed = [text, text].concat();
        assert_eq!(
            wire.answer(asked, &followed).unwrap(),
            Head::Answer(text.len())
        );
        for len in 0..text.len() {
            let head = wire.answer(asked, &text[..len]).unwrap();
            assert_eq!(head, Head::Part, "{wire:?} {len}");
        }
    }

    #[test]
    fn answers_end_where_they_end() {
        is_one_answer(Wire::Herd, Asked::Report, b"AT Clark +0.1 c0 +1+1 1.0\n");
        is_one_answer(Wire::Herd, Asked::Near, b"AT Clark +0.1\n{\n}\n\n");
        is_one_answer(Wire::Resp, Asked::Report, b":0\r\n:3\r\n");
        is_one_answer(Wire::Resp, Asked::Near, b"*2\r\n$2\r\nc0\r\n$3\r\nc10\r\n");
        is_one_answer(Wire::Resp, Asked::Near, b"*0\r\n");
        is_one_answer(Wire::Nats, Asked::Report, b"MSG _INBOX.3 1 2\r\n{}\r\n");
    }

    #[test]
    fn what_is_no_answer_is_told_of() {
        for (wire, text) in [
            (Wire::Herd, &b"? IAMAT\n"[..]),
            (Wire::Resp, b"-ERR no\r\n"),
            (Wire::Resp, b":1\r\n-ERR no\r\n"),
            (Wire::Nats, b"-ERR 'no'\r\n"),
            (Wire::Nats, b"MSG _INBOX.3 1 10\r\n{\"error\":1\r\n"),
        ] {
            assert!(wire.answer(Asked::Report, text).is_err(), "{text:?}");
        }
        let info = b"INFO {}\r\nMSG";
        assert_eq!(message(info).unwrap(), Head::Other(9));
    }

    #[test]
    fn a_command_says_its_lengths() {
        assert_eq!(command(&["GET", "ab"]), "*2\r\n$3\r\nGET\r\n$2\r\nab\r\n");
    }
}
