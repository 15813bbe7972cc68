//! A herd with somebody else's servers in it: the herd file names them, and
//! links to them follow the course's habits instead of ours.

use std::time::Duration;

use crate::common::{Fake, Herd, PATIENCE, Plan, UCLA, iamat, now, unique};

/// Clark and Bona, ours, and Jaquez, a course server that the test plays and
/// that Clark is linked to.
fn mixed_herd() -> (Herd, Fake) {
    let mut herd = Plan::five()
        .fake("Tester", "Clark")
        .course("Tester")
        .start();
    let course = herd.fake("Tester");
    (herd, course)
}

fn at_line(server: &str, id: &str) -> String {
    format!("AT {server} +0.263873386 {id} {UCLA} {}\n", now())
}

#[test]
fn a_course_server_gets_at_lines_and_no_greeting() {
    let (herd, course) = mixed_herd();
    let mut link = course.accept(PATIENCE);
    let at = herd.client("Bailey").ask(iamat("kiwi"));
    // The probes that showed the herd whole may come first.
    loop {
        let line = link.line();
        assert!(
            line.starts_with("AT "),
            "a course server would not understand {line:?}"
        );
        if line == at {
            break;
        }
    }
}

#[test]
fn a_course_server_is_believed_without_a_greeting_and_passed_on() {
    let (herd, course) = mixed_herd();
    let mut link = course.accept(PATIENCE);
    let line = at_line("Tester", "kiwi");
    let mut from_course = herd.client("Clark");
    from_course.send(&line);
    herd.wait_everywhere("kiwi", &line);
    from_course.silence(50);
    // Nobody knows from which neighbour it came, so all are told, it too.
    while link.line() != line {}
    // As such servers do it: a connection for every line, closed at once.
    for n in 0..10 {
        let id = format!("brief-{n}");
        let line = at_line("Tester", &id);
        // Some of them forget the LF.
        let sent = if n % 2 == 0 { &line } else { line.trim_end() };
        herd.client("Clark").send(sent).half_close().eof();
        herd.wait_everywhere(&id, &line);
    }
}

/// They print floats, and lines of ours and of theirs share a herd.
#[test]
fn a_course_server_may_write_skews_its_own_way() {
    let (herd, _course) = mixed_herd();
    for skew in ["+0.26", "-3", "+1.5e-05", "+86400.123456789012"] {
        let id = unique("odd");
        let line = format!("AT Tester {skew} {id} {UCLA} {}\n", now());
        herd.client("Clark").send(&line);
        herd.wait_everywhere(&id, &line);
    }
}

#[test]
fn what_a_course_server_answers_is_discarded() {
    let (herd, course) = mixed_herd();
    let mut link = course.accept(PATIENCE);
    for _ in 0..100 {
        link.send("? AT Clark\nGarbage\n");
    }
    link.send(at_line("Tester", "backwards"));
    let at = herd.client("Clark").ask(iamat("forwards"));
    while link.line() != at {}
    assert_eq!(herd.holds("Clark", "backwards"), None);
    assert_eq!(herd.holds("Clark", "Garbage"), None);
}

#[test]
fn only_the_neighbours_of_a_course_server_believe_everybody() {
    let (herd, _course) = mixed_herd();
    for name in ["Bailey", "Bona", "Campbell", "Jaquez"] {
        let line = at_line("Tester", "forged");
        assert_eq!(herd.client(name).ask(&line), format!("? {line}"));
    }
    for name in herd.running() {
        assert_eq!(herd.holds(&name, "forged"), None);
    }
}

#[test]
fn a_course_servers_neighbour_serves_its_clients_as_ever() {
    let (herd, _course) = mixed_herd();
    let mut client = herd.client("Clark");
    let at = client.ask(iamat("kiwi"));
    assert!(at.starts_with("AT Clark "), "{at:?}");
    assert_eq!(client.send("WHATSAT kiwi 1 0\n").whatsat().at, at);
    assert_eq!(client.ask("AT nonsense\n"), "? AT nonsense\n");
    let stranger = client.ask("PEER Bailey\n");
    assert_eq!(stranger, "? PEER Bailey\n", "no neighbour of Clark's");
    // Between real servers, greetings are demanded and given as ever.
    herd.wait_everywhere("kiwi", &at);
}

#[test]
fn an_at_for_no_server_of_the_herd_is_not_believed() {
    let (herd, _course) = mixed_herd();
    let mut client = herd.client("Clark");
    client.send(at_line("Nobody", "alien"));
    let _ = client.try_line(Duration::from_millis(50));
    assert_eq!(herd.holds("Clark", "alien"), None);
}

#[test]
fn a_course_server_that_comes_late_is_found_and_told_everything() {
    let (herd, mut course) = mixed_herd();
    drop(course.accept(PATIENCE));
    course.down();
    let at = herd.client("Bailey").ask(iamat("early"));
    herd.wait_everywhere("early", &at);
    course.up();
    let mut link = course.accept(Duration::from_secs(15));
    while link.line() != at {}
}
