//! Transcripts of real servers, as `tests/data/backbone` has them.

use std::path::PathBuf;

/// The names of all transcripts.
pub const FILES: [&str; 10] = [
    "auth.txt",
    "cluster.txt",
    "key_2.15.1.txt",
    "key_2.9.10.txt",
    "kv_2.15.1.txt",
    "kv_2.9.10.txt",
    "leaf.txt",
    "restart.txt",
    "slow.txt",
    "ttl.txt",
];

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the server.
    In,
    /// To it.
    Out,
}

/// One line of a transcript.
#[derive(Debug)]
pub struct Step {
    /// The connection.
    pub who: String,
    /// Which way.
    pub way: Way,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The rest was not kept.
    pub cut: bool,
}

/// The bytes of a transcript, line by line.
pub fn steps(file: &str) -> Vec<Step> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/backbone");
    let text = std::fs::read_to_string(path.join(file)).expect("a transcript");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(step).collect()
}

fn step(line: &str) -> Option<Step> {
    let mut parts = line.splitn(3, ' ');
    let (who, way, text) = (parts.next()?, parts.next()?, parts.next()?);
    let way = match way {
        "<" => Way::In,
        ">" => Way::Out,
        _ => panic!("no way in {line}"),
    };
    if text == "end of stream" {
        return None;
    }
    let quote = text.chars().next().expect("a quote");
    let (bytes, rest) = unquoted(&text[1..], quote);
    Some(Step {
        who: who.to_string(),
        way,
        bytes,
        cut: rest.starts_with("..."),
    })
}

/// A string as Python writes it, up to its closing quote; and what follows.
fn unquoted(text: &str, quote: char) -> (Vec<u8>, &str) {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let byte = match c {
            c if c == quote => return (bytes, rest.as_str()),
            '\\' => match rest.next().expect("an escape") {
                'r' => b'\r',
                'n' => b'\n',
                't' => b'\t',
                'x' => {
                    let (hex, behind) = rest.as_str().split_at(2);
                    rest = behind.chars();
                    u8::from_str_radix(hex, 16).expect("hex")
                }
                c => u8::try_from(c).expect("Latin-1"),
            },
            c => u8::try_from(c).expect("Latin-1"),
        };
        bytes.push(byte);
    }
    panic!("no closing quote in {text}");
}

/// All that came from the server on one connection, in order, up to its next INFO of a new connection:
/// the pieces matter to nobody, so each is a stream of its own.
pub fn streams(file: &str) -> Vec<Vec<u8>> {
    let mut streams: Vec<(String, Vec<u8>)> = Vec::new();
    for step in steps(file).into_iter().filter(|step| step.way == Way::In) {
        assert!(!step.cut, "{file}: what came is whole");
        let known = streams.iter_mut().find(|(who, _)| *who == step.who);
        match known {
            Some((_, stream)) => stream.extend(step.bytes),
            None => streams.push((step.who, step.bytes)),
        }
    }
    streams.into_iter().map(|(_, stream)| stream).collect()
}
