//! Secured links: who may speak as a server, and who may not. (The faults' row 22.)

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::common::certificates::{self, Authority, FIVE, Papers, Visitor, client_config, params};
use crate::common::{Herd, Plan, TempDir, UCLA, iamat, now, unique, wait_until};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustix::process::Signal;
use rustls::HandshakeKind;

const SOON: Duration = Duration::from_secs(5);
const HERD: &[&[u8]] = &[b"herd"];

/// A secured herd, its authority, and the folder of its certificates.
fn secured() -> (Herd, Authority, TempDir) {
    secured_with(&[])
}

fn secured_with(more: &[&str]) -> (Herd, Authority, TempDir) {
    let (authority, folder) = (Authority::new(), TempDir::new());
    authority.equip(folder.path());
    let options = certificates::options(folder.path());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let plan = Plan::five().args(&options).args(more);
    (plan.start(), authority, folder)
}

fn at_line(server: &str, id: &str) -> String {
    format!("AT {server} +0.000123456 {id} {UCLA} {}\n", now())
}

/// Says PEER and AT to Clark as this visitor; true if the report was believed by anyone.
fn plants(herd: &Herd, visitor: &mut Visitor, name: &str) -> bool {
    let id = unique("planted");
    let _ = visitor.outcome(&format!("PEER {name}\n{}", at_line(name, &id)));
    // What is asked behind it is answered behind it: had it been believed, Clark would know.
    herd.holds("Clark", &id).is_some()
}

#[test]
fn five_servers_that_prove_their_names_are_one_herd() {
    let (mut herd, authority, _folder) = secured();
    let plain = unique("plain");
    let answer = herd.client("Clark").ask(iamat(&plain));
    herd.wait_everywhere(&plain, &answer);
    let mut phone = Visitor::connect(herd.address("Bailey"), "Bailey", &authority.pem, None, &[]);
    let secret = unique("secret");
    phone.send(iamat(&secret));
    let answer = phone.line();
    assert!(answer.starts_with("AT Bailey "), "{answer}");
    herd.wait_everywhere(&secret, &answer);
    herd.kill("Bona");
    let meanwhile = unique("meanwhile");
    let answer = herd.client("Jaquez").ask(iamat(&meanwhile));
    herd.restart("Bona");
    herd.wait_everywhere(&meanwhile, &answer);
}

#[test]
fn a_phone_by_tls_gets_all_its_answers_after_its_end() {
    let (herd, authority, _folder) = secured();
    let mut phone = Visitor::connect(herd.address("Clark"), "Clark", &authority.pem, None, &[]);
    let (count, mut lines) = (500, String::new());
    let id = unique("many");
    for _ in 0..count {
        lines += &iamat(&id);
    }
    lines += &format!("WHATSAT {id} 10 20\nwithout its end");
    phone.send(&lines);
    let rest = phone.rest();
    assert_eq!(rest.matches("AT Clark ").count(), count + 1);
    assert!(rest.ends_with("? without its end\n"), "{rest:.200}");
}

#[test]
fn whoever_proves_nothing_plants_nothing() {
    let (herd, authority, _folder) = secured();
    // Plain text, as on loopback before.
    for name in FIVE {
        let id = unique("forged");
        let mut liar = herd.client("Clark");
        let (peer, at) = (format!("PEER {name}\n"), at_line(name, &id));
        assert_eq!(liar.ask(&peer), format!("? {peer}"));
        assert_eq!(liar.ask(&at), format!("? {at}"));
        assert_eq!(herd.holds("Clark", &id), None);
    }
    // TLS, as a phone: no certificate is asked for, and none would count.
    for papers in [None, Some(authority.papers("Bona"))] {
        let address = herd.address("Clark");
        let mut phone = Visitor::connect(address, "Clark", &authority.pem, papers.as_ref(), &[]);
        let id = unique("forged");
        phone.send(format!("PEER Bona\n{}", at_line("Bona", &id)));
        assert_eq!(phone.line(), "? PEER Bona\n");
        assert!(phone.line().starts_with("? AT Bona"));
        assert_eq!(herd.holds("Clark", &id), None);
    }
}

