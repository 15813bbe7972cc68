//! Lines and answers: what a command is on the wire, whatever the segments it
//! comes in, and when a connection ends.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::common::{
    Client, Herd, PATIENCE, Plan, Quiet, UCLA, iamat, is_at, latin1, now, unique, wait_until,
};

/// The longest line that is taken: its bytes before the LF.
const CAP: usize = 64 * 1024;

/// How many bytes of a line that is too long are given back.
const ECHOED: usize = 128;

/// A script of every kind of command, and what each answer is like: the skew,
/// the only thing that differs from run to run, is cut out of it.
const SCRIPT: &str = "IAMAT s +1.5-2.5 1479413884.39\nNO\nWHATSAT s 1 0\n\nWHATSAT u 1 0\n";

fn answers_of_script(client: &mut Client) -> String {
    let at = client.line();
    assert!(is_at(&at, "Bailey", "s +1.5-2.5 1479413884.39"), "{at:?}");
    assert_eq!(client.line(), "? NO\n");
    let stored = client.whatsat();
    assert_eq!(client.line(), "? \n");
    assert_eq!(client.line(), "? WHATSAT u 1 0\n");
    assert_eq!(stored.results().len(), 0);
    stored.at
}

#[test]
fn a_line_may_be_cut_at_every_byte() {
    let herd = Herd::solo("Bailey");
    let first = answers_of_script(herd.client("Bailey").send(SCRIPT));
    for cut in 1..SCRIPT.len() {
        let (head, tail) = SCRIPT.split_at(cut);
        let mut client = herd.client("Bailey");
        client.send(head);
        // The pause is for the server: it should read the head by itself.
        std::thread::sleep(Duration::from_millis(1));
        client.send(tail);
        // An exact duplicate keeps the first record, so the stored line stays.
        assert_eq!(answers_of_script(&mut client), first, "cut at {cut}");
        client.half_close().eof();
    }
}

#[test]
fn a_line_may_come_byte_by_byte() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for byte in SCRIPT.bytes() {
        client.send([byte]);
        std::thread::sleep(Duration::from_micros(300));
    }
    answers_of_script(&mut client);
    client.silence(50);
}

#[test]
fn half_a_line_is_not_answered() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    client.send("HELLO").silence(200);
    assert_eq!(client.ask(" AGAIN\nTHERE"), "? HELLO AGAIN\n");
    client.silence(100);
    assert_eq!(client.ask("\n"), "? THERE\n");
}

#[test]
fn many_commands_in_one_segment_are_answered_in_order() {
    let herd = Herd::solo("Bailey");
    let mut script = String::new();
    for n in 0..300 {
        match n % 3 {
            0 => writeln!(script, "IAMAT m{n} +1-{}.5 1479413884.{n}", n % 180),
            1 => writeln!(script, "WHATSAT m{} 1 0", n - 1),
            _ => writeln!(script, "nonsense {n}"),
        }
        .expect("a string takes all");
    }
    let mut client = herd.client("Bailey");
    client.send(&script);
    let mut last = String::new();
    for n in 0..300 {
        match n % 3 {
            0 => {
                last = client.line();
                let rest = format!("m{n} +1-{}.5 1479413884.{n}", n % 180);
                assert!(is_at(&last, "Bailey", &rest), "{n}: {last:?}");
            }
            1 => assert_eq!(client.whatsat().at, last, "{n}"),
            _ => assert_eq!(client.line(), format!("? nonsense {n}\n")),
        }
    }
    client.silence(50);
}

#[test]
fn a_connection_takes_commands_again_and_again() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for n in 0..50 {
        assert_eq!(client.ask(format!("no {n}\n")), format!("? no {n}\n"));
        let time = now();
        let answer = client.ask(format!("IAMAT again {UCLA} {time}\n"));
        assert!(
            is_at(&answer, "Bailey", &format!("again {UCLA} {time}")),
            "{answer:?}"
        );
    }
}

