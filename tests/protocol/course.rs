//! A herd with somebody else's servers in it: the herd file names them, and
//! links to them follow the course's habits instead of ours: a connection for each line.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use herd::herd::COURSE_OWED_MAX;
use herd::net::LINE_MAX;
use herd::server::{COURSE_ANSWER_MAX, COURSE_END};

use crate::common::{Client, Fake, Herd, PATIENCE, Plan, UCLA, iamat, now, unique, wait_until};

/// What a course server does with a connection.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Reads one line and closes.
    ReadsOne,
    /// Reads to the end, then closes.
    ReadsAll,
    /// The same, and answers.
    Answers,
}

const HABITS: [Habit; 3] = [Habit::ReadsOne, Habit::ReadsAll, Habit::Answers];

/// The line that the next connection to a course server carries: one, whatever its habit.
fn hears(course: &Fake, habit: Habit) -> String {
    let mut link = course.accept(PATIENCE);
    let line = link.line();
    if let Habit::ReadsAll | Habit::Answers = habit {
        link.eof();
    }
    if let Habit::Answers = habit {
        link.send(format!("? {line}AT Clark\nGarbage\n"));
        link.send(at_line("Tester", "backwards"));
    }
    let other = course.try_accept();
    assert!(other.is_none(), "two connections at a time");
    line
}

/// Hears lines until there is one that ends so.
fn hears_of(course: &Fake, habit: Habit, end: &str) -> String {
    loop {
        // The probes that showed the herd whole may come first.
        let line = hears(course, habit);
        assert!(
            line.starts_with("AT "),
            "a course server would not understand {line:?}"
        );
        if line.ends_with(end) {
            return line;
        }
    }
}

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
fn a_course_server_gets_every_update_on_a_connection_of_its_own_and_we_get_its() {
    for habit in HABITS {
        let (herd, course) = mixed_herd();
        let mut client = herd.client("Bailey");
        for n in 0..10 {
            let at = client.ask(iamat(&format!("ours-{n}")));
            hears_of(&course, habit, &at);
            let id = format!("theirs-{n}");
            let line = at_line("Tester", &id);
            herd.client("Clark").send(&line).half_close().eof();
            herd.wait_everywhere(&id, &line);
        }
        for none in ["backwards", "Garbage"] {
            assert_eq!(herd.holds("Clark", none), None, "{habit:?}");
        }
    }
}

/// Ten at once: the server takes one connection after the other, and all arrive.
#[test]
fn updates_that_come_together_wait_for_each_other() {
    for habit in HABITS {
        let (herd, course) = mixed_herd();
        let mut client = herd.client("Clark");
        let told = (0..10).map(|n| client.ask(iamat(&format!("crowd-{n}"))));
        let mut told: BTreeSet<String> = told.collect();
        while !told.is_empty() {
            let line = hears(&course, habit);
            told.remove(&line);
        }
    }
}

