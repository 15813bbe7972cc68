//! What servers say to each other, who may say it, and what the herd knows
//! after a server was away.

use std::time::{Duration, Instant};

use crate::common::{Client, Fake, Herd, Plan, UCLA, iamat, now, now_plus, short, unique};

/// The other servers are told at once; on a busy machine this is ample.
const SOON: Duration = Duration::from_secs(5);

/// An AT line as another server would pass it on.
fn at_line(server: &str, id: &str) -> String {
    format!("AT {server} +0.000123456 {id} {UCLA} {}\n", now())
}

/// A herd of one real server, Clark, and neighbours that the test plays.
fn clark_and(fakes: &[&str]) -> (Herd, Vec<Fake>) {
    clark_with(fakes, &[])
}

fn clark_with(fakes: &[&str], args: &[&str]) -> (Herd, Vec<Fake>) {
    let plan = fakes
        .iter()
        .fold(Plan::only("Clark").args(args), |plan, fake| {
            plan.fake(fake, "Clark")
        });
    let mut herd = plan.start();
    let fakes = fakes.iter().map(|name| herd.fake(name)).collect();
    (herd, fakes)
}

/// The link that a server has dialled, after its greeting.
fn link_of(fake: &Fake) -> Client {
    link_within(SOON, fake)
}

fn link_within(limit: Duration, fake: &Fake) -> Client {
    let mut link = fake.accept(limit);
    assert_eq!(link.line(), "PEER Clark\n", "the dialler greets");
    link
}

#[test]
fn a_forged_at_is_invalid_and_plants_nothing() {
    let herd = Herd::start();
    for name in crate::common::NAMES {
        let line = at_line("Bailey", "forged");
        assert_eq!(herd.client(name).ask(&line), format!("? {line}"));
    }
    herd.wait_whole();
    for name in crate::common::NAMES {
        assert_eq!(herd.holds(name, "forged"), None);
    }
}

#[test]
fn only_a_neighbour_may_greet() {
    let herd = Herd::start();
    // Bailey and Campbell are of the herd, but Clark has no link to them.
    for name in [
        "Nobody",
        "Bailey",
        "Campbell",
        "Clark",
        "jaquez",
        "Jaquez Bona",
        "",
    ] {
        let mut client = herd.client("Clark");
        let greeting = format!("PEER {name}\n");
        assert_eq!(client.ask(&greeting), format!("? {greeting}"));
        let line = at_line("Bailey", "stranger");
        assert_eq!(
            client.ask(&line),
            format!("? {line}"),
            "after PEER {name:?}"
        );
    }
    assert_eq!(herd.holds("Clark", "stranger"), None);
    assert_eq!(herd.client("Clark").ask("peer Jaquez\n"), "? peer Jaquez\n");
}

#[test]
fn what_a_greeted_neighbour_says_reaches_all_five() {
    let mut herd = Plan::five().fake("Tester", "Clark").start();
    let fake = herd.fake("Tester");
    let _link = link_of(&fake);
    let mut us = herd.greeted("Tester", "Clark");
    let line = at_line("Bailey", "planted");
    us.send(&line);
    herd.wait_everywhere("planted", &line);
    // Told, not answered.
    us.silence(100);
}

#[test]
fn at_is_taken_for_servers_of_the_herd_only() {
    let (herd, fakes) = clark_and(&["Tester"]);
    let mut link = link_of(&fakes[0]);
    let mut us = herd.greeted("Tester", "Clark");
    us.send(at_line("Nobody", "alien"));
    us.send(at_line("clark", "alien"));
    let line = at_line("Tester", "native");
    us.send(&line);
    herd.wait_holds("Clark", "native", &line);
    assert_eq!(herd.holds("Clark", "alien"), None);
    us.silence(50);
    link.silence(50);
}

#[test]
fn a_malformed_at_of_a_neighbour_plants_nothing_and_is_survived() {
    let (herd, fakes) = clark_and(&["Tester"]);
    let _link = link_of(&fakes[0]);
    for bad in [
        format!("AT Tester +0.1 bad {UCLA}\n"),
        format!("AT Tester 0.1 bad {UCLA} 5\n"),
        format!("AT Tester +0.1 bad {UCLA} -5\n"),
        "AT Tester +0.1 bad +91+0 5\n".to_string(),
        format!("AT Tester +0.1 bad {UCLA} 5 more\n"),
        format!("AT Tester +0.1 {} {UCLA} 5\n", "b".repeat(4_097)),
        "\n".to_string(),
        "? AT\n".to_string(),
        "\u{0}\u{ff}\n".to_string(),
    ] {
        // Whether it keeps the connection is its own affair: come again.
        herd.greeted("Tester", "Clark").send(&bad);
        let id = unique("good");
        let line = at_line("Tester", &id);
        herd.greeted("Tester", "Clark").send(&line);
        herd.wait_holds("Clark", &id, &line);
        assert_eq!(herd.holds("Clark", "bad"), None, "after {bad:?}");
    }
}

