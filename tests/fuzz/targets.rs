//! What no input may break. Each target takes any bytes; a panic is a finding.
//!
//! They run in two ways: `tests/fuzzing.rs` throws mutations of the seeds at them in every run of the
//! tests, and `cargo fuzz` (see the manifest beside this file) searches for new ones.

mod grammar;

use herd::herd::{At, Command, Report, Roster, SnapshotReader, SnapshotWriter, course_form};
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

/// A line from a client: it is read as its grammar says, and as well where its end was not looked for.
pub fn line(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n');
    let line = &data[..end.unwrap_or(data.len())];
    let command = Command::parse(line);
    if let Some(in_front) = Command::in_front(data) {
        assert_eq!((command, end), (Some(in_front.0), Some(in_front.1)));
    }
    let fields = grammar::fields(line);
    assert_eq!(command.is_some(), fields.is_some());
    let (Some(command), Some(fields)) = (command, fields) else {
        return;
    };
    let read = match &command {
        Command::Iamat(report) => [&[&b"IAMAT"[..]], &as_it_came(report)[..]].concat(),
        Command::At(at) => [
            &[&b"AT"[..], at.server, at.skew],
            &as_it_came(&at.report)[..],
        ]
        .concat(),
        Command::Whatsat(question) => {
            let metres = grammar::scaled(fields[2], 3);
            assert_eq!(Some(question.radius_metres.into()), metres);
            assert_eq!(Some(question.bound.into()), grammar::scaled(fields[3], 0));
            vec![b"WHATSAT", question.id, fields[2], fields[3]]
        }
        Command::Peer(name) => vec![b"PEER", *name],
    };
    assert_eq!(read, fields);
    // Written in its one form, it is the same line to a reader that does not look for its end.
    let written = [&fields.join(&b' ')[..], b"\n"].concat();
    let (again, length) = Command::in_front(&written).expect("the one form");
    assert_eq!(length + 1, written.len());
    assert_eq!(grammar::fields(&written[..length]), Some(fields));
    if let (Command::Iamat(report), Command::Iamat(again)) = (command, again) {
        assert_eq!(report_written(&report), report_written(&again));
    }
}

/// The three fields, checked against the grammar's idea of the time.
fn as_it_came<'a>(report: &Report<'a>) -> [&'a [u8]; 3] {
    let time = report.time.as_bytes();
    let billionths = grammar::scaled(time, 9).unwrap_or(u64::MAX);
    assert_eq!(report.time.billionths(), billionths);
    [report.id, report.position.as_bytes(), time]
}

fn report_written(report: &Report<'_>) -> Vec<u8> {
    let mut written = Vec::new();
    report.write(&mut written);
    assert_eq!(written, as_it_came(report).join(&b' '));
    written
}

/// An AT line: printed, stored and read back, it is the same report; and so to whom reads it as a line of a
/// course server, which may be one when ours is none.
pub fn at(data: &[u8]) {
    let line = [b"AT ", data].concat();
    let form = course_form(&line);
    let lenient = match form.as_deref().map(Command::parse) {
        Some(Some(Command::At(at))) => Some(printed_and_read(&at)),
        _ => None,
    };
    if let Some(Command::At(at)) = Command::parse(&line) {
        assert_eq!(Some(printed_and_read(&at)), lenient);
    }
}

fn printed_and_read(at: &At<'_>) -> Vec<u8> {
    let mut printed = Vec::new();
    at.write(&mut printed);
    let stored = At::stored(&printed).expect("what we print we can read");
    assert_eq!((stored.server, stored.skew), (at.server, at.skew));
    assert_eq!(as_it_came(&stored.report), as_it_came(&at.report));
    assert_eq!(
        printed[stored.report.offset_in(&printed)..][..at.report.id.len()],
        *at.report.id
    );
    assert_eq!(stored.precedence(at), std::cmp::Ordering::Equal);
    printed
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
