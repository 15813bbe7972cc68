//! What IAMAT takes and what it answers: fields, ids, positions, times, skews,
//! and which of two reports counts.

use crate::common::{
    Client, Herd, UCLA, as_time, iamat, is_at, is_skew, latin1, nanos, now, now_plus, short,
    to_latin1,
};

/// Sends a line that must be taken; its answer bears the last three fields as
/// they stand.
fn taken(client: &mut Client, line: &str) -> String {
    let answer = client.ask(to_latin1(line));
    let fields: Vec<&str> = line
        .split(SPACES)
        .filter(|field| !field.is_empty())
        .collect();
    let rest = fields[1..].join(" ");
    assert!(
        is_at(&answer, "Bailey", &rest),
        "{:?} was answered {:?}",
        short(line),
        short(&answer)
    );
    answer
}

/// Sends a line that must come back as it is.
fn refused(client: &mut Client, line: &str) {
    assert!(line.ends_with('\n'), "a line ends");
    let answer = client.ask(to_latin1(line));
    let echoed = answer == format!("? {line}");
    assert!(
        echoed,
        "{:?} was answered {:?}",
        short(line),
        short(&answer)
    );
}

/// The six bytes that separate fields.
const SPACES: [char; 6] = [' ', '\t', '\r', '\n', '\x0b', '\x0c'];

#[test]
fn six_bytes_are_white_space_and_no_others() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for space in [" ", "\t", "\r", "\x0b", "\x0c", "  ", "\t \r\x0b\x0c"] {
        let line = ["IAMAT", "spaced", UCLA, &now()].join(space);
        taken(&mut client, &format!("{line}\n"));
        taken(&mut client, &format!("{space}{line}{space}\n"));
    }
    // What Python's str.split or a C locale may think: file separators, NUL,
    // next line and no-break space in Latin-1, and the same in UTF-8.
    for byte in (0..=0x1f).chain(0x7f..=0xff).map(char::from) {
        if SPACES.contains(&byte) {
            continue;
        }
        taken(&mut client, &format!("IAMAT a{byte}b {UCLA} {}\n", now()));
        refused(&mut client, &format!("IAMAT a {UCLA}{byte} {}\n", now()));
        refused(&mut client, &format!("IAMAT{byte}a {UCLA} {}\n", now()));
    }
    taken(
        &mut client,
        &format!("IAMAT \u{c2}\u{a0}\u{e2}\u{80}\u{a8} {UCLA} {}\n", now()),
    );
}

#[test]
fn the_words_are_exact_and_so_is_the_number_of_fields() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    client.ask(iamat("known"));
    let moment = now();
    for line in [
        "IAMAT".to_string(),
        "IAMAT a".to_string(),
        format!("IAMAT a {UCLA}"),
        format!("IAMAT a {UCLA} {moment} more"),
        format!("IAMATa {UCLA} {moment}"),
        format!("Iamat a {UCLA} {moment}"),
        format!("iamat a {UCLA} {moment}"),
        format!("IAMAT\u{0} a {UCLA} {moment}"),
        format!("\u{ef}\u{bb}\u{bf}IAMAT a {UCLA} {moment}"),
        format!("a IAMAT {UCLA} {moment}"),
        format!("IAMAT a {moment} {UCLA}"),
        "WHATSAT".to_string(),
        "WHATSAT known".to_string(),
        "WHATSAT known 1".to_string(),
        "WHATSAT known 1 1 1".to_string(),
        "whatsat known 1 1".to_string(),
        "WHATSAT 1 1 known".to_string(),
        "QUIT".to_string(),
        "GET / HTTP/1.1".to_string(),
    ] {
        refused(&mut client, &format!("{line}\n"));
    }
}

#[test]
fn an_id_has_up_to_4096_bytes() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for length in [1, 2, 255, 256, 4_095, 4_096] {
        let id = "i".repeat(length);
        let answer = taken(&mut client, &format!("IAMAT {id} {UCLA} {}\n", now()));
        assert_eq!(
            client.send(format!("WHATSAT {id} 1 0\n")).whatsat().at,
            answer
        );
    }
    for length in [4_097, 5_000, 60_000] {
        let id = "i".repeat(length);
        refused(&mut client, &format!("IAMAT {id} {UCLA} {}\n", now()));
        refused(&mut client, &format!("WHATSAT {id} 1 0\n"));
    }
}