#[test]
fn a_course_server_is_believed_without_a_greeting_and_passed_on() {
    let (herd, course) = mixed_herd();
    let line = at_line("Tester", "kiwi");
    let mut from_course = herd.client("Clark");
    from_course.send(&line);
    herd.wait_everywhere("kiwi", &line);
    from_course.silence(50);
    // Nobody knows from which neighbour it came, so all are told, it too.
    hears_of(&course, Habit::ReadsAll, &line);
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

/// Clark alone with a course server that is down.
fn clark_alone() -> (Herd, Fake) {
    let plan = Plan::only("Clark").fake("Tester", "Clark").course("Tester");
    let mut herd = plan.start_apart();
    let mut course = herd.fake("Tester");
    course.down();
    (herd, course)
}

/// How often Clark has dialled the course server in vain.
fn in_vain(herd: &Herd) -> usize {
    herd.journal("Clark").matches("Tester * no link: ").count()
}

#[test]
fn what_a_course_server_missed_comes_once_and_the_newest_first() {
    let (herd, mut course) = clark_alone();
    let mut client = herd.client("Clark");
    let mut told = Vec::new();
    for round in 0..50 {
        told = (0..5)
            .map(|n| client.ask(format!("IAMAT away-{n} {UCLA} {round}\n")))
            .collect();
    }
    // As often as the back-off says, and not as often as there is news.
    let dials = in_vain(&herd);
    assert!((1..20).contains(&dials), "{dials} dials");
    course.up();
    for line in told.iter().rev() {
        assert_eq!(&hears(&course, Habit::ReadsOne), line);
    }
    let after = client.ask(iamat("after"));
    assert_eq!(hears(&course, Habit::ReadsAll), after);
    assert!(course.try_accept().is_none(), "nothing is said twice");
}

#[test]
fn a_course_server_is_owed_so_much_and_no_more() {
    let (herd, mut course) = clark_alone();
    let mut client = herd.client("Clark");
    let lines = (0..COURSE_OWED_MAX + 10).map(|n| client.ask(iamat(&format!("many-{n}"))));
    let told: Vec<String> = lines.collect();
    course.up();
    for line in told[10..].iter().rev() {
        assert_eq!(&hears(&course, Habit::ReadsOne), line);
    }
    let journal = herd.journal("Clark");
    let said = "it will not hear of 10 changes: too many were owed";
    assert!(journal.contains(said), "{said:?} is not in the journal");
    assert!(course.try_accept().is_none());
}

#[test]
fn without_catching_up_a_course_server_that_was_down_has_missed_it() {
    let plan = Plan::only("Clark").fake("Tester", "Clark").course("Tester");
    let mut herd = plan.args(&["--no-catch-up"]).start_apart();
    let mut course = herd.fake("Tester");
    course.down();
    let mut client = herd.client("Clark");
    client.ask(iamat("missed"));
    wait_until(PATIENCE, "Clark dials in vain", || in_vain(&herd) > 0);
    course.up();
    // The next news is the first that it hears.
    let heard = (0..100).find_map(|n| {
        client.ask(iamat(&format!("late-{n}")));
        std::thread::sleep(Duration::from_millis(50));
        course.try_accept()
    });
    let line = heard.expect("a connection").line();
    assert!(line.contains(" late-"), "{line:?}");
}

/// A course server that never ends a connection, and one that says too much on it.
#[test]
fn a_course_server_holds_up_the_next_line_for_a_second_at_most() {
    let (herd, mut course) = clark_alone();
    course.up();
    let mut client = herd.client("Clark");
    let first = client.ask(iamat("first"));
    let mut link = course.accept(PATIENCE);
    let second = client.ask(iamat("second"));
    let begun = Instant::now();
    assert_eq!(link.line(), first);
    let mut link: Client = course.accept(PATIENCE);
    assert_eq!(link.line(), second);
    let held = begun.elapsed();
    assert!(held > COURSE_END / 2 && held < COURSE_END * 3, "{held:?}");
    let third = client.ask(iamat("third"));
    let begun = Instant::now();
    link.send(vec![b'x'; COURSE_ANSWER_MAX]);
    assert_eq!(course.accept(PATIENCE).line(), third);
    assert!(begun.elapsed() < COURSE_END, "{:?}", begun.elapsed());
}

/// It resets each connection that carries a line: said twice, and then the next one's turn comes.
#[test]
fn a_line_that_fails_is_said_once_more() {
    let (herd, mut course) = clark_alone();
    course.up();
    let mut client = herd.client("Clark");
    let bad = client.ask(iamat("bad"));
    let reset = |link: &Client| {
        let socket = socket2::SockRef::from(link.stream());
        socket.set_linger(Some(Duration::ZERO)).expect("a socket");
    };
    for _ in 0..2 {
        let mut link = course.accept(PATIENCE);
        assert_eq!(link.line(), bad);
        reset(&link);
    }
    let good = client.ask(iamat("good"));
    assert_eq!(hears(&course, Habit::ReadsOne), good);
    assert!(course.try_accept().is_none());
}

#[test]
fn a_course_server_that_restarts_is_told_what_is_new() {
    let (herd, mut course) = mixed_herd();
    let at = herd.client("Bailey").ask(iamat("early"));
    hears_of(&course, Habit::ReadsAll, &at);
    course.down();
    let at = herd.client("Bailey").ask(iamat("late"));
    herd.wait_everywhere("late", &at);
    course.up();
    assert_eq!(hears_of(&course, Habit::ReadsAll, &at), at);
}

/// Nothing of it stands: neither a link nor, on Clark's side, a connection.
#[test]
fn a_link_to_a_course_server_rests_while_there_is_no_news() {
    let (_herd, mut course) = clark_alone();
    course.up();
    assert!(course.try_accept().is_none());
}

/// Fields that follow, and skews without a sign, are a course server's; they travel on in our form.
#[test]
fn the_forms_of_course_servers_are_taken_and_passed_on_in_ours() {
    let (herd, course) = mixed_herd();
    for (skew, rest, ours) in [
        ("0.0014", "", "+0.0014"),
        ("1e-05", " Bailey,Clark", "+1e-05"),
        ("-0.5", " Bailey Clark 17", "-0.5"),
        ("+0.5", "\tfrom:Tester\r", "+0.5"),
    ] {
        let (id, time) = (unique("form"), now());
        let theirs = format!("AT Tester {skew} {id} {UCLA} {time}{rest}\n");
        let ours = format!("AT Tester {ours} {id} {UCLA} {time}\n");
        herd.client("Clark").send(&theirs).half_close().eof();
        herd.wait_everywhere(&id, &ours);
        assert_eq!(hears_of(&course, Habit::ReadsAll, &ours), ours);
    }
    for bad in ["x", "1e", "+", "0.1.2"] {
        let line = format!("AT Tester {bad} bad {UCLA} 5 more\n");
        assert_eq!(herd.client("Clark").ask(&line), format!("? {line}"));
    }
    // A line that its sign makes longer than any server takes goes nowhere.
    let time = format!("5.{}", "0".repeat(LINE_MAX - UCLA.len() - 22));
    let line = format!("AT Tester 0.1 long {UCLA} {time}\n");
    assert_eq!(line.len(), LINE_MAX + 1);
    assert_eq!(herd.client("Clark").ask(&line), format!("? {line}"));
}

/// From a neighbour that greets, and from a stranger, they are refused as ever.
#[test]
fn the_forms_of_course_servers_are_taken_from_nobody_else() {
    let (herd, _course) = mixed_herd();
    let forms = ["0.0014 form", "+0.0014 form"];
    for (skew_id, rest) in forms.into_iter().zip(["", " more"]) {
        let line = format!("AT Jaquez {skew_id} {UCLA} {}{rest}\n", now());
        // A stranger to Bona, which has no course server beside it.
        assert_eq!(herd.client("Bona").ask(&line), format!("? {line}"));
        let mut peer = herd.greeted("Jaquez", "Clark");
        peer.send(&line);
        let mark = at_line("Jaquez", "mark");
        peer.send(&mark);
        herd.wait_holds("Clark", "mark", &mark);
        assert_eq!(herd.holds("Clark", "form"), None);
    }
    let journal = herd.journal("Clark");
    assert_eq!(
        journal.matches("ignored: expected AT").count(),
        2,
        "{journal}"
    );
}

/// The block of README.md that begins so, behind the marker of its example.
fn example(kind: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("README.md");
    let (_, example) = readme
        .split_once("<!-- beside the course -->")
        .expect("a marker");
    let (example, _) = example.split_once("<!-- its end -->").expect("an end");
    let (_, block) = example
        .split_once(&format!("```{kind}\n"))
        .expect("a block");
    block
        .split_once("```")
        .map(|(block, _)| block.to_string())
        .expect("its end")
}

/// The AT line of a report, but for the skew of a server whose clock is not the example's.
fn without_our_skew(line: &str) -> String {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields[..] {
        ["AT", "Ada", _, ref rest @ ..] => format!("AT Ada SKEW {}", rest.join(" ")),
        _ => fields.join(" "),
    }
}

/// README's example, played: its herd file, and its lines one by one.
#[test]
fn the_example_in_the_readme_is_true() {
    let plan = Plan::only("Ada").fake("Bob", "Ada").course("Bob");
    let mut herd = plan.start_apart();
    let bob = herd.fake("Bob");
    let mut file = example("json");
    for (name, port) in [("Ada", ":7000"), ("Bob", ":7001")] {
        let ours = format!(":{}", herd.address(name).port());
        assert!(file.contains(port), "{file}");
        file = file.replace(port, &ours);
    }
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let used = std::fs::read_to_string(herd.directory().join("Ada.json")).expect("a herd file");
    assert_eq!(value(&file), value(&used), "what README shows is what runs");

    let (mut phone, mut asks) = (herd.client("Ada"), false);
    let lines = example("text");
    assert_eq!(lines.lines().count(), 7);
    for step in lines.lines() {
        let (who, line) = step.split_once(':').expect("who says it to whom");
        let line = line.trim();
        let heard = match who {
            "Bob to Ada" => {
                let mut connection = herd.client("Ada");
                connection.send(format!("{line}\n")).half_close().eof();
                continue;
            }
            "phone to Ada" => {
                asks = line.starts_with("WHATSAT ");
                phone.send(format!("{line}\n"));
                continue;
            }
            "Ada to phone" if asks => phone.whatsat().at,
            "Ada to phone" => phone.line(),
            "Ada to Bob" => hears(&bob, Habit::ReadsAll),
            _ => panic!("{who:?} in README.md"),
        };
        assert_eq!(without_our_skew(&heard), without_our_skew(line), "{step}");
    }
}
