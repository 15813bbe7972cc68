//! What WHATSAT takes, and the frame of its answer.

use crate::common::{Client, Herd, Plan, UCLA, iamat, latin1, now, to_latin1};

/// A server that knows one client, and a connection to it.
fn one_client() -> (Herd, Client, String) {
    let herd = Herd::solo("Bailey");
    let mut client = herd.client("Bailey");
    let at = client.ask(iamat("phone"));
    (herd, client, at)
}

#[test]
fn radii_and_bounds_that_are_taken() {
    let (_herd, mut client, at) = one_client();
    for radius in [
        "0",
        "00",
        "1",
        "0010",
        "2.5",
        "0.001",
        "0.00000000000000001",
        "50",
        "50.0",
        "050.000",
    ] {
        assert_eq!(
            client
                .send(format!("WHATSAT phone {radius} 1\n"))
                .whatsat()
                .at,
            at,
            "{radius}"
        );
    }
    for bound in [
        "0",
        "000",
        "1",
        "9",
        "20",
        "0020",
        "00000000000000000000000000000020",
    ] {
        let answer = client.send(format!("WHATSAT phone 10 {bound}\n")).whatsat();
        assert_eq!(answer.at, at, "{bound}");
        let most: usize = bound.parse().expect("a number");
        assert!(answer.results().len() <= most, "{bound}");
    }
}

#[test]
fn radii_and_bounds_that_are_refused() {
    let (_herd, mut client, _) = one_client();
    let mut refused = |line: &str| {
        let line = format!("WHATSAT phone {line}\n");
        assert_eq!(client.ask(to_latin1(&line)), format!("? {line}"));
    };
    for radius in [
        "50.0001",
        "50.00000000000000000000000000001",
        "51",
        "99999999999999999999999999",
        "-1",
        "-0",
        "+1",
        ".5",
        "5.",
        "1e1",
        "0x5",
        "5km",
        "nan",
        "inf",
        "1_0",
        "2,5",
        "\u{b2}",
    ] {
        refused(&format!("{radius} 1"));
    }
    for bound in [
        "21",
        "100",
        "256",
        "4294967296",
        "18446744073709551616",
        "18446744073709551636",
        "-1",
        "-0",
        "+1",
        "1.0",
        "1.",
        "1e1",
        "x",
        "0x5",
        "\u{b2}",
    ] {
        refused(&format!("10 {bound}"));
    }
}

#[test]
fn an_unknown_id_gets_its_line_back() {
    let (_herd, mut client, _) = one_client();
    for line in [
        "WHATSAT stranger 10 5\n",
        "WHATSAT Phone 10 5\n",
        " WHATSAT\tphone2  10 5 \r\n",
    ] {
        assert_eq!(client.ask(line), format!("? {line}"));
    }
}

#[test]
fn bound_0_gives_an_empty_list() {
    let (_herd, mut client, _) = one_client();
    let answer = client.send("WHATSAT phone 50 0\n").whatsat();
    assert_eq!(answer.results().len(), 0, "{}", answer.json);
}

#[test]
fn a_smaller_bound_gives_the_beginning_of_a_larger_one() {
    let (_herd, mut client, _) = one_client();
    let all = client.send("WHATSAT phone 50 20\n").whatsat().results();
    assert!(!all.is_empty(), "there are places near UCLA");
    for bound in 0..=20 {
        let some = client
            .send(format!("WHATSAT phone 50 {bound}\n"))
            .whatsat()
            .results();
        assert_eq!(some, all[..all.len().min(bound)], "bound {bound}");
    }
}

#[test]
fn a_smaller_radius_gives_no_place_that_a_larger_one_lacks() {
    let (_herd, mut client, _) = one_client();
    let mut fewest = usize::MAX;
    for radius in ["50", "10", "2.5", "0.5", "0"] {
        let count = client
            .send(format!("WHATSAT phone {radius} 20\n"))
            .whatsat()
            .results()
            .len();
        assert!(
            count <= fewest,
            "{count} places within {radius} km, {fewest} within more"
        );
        fewest = count;
    }
}

#[test]
fn the_stored_line_comes_back_with_the_skew_it_was_made_with() {
    let herd = Herd::start();
    let at = herd.client("Campbell").ask(iamat("skewed"));
    herd.wait_everywhere("skewed", &at);
    for _ in 0..3 {
        herd.wait_everywhere("skewed", &at);
    }
}

/// The bytes of the answer, not what a parser makes of them.
#[test]
fn the_frame_is_a_line_json_without_a_blank_line_and_two_newlines() {
    let (_herd, mut client, at) = one_client();
    for bound in ["0", "1", "20"] {
        client
            .send(format!("WHATSAT phone 50 {bound}\n"))
            .silence_after_frame(&at);
    }
    // Places with nothing around, too.
    let sea = client.ask(format!("IAMAT ship -48.876667-123.393333 {}\n", now()));
    client.send("WHATSAT ship 1 20\n").silence_after_frame(&sea);
}

trait Framed {
    fn silence_after_frame(&mut self, at: &str);
}

impl Framed for Client {
    /// One answer and nothing after it: checked on the raw bytes.
    fn silence_after_frame(&mut self, at: &str) {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\n\n") {
            bytes.extend(self.read_once());
        }
        self.silence(100);
        let text = latin1(&bytes);
        let body = text
            .strip_prefix(at)
            .unwrap_or_else(|| panic!("no {at:?} in {text:?}"));
        let body = body.strip_suffix("\n\n").expect("two newlines at the end");
        assert!(body.starts_with('{') && body.ends_with('}'), "{body:?}");
        assert!(
            !body.replace('\r', "").contains("\n\n"),
            "a blank line inside: {body:?}"
        );
        let value: serde_json::Value = serde_json::from_slice(body.as_bytes()).expect("JSON");
        assert!(
            value["status"].is_string() && value["results"].is_array(),
            "{value}"
        );
    }
}

/// Graders read once and take what came for the whole answer.
#[test]
fn the_whole_answer_goes_out_in_one_write() {
    let (herd, _client, at) = one_client();
    for n in 0..50 {
        let mut client = herd.client("Bailey");
        let text = latin1(&client.send("WHATSAT phone 50 20\n").read_once());
        assert!(
            text.starts_with(&at) && text.ends_with("}\n\n"),
            "read {n} was cut: {text:?}"
        );
    }
}

#[test]
fn questions_and_reports_mix_on_one_connection() {
    let (_herd, mut client, at) = one_client();
    client.send(format!(
        "WHATSAT phone 10 5\nIAMAT other {UCLA} {}\nWHATSAT other 10 2\nWHATSAT none 1 1\n",
        now()
    ));
    assert_eq!(client.whatsat().at, at);
    let other = client.line();
    let answer = client.whatsat();
    assert_eq!(answer.at, other);
    assert!(answer.results().len() <= 2);
    assert_eq!(client.line(), "? WHATSAT none 1 1\n");
    client.silence(50);
}

/// The option for lookups at Google comes later; until then it says so.
#[test]
fn places_offline_is_the_default_and_may_be_said() {
    let herd = Plan::only("Bailey").args(&["--places", "offline"]).start();
    let mut client = herd.client("Bailey");
    client.ask(iamat("phone"));
    assert!(
        !client
            .send("WHATSAT phone 50 20\n")
            .whatsat()
            .results()
            .is_empty()
    );
}