/// Twenty-one kinds of wrong papers; and the right ones, so that the test could fail.
#[test]
fn whoever_proves_something_else_plants_nothing() {
    let (herd, authority, _folder) = secured();
    let stranger = Authority::new();
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = params("Bona");
        change(&mut params);
        authority.issue(&params)
    };
    let mut wrong: Vec<(&str, Option<Papers>)> = vec![
        ("none", None),
        ("of another authority", Some(stranger.papers("Bona"))),
        (
            "expired",
            Some(with(|it| it.not_after = date_time_ymd(2020, 1, 1))),
        ),
        (
            "not yet valid",
            Some(with(|it| it.not_before = date_time_ymd(4000, 1, 1))),
        ),
        (
            "for servers only",
            Some(with(|it| {
                it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            })),
        ),
        (
            "for code",
            Some(with(|it| {
                it.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
            })),
        ),
    ];
    for name in [
        "Bailey",
        "Campbell",
        "Clark",
        "Jaquez",
        "Bona.test",
        "test.Bona",
        "Bonaa",
        "Bon",
        "*.Bona",
        "127.0.0.1",
        "localhost",
        "phone",
        "BONA",
        "bona",
        "bOna",
    ] {
        wrong.push((name, Some(authority.papers(name))));
    }
    let address = herd.address("Clark");
    let visit =
        |papers: Option<&Papers>| Visitor::connect(address, "Clark", &authority.pem, papers, HERD);
    for (what, papers) in &wrong {
        let mut visitor = visit(papers.as_ref());
        assert!(!plants(&herd, &mut visitor, "Bona"), "a certificate {what}");
    }
    // Bona may not speak as Jaquez, nor as somebody who is no neighbour.
    for name in ["Jaquez", "Clark", "Bailey", "Nobody"] {
        let mut visitor = visit(Some(&authority.papers("Bona")));
        assert!(!plants(&herd, &mut visitor, name), "PEER {name}");
    }
    let mut visitor = visit(Some(&authority.papers("Bona")));
    assert!(plants(&herd, &mut visitor, "Bona"), "Bona itself");
}

/// A server that holds another's certificate is not believed by those it dials, nor do they dial
/// it: an herd with one such server goes on without it.
#[test]
fn a_server_with_the_wrong_certificate_is_left_alone() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    authority.equip(folder.path());
    // A host of this name would be the same.
    for name in ["Clark", "BONA"] {
        let papers = authority.papers(name);
        for (ending, text) in [("pem", &papers.certificate), ("key", &papers.key)] {
            let file = folder.path().join(format!("Bona.{ending}"));
            std::fs::write(file, text).expect("a file");
        }
        left_alone(
            &folder,
            if name == "BONA" {
                "another server"
            } else {
                "another host"
            },
        );
    }
}

fn left_alone(folder: &TempDir, why: &str) {
    let options = certificates::options(folder.path());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let herd = Plan::five().args(&options).start_apart();
    let said = |name: &str, text: &str| {
        wait_until(SOON, text, || herd.journal(name).contains(text));
    };
    said(
        "Clark",
        &format!("peer Bona * no link: the certificate is for {why}"),
    );
    said("Clark", "it has not proven to be Bona");
    let err = std::fs::read_to_string(herd.directory().join("Bona.err")).expect("its stderr");
    assert!(
        err.contains("Bona.pem does not bear the name Bona"),
        "{err}"
    );
    let id = unique("around");
    let answer = herd.client("Clark").ask(iamat(&id));
    for name in ["Jaquez", "Campbell", "Bailey"] {
        herd.wait_holds(name, &id, &answer);
    }
    assert_eq!(herd.holds("Bona", &id), None);
}

/// A session that is taken up again shows no certificate: with the one that has expired meanwhile, its
/// owner would speak on.
#[test]
fn no_server_takes_an_old_session_up_again() {
    let (herd, authority, _folder) = secured();
    let papers = authority.papers("Bona");
    let config = Arc::new(client_config(&authority.pem, Some(&papers), HERD));
    for _ in 0..3 {
        let mut visitor = Visitor::by(&config, herd.address("Clark"), "Clark");
        visitor.send("PEER Bona\n");
        // A ticket would come before the end.
        visitor.rest();
        let kind = visitor.0.conn.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full));
        assert_eq!(visitor.0.conn.tls13_tickets_received(), 0);
    }
}

