//! What no input may break. Each target takes any bytes; a panic is a finding.
//!
//! They run in two ways: `tests/fuzzing.rs` throws mutations of the seeds at them in every run of the
//! tests, and `cargo fuzz` (see the manifest beside this file) searches for new ones.

use herd::herd::{At, Command, Roster, SnapshotReader, SnapshotWriter};
use herd::nats::{self, Delivery, Frame, Frames, Headers, Info};
use herd::places::Response;
use herd::probe::Recording;
use herd::worlds::recording::{Blocks, Records, Tape};

/// A target, and what it makes of an input.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 8] = [
    ("line", line),
    ("at", at),
    ("http_head", http_head),
    ("chunks", chunks),
    ("herd_file", herd_file),
    ("snapshot", snapshot),
    ("recording", recording),
    ("nats", nats),
];

/// A line from a client: what is accepted prints back to the same command.
pub fn line(data: &[u8]) {
    let data = data.split(|&byte| byte == b'\n').next().unwrap_or(data);
    let Some(command) = Command::parse(data) else {
        return;
    };
    let mut printed = Vec::new();
    match &command {
        Command::Iamat(report) => {
            for field in [
                &b"IAMAT "[..],
                report.id,
                b" ",
                report.position.as_bytes(),
                b" ",
                report.time.as_bytes(),
            ] {
                printed.extend_from_slice(field);
            }
        }
        Command::Whatsat(question) => {
            assert!(question.radius_metres <= 50_000 && question.bound <= 20);
            let (km, metres) = (question.radius_metres / 1000, question.radius_metres % 1000);
            printed.extend_from_slice(b"WHATSAT ");
            printed.extend_from_slice(question.id);
            let rest = format!(" {km}.{metres:03} {}", question.bound);
            printed.extend_from_slice(rest.as_bytes());
        }
        Command::At(at) => {
            at.write(&mut printed);
            printed.pop();
        }
        Command::Peer(name) => {
            printed.extend_from_slice(b"PEER ");
            printed.extend_from_slice(name);
        }
    }
    assert_eq!(Command::parse(&printed), Some(command));
}

/// An AT line: printed, stored and read back, it is the same report.
pub fn at(data: &[u8]) {
    let line = [b"AT ", data].concat();
    let Some(Command::At(at)) = Command::parse(&line) else {
        return;
    };
    let mut printed = Vec::new();
    at.write(&mut printed);
    let stored = At::stored(&printed).expect("what we print we can read");
    assert_eq!(stored, at);
    assert_eq!(stored.precedence(&at), std::cmp::Ordering::Equal);
}

/// A response of Places: its pieces do not matter, nor what stands in it.
pub fn http_head(data: &[u8]) {
    let whole = response(data, data.len().max(1));
    assert_eq!(
        response(data, 1),
        whole,
        "byte by byte it is another answer"
    );
    assert_eq!(response(data, 7), whole, "in sevens it is another answer");
}

/// A chunked body.
pub fn chunks(data: &[u8]) {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    http_head(&[head, data].concat());
}

type Heard = (Result<(), String>, Option<u16>, Vec<u8>, bool);

fn response(data: &[u8], piece: usize) -> Heard {
    let mut response = Response::new();
    let mut outcome = Ok(());
    for piece in data.chunks(piece) {
        if let Err(error) = response.feed(piece) {
            outcome = Err(error.to_string());
            break;
        }
    }
    if outcome.is_ok() {
        let ended = response.end_of_stream(true);
        outcome = ended.map_err(|error| error.to_string());
    }
    match outcome {
        // Of a failure, how much had come before may differ with the pieces.
        Err(error) => (Err(error), None, Vec::new(), false),
        Ok(()) => (
            Ok(()),
            response.status(),
            response.body().to_vec(),
            response.keep_alive(),
        ),
    }
}

