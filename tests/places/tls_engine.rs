//! TLS in memory: our engine against a rustls server, with bytes that come in any pieces.

mod certificates;
mod peer;
mod refusals;

use std::io::Write;

use herd::net::{TlsEngine, TlsError, TlsState};
use peer::{Authority, HOST, Pair, VERSIONS, connected, engine, fatal};

/// Bytes that do not repeat too soon.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn handshakes_in_pieces_of_any_size() {
    let authority = Authority::new("An authority");
    for (name, version) in VERSIONS {
        let server = authority.server(version);
        for piece in [1, 2, 5, 1000, usize::MAX] {
            let client = authority.trusted().engine(HOST).expect("a host");
            let mut pair = Pair::new(client, &server);
            pair.piece = piece;
            assert_eq!(pair.client.state(), TlsState::Unwrapped);
            assert_eq!(
                (pair.client.resumed(), pair.client.protocol()),
                (None, None)
            );
            // Before the handshake: it waits, and goes out with its last flight.
            pair.client.send(b"ask").expect("open");
            assert!(pair.client_says() > 0);
            assert_eq!(pair.client.state(), TlsState::DoHandshake);

            assert_eq!(pair.settle(), Ok(()), "{name} by {piece}");
            assert_eq!(pair.client.state(), TlsState::Wrapped);
            assert_eq!(pair.client.protocol(), Some(name));
            assert_eq!(pair.client.resumed(), Some(false));
            assert_eq!(pair.server.server_name(), Some(HOST));
            assert_eq!(pair.server.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(pair.server_heard, b"ask");
            assert_eq!(pair.client_heard, b"");
        }
    }
}

#[test]
fn two_hundred_kibibytes_each_way() {
    let data = noise(200 * 1024);
    for (name, version) in VERSIONS {
        for piece in [7, 4096, usize::MAX] {
            let mut pair = connected(version);
            pair.piece = piece;
            pair.client.send(&data).expect("open");
            pair.settle().expect("good records");
            assert!(
                pair.server_heard == data,
                "{name} by {piece}: what the server heard"
            );
            pair.server_says(&data, 60_000);
            assert!(
                pair.client_heard == data,
                "{name} by {piece}: what the client heard"
            );
        }
    }
}

#[test]
fn two_hundred_kibibytes_before_the_handshake() {
    let data = noise(200 * 1024);
    for (name, version) in VERSIONS {
        let authority = Authority::new("An authority");
        let client = authority.trusted().engine(HOST).expect("a host");
        let mut pair = Pair::new(client, &authority.server(version));
        pair.client.send(&data).expect("open");
        pair.settle().expect("a handshake");
        assert!(pair.server_heard == data, "{name}");
    }
}

#[test]
fn one_burst_of_many_records_is_taken_whole() {
    // 50 KiB at once: three times what rustls holds of plaintext.
    let data = noise(50 * 1024);
    for (_, version) in VERSIONS {
        let mut pair = connected(version);
        pair.server.writer().write_all(&data).expect("room");
        let burst = pair.take_from_server();
        assert!(burst.len() > data.len());
        pair.client
            .receive(&burst, &mut pair.client_heard)
            .expect("good records");
        assert!(pair.client_heard == data);
    }
}

#[test]
fn records_of_one_byte() {
    let data = noise(3000);
    for (_, version) in VERSIONS {
        for piece in [1, 1000, usize::MAX] {
            let mut pair = connected(version);
            pair.piece = piece;
            pair.server_says(&data, 1);
            assert!(pair.client_heard == data);
        }
    }
}

#[test]
fn a_record_brings_no_more_than_came_in() {
    let (_, version) = VERSIONS[1];
    let mut pair = connected(version);
    pair.server
        .writer()
        .write_all(&noise(16_384))
        .expect("room");
    let record = pair.take_from_server();
    let (most, last) = record.split_at(record.len() - 1);
    pair.client
        .receive(most, &mut pair.client_heard)
        .expect("a beginning");
    assert_eq!(pair.client_heard, b"");
    pair.client
        .receive(last, &mut pair.client_heard)
        .expect("its end");
    assert_eq!(pair.client_heard.len(), 16_384);
}

#[test]
fn a_second_handshake_is_resumed() {
    for (name, version) in VERSIONS {
        let authority = Authority::new("An authority");
        let (config, server) = (authority.trusted(), authority.server(version));
        for round in 0..4 {
            // A clone of the configuration knows the same sessions.
            let client = config.clone().engine(HOST).expect("a host");
            let mut pair = Pair::new(client, &server);
            pair.settle().expect("a handshake");
            assert_eq!(
                pair.client.resumed(),
                Some(round > 0),
                "{name}, round {round}"
            );
            pair.client.send(b"ask").expect("open");
            pair.settle().expect("good records");
            assert_eq!(pair.server_heard, b"ask");
        }
        let stranger = authority.trusted().engine(HOST).expect("a host");
        let mut pair = Pair::new(stranger, &server);
        pair.settle().expect("a handshake");
        assert_eq!(pair.client.resumed(), Some(false));
    }
}

