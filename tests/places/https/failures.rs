//! Places that hang, refuse, are strangers or are not there: every client gets its answer, and the
//! journal the reason.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::{is_right, journal, phones, unknown_error};
use crate::common::{Client, Herd, PATIENCE, Places, Plan, wait_until};

/// The whole lookup's deadline, and room for a busy machine.
const DEADLINE: Duration = Duration::from_secs(13);
/// What a client may call at once, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Asks one question that must fail for this reason.
fn fails(herd: &Herd, reason: &str) {
    let told = phones(herd);
    let mut client = herd.client("Clark");
    client.send("WHATSAT phone-0 10 3\nafter\n");
    assert_eq!(unknown_error(&mut client, DEADLINE), told[0]);
    assert_eq!(client.line(), "? after\n");
    let journal = journal(herd);
    assert!(journal.contains(reason), "{reason:?} is not in\n{journal}");
}

#[test]
fn an_unknown_authority() {
    let places = Places::start(&[]);
    let herd = places.clark_who_trusts_nobody("legacy").start();
    fails(&herd, "the certificate's issuer is unknown");
    assert_eq!(places.requests(), 0);
    wait_until(PATIENCE, "the stand-in hears the alert", || {
        places
            .events()
            .iter()
            .any(|event| event.contains("UnknownCA"))
    });
}

#[test]
fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{port}");
        let herd = Plan::only("Clark").args(&["--places", "new", "--places-url", &url]);
        let herd = herd.start();
        fails(&herd, "refused");
    }
}

#[test]
fn no_such_host() {
    let url = "https://places.invalid:8443";
    let herd = Plan::only("Clark").args(&["--places", "new", "--places-url", url]);
    fails(&herd.start(), "no address");
}

#[test]
fn somebody_who_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let speaker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the server dials");
        std::io::Write::write_all(&mut stream, b"220 smtp.example ESMTP\r\n").expect("a greeting");
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let url = format!("https://{address}");
    let herd = Plan::only("Clark").args(&["--places", "legacy", "--places-url", &url]);
    fails(&herd.start(), "does not speak TLS");
    speaker.join().expect("it was hung up on");
}

/// 300 clients at Places that never answer.
#[test]
fn two_hundred_and_fifty_six_wait_and_the_others_hear_at_once() {
    let places = Places::start(&["--hang"]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    let clients: Vec<Client> = (0..300).map(|_| herd.client("Clark")).collect();
    let mut waited: Vec<Duration> = thread::scope(|scope| {
        let ask = |(number, mut client): (usize, Client)| {
            scope.spawn(move || {
                let begun = Instant::now();
                client.send(format!("WHATSAT phone-0 0.{number:03} 5\n"));
                let at = unknown_error(&mut client, DEADLINE);
                assert!(at.contains(" phone-0 "), "{at:?}");
                begun.elapsed()
            })
        };
        let threads: Vec<_> = clients.into_iter().enumerate().map(ask).collect();
        let answered = threads.into_iter().map(|thread| thread.join());
        answered.map(|waited| waited.expect("an answer")).collect()
    });
    waited.sort_unstable();
    println!("44 clients were told within {:?}", waited[43]);
    println!(
        "256 clients were told after {:?} to {:?}",
        waited[44], waited[299]
    );
    assert!(waited[43] < AT_ONCE, "{:?}", waited[43]);
    assert!(waited[44] > AT_ONCE, "{:?}", waited[44]);
    let requests = places.requests();
    let mut client = herd.client("Clark");
    let begun = Instant::now();
    client.send("WHATSAT phone-1 1 1\n");
    unknown_error(&mut client, AT_ONCE);
    println!("with the breaker open: {:?}", begun.elapsed());
    assert_eq!(places.requests(), requests);
    let (open, said) = (places.most_open(), says_that_it_opened(&herd));
    println!("{open} connections at most; {said} times the journal says that the breaker opened");
    assert!(open <= 32, "{open} connections at a time");
    assert_eq!(said, 1);
}

/// How often the journal says that the breaker opened.
fn says_that_it_opened(herd: &Herd) -> usize {
    let journal = journal(herd);
    journal.matches(" * too many failures in a row: ").count()
}

#[test]
fn the_breaker_opens_after_five_refused_connections() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let url = format!("https://{address}");
    let herd = Plan::only("Clark").args(&["--places", "new", "--places-url", &url]);
    let herd = herd.start();
    phones(&herd);
    let mut client = herd.client("Clark");
    for number in 1..=10 {
        client.send(format!("WHATSAT phone-0 {number} 1\n"));
        unknown_error(&mut client, AT_ONCE);
    }
    let journal = journal(&herd);
    assert_eq!(journal.matches("Done: failed").count(), 5, "{journal}");
    assert_eq!(says_that_it_opened(&herd), 1, "{journal}");
}

/// So they do if what comes back is of no use.
#[test]
fn the_breaker_opens_after_five_failures_in_a_row() {
    // Not Google's paths: an HTML page with status 404 comes back.
    let places = Places::start(&[]);
    let url = format!("{}/elsewhere", places.url());
    let herd = places.clark_at("legacy", &url).start();
    phones(&herd);
    let mut client = herd.client("Clark");
    for number in 1..=10 {
        client.send(format!("WHATSAT phone-0 {number} 1\n"));
        unknown_error(&mut client, AT_ONCE);
        assert_eq!(places.requests(), number.min(5));
    }
    let journal = journal(&herd);
    let count = |text: &str| journal.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("HTTP status 404"), 5, "{journal}");
    assert_eq!(
        count("Places is not asked: Places failed too often"),
        5,
        "{journal}"
    );
    assert_eq!(says_that_it_opened(&herd), 1, "{journal}");
}

#[test]
fn a_refusal_by_google_is_an_answer_and_no_failure() {
    for (api, word) in [("legacy", "REQUEST_DENIED"), ("new", "PERMISSION_DENIED")] {
        let places = Places::start(&["--key", "another"]);
        let herd = places.clark(api).start();
        let told = phones(&herd);
        let mut client = herd.client("Clark");
        for km in 1..=8 {
            client.send(format!("WHATSAT phone-0 {km} 5\n"));
            let answer = client.whatsat();
            assert_eq!(answer.at, told[0]);
            assert!(answer.json.contains(word), "{answer:?}");
        }
        assert_eq!(places.requests(), 8, "{api}");
    }
}

/// The connection ends under a request, as one does that the other side took for idle: the request
/// is made once more, on a fresh one.
#[test]
fn a_kept_connection_that_dies_under_a_request_costs_nobody_an_answer() {
    let places = Places::start(&["--requests-per-connection", "5", "--abrupt"]);
    let herd = places.clark("legacy").start();
    phones(&herd);
    let mut client = herd.client("Clark");
    for km in 1..=50 {
        client.send(format!("WHATSAT phone-0 {km} 5\n"));
        is_right("legacy", &client.whatsat(), 0, km, 5);
    }
    let journal = journal(&herd);
    let died = journal.matches("the kept connection had died").count();
    assert_eq!(died, 9, "{journal}");
    assert_eq!((places.requests(), places.handshakes()), (50, (1, 9)));
}