#[test]
fn a_last_line_without_lf_counts_when_the_client_half_closes() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    client.send(iamat("half").trim_end()).silence(50);
    let at = client.half_close().line();
    assert!(
        at.starts_with("AT Bailey ") && at.contains(" half "),
        "{at:?}"
    );
    client.eof();

    let mut client = herd.client("Bailey");
    client.send("WHATSAT half 1 0").half_close();
    assert_eq!(client.whatsat().at, at);
    client.eof();

    let mut client = herd.client("Bailey");
    assert_eq!(client.send("one\ntwo \r").half_close().line(), "? one\n");
    assert_eq!(client.line(), "? two \r\n");
    client.eof();
}

#[test]
fn a_half_closed_client_gets_all_its_answers() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let script: String = (0..2_000).map(|n| format!("question {n}\n")).collect();
    client.send(script).half_close();
    for n in 0..2_000 {
        assert_eq!(client.line(), format!("? question {n}\n"));
    }
    client.eof();
}

#[test]
fn an_end_with_nothing_pending_gets_nothing() {
    let herd = Herd::solo("Bailey");
    herd.client("Bailey").half_close().eof();
    let mut client = herd.client("Bailey");
    assert_eq!(client.ask("x\n"), "? x\n");
    client.half_close().eof();
}

#[test]
fn an_empty_line_is_invalid_and_so_is_white_space() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    client.send("\n\n\r\n \t\x0b\x0c \n");
    for expected in ["? \n", "? \n", "? \r\n", "?  \t\x0b\x0c \n"] {
        assert_eq!(client.line(), expected);
    }
    client.silence(50);
}

#[test]
fn a_line_of_exactly_the_cap_is_taken() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    client.ask(iamat("cap"));
    let junk = "j".repeat(CAP);
    assert_eq!(client.ask(format!("{junk}\n")), format!("? {junk}\n"));
    let start = "WHATSAT cap 1 ";
    let padded = format!("{start}{}0\n", " ".repeat(CAP - start.len() - 1));
    assert_eq!(padded.len(), CAP + 1, "the LF does not count");
    assert!(client.send(padded).whatsat().at.contains(" cap "));
}

#[test]
fn a_line_over_the_cap_is_cut_and_ends_the_connection() {
    let herd = Herd::solo("Bailey");
    let cut = format!("? {}\n", "0123456789abcdef".repeat(ECHOED / 16));
    let long = "0123456789abcdef".repeat(CAP / 16);
    for after in ["x\n", "x", "x\nIAMAT late +1+1 1\n"] {
        let mut client = herd.client("Bailey");
        client.send(format!("before\n{long}{after}"));
        assert_eq!(client.line(), "? before\n");
        assert_eq!(client.line(), cut, "with {after:?}");
        client.eof();
    }
    assert_eq!(
        herd.holds("Bailey", "late"),
        None,
        "nothing after it counts"
    );
}

/// Whoever sends megabytes without an LF should still see why it ends: a
/// server that closes with bytes unread resets the connection, and the client's
/// system may throw away what it has not yet read.
#[test]
fn an_endless_line_gets_its_answer_before_the_end() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    client
        .send("z".repeat(CAP + 4_000))
        .send("z".repeat(30_000));
    assert_eq!(client.line(), format!("? {}\n", "z".repeat(ECHOED)));
    assert_ne!(client.rest().1, Quiet::Timeout, "the connection ends");
    assert_eq!(herd.client("Bailey").ask("still here\n"), "? still here\n");
}

#[test]
fn one_shot_closes_after_one_answer() {
    let herd = Plan::only("Bailey").args(&["--one-shot"]).start();
    let mut client = herd.client("Bailey");
    let at = client.ask(iamat("shot"));
    assert!(at.starts_with("AT Bailey "), "{at:?}");
    client.eof();

    let mut client = herd.client("Bailey");
    assert_eq!(client.send("WHATSAT shot 1 0\n").whatsat().at, at);
    client.eof();

    let mut client = herd.client("Bailey");
    assert_eq!(client.ask("nonsense\n"), "? nonsense\n");
    client.eof();
}

#[test]
fn one_shot_answers_only_the_first_of_many() {
    let herd = Plan::only("Bailey").args(&["--one-shot"]).start();
    let mut client = herd.client("Bailey");
    client.send("first\nsecond\nIAMAT third +1+1 1\n");
    assert_eq!(client.line(), "? first\n");
    assert_eq!(client.rest().0, b"", "one answer");
    assert_eq!(
        herd.holds("Bailey", "third"),
        None,
        "what follows is not obeyed"
    );
}

