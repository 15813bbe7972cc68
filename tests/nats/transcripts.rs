//! Every byte that real servers sent is read, any way it falls; every byte that we would send as well is
//! written the same.

use herd::nats::command::{self, Connect};
use herd::nats::request::{EXPECTED, Requests};
use herd::nats::{self, Delivery, Frame, Frames, Headers, Info, Put, Version};
use serde_json::Value;

use crate::said::{Said, next};
use crate::transcript::{FILES, Way, steps, streams};

/// The frames of some bytes that come in pieces of this length, each as text.
fn read(stream: &[u8], piece: usize) -> Vec<String> {
    let (mut frames, mut read) = (Frames::default(), Vec::new());
    for piece in stream.chunks(piece) {
        frames.push(piece);
        while let Some(frame) = frames.next().expect("a real server's frames") {
            read.push(format!("{frame:?}"));
        }
    }
    assert_eq!(frames.held(), 0, "all of it is frames");
    read
}

#[test]
fn every_byte_that_came_is_a_frame_however_it_falls() {
    let mut count = 0;
    for file in FILES {
        for stream in streams(file) {
            let whole = read(&stream, stream.len());
            count += whole.len();
            for piece in [1, 2, 7, 100, 1448] {
                assert_eq!(read(&stream, piece), whole, "{file} in pieces of {piece}");
            }
        }
    }
    assert_eq!(count, 463, "frames");
}