#[test]
fn a_report_floods_to_all_neighbours_but_the_one_it_came_from() {
    let (herd, fakes) = clark_and(&["East", "West"]);
    let mut east = link_of(&fakes[0]);
    let mut west = link_of(&fakes[1]);
    let mut from_east = herd.greeted("East", "Clark");
    let mut from_west = herd.greeted("West", "Clark");

    let line = at_line("East", "traveller");
    from_east.send(&line);
    assert_eq!(west.line(), line);
    // The same again, from either side: the flood stops here.
    from_west.send(&line);
    from_east.send(&line);
    // Older, and so no news either.
    from_west.send(format!("AT West +0.5 traveller +1+1 {}\n", now_plus(-60)));
    // These lines say that the ones before have been dealt with.
    let mark = at_line("West", "mark-of-west");
    from_west.send(&mark);
    assert_eq!(east.line(), mark, "the first and only line for East");
    let mark = at_line("East", "mark-of-east");
    from_east.send(&mark);
    assert_eq!(west.line(), mark, "nothing more for West");
    // And what a client says goes to both.
    let at = herd.client("Clark").ask(iamat("local"));
    assert_eq!((east.line(), west.line()), (at.clone(), at));
}

#[test]
fn an_old_report_of_a_client_is_not_passed_on() {
    let (herd, fakes) = clark_and(&["East"]);
    let mut east = link_of(&fakes[0]);
    let mut client = herd.client("Clark");
    let new = client.ask(iamat("p"));
    client.ask(format!("IAMAT p +1+1 {}\n", now_plus(-60)));
    let mark = client.ask(iamat("q"));
    assert_eq!((east.line(), east.line()), (new, mark));
}

/// Forwarded in the same turn as the answer and before it: when the client has
/// its answer, the line is on its way, so that it is there almost at once.
#[test]
fn the_neighbours_are_told_no_later_than_the_client() {
    let (herd, fakes) = clark_and(&["East"]);
    let mut east = link_of(&fakes[0]);
    let mut client = herd.client("Clark");
    for n in 0..200 {
        let at = client.ask(iamat(&format!("prompt-{n}")));
        // On loopback a line that has been written can be read.
        let read = east.try_line(Duration::from_millis(1));
        assert_eq!(
            read,
            Ok(at),
            "update {n} was answered but not yet passed on"
        );
    }
}

/// Neighbours speak on the connections that they dialled: what stands on the
/// one that we were dialled on is nobody's business.
#[test]
fn what_is_said_on_the_dialled_connection_counts_for_nothing() {
    let (herd, fakes) = clark_and(&["East"]);
    let mut link = link_of(&fakes[0]);
    link.send(at_line("East", "wrong-way"));
    link.send("? PEER Clark\nPEER East\n")
        .send(at_line("East", "wrong-way"));
    let at = herd.client("Clark").ask(iamat("right-way"));
    assert_eq!(link.line(), at, "the link lives");
    assert_eq!(herd.holds("Clark", "wrong-way"), None);
}

#[test]
fn a_link_that_comes_up_gets_the_whole_table() {
    let (herd, mut fakes) = clark_and(&["East"]);
    drop(link_of(&fakes[0]));
    let mut client = herd.client("Clark");
    let mut known: Vec<String> = (0..3_000)
        .map(|n| client.ask(iamat(&format!("resident-{n}"))))
        .collect();
    // Away and back: the server dials again by itself.
    fakes[0].down();
    fakes[0].up();
    let mut link = link_of(&fakes[0]);
    let mut told: Vec<String> = (0..known.len()).map(|_| link.line()).collect();
    known.sort();
    told.sort();
    assert_eq!(told, known);
    let at = client.ask(iamat("newcomer"));
    assert_eq!(link.line(), at);
}

#[test]
fn no_catch_up_tells_a_new_link_only_what_is_new() {
    let (herd, mut fakes) = clark_with(&["East"], &["--no-catch-up"]);
    drop(link_of(&fakes[0]));
    fakes[0].down();
    let mut client = herd.client("Clark");
    client.ask(iamat("before"));
    fakes[0].up();
    herd.greeted("East", "Clark");
    let mut link = link_of(&fakes[0]);
    link.silence(100);
    let after = client.ask(iamat("after"));
    assert_eq!(link.line(), after);
}

