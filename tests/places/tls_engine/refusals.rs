//! What must end a connection: old versions, alerts, what is not TLS, forgeries, noise.

use std::io::Write;

use herd::net::{TlsEngine, TlsError, TlsState};
use proptest::prelude::*;
use rustls::{AlertDescription, Error};

use super::peer::{Authority, HOST, Pair, VERSIONS, connected, engine, fatal};

/// What the first bytes of an answer do to an engine that said hello.
fn answered(bytes: &[u8]) -> TlsError {
    let mut engine = engine();
    engine.output(&mut Vec::new());
    engine.receive(bytes, &mut Vec::new()).expect_err("refused")
}

#[test]
fn only_old_versions() {
    // The ServerHello of TLS 1.1: version, random, no session, a suite of its time.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0xc0, 0x13, 0]);
    let mut engine = engine();
    engine.output(&mut Vec::new());
    let answer = engine.receive(&hello, &mut Vec::new());
    assert_eq!(answer, Err(TlsError::Version));
    let mut out = Vec::new();
    engine.output(&mut out);
    assert_eq!(
        out[5..],
        fatal(70)[5..],
        "the server is told of the version"
    );

    // What a server says that knows our hello for too new.
    assert_eq!(answered(&fatal(70)), TlsError::Version);
}

#[test]
fn alerts_have_their_names() {
    let error = answered(&fatal(40));
    assert_eq!(error, TlsError::Alert(40));
    assert!(error.to_string().ends_with("alert 40 (HandshakeFailure)"));
    assert_eq!(answered(&fatal(112)), TlsError::Alert(112));
}

#[test]
fn what_is_not_tls() {
    assert_eq!(
        answered(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        TlsError::NotTls
    );
    assert_eq!(answered(b"SSH-2.0-x\r\n"), TlsError::NotTls);
    assert_eq!(answered(&[0; 5]), TlsError::NotTls);
    assert_eq!(answered(&[22, 9, 9, 0, 1, 0]), TlsError::NotTls);
    assert_eq!(answered(&[22, 3, 3, 0, 0]), TlsError::NotTls);
    // TLS, but not now: data before a hello.
    assert!(matches!(
        answered(&[23, 3, 3, 0, 1, 0]),
        TlsError::Protocol(_)
    ));
}

#[test]
fn over_the_limit() {
    // A record of 18 KiB and one byte, by its header alone.
    assert_eq!(answered(&[22, 3, 3, 0x48, 1]), TlsError::TooLong);
    // A handshake message of 64 KiB and more, by its header alone.
    assert_eq!(answered(&[22, 3, 3, 0, 4, 2, 1, 0, 0]), TlsError::TooLong);
    for (_, version) in VERSIONS {
        let mut pair = connected(version);
        let long = [23, 3, 3, 0x48, 1];
        let heard = &mut pair.client_heard;
        assert_eq!(pair.client.receive(&long, heard), Err(TlsError::TooLong));
        pair.client_says();
        let alert = Error::AlertReceived(AlertDescription::DecodeError);
        assert_eq!(pair.server_failed, Some(alert));
    }
}

#[test]
fn a_forged_record_ends_it_but_what_came_before_counts() {
    for (_, version) in VERSIONS {
        let mut pair = connected(version);
        pair.server.writer().write_all(b"answer").expect("room");
        let mut burst = pair.take_from_server();
        pair.server.writer().write_all(b"forged").expect("room");
        burst.extend_from_slice(&pair.take_from_server());
        *burst.last_mut().expect("a byte") ^= 1;
        let error = pair.client.receive(&burst, &mut pair.client_heard);
        assert_eq!(
            error,
            Err(TlsError::Protocol(
                "cannot decrypt peer's message".to_string()
            ))
        );
        assert_eq!(pair.client_heard, b"answer");
        pair.client_says();
        let alert = Error::AlertReceived(AlertDescription::BadRecordMac);
        assert_eq!(pair.server_failed, Some(alert));
    }
}

/// Records with true headers and any content, and plain noise.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    let content = || prop::collection::vec(any::<u8>(), 0..200);
    let record = (20_u8..26, content()).prop_map(|(kind, content)| {
        let mut record = vec![kind, 3, 3, 0, content.len() as u8];
        record.extend(content);
        record
    });
    prop_oneof![3 => record, 1 => content()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_comes_makes_it_panic(
        wrapped in any::<bool>(),
        tls13 in any::<bool>(),
        pieces in prop::collection::vec(junk(), 1..6),
        close_before in 0_usize..12,
    ) {
        let version = VERSIONS[usize::from(tls13)].1;
        let mut engine = if wrapped { connected(version).client } else { engine() };
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        for (i, piece) in pieces.iter().enumerate() {
            if i == close_before {
                engine.close();
            }
            let _ = engine.receive(piece, &mut plaintext);
            let _ = engine.send(b"ask");
            engine.output(&mut out);
        }
        let _ = engine.end_of_stream();
        engine.output(&mut out);
        prop_assert!(plaintext.is_empty());
        prop_assert_eq!(engine.state(), TlsState::Unwrapped);
    }

    #[test]
    fn a_flipped_bit_anywhere_never_gives_wrong_bytes(
        tls13 in any::<bool>(),
        at in any::<prop::sample::Index>(),
        bit in 0_u32..8,
    ) {
        // The server's whole first flight, or its first data, with one bit flipped.
        let version = VERSIONS[usize::from(tls13)].1;
        let mut pair = connected(version);
        pair.server.writer().write_all(b"answer").expect("room");
        let mut burst = pair.take_from_server();
        *at.get_mut(&mut burst) ^= 1 << bit;
        let _ = pair.client.receive(&burst, &mut pair.client_heard);
        prop_assert!(pair.client_heard.is_empty() || pair.client_heard == b"answer");

        let authority = Authority::new("An authority");
        let client = authority.trusted().engine(HOST).expect("a host");
        let mut pair = Pair::new(client, &authority.server(version));
        pair.client_says();
        let mut flight = pair.take_from_server();
        *at.get_mut(&mut flight) ^= 1 << bit;
        let _ = pair.client.receive(&flight, &mut pair.client_heard);
        pair.client_says();
        prop_assert!(pair.client_heard.is_empty());
    }
}
