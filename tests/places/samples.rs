//! Google's answers of `data/samples` (its PROVENANCE.md says where they come from) on their whole
//! way: response parser, verdict, frame. Compared by the byte with a cutter that knows nothing of
//! the crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use herd::places::{Api, Key, Progress, Response, UNKNOWN_ERROR, frame, verdict};
use regex::Regex;
use serde_json::Value;

/// File, API, HTTP status, Google's word.
const SAMPLES: [(&str, Api, u16, &str); 18] = [
    (
        "legacy_INVALID_REQUEST",
        Api::Legacy,
        200,
        "INVALID_REQUEST",
    ),
    (
        "legacy_OVER_QUERY_LIMIT",
        Api::Legacy,
        200,
        "OVER_QUERY_LIMIT",
    ),
    (
        "legacy_OVER_QUERY_LIMIT_clienttest",
        Api::Legacy,
        200,
        "OVER_QUERY_LIMIT",
    ),
    (
        "legacy_PlacesApiNearbySearchRequestByKeywordResponse",
        Api::Legacy,
        200,
        "OK",
    ),
    (
        "legacy_PlacesApiNearbySearchRequestByTypeResponse",
        Api::Legacy,
        200,
        "OK",
    ),
    (
        "legacy_REQUEST_DENIED_badkey",
        Api::Legacy,
        200,
        "REQUEST_DENIED",
    ),
    (
        "legacy_REQUEST_DENIED_legacy_not_enabled",
        Api::Legacy,
        200,
        "REQUEST_DENIED",
    ),
    (
        "legacy_REQUEST_DENIED_nokey",
        Api::Legacy,
        200,
        "REQUEST_DENIED",
    ),
    ("legacy_UNKNOWN_ERROR", Api::Legacy, 200, "UNKNOWN_ERROR"),
    ("legacy_ZERO_RESULTS", Api::Legacy, 200, "ZERO_RESULTS"),
    ("legacy_nearbysearch", Api::Legacy, 200, "OK"),
    ("legacy_nearbysearch_distance", Api::Legacy, 200, "OK"),
    (
        "legacy_textsearch_pagetoken",
        Api::Legacy,
        200,
        "INVALID_REQUEST",
    ),
    ("new_error_bad_key", Api::New, 400, "INVALID_ARGUMENT"),
    (
        "new_error_missing_fieldmask",
        Api::New,
        400,
        "INVALID_ARGUMENT",
    ),
    ("new_error_not_enabled", Api::New, 403, "PERMISSION_DENIED"),
    ("new_error_quota", Api::New, 429, "RESOURCE_EXHAUSTED"),
    ("new_searchNearby_empty", Api::New, 200, "OK"),
];

struct Sample {
    name: String,
    api: Api,
    status: u16,
    word: &'static str,
    text: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/samples")
}

fn samples() -> Vec<Sample> {
    let sample = |&(name, api, status, word): &(&str, Api, u16, &'static str)| Sample {
        name: name.to_string(),
        api,
        status,
        word,
        text: fs::read_to_string(folder().join(format!("{name}.json"))).expect("a sample"),
    };
    let mut all: Vec<_> = SAMPLES.iter().map(sample).collect();
    all.push(composed());
    all
}

/// 20 results of the new API: SHAPE, as no recorded ones are free.
fn composed() -> Sample {
    let place = |number: u32| {
        format!(
            "    {{\n      \"id\": \"place-{number}\",\n      \"displayName\": {{\n        \
             \"text\": \"[{{\\\"{number}\\\\\",\n        \"languageCode\": \"en\"\n      }},\n      \
             \"location\": {{\n        \"latitude\": 34.0{number}0,\n        \
             \"longitude\": -0.12207499999999999\n      }}\n    }}"
        )
    };
    let places: Vec<_> = (1..=20).map(place).collect();
    Sample {
        name: "composed for the new API".to_string(),
        api: Api::New,
        status: 200,
        word: "OK",
        text: format!("{{\n  \"places\": [\n{}\n  ]\n}}\n", places.join(",\n")),
    }
}