#[test]
fn a_restarted_server_knows_everything_without_a_client_speaking_again() {
    let mut herd = Herd::start();
    let ids: Vec<String> = (0..200).map(|n| format!("resident-{n}")).collect();
    let mut client = herd.client("Clark");
    let early: Vec<_> = ids[..100]
        .iter()
        .map(|id| Some(client.ask(iamat(id))))
        .collect();
    herd.kill("Bona");
    let late: Vec<_> = ids[100..]
        .iter()
        .map(|id| Some(client.ask(iamat(id))))
        .collect();
    herd.restart("Bona");
    let known = [early, late].concat();
    crate::common::wait_until(SOON, "Bona knows all", || {
        herd.holds_all("Bona", &ids) == known
    });
}

#[test]
fn with_no_catch_up_an_absence_leaves_its_mark() {
    let mut herd = Plan::five().args(&["--no-catch-up"]).start();
    let before = herd.client("Clark").ask(iamat("before"));
    herd.wait_everywhere("before", &before);
    herd.kill("Bona");
    let during = herd.client("Clark").ask(iamat("during"));
    for name in herd.running() {
        herd.wait_holds(&name, "during", &during);
    }
    herd.restart("Bona");
    herd.wait_whole();
    assert_eq!(herd.holds("Bona", "before"), None);
    assert_eq!(herd.holds("Bona", "during"), None);
    let after = herd.client("Clark").ask(iamat("after"));
    herd.wait_everywhere("after", &after);
}

#[test]
fn a_table_outlives_every_one_of_its_servers() {
    let mut herd = Herd::start();
    let at = herd.client("Jaquez").ask(iamat("elder"));
    herd.wait_everywhere("elder", &at);
    for name in crate::common::NAMES {
        herd.kill(name);
        herd.restart(name);
        herd.wait_holds(name, "elder", &at);
    }
    herd.wait_everywhere("elder", &at);
}

/// Clark and Bona gone, Jaquez is all that Campbell and Bailey have left, and
/// then not even that: two halves that hear nothing of each other, and heal.
#[test]
fn two_halves_go_on_and_agree_after_the_healing() {
    let mut herd = Herd::start();
    herd.kill("Bona");
    herd.kill("Campbell");
    let west = herd.client("Clark").ask(iamat("west"));
    let east = herd.client("Bailey").ask(iamat("east"));
    herd.client("Clark")
        .ask(format!("IAMAT both +1+1 {}\n", now_plus(-10)));
    let both = herd.client("Bailey").ask(iamat("both"));
    herd.wait_holds("Jaquez", "west", &west);
    assert_eq!(herd.holds("Bailey", "west"), None, "nobody carries it");
    herd.restart("Bona");
    herd.restart("Campbell");
    for (id, line) in [("west", &west), ("east", &east), ("both", &both)] {
        herd.wait_everywhere(id, line);
    }
}

#[test]
fn equal_times_at_two_servers_end_in_one_record_everywhere() {
    let herd = Herd::start();
    for n in 0..20 {
        let id = format!("twin-{n}");
        let time = now();
        let mut one = herd.client("Bailey");
        let mut other = herd.client("Clark");
        one.send(format!("IAMAT {id} +20+20 {time}\n"));
        other.send(format!("IAMAT {id} +10+10 {time}\n"));
        one.line();
        // Of equal times the greater server name counts, before the position.
        herd.wait_everywhere(&id, &other.line());
    }
}

/// Graders restart a server and expect the herd whole half a second later.
/// The neighbours have been backing off for a while, so this works only if a
/// greeting makes them dial at once.
#[test]
fn a_neighbour_that_greets_is_dialled_at_once() {
    let names = ["North", "East", "South", "West"];
    let mut herd = names
        .iter()
        .fold(Plan::only("Clark"), |plan, name| plan.fake(name, "Clark"))
        .start();
    let mut fakes: Vec<Fake> = names.iter().map(|name| herd.fake(name)).collect();
    for fake in &mut fakes {
        drop(link_of(fake));
        fake.down();
    }
    // Back-off has to grow, and only time makes it.
    std::thread::sleep(Duration::from_secs(4));
    for fake in &mut fakes {
        fake.up();
    }
    let begun = Instant::now();
    let _greeted = names.map(|name| herd.greeted(name, "Clark"));
    for fake in &fakes {
        link_of(fake);
    }
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "dialled after {:?}",
        begun.elapsed()
    );
}