/// Every frame that came.
fn each(mut see: impl FnMut(Frame<'_>)) {
    for stream in FILES.iter().flat_map(|file| streams(file)) {
        let mut frames = Frames::default();
        frames.push(&stream);
        while let Some(frame) = frames.next().expect("a frame") {
            see(frame);
        }
    }
}

#[test]
fn every_info_says_what_matters() {
    let (mut infos, mut ducks, mut secured, mut clusters) = (0, 0, 0, 0);
    each(|frame| {
        if let Frame::Info(json) = frame {
            let info = Info::parse(json).expect("an INFO");
            assert!([Version(2, 9, 10), Version(2, 15, 1)].contains(&info.version));
            assert!(info.headers && info.max_payload >= 65_536);
            infos += 1;
            ducks += usize::from(info.lame_duck);
            secured += usize::from(info.tls_required);
            clusters += usize::from(!info.connect_urls.is_empty());
        }
    });
    assert!(infos > 80 && ducks > 0 && secured > 5 && clusters > 0);
}

#[test]
fn every_message_is_read_to_its_end() {
    let (mut statuses, mut deliveries, mut errors) = ([0; 6], 0, 0);
    each(|frame| match frame {
        Frame::Message(message) => {
            let headers = Headers::parse(message.headers).expect("headers");
            if let Some(status) = headers.status {
                statuses[usize::from(status / 100)] += 1;
            }
            if let Some(subject) = headers.get("Nats-Sequence") {
                assert!(subject.iter().all(u8::is_ascii_digit));
            }
            if message.reply.starts_with(b"$JS.ACK.") {
                let delivery = Delivery::parse(message.reply).expect("a delivery");
                assert!(delivery.sequence >= delivery.delivered);
                deliveries += 1;
            }
        }
        Frame::Error(text) => {
            assert!(!text.contains(&b'\r') && !text.starts_with(b"'"));
            errors += 1;
        }
        _ => {}
    });
    assert_eq!(statuses, [0, 32, 2, 0, 6, 39]);
    assert_eq!((deliveries, errors), (27, 18));
}

#[test]
fn every_answer_of_jetstream_is_of_its_kind() {
    let (mut taken, mut raced, mut refused, mut streams, mut consumers) = (0, 0, 0, 0, 0);
    each(|frame| {
        let Frame::Message(message) = frame else {
            return;
        };
        let Ok(json) = serde_json::from_slice::<Value>(message.payload) else {
            return;
        };
        let kind = json["type"].as_str().unwrap_or_default();
        if kind.ends_with("stream_info_response") || kind.ends_with("stream_create_response") {
            let answer = nats::answer::stream(message.payload).expect("about a stream");
            let refused = json.get("error").is_some();
            assert_eq!(answer.is_err(), refused);
            if let Ok(stream) = answer {
                assert!(stream.allow_direct && !stream.expires && stream.replicas > 0);
            }
            streams += 1;
        } else if kind.ends_with("consumer_create_response") {
            let answer = nats::answer::consumer(message.payload).expect("about a consumer");
            assert_eq!(answer.is_err(), json.get("error").is_some());
            consumers += 1;
        } else if kind.is_empty() && json.get("stream").is_some() {
            match nats::answer::put(message.payload).expect("about a put") {
                Put::Taken(revision) => taken += usize::from(json["seq"] == revision),
                Put::Raced => raced += 1,
                Put::Refused(_) => refused += 1,
            }
        }
    });
    assert_eq!(
        (taken, raced, refused, streams, consumers),
        (57, 2, 3, 25, 17)
    );
}

/// Writes what was read; `None`: we never say such a thing.
fn written(said: &Said<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match said {
        Said::Ping => command::ping(&mut out),
        Said::Pong => command::pong(&mut out),
        Said::Sub(subject, sid) => command::subscribe(subject, *sid, &mut out),
        Said::Unsub(sid) => command::unsubscribe(*sid, &mut out),
        Said::Publish(subject, reply, b"", payload) => {
            command::publish(subject, reply, payload, &mut out);
        }
        Said::Publish(subject, reply, headers, payload) => {
            let revision = Headers::parse(headers)?.number(EXPECTED)?;
            command::publish_with(subject, reply, (EXPECTED, revision), payload, &mut out);
        }
        Said::Connect(json) => {
            let json: Value = serde_json::from_slice(json).expect("JSON");
            let user = json["user"].as_str().zip(json["pass"].as_str());
            let ours = ["auth_token", "nkey"]
                .iter()
                .all(|key| json.get(key).is_none());
            let connect = Connect {
                name: json["name"].as_str().filter(|_| ours)?,
                version: "1",
                tls: json["tls_required"] == true,
                user,
            };
            let plain = json["verbose"] == false && json["pedantic"] == false;
            (plain && json["no_responders"] == true).then(|| connect.write(&mut out))?;
        }
    }
    Some(out)
}

#[test]
fn every_byte_that_went_and_is_ours_to_make_is_made_the_same() {
    let (mut same, mut others) = (0, Vec::new());
    for file in FILES {
        let went = steps(file)
            .into_iter()
            .filter(|step| step.way == Way::Out && !step.cut);
        for step in went {
            let mut rest = &step.bytes[..];
            while !rest.is_empty() {
                let frame = next(rest).and_then(|(said, used)| {
                    let written = written(&said)?;
                    assert_eq!(
                        written.escape_ascii().to_string(),
                        rest[..used].escape_ascii().to_string()
                    );
                    Some(used)
                });
                match frame {
                    Some(used) => {
                        same += 1;
                        rest = &rest[used..];
                    }
                    None => {
                        others.push(format!(
                            "{file}: {}",
                            rest[..rest.len().min(60)].escape_ascii()
                        ));
                        // Perhaps more of ours follows on its next line.
                        let end = memchr::memmem::find(rest, b"\r\nPING\r\n");
                        rest = end.map_or(&[][..], |end| &rest[end + 2..]);
                    }
                }
            }
        }
    }
    assert_eq!((same, others.len()), (361, 29), "not ours: {others:#?}");
}

/// What went to these servers, as one text with our inbox instead of theirs.
fn all_that_went() -> String {
    let went = FILES.iter().flat_map(|file| steps(file));
    let went = went.filter(|step| step.way == Way::Out);
    let bytes: Vec<u8> = went.flat_map(|step| step.bytes).collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.replace("_INBOX.hErD.", "_INBOX.0000000000000000.")
}

#[test]
fn our_requests_are_those_that_real_servers_answered() {
    let went = all_that_went();
    let requests = Requests::new("herd", 0);
    let has = |write: &dyn Fn(&mut Vec<u8>), change: &dyn Fn(String) -> String| {
        let mut out = Vec::new();
        write(&mut out);
        let text = change(String::from_utf8(out).expect("ASCII"));
        assert!(went.contains(&text), "nobody sent {text:?}");
    };
    let as_it_is = |text: String| text;
    has(&|out| requests.make(1, 268_435_456, 2, out), &as_it_is);
    has(&|out| requests.look(2, out), &as_it_is);
    let line =
        b"AT Clark +0.000000001 kiwi.cs.ucla.edu +34.068930-118.445127 1621464827.959498503\n";
    let key = nats::key::encode(b"kiwi.cs.ucla.edu");
    has(&|out| requests.put(&key, Some(0), 7, line, out), &as_it_is);
    has(&|out| requests.get(&key, 10, out), &as_it_is);
    has(
        &|out| requests.unwatch(2, Some("2k6rZgGf"), 4, out),
        &|text| text.replace("UNSUB 2\r\n", ""),
    );
    // The watch has another inbox, another heartbeat, and forgets sooner.
    has(&|out| requests.watch(2, 1, out), &|text| {
        let config = text.split("\r\n").nth(2).expect("a payload");
        config
            .replace("_WATCH.0000000000000000.2", "_WATCH.Clark.1")
            .replace(
                "\"idle_heartbeat\":5000000000",
                "\"idle_heartbeat\":500000000",
            )
            .replace(
                "\"inactive_threshold\":30000000000",
                "\"inactive_threshold\":300000000000",
            )
    });
}