#[test]
fn a_hello_in_any_pieces_and_a_plain_line_like_one() {
    let (herd, authority, _folder) = secured();
    // A first byte that could begin a hello, and does not.
    for line in [&b"\x16\n"[..], b"\x16\x02\n", b"\x16 \x03\n"] {
        let mut plain = herd.client("Clark");
        plain.send(&line[..1]);
        std::thread::sleep(Duration::from_millis(20));
        plain.send(&line[1..]);
        let wanted = [b"? ", line].concat();
        assert_eq!(plain.line().as_bytes(), wanted);
    }
    let mut plain = herd.client("Clark");
    plain.send([0x16]).half_close();
    assert_eq!(plain.line(), "? \x16\n");
    plain.eof();
    // A hello that is none, and one that is never finished: no answer but an alert.
    let mut broken = TcpStream::connect(herd.address("Clark")).expect("it listens");
    broken
        .write_all(b"\x16\x03\x01\x00\x05hello")
        .expect("it takes bytes");
    let mut answer = Vec::new();
    broken.read_to_end(&mut answer).expect("an end");
    let alert = answer.first().is_none_or(|&first| first == 0x15);
    assert!(alert, "an alert or nothing: {answer:?}");
    // Byte by byte.
    let mut phone = Visitor::connect(herd.address("Clark"), "Clark", &authority.pem, None, &[]);
    let mut hello = Vec::new();
    phone.0.conn.write_tls(&mut hello).expect("a hello");
    for byte in hello {
        phone.0.sock.write_all(&[byte]).expect("it takes bytes");
    }
    let id = unique("piecemeal");
    phone.send(iamat(&id));
    assert!(phone.line().starts_with("AT Clark "));
}

/// TLS and snapshots are the world's: a replay needs neither certificates nor files.
#[test]
fn a_secured_server_with_snapshots_replays() {
    let (mut herd, authority, _folder) = secured_with(&[
        "--record={name}.recording",
        "--snapshot={name}.snapshot",
        "--snapshot-every=0",
    ]);
    let mut phone = Visitor::connect(herd.address("Clark"), "Clark", &authority.pem, None, &[]);
    for _ in 0..20 {
        phone.send(iamat(&unique("recorded")));
        assert!(phone.line().starts_with("AT Clark "));
    }
    let mut liar = herd.client("Clark");
    assert_eq!(liar.ask("PEER Bona\n"), "? PEER Bona\n");
    herd.signal("Clark", Signal::HUP);
    herd.signal("Clark", Signal::TERM);
    assert!(herd.wait_exit("Clark", SOON).success());
    let exit = crate::common::run_herd(herd.directory(), &["--replay", "Clark.recording"]);
    assert_eq!(exit.code, Some(0), "{}", exit.stdout);
    assert!(exit.stdout.starts_with("equal: "), "{}", exit.stdout);
}

#[test]
fn certificates_are_read_again_on_sighup() {
    let (herd, _, folder) = secured();
    let said = |name: &str, text: &str| {
        wait_until(SOON, text, || herd.journal(name).contains(text));
    };
    // A new authority for all: links that stand go on, new ones are by the new papers.
    let fresh = Authority::new();
    fresh.equip(folder.path());
    for name in FIVE {
        herd.signal(name, Signal::HUP);
        said(name, "the certificates were read again");
    }
    let address = herd.address("Clark");
    let mut phone = Visitor::connect(address, "Clark", &fresh.pem, None, &[]);
    let id = unique("fresh");
    phone.send(iamat(&id));
    let answer = phone.line();
    herd.wait_everywhere(&id, &answer);
    let papers = fresh.papers("Bona");
    let mut bona = Visitor::connect(address, "Clark", &fresh.pem, Some(&papers), HERD);
    assert!(plants(&herd, &mut bona, "Bona"));
    // Broken ones change nothing.
    std::fs::write(folder.path().join("Clark.key"), "no key").expect("a file");
    herd.signal("Clark", Signal::HUP);
    said("Clark", "expected a private key in PEM");
    let mut phone = Visitor::connect(address, "Clark", &fresh.pem, None, &[]);
    phone.send(iamat(&id));
    assert!(phone.line().starts_with("AT Clark "));
}