/// At each greeting a dial, but with a pause that grows to a second: 100 ms, 200, 400, 800, 1,000.
/// Between them, those of the back-off itself.
#[test]
fn a_neighbour_that_greets_and_hangs_up_is_not_dialled_all_the_time() {
    let (mut herd, mut fakes) = clark_and(&["East"]);
    let mut dials = 0;
    let mut greet_for_three_seconds = |herd: &Herd, fake: Option<&Fake>| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            let _greeted = herd.greeted("East", "Clark");
            if let Some(mut link) = fake.and_then(Fake::try_accept) {
                dials += 1;
                link.line();
            }
            // It has read the greeting, too.
            herd.client("Clark").ask("x\n");
        }
        std::mem::take(&mut dials)
    };
    // It takes our link and drops it, or does not even listen.
    let dials = greet_for_three_seconds(&herd, Some(&fakes[0]));
    assert!((4..=15).contains(&dials), "{dials} dials");
    fakes[0].down();
    let before = herd.journal("Clark").matches("dialling again").count();
    greet_for_three_seconds(&herd, None);
    let after = herd.journal("Clark").matches("dialling again").count();
    assert!(
        (1..=10).contains(&(after - before)),
        "{} dials",
        after - before
    );
    // Once it listens, a greeting brings our link within a second.
    fakes[0].up();
    let _greeted = herd.greeted("East", "Clark");
    link_within(herd::net::GREETED_FLOOR + SOON / 10, &fakes[0]);
    herd.kill("Clark");
}

#[test]
fn the_herd_is_whole_half_a_second_after_a_restart() {
    let mut herd = Herd::start();
    herd.kill("Bona");
    std::thread::sleep(Duration::from_secs(3));
    herd.restart("Bona");
    let begun = Instant::now();
    herd.wait_whole();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(500), "whole after {took:?}");
}

#[test]
fn a_server_dials_its_neighbours_again_and_again() {
    let (_herd, mut fakes) = clark_and(&["East"]);
    for _ in 0..5 {
        drop(link_of(&fakes[0]));
    }
    fakes[0].down();
    std::thread::sleep(Duration::from_millis(500));
    fakes[0].up();
    // Seven failures in a row: the next dialling is anywhere in the longest back-off.
    link_within(herd::net::BACKOFF_MAX + SOON, &fakes[0]);
}

/// Two connections in one name: a neighbour that lost one and came back before
/// the loss was noticed. The later one must work.
#[test]
fn a_neighbour_may_come_again() {
    let (herd, fakes) = clark_and(&["East"]);
    let _link = link_of(&fakes[0]);
    let mut connections = Vec::new();
    for n in 0..5 {
        let mut again = herd.greeted("East", "Clark");
        let id = format!("again-{n}");
        let line = at_line("East", &id);
        again.send(&line);
        herd.wait_holds("Clark", &id, &line);
        connections.push(again);
    }
}

#[test]
fn lines_between_servers_may_come_in_pieces() {
    let (herd, fakes) = clark_and(&["East"]);
    let _link = link_of(&fakes[0]);
    let line = at_line("East", "pieces");
    let mut us = herd.client("Clark");
    for byte in format!("PEER East\n{line}").bytes() {
        us.send([byte]);
        std::thread::sleep(Duration::from_micros(300));
    }
    herd.wait_holds("Clark", "pieces", &line);
}

/// A neighbour that dies in the middle of a line has not said that line: its
/// system sends what it had of it, and then the end of the stream.
#[test]
fn half_a_line_of_a_dying_neighbour_counts_for_nothing() {
    let (herd, fakes) = clark_and(&["East"]);
    let _link = link_of(&fakes[0]);
    let mut dying = herd.greeted("East", "Clark");
    dying.send(format!("AT East +0.5 torn {UCLA} 16214648"));
    dying.half_close().eof();
    let torn = herd.holds("Clark", "torn");
    assert_eq!(torn, None, "a time may have lost its last digits");
}

/// An AT line may be longer than the IAMAT it answers: a skew has as many digits
/// as the time. If its neighbours found it too long and hung up, the dump after
/// every new dialling would make them hang up again, and one line of one client
/// would cut a server off for good.
#[test]
fn no_report_however_long_cuts_a_server_off() {
    let herd = Herd::start();
    let digits = |count: usize| "9".repeat(count);
    for (time, place) in [
        (digits(31_000), UCLA.to_string()),
        (digits(40_000), UCLA.to_string()),
        (digits(65_000), UCLA.to_string()),
        ("5".to_string(), format!("+1.{}-1", digits(65_500))),
        (format!("5.{}", digits(65_450)), UCLA.to_string()),
    ] {
        let id = unique("long");
        let line = format!("IAMAT {id} {place} {time}\n");
        let answer = herd.client("Clark").ask(&line);
        if answer.starts_with("AT ") {
            herd.wait_everywhere(&id, &answer);
        } else {
            assert!(answer == format!("? {line}"), "{}", short(&answer));
        }
    }
    herd.wait_whole();
}