#[test]
fn an_id_may_be_any_bytes() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let every: Vec<u8> = (0..=255)
        .filter(|byte| !SPACES.contains(&char::from(*byte)))
        .collect();
    for id in [
        latin1(&every),
        "?".into(),
        "AT".into(),
        "\\n".into(),
        "%s%n".into(),
    ] {
        let answer = taken(&mut client, &format!("IAMAT {id} {UCLA} {}\n", now()));
        client.send(to_latin1(&format!("WHATSAT {id} 1 0\n")));
        assert_eq!(client.whatsat().at, answer);
    }
    // Ids that differ in one bit are two clients.
    let upper = taken(&mut client, &format!("IAMAT Kiwi {UCLA} {}\n", now()));
    let lower = taken(&mut client, &format!("IAMAT kiwi {UCLA} {}\n", now()));
    assert_eq!(client.send("WHATSAT Kiwi 1 0\n").whatsat().at, upper);
    assert_eq!(client.send("WHATSAT kiwi 1 0\n").whatsat().at, lower);
}

#[test]
fn positions_that_are_taken() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for position in [
        "+34-118",
        "+4.5-8.25",
        "+0+0",
        "-0-0",
        "-0.0+0.000",
        "+90+180",
        "-90-180",
        "+90.0000000000000000000000-180.000",
        "+089.999999999999999999999999999999+0179.99999999999999999999999",
        "+00000000000000000000034.068930-00000000000000000000118.445127",
        UCLA,
    ] {
        taken(&mut client, &format!("IAMAT here {position} {}\n", now()));
    }
    let long = format!("+1.{}-2.{}", "0".repeat(20_000), "3".repeat(20_000));
    taken(&mut client, &format!("IAMAT here {long} {}\n", now()));
}

#[test]
fn positions_that_are_refused() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for position in [
        "+90.0000000000000000000000000001+0",
        "-90.0001+0",
        "+91+0",
        "+0+180.0000000000000000000000000001",
        "+0-180.5",
        "+0+181",
        "+99999999999999999999999999+0",
        "34.068930-118.445127",
        "+34.068930118.445127",
        "34.068930,-118.445127",
        "+34.068930",
        "-118.445127",
        "+",
        "+-",
        "-+",
        "+.5-8.25",
        "+4.5-.25",
        "+4.-8.25",
        "+4.5-8.",
        "+34.068930-118.445127/",
        "+34.068930-118.445127+12.5",
        "+34.068930-118.445127+12.5/",
        "+34.068930-118.445127CRSWGS_84/",
        "++34-118",
        "+34--118",
        "+3.4.5-118",
        "+34-1.1.8",
        "+34-118x",
        "x+34-118",
        "+3e1-1e2",
        "+0x1f-1",
        "+inf-nan",
        "+1_0-118",
        "+34\u{0}-118",
        "\u{e2}\u{88}\u{92}34-118",
        "\u{ef}\u{bc}\u{8b}34-118",
        "+\u{d9}\u{a3}-118",
    ] {
        refused(
            &mut client,
            &format!("IAMAT nowhere {position} {}\n", now()),
        );
    }
    assert_eq!(herd.holds("Bailey", "nowhere"), None);
}

#[test]
fn times_that_are_taken() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let long = format!("{}.{}", "9".repeat(5_000), "1".repeat(5_000));
    for time in [
        "0",
        "0.0",
        "1",
        "000000000000000000000001",
        "1479413884.392014450",
        "1479413884.392014450999999999999",
        "1479413884",
        "99999999999999999999999999999999999999999999999999",
        &long,
    ] {
        taken(&mut client, &format!("IAMAT then {UCLA} {time}\n"));
    }
}

#[test]
fn times_that_are_refused() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for time in [
        "+1479413884.39",
        "-1479413884.39",
        "-0",
        ".5",
        "1479413884.",
        ".",
        "1.2.3",
        "1e9",
        "1E9",
        "1.5e3",
        "0x10",
        "1_000",
        "1,5",
        "nan",
        "inf",
        "infinity",
        "NaN",
        "1479413884.39x",
        "x1479413884.39",
        "1479413884\u{0}",
        "\u{d9}\u{a3}",
        "2016-11-17T20:18:04Z",
    ] {
        refused(&mut client, &format!("IAMAT never {UCLA} {time}\n"));
    }
    assert_eq!(herd.holds("Bailey", "never"), None);
}

/// The skew of an answer.
fn skew_of(answer: &str) -> &str {
    let skew = answer.split(' ').nth(2).expect("an AT line has a skew");
    assert!(is_skew(skew), "{skew:?}");
    skew
}

/// A skew (or a time with a sign before it) in nanoseconds.
fn in_nanos(skew: &str) -> i128 {
    let (sign, digits) = skew.split_at(1);
    let digits: i128 = digits.replace('.', "").parse().expect("digits");
    if sign == "-" { -digits } else { digits }
}