/// The sample as it might have been written: other newlines, other white space.
fn variants(sample: &Sample) -> Vec<String> {
    let text = &sample.text;
    let value: Value = serde_json::from_str(text).expect("JSON");
    vec![
        text.clone(),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\n\r\n\n"),
        text.replace('\n', "\t"),
        value.to_string(),
        format!("\r\n {text}\n\n"),
    ]
}

/// The text without the array's elements beyond `bound`: by counting brackets.
fn cut(text: &str, name: &str, bound: usize) -> String {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    // Where the array opens, the commas between its elements, where it closes.
    let mut marks: Vec<usize> = Vec::new();
    let opening = Regex::new(&format!(r#"^"{name}"\s*:\s*\["#)).expect("a pattern");
    let mut opens_at = None;
    for (at, c) in text.char_indices() {
        let in_array = !marks.is_empty() && depth >= 2;
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        if let Some(found) = (depth == 1).then(|| opening.find(&text[at..])).flatten() {
            opens_at = Some(at + found.end() - 1);
        }
        match c {
            '"' => in_string = true,
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        if opens_at == Some(at) || (in_array && (c == ',' && depth == 2 || depth == 1)) {
            marks.push(at);
        }
        if in_array && depth == 1 {
            break;
        }
    }
    let elements: Vec<&str> = marks
        .windows(2)
        .map(|pair| &text[pair[0] + 1..pair[1]])
        .collect();
    if elements.len() <= bound || elements.concat().trim().is_empty() {
        return text.to_string();
    }
    let last = elements[elements.len() - 1];
    let kept = elements[..bound].join(",");
    let space = if bound == 0 {
        ""
    } else {
        &last[last.trim_end().len()..]
    };
    let (before, after) = (&text[..=marks[0]], &text[marks[marks.len() - 1]..]);
    format!(
        "{before}{}{space}{after}",
        kept.trim_end_matches(['\n', '\r', ' ', '\t'])
    )
}

/// The same by meaning instead of by the byte.
fn cut_value(text: &str, name: &str, bound: usize) -> Value {
    let mut value: Value = serde_json::from_str(text).expect("JSON");
    if let Some(array) = value.get_mut(name).and_then(Value::as_array_mut) {
        array.truncate(bound);
    }
    value
}

fn framed(text: &str) -> String {
    let newlines = Regex::new(r"(\r?\n)+").expect("a pattern");
    let text = newlines.replace_all(text, "\n").to_string();
    format!("{}\n\n", text.trim_end_matches('\n'))
}

fn with_length(status: u16, text: &str) -> Vec<u8> {
    let length = text.len();
    format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{text}")
        .into_bytes()
}

/// Chunks of ever other sizes, now and then with an extension, and a trailer.
fn in_chunks(status: u16, text: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Said\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut out = head.into_bytes();
    let mut rest = text.as_bytes();
    let mut size = 1;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        let extension = if size % 3 == 0 { ";a=\"b c\"" } else { "" };
        out.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = after;
        size = size * 7 % 4099;
    }
    out.extend_from_slice(b"0\r\nX-Checked: no\r\n\r\n");
    out
}

#[test]
fn the_samples_are_those_we_may_have() {
    let entries = fs::read_dir(folder()).expect("a folder");
    let found: BTreeSet<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    let names = SAMPLES.iter().map(|(name, ..)| format!("{name}.json"));
    let wanted: BTreeSet<_> = names.chain(["PROVENANCE.md".to_string()]).collect();
    assert_eq!(found, wanted);
    let provenance = fs::read_to_string(folder().join("PROVENANCE.md")).expect("PROVENANCE.md");
    for (name, ..) in SAMPLES {
        let row = |line: &&str| line.starts_with(&format!("| {name}.json |"));
        let row = provenance.lines().find(row).expect("a row");
        assert!(row.contains("Apache-2.0") || row.contains("SHAPE"), "{row}");
    }
}

#[test]
fn every_split_gives_the_same_body() {
    for sample in samples() {
        let wanted = sample.text.as_bytes();
        for bytes in [with_length, in_chunks].map(|encode| encode(sample.status, &sample.text)) {
            // The first part grows by one byte at a time; from each a copy takes the rest.
            let mut begun = Response::new();
            for at in 0..=bytes.len() {
                let first = begun.feed(&bytes[at.saturating_sub(1)..at]);
                assert!(first.is_ok(), "{} at {at}: {first:?}", sample.name);
                let mut response = begun.clone();
                assert_eq!(first == Ok(Progress::Complete), at == bytes.len());
                assert_eq!(response.feed(&bytes[at..]), Ok(Progress::Complete));
                assert!(response.body() == wanted, "{} at {at}", sample.name);
                assert_eq!(response.status(), Some(sample.status));
                assert!(response.keep_alive());
            }
        }
    }
}

#[test]
fn byte_by_byte_is_the_same() {
    for sample in samples() {
        for bytes in [with_length, in_chunks].map(|encode| encode(sample.status, &sample.text)) {
            let mut response = Response::new();
            let (last, most) = bytes.split_last().expect("bytes");
            for byte in most {
                assert_ne!(
                    response.feed(&[*byte]),
                    Ok(Progress::Complete),
                    "{}",
                    sample.name
                );
            }
            assert_eq!(
                response.feed(&[*last]),
                Ok(Progress::Complete),
                "{}",
                sample.name
            );
            assert!(response.body() == sample.text.as_bytes(), "{}", sample.name);
        }
    }
}

#[test]
fn every_bound_of_every_sample() {
    let key = Key::parse(b"SENTINEL-KEY").expect("a key");
    for sample in samples() {
        let name = if sample.api == Api::Legacy {
            "results"
        } else {
            "places"
        };
        let bounds = |variant: usize| match variant {
            0 => (0..=20).collect(),
            _ => vec![0, 1, 7, 19, 20],
        };
        let variants = variants(&sample);
        let cases = (variants.iter().enumerate())
            .flat_map(|(index, text)| bounds(index).into_iter().map(move |bound| (text, bound)));
        for (text, bound) in cases {
            let context = format!("{} to {bound}", sample.name);
            let mut out = b"AT line\n".to_vec();
            let body = text.as_bytes();
            let word = verdict(sample.api, sample.status, body, bound, Some(&key), &mut out);
            assert_eq!(word, Ok(sample.word), "{context}");
            let json = str::from_utf8(&out[8..]).expect("UTF-8").to_string();
            let bound = usize::from(bound);
            assert_eq!(json, cut(text, name, bound), "{context}");
            let value: Value = serde_json::from_str(&json).expect("JSON");
            assert_eq!(value, cut_value(text, name, bound), "{context}");
            frame(&mut out, 8);
            let wanted = format!("AT line\n{}", framed(&json));
            assert_eq!(String::from_utf8_lossy(&out), wanted, "{context}");
        }
    }
}

#[test]
fn the_key_is_struck_out_of_every_sample() {
    // A word of the sample itself plays the key.
    for sample in samples()
        .iter()
        .filter(|sample| sample.text.contains("http"))
    {
        let key = Key::parse(b"http").expect("a key");
        let mut out = Vec::new();
        let body = sample.text.as_bytes();
        verdict(sample.api, sample.status, body, 20, Some(&key), &mut out).expect("an answer");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, sample.text.replace("http", "***"), "{}", sample.name);
    }
}

#[test]
fn our_own_answer_passes_for_googles() {
    let mut out = Vec::new();
    let word = verdict(Api::Legacy, 200, UNKNOWN_ERROR, 20, None, &mut out);
    assert_eq!((word, &out[..]), (Ok("UNKNOWN_ERROR"), UNKNOWN_ERROR));
}