#[test]
fn nothing_but_answers_is_ever_sent_to_a_client() {
    let herd = Herd::start();
    let mut clients = crate::common::NAMES.map(|name| herd.client(name));
    for client in &mut clients {
        client.silence(50);
    }
    let at = herd.client("Clark").ask(iamat("loud"));
    herd.wait_everywhere("loud", &at);
    for client in &mut clients {
        client.silence(50);
        assert_eq!(client.ask("x\n"), "? x\n");
    }
}

#[test]
fn a_client_that_resets_harms_nobody() {
    let herd = Herd::solo("Bailey");
    for n in 0..50 {
        let mut client = herd.client("Bailey");
        client.send("noise\n".repeat(500));
        if n % 2 == 0 {
            client.line();
        }
        // Dropped with answers unread: our system sends a reset.
    }
    assert_eq!(herd.client("Bailey").ask("calm\n"), "? calm\n");
}

#[test]
fn hundreds_of_clients_at_once_are_all_answered() {
    let herd = Herd::solo("Bailey");
    let mut clients: Vec<Client> = (0..300).map(|_| herd.client("Bailey")).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(format!("client {n}\n"));
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.line(), format!("? client {n}\n"));
    }
}

/// Sends until the server takes no more, then asks at another connection, and
/// only then reads: everybody gets everything, in order.
#[test]
fn a_slow_reader_does_not_hold_up_others() {
    let herd = Herd::solo("Bailey");
    let slow = herd.client("Bailey");
    let writer = slow.stream().try_clone().expect("a second handle");
    writer
        .set_write_timeout(Some(Duration::from_millis(300)))
        .expect("a write timeout");
    let line = format!("{}\n", "s".repeat(999));
    let sent = push_until_stuck(&writer, line.as_bytes());
    assert!(sent > CAP, "only {sent} bytes were taken");
    assert!(
        sent < 64 << 20,
        "the server takes without end: {sent} bytes"
    );

    let mut quick = herd.client("Bailey");
    for n in 0..100 {
        let begun = Instant::now();
        assert_eq!(quick.ask(format!("quick {n}\n")), format!("? quick {n}\n"));
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "a quick client waits for a slow one"
        );
    }

    let mut slow = slow;
    for n in 0..sent / line.len() {
        assert_eq!(slow.line(), format!("? {line}"), "answer {n}");
    }
}

/// Writes the line again and again; how many bytes went before a write stuck.
fn push_until_stuck(mut stream: &std::net::TcpStream, line: &[u8]) -> usize {
    use std::io::Write as _;
    let block = line.repeat(16);
    let mut sent = 0;
    while sent < 64 << 20 {
        match stream.write(&block[sent % line.len()..]) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    sent
}

/// A client that closes its side while it still gets answers must not lose a
/// line, whatever the sizes.
#[test]
fn answers_are_whole_lines_whatever_the_reader_does() {
    let herd = Herd::solo("Bailey");
    let id = unique("whole");
    let mut client = herd.client("Bailey");
    client.ask(iamat(&id));
    let questions = format!("WHATSAT {id} 50 20\n").repeat(20);
    client.send(questions).half_close();
    let answers: Vec<_> = (0..20).map(|_| client.whatsat()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    client.eof();
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_are() {
    let herd = Herd::solo("Bailey");
    let every: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    let mut client = herd.client("Bailey");
    client.send(&every).send("\n");
    assert_eq!(client.line(), format!("? {}\n", latin1(&every)));
}

#[test]
fn a_server_that_has_been_left_lets_go() {
    let herd = Herd::solo("Bailey");
    let pid = herd.pid("Bailey").as_raw_nonzero();
    let open = || {
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .map(Iterator::count)
            .ok()
    };
    let Some(before) = open() else { return }; // no /proc here
    let clients: Vec<Client> = (0..100).map(|_| herd.client("Bailey")).collect();
    wait_until(PATIENCE, "all are accepted", || {
        open() >= Some(before + 100)
    });
    drop(clients);
    wait_until(PATIENCE, "all are let go", || open() == Some(before));
}