#[test]
fn a_skew_is_receipt_minus_time_to_the_nanosecond() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for ahead in [0, -1, 1, -86_400, 86_400, -1_000_000_000, 4_000_000_000] {
        let before = nanos();
        // Six odd digits: an f64 would not bring them back.
        let sent = before + ahead * 1_000_000_000 + 123_457;
        let answer = taken(
            &mut client,
            &format!("IAMAT skew {UCLA} {}\n", as_time(sent)),
        );
        let receipt = sent + in_nanos(skew_of(&answer));
        assert!(
            (before..=nanos()).contains(&receipt),
            "{answer:?} to a question at {before}"
        );
    }
}

#[test]
fn a_skew_is_exact_for_times_that_no_machine_word_holds() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for time in [
        "0",
        "0.5",
        "9223372036.854775808",
        "18446744073709551616.5",
        &"9".repeat(25),
    ] {
        let before = nanos();
        let answer = taken(&mut client, &format!("IAMAT wide {UCLA} {time}\n"));
        let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
        let sent = in_nanos(&format!("+{whole}.{fraction:0<9}"));
        let receipt = sent + in_nanos(skew_of(&answer));
        assert!(
            (before..=nanos()).contains(&receipt),
            "{answer:?} to a question at {before}"
        );
    }
    let long = "7".repeat(5_000);
    skew_of(&taken(&mut client, &format!("IAMAT wide {UCLA} {long}\n")));
}

/// What the only server holds of an id.
fn held(herd: &Herd, id: &str) -> String {
    herd.holds("Bailey", id)
        .unwrap_or_else(|| panic!("nothing is known of {id}"))
}

#[test]
fn the_newest_time_wins_whatever_the_order_of_arrival() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let newest = taken(&mut client, &format!("IAMAT w +3+3 {}\n", now_plus(0)));
    for (position, seconds) in [("+1+1", -10), ("+2+2", -3_600), ("+4+4", -1)] {
        // Answered with its own data, and nothing changes.
        taken(
            &mut client,
            &format!("IAMAT w {position} {}\n", now_plus(seconds)),
        );
        assert_eq!(held(&herd, "w"), newest);
    }
    let newer = taken(&mut client, &format!("IAMAT w +5+5 {}\n", now_plus(1)));
    assert_eq!(held(&herd, "w"), newer);
}

#[test]
fn times_are_compared_as_exact_decimals() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let zeros = "0".repeat(3_000);
    // Each is later than the one before; text order, f64 and u128 see it differently.
    let ascending = [
        "9".to_string(),
        "0010".to_string(),
        "1479413884.392014449".to_string(),
        "1479413884.3920144499".to_string(),
        "1479413884.39201445".to_string(),
        format!("1479413884.5{zeros}1"),
        format!("1479413884.5{zeros}2"),
        format!("1479413884.5{zeros}21"),
        "1479413885".to_string(),
        format!("1{zeros}"),
        format!("1{zeros}.1"),
        format!("00002{zeros}.05"),
        format!("2{zeros}.1"),
    ];
    for (n, time) in ascending.iter().enumerate() {
        let answer = taken(&mut client, &format!("IAMAT exact {UCLA} {time}\n"));
        assert_eq!(held(&herd, "exact"), answer, "time {n} is later");
        for earlier in &ascending[..n] {
            taken(&mut client, &format!("IAMAT exact +1+1 {earlier}\n"));
        }
        assert_eq!(
            held(&herd, "exact"),
            answer,
            "nothing is later than time {n}"
        );
    }
}

#[test]
fn an_exact_duplicate_keeps_the_first_record() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let line = iamat("twice");
    let first = taken(&mut client, &line);
    for _ in 0..20 {
        let again = taken(&mut client, &line);
        assert_ne!(
            skew_of(&again),
            skew_of(&first),
            "answered with its own receipt time"
        );
        assert_eq!(held(&herd, "twice"), first);
    }
}

#[test]
fn of_equal_times_the_greater_position_counts_in_either_order() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let time = now();
    let low = |id: &str| format!("IAMAT {id} +10+10 {time}\n");
    let high = |id: &str| format!("IAMAT {id} +20+20 {time}\n");
    taken(&mut client, &low("up"));
    let up = taken(&mut client, &high("up"));
    assert_eq!(held(&herd, "up"), up);
    let down = taken(&mut client, &high("down"));
    taken(&mut client, &low("down"));
    assert_eq!(held(&herd, "down"), down);
}

/// Two numbers for one time are equal, however they are written.
#[test]
fn equal_times_may_be_written_differently() {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    for (n, (one, other)) in [("5", "005"), ("5.0", "5"), ("5.10", "5.1")]
        .iter()
        .enumerate()
    {
        let id = format!("equal-{n}");
        taken(&mut client, &format!("IAMAT {id} +10+10 {one}\n"));
        let high = taken(&mut client, &format!("IAMAT {id} +20+20 {other}\n"));
        taken(&mut client, &format!("IAMAT {id} +10+10 {one}\n"));
        assert_eq!(held(&herd, &id), high, "{one} and {other}");
    }
}
