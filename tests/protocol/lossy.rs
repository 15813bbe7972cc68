//! `examples/lossy`: what it does to what passes, through real sockets.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Client, Herd, PATIENCE, Quiet, example, now};

/// A proxy, killed with its value.
struct Lossy {
    child: Child,
    address: SocketAddr,
    said: Receiver<String>,
}

impl Lossy {
    fn to(target: SocketAddr, words: &[&str]) -> Lossy {
        let mut child = Command::new(example("lossy"))
            .args(["--listen", "127.0.0.1:0", "--to", &target.to_string()])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (lines, said) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut lossy = Lossy {
            child,
            address: unknown,
            said,
        };
        let line = lossy.says();
        let address = line.strip_prefix("lossy listens on ");
        lossy.address = address.and_then(|it| it.parse().ok()).expect("an address");
        lossy
    }

    fn says(&mut self) -> String {
        self.said.recv_timeout(PATIENCE).expect("a line")
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends of a connection through a proxy with these options.
fn through(words: &[&str]) -> (Lossy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let lossy = Lossy::to(listener.local_addr().expect("its address"), words);
    let near = TcpStream::connect(lossy.address).expect("it listens");
    let (far, _) = listener.accept().expect("it comes");
    patiently(&near);
    patiently(&far);
    (lossy, near, far)
}

/// A read that gets nothing for long fails.
fn patiently(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
}

/// What each read gave, until the end.
fn reads(mut from: &TcpStream) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return pieces,
            Ok(count) => pieces.push(buffer[..count].to_vec()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("neither reset nor silence was due: {error}"),
        }
    }
}

#[test]
fn a_server_behind_it_answers_late_and_in_pieces() {
    let herd = Herd::solo("Clark");
    let lossy = Lossy::to(herd.address("Clark"), &["--delay", "50", "--split", "3"]);
    let begun = Instant::now();
    let mut client = Client::connect(lossy.address);
    let report = format!("IAMAT kiwi +34.068930-118.445127 {}", now());
    let answer = client.ask(format!("{report}\n"));
    assert!(begun.elapsed() >= Duration::from_millis(100), "both ways");
    let tail = report.strip_prefix("IAMAT").expect("it begins so");
    assert!(answer.ends_with(&format!("{tail}\n")), "{answer}");
    client.half_close();
    client.eof();
}

#[test]
fn pieces_are_as_large_as_it_was_told_and_nothing_is_lost() {
    for (words, size) in [
        (&["--split", "5"][..], 5),
        (&["--split", "9", "--seed", "1"], 9),
        (&["--split", "5", "--delay", "5", "--seed", "2"], 5),
    ] {
        let (_lossy, mut near, far) = through(words);
        let sent: Vec<u8> = (0..200).collect();
        let begun = Instant::now();
        near.write_all(&sent).expect("it takes all");
        near.shutdown(Shutdown::Write).expect("it is open");
        let pieces = reads(&far);
        assert_eq!(pieces.concat(), sent, "{words:?}");
        // A reader that is late finds some together, but they left 2 ms apart.
        let between = (sent.len() as u64).div_ceil(size) - 1;
        let least = Duration::from_millis(2 * between);
        assert!(begun.elapsed() >= least, "{words:?}: {pieces:?}");
        let is_whole = |piece: &Vec<u8>| (piece.len() as u64).is_multiple_of(size);
        assert!(words.len() > 2 || pieces.iter().all(is_whole), "{pieces:?}");
        // The way back is open still.
        (&far).write_all(b"bye").expect("it takes all");
        drop(far);
        assert_eq!(reads(&near).concat(), b"bye", "{words:?}");
    }
}

#[test]
fn a_cut_comes_where_it_was_told() {
    let (mut lossy, mut near, far) = through(&["--cut-after", "7"]);
    near.write_all(b"HELLO\nWORLD\n").expect("it takes all");
    assert_eq!(reads(&far).concat(), b"HELLO\nW");
    assert_eq!(reads(&near).concat(), b"");
    assert_eq!(lossy.says(), "1, there: cut after 7 bytes");
}

#[test]
fn a_cut_may_be_a_reset() {
    let words = ["--cut-after", "3", "--reset", "--split", "2"];
    let (mut lossy, near, far) = through(&words);
    let (mut near, mut far) = (Client::on(near), Client::on(far));
    far.send("WORLD");
    let (bytes, quiet) = near.rest();
    assert!(b"WOR".starts_with(&bytes), "{bytes:?}");
    assert_eq!(quiet, Quiet::Reset);
    assert_eq!(far.rest(), (Vec::new(), Quiet::Reset));
    assert_eq!(lossy.says(), "1, back: cut after 3 bytes");
}

#[test]
fn a_seed_draws_the_same_ends_again() {
    let drawn = || -> Vec<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let target = listener.local_addr().expect("its address");
        let lossy = Lossy::to(target, &["--cut-after", "1000", "--seed", "7"]);
        let one = |_| {
            let mut near = TcpStream::connect(lossy.address).expect("it listens");
            let (far, _) = listener.accept().expect("it comes");
            patiently(&far);
            near.write_all(&[b'x'; 1000]).expect("it takes all");
            reads(&far).concat().len()
        };
        (0..5).map(one).collect()
    };
    let first = drawn();
    assert!(first.iter().any(|count| *count != first[0]), "{first:?}");
    assert_eq!(first, drawn());
}

#[test]
fn who_is_behind_nobody_is_reset_and_mistakes_are_named() {
    // A port that nobody is given by chance.
    let target = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut lossy = Lossy::to(target, &[]);
    let mut client = TcpStream::connect(lossy.address).expect("it listens");
    patiently(&client);
    let reset = client.read(&mut [0]).expect_err("nobody is there");
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    assert!(lossy.says().starts_with(&format!("1: {target}: ")));
    let addresses = ["--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"];
    for (words, said) in [
        (&["--to", "127.0.0.1:1"][..], "expected --listen HOST:PORT"),
        (
            &["--listen", "here", "--to", "127.0.0.1:1"],
            "--listen \"here\"",
        ),
        (
            &[&addresses[..], &["--delay", "x"]].concat(),
            "--delay \"x\": expected a number",
        ),
        (&[&addresses[..], &["--split", "0"]].concat(), "above 0"),
        (
            &[&addresses[..], &["--reset"]].concat(),
            "expected --cut-after",
        ),
        (
            &[&addresses[..], &["Clark"]].concat(),
            "expected options alone",
        ),
    ] {
        let output = Command::new(example("lossy")).args(words).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(said), "{words:?}: {text}");
    }
    let help = Command::new(example("lossy")).arg("--help").output();
    let help = help.expect("it runs").stdout;
    assert!(String::from_utf8_lossy(&help).contains("--cut-after BYTES"));
}