#[test]
fn keys_are_changed_when_the_server_asks() {
    let mut pair = connected(VERSIONS[1].1);
    for _ in 0..3 {
        pair.server.refresh_traffic_keys().expect("TLS 1.3");
        pair.server_says(b"answer", 6);
        pair.client.send(b"ask").expect("open");
        pair.settle().expect("good records");
    }
    assert_eq!(pair.client_heard, b"answeransweranswer");
    assert_eq!(pair.server_heard, b"askaskask");
}

#[test]
fn our_close_is_the_last_thing_said() {
    for (name, version) in VERSIONS {
        let mut pair = connected(version);
        pair.client.send(b"ask").expect("open");
        pair.client.close();
        assert_eq!(pair.client.state(), TlsState::Flushing);
        assert_eq!(pair.client.send(b"more"), Err(TlsError::Closed));
        pair.client_says();
        assert_eq!(pair.client.state(), TlsState::Shutdown);
        assert_eq!(pair.server_heard, b"ask", "{name}");
        let io = pair.server.process_new_packets().expect("no fault");
        assert!(io.peer_has_closed(), "{name}");

        // Whatever comes now, good or bad, is neither heard nor answered.
        if name == "TLSv1.3" {
            pair.server.refresh_traffic_keys().expect("TLS 1.3");
        }
        pair.server.writer().write_all(b"late").expect("room");
        let late = pair.take_from_server();
        for bytes in [&late[..], b"HTTP/1.1 400 ", &fatal(40), &[0; 300]] {
            assert_eq!(pair.client.receive(bytes, &mut pair.client_heard), Ok(()));
        }
        pair.client.close();
        assert_eq!(pair.client_says(), 0);
        assert_eq!(pair.client_heard, b"");
        assert!(!pair.client.at_end());
        assert_eq!(pair.client.end_of_stream(), Ok(()));
        assert_eq!(pair.client.state(), TlsState::Unwrapped);
        assert_eq!(pair.client.end_of_stream(), Ok(()));
        assert_eq!(pair.client.send(b"more"), Err(TlsError::Closed));
        assert_eq!(
            pair.client.receive(b"x", &mut Vec::new()),
            Err(TlsError::Closed)
        );
        assert_eq!(pair.client_says(), 0);
    }
}

#[test]
fn the_servers_close_is_answered_and_clean() {
    for (name, version) in VERSIONS {
        let mut pair = connected(version);
        pair.server.writer().write_all(b"answer").expect("room");
        pair.server.send_close_notify();
        let mut burst = pair.take_from_server();
        burst.extend_from_slice(b"bytes behind it do not count");
        let taken = pair.client.receive(&burst, &mut pair.client_heard);
        assert_eq!(taken, Ok(()), "{name}");
        assert_eq!(pair.client_heard, b"answer");
        assert!(pair.client.at_end());
        assert_eq!(pair.client.state(), TlsState::Flushing);
        assert_eq!(pair.client.send(b"more"), Err(TlsError::Closed));
        // The socket may end before our answer is taken: it stays to be sent.
        assert_eq!(pair.client.end_of_stream(), Ok(()));
        assert!(pair.client_says() > 0);
        let io = pair.server.process_new_packets().expect("no fault");
        assert!(io.peer_has_closed(), "{name}");
    }
}

#[test]
fn an_end_without_close_notify_is_a_cut() {
    for (_, version) in VERSIONS {
        let mut pair = connected(version);
        pair.server_says(b"answ", 4);
        assert_eq!(pair.client.end_of_stream(), Err(TlsError::Truncated));
        assert_eq!(pair.client.state(), TlsState::Unwrapped);
        assert_eq!(pair.client_heard, b"answ");
        assert_eq!(pair.client.end_of_stream(), Err(TlsError::Truncated));
        assert_eq!(pair.client.send(b"more"), Err(TlsError::Truncated));
        assert!(!pair.client.at_end());

        let mut early = engine();
        early.output(&mut Vec::new());
        assert_eq!(early.end_of_stream(), Err(TlsError::Truncated));
    }
}

#[test]
fn a_handshake_called_off_says_nothing_more() {
    let mut unborn = engine();
    unborn.close();
    let mut out = Vec::new();
    unborn.output(&mut out);
    assert_eq!(out, b"");
    assert_eq!(unborn.state(), TlsState::Unwrapped);
    assert_eq!(unborn.send(b"ask"), Err(TlsError::Closed));

    let authority = Authority::new("An authority");
    let client = authority.trusted().engine(HOST).expect("a host");
    let mut pair = Pair::new(client, &authority.server(VERSIONS[0].1));
    pair.client.send(b"ask").expect("open");
    pair.client_says();
    let flight = pair.take_from_server();
    pair.client
        .receive(&flight, &mut Vec::new())
        .expect("good records");
    assert_eq!(pair.client.state(), TlsState::DoHandshake);
    pair.client.close();
    assert_eq!(pair.client_says(), 0);
    assert_eq!(pair.client.end_of_stream(), Ok(()));
}
