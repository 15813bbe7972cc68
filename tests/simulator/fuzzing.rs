//! Mutations of good inputs against every parser. (The faults' row 4.)
//!
//! `HERD_INPUTS=2000000 cargo test --release --test simulator fuzzing` throws that many at each target;
//! tests/fuzz/Cargo.toml says how to search for more with cargo-fuzz.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::PathBuf;

use herd::herd::{Roster, SnapshotWriter};
use herd::worlds::recording::{Records, Tape};
use targets::{TARGETS, Target};

/// No input grows beyond this.
const LENGTH_MAX: usize = 4096;

fn inputs() -> u64 {
    match std::env::var("HERD_INPUTS") {
        Ok(text) => text.parse().expect("HERD_INPUTS is a number"),
        Err(_) => 5_000,
    }
}

fn data(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of the checker's cases, those that are sent and those that are expected.
fn case_lines() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/check/cases");
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder).expect("a folder of cases") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for quoted in text
            .lines()
            .flat_map(|line| line.split('"').skip(1).step_by(2))
        {
            let text = quoted
                .replace("${id}", "kiwi.cs.ucla.edu")
                .replace("${now}", "1621464827.959498503")
                .replace("${skew}", "+0.123456789");
            lines.extend(
                unescaped(&text)
                    .split(|byte| *byte == b'\n')
                    .map(<[u8]>::to_vec),
            );
        }
    }
    lines.sort();
    lines.dedup();
    lines.retain(|line| line.len() < LENGTH_MAX);
    lines
}

/// As the cases escape bytes; what they escape otherwise stays as it stands.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
        let (byte, length) = match (first, behind) {
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'x', a, b, ..]) => (hex(&[*a, *b]).unwrap_or(first), 4),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

/// Lines such as phones send, with as many digits before each point and behind it as there can well be:
/// the server has a quicker way for most of them.
fn phone_lines() -> Vec<Vec<u8>> {
    let number = |whole: usize, places: usize| match places {
        0 => "1234567890123"[..whole].to_string(),
        _ => format!(
            "{}.{}",
            &"1234567890123"[..whole],
            &"0987654321098"[..places]
        ),
    };
    let line = |whole: usize, places: usize| {
        let (latitude, longitude) = (number(whole % 4, places), number(whole % 5, places));
        let time = number(whole, places);
        [
            format!("IAMAT phone +{latitude}-{longitude} {time}\n").into_bytes(),
            format!("AT Bona -{time} phone -{latitude}+{longitude} {time}\nAT ").into_bytes(),
        ]
    };
    let lines = (1..13).flat_map(|whole| (0..13).map(move |places| (whole, places)));
    lines
        .flat_map(|(whole, places)| line(whole, places))
        .collect()
}

fn snapshots() -> Vec<Vec<u8>> {
    let written = |records: usize| {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes);
        for n in 0..records {
            let line = format!("AT Clark +0.1 client-{n} +34.06-118.44 {n}.5\n");
            writer.record(line.as_bytes(), &mut bytes);
        }
        writer.end(&mut bytes);
        bytes
    };
    vec![written(0), written(1), written(20)]
}

fn responses() -> Vec<Vec<u8>> {
    let heads = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
        "HTTP/1.0 404 Not Found\r\nServer: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ];
    heads.iter().map(|head| head.as_bytes().to_vec()).collect()
}

fn chunked() -> Vec<Vec<u8>> {
    let bodies = [
        "5\r\nhello\r\n0\r\n\r\n",
        "1;name=value\r\nx\r\nA\r\n0123456789\r\n0\r\nTrailer: yes\r\n\r\n",
        "00000\r\n\r\n",
        "ffffffffffffffff\r\n",
    ];
    bodies.iter().map(|body| body.as_bytes().to_vec()).collect()
}

/// A short run, recorded; and its records without their blocks, which the target puts around them.
fn recordings() -> Vec<Vec<u8>> {
    let recording = data("first_walk.recording");
    let (_, header) = Tape::header(&recording).expect("a header");
    let records = Records::read(&recording, header).bytes;
    vec![[&recording[..header], &records].concat(), recording]
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "http_head" => responses(),
        "chunks" => chunked(),
        "herd_file" => {
            let standard = Roster::standard();
            let servers = standard.servers.iter();
            let servers: Vec<_> = servers
                .map(|server| format!("\"{}\": \"{}\"", server.name, server.address))
                .collect();
            let five = format!(
                r#"{{"servers": {{{}}}, "links": [["Clark", "Bona"]], "course": ["Bona"]}}"#,
                servers.join(", ")
            );
            let one = r#"{"servers": {"A": "[::1]:1"}, "links": []}"#;
            vec![five.into_bytes(), one.as_bytes().to_vec()]
        }
        "snapshot" => snapshots(),
        "recording" => recordings(),
        "at" => vec![
            b"Clark +0.263873386 kiwi +34.068930-118.445127 1621464827.959498503".to_vec(),
            b"Bona -1.5 \xff\xfe +90-180 0".to_vec(),
        ],
        _ => [case_lines(), phone_lines()].concat(),
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides.max(1)
    }
}

/// One small change; the pieces that change hands come from the other seeds.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    const TELLING: &[u8] = b" \t\r\n\x00\xff+-.0129:;,\"{}[]\\\x80";
    let at = dice.roll(input.len() + 1);
    let end = (at + dice.roll(16)).min(input.len());
    match dice.roll(7) {
        0 if at < input.len() => input[at] ^= 1 << dice.roll(8),
        1 if at < input.len() => input[at] = TELLING[dice.roll(TELLING.len())],
        2 => input.insert(at, TELLING[dice.roll(TELLING.len())]),
        3 => drop(input.drain(at..end)),
        4 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        5 => input.truncate(at),
        _ => {
            let other = &seeds[dice.roll(seeds.len())];
            let from = dice.roll(other.len() + 1);
            let to = (from + dice.roll(40)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
    }
    input.truncate(LENGTH_MAX);
}

fn attack(name: &str, target: Target, inputs: u64) {
    let seeds = seeds(name);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..inputs {
        let mut input = seeds[dice.roll(seeds.len())].clone();
        for _ in 0..=dice.roll(6) {
            mutate(&mut input, &seeds, &mut dice);
        }
        let outcome = std::panic::catch_unwind(|| target(&input));
        assert!(
            outcome.is_ok(),
            "{name}: {:?}",
            String::from_utf8_lossy(&input)
        );
    }
    println!("{name}: {inputs} inputs");
}

#[test]
fn mutations_break_no_parser() {
    let inputs = inputs();
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || attack(name, target, inputs));
        }
    });
}

/// With HERD_CORPUS=FOLDER, writes the seeds where cargo-fuzz looks for them.
#[test]
fn the_seeds_are_good_inputs() {
    let corpus = std::env::var("HERD_CORPUS").ok().map(PathBuf::from);
    for (name, target) in TARGETS {
        for (number, seed) in seeds(name).into_iter().enumerate() {
            target(&seed);
            if let Some(corpus) = &corpus {
                let folder = corpus.join(name);
                std::fs::create_dir_all(&folder).expect("a folder");
                std::fs::write(folder.join(format!("seed-{number}")), seed).expect("a file");
            }
        }
    }
}