/// A herd file: what is accepted prints back to the same herd.
pub fn herd_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(roster) = Roster::parse(text) else {
        return;
    };
    let server = |server: &herd::herd::Server| {
        let address = serde_json::Value::from(server.address.to_string());
        (server.name.clone(), address)
    };
    let servers: serde_json::Map<_, _> = roster.servers.iter().map(server).collect();
    let name = |index: usize| roster.servers[index].name.as_str();
    let links: Vec<_> = roster
        .links()
        .iter()
        .map(|&(a, b)| [name(a), name(b)])
        .collect();
    let course = roster.servers.iter().filter(|server| server.course);
    let course: Vec<_> = course.map(|server| server.name.as_str()).collect();
    let printed = serde_json::json!({"servers": servers, "links": links, "course": course});
    let again = Roster::parse(&printed.to_string()).expect("what we print we can read");
    assert_eq!(format!("{again:?}"), format!("{roster:?}"));
}

/// A snapshot: what is read of it is a prefix, which printed is a whole snapshot again.
pub fn snapshot(data: &[u8]) {
    let mut reader = SnapshotReader::new(data);
    let lines: Vec<&[u8]> = reader.by_ref().collect();
    let mut printed = Vec::new();
    let mut writer = SnapshotWriter::begin(&mut printed);
    for line in &lines {
        writer.record(line, &mut printed);
    }
    writer.end(&mut printed);
    if reader.damage().is_none() && !data.is_empty() {
        assert_eq!(printed, data);
    }
    let mut again = SnapshotReader::new(&printed);
    assert_eq!(again.by_ref().collect::<Vec<_>>(), lines);
    assert_eq!(again.damage(), None);
}

/// A recording: whatever it holds, its replay comes to an end. Hashes would keep nearly every input
/// from the decoder, so its records are taken out of their blocks and put into good ones as well.
pub fn recording(data: &[u8]) {
    let Ok((_, header)) = Tape::header(data) else {
        return;
    };
    let records = match Records::read(data, header).bytes {
        none if none.is_empty() => data[header..].to_vec(),
        records => records,
    };
    let mut good = data[..header].to_vec();
    Blocks::new(&data[..header]).put(&records, &mut good);
    for file in [data, &good] {
        if let Ok(recording) = Recording::new(file) {
            recording.run();
        }
    }
}

/// What a NATS server sends: its pieces do not matter, and what is in a frame is read or refused.
pub fn nats(data: &[u8]) {
    let whole = frames(data, data.len().max(1));
    assert_eq!(frames(data, 1), whole, "byte by byte they are others");
    assert_eq!(frames(data, 7), whole, "in sevens they are others");
}

fn frames(data: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<String>) {
    let (mut reader, mut read) = (Frames::default(), Vec::new());
    for piece in data.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(frame)) => read.push(printed(&frame)),
                Ok(None) => break,
                Err(error) => return (read, Some(format!("{:?}", error.flaw))),
            }
        }
    }
    (read, None)
}

/// A frame as a server would write it; on the way all that may be read of it is.
fn printed(frame: &Frame<'_>) -> Vec<u8> {
    let message = match frame {
        Frame::Info(json) => {
            let _ = Info::parse(json);
            return [b"INFO ", *json].concat();
        }
        Frame::Message(message) => message,
        Frame::Ping => return b"PING".to_vec(),
        Frame::Pong => return b"PONG".to_vec(),
        Frame::Ok => return b"+OK".to_vec(),
        Frame::Error(text) => return [b"-ERR ", *text].concat(),
    };
    if let Some(headers) = Headers::parse(message.headers) {
        assert!(headers.status.is_none_or(|status| status <= 999));
        let _ = (headers.number("Nats-Sequence"), headers.is_marker());
    }
    let _ = Delivery::parse(message.reply);
    let _ = nats::answer::put(message.payload);
    let _ = nats::answer::stream(message.payload);
    let _ = nats::answer::consumer(message.payload);
    let id = message.payload;
    let key = nats::key::encode(id);
    assert!(nats::key::decode(key.as_bytes()).is_none_or(|again| again == id));
    if let Some(id) = nats::key::decode(message.subject) {
        assert_eq!(nats::key::encode(&id).as_bytes(), message.subject);
    }
    let (sid, headers, total) = (
        message.sid,
        message.headers.len(),
        message.headers.len() + id.len(),
    );
    let line = format!(" {sid} {headers} {total} ");
    [
        message.subject,
        message.reply,
        line.as_bytes(),
        message.headers,
        id,
    ]
    .concat()
}
