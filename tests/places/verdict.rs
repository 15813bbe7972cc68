//! Bodies that are no answer of Google's: none may reach a client.

use Unusable::*;
use herd::places::{Api, Unusable, verdict};
use proptest::prelude::*;

/// What is wrong, HTTP status, body, reason.
type Case = (&'static str, u16, &'static str, Unusable);

const NO_STATUS: Unusable = Shape("a known status");
const NO_ARRAY: Unusable = Shape("results, an array of objects");
const NO_PLACES: Unusable = Shape("places, an array of objects");
const NO_ERROR: Unusable = Shape("no error with HTTP status 200");

const OK: &str = r#"{"html_attributions":[],"results":[],"status":"OK"}"#;

#[rustfmt::skip]
const LEGACY: &[Case] = &[
    ("a redirect", 302, OK, HttpStatus(302)),
    ("created", 201, OK, HttpStatus(201)),
    ("a part", 206, OK, HttpStatus(206)),
    ("no content", 204, "", HttpStatus(204)),
    ("forbidden", 403, OK, HttpStatus(403)),
    ("overloaded", 503, OK, HttpStatus(503)),
    ("a bad gateway", 502, "<html>", HttpStatus(502)),
    ("nothing", 200, "", NotJson),
    ("HTML", 200, "<html>hello</html>", NotJson),
    ("half an answer", 200, r#"{"html_attributions":[],"#, NotJson),
    ("two answers", 200, r#"{"results":[],"status":"OK"}{"results":[],"status":"OK"}"#, NotJson),
    ("an answer and garbage", 200, r#"{"results":[],"status":"OK"}x"#, NotJson),
    ("a byte order mark", 200, "\u{feff}{\"results\":[],\"status\":\"OK\"}", NotJson),
    ("a call", 200, r#"callback({"results":[],"status":"OK"})"#, NotJson),
    ("a newline in a string", 200, "{\"results\":[],\"status\":\"OK\",\"a\":\"\n\"}", NotJson),
    ("an array", 200, "[]", Shape("an object")),
    ("a string", 200, "\"OK\"", Shape("an object")),
    ("an empty object", 200, "{}", NO_STATUS),
    ("no status", 200, r#"{"results":[]}"#, NO_STATUS),
    ("another status", 200, r#"{"results":[],"status":"FINE"}"#, NO_STATUS),
    ("a status in lower case", 200, r#"{"results":[],"status":"ok"}"#, NO_STATUS),
    ("a status in an array", 200, r#"{"results":[],"status":["OK"]}"#, NO_STATUS),
    ("the new API's answer", 200, r#"{"places":[]}"#, NO_STATUS),
    ("no results", 200, r#"{"status":"OK"}"#, Shape("results")),
    ("results within", 200, r#"{"a":{"results":[]},"status":"OK"}"#, Shape("results")),
    ("null results", 200, r#"{"status":"OK","results":null}"#, NO_ARRAY),
    ("results by name", 200, r#"{"status":"OK","results":{}}"#, NO_ARRAY),
    ("numbers", 200, r#"{"status":"OK","results":[1]}"#, NO_ARRAY),
    ("arrays", 200, r#"{"status":"OK","results":[{},[]]}"#, NO_ARRAY),
    ("a refusal without an array", 200, r#"{"status":"REQUEST_DENIED","results":1}"#, NO_ARRAY),
    ("results twice", 200, r#"{"results":[],"status":"OK","results":[{}]}"#, Duplicate("results")),
    ("results escaped", 200, r#"{"results":[],"status":"OK","result\u0073":[]}"#, Duplicate("results")),
    ("two statuses", 200, r#"{"results":[],"status":"OK","status":"OK"}"#, Duplicate("status")),
];

#[rustfmt::skip]
const NEW: &[Case] = &[
    ("a redirect", 301, "{}", HttpStatus(301)),
    ("an error of 503", 503, r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#, HttpStatus(503)),
    ("a refusal with 500", 500, r#"{"error":{"code":500,"status":"ABORTED"}}"#, HttpStatus(500)),
    ("another code", 403, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#, HttpStatus(403)),
    ("a code in a string", 400, r#"{"error":{"code":"400","status":"INVALID_ARGUMENT"}}"#, HttpStatus(400)),
    ("a code twice", 400, r#"{"error":{"code":400,"code":400,"status":"INVALID_ARGUMENT"}}"#, HttpStatus(400)),
    ("no status", 400, r#"{"error":{"code":400}}"#, HttpStatus(400)),
    ("no code", 400, r#"{"error":{"status":"INVALID_ARGUMENT"}}"#, HttpStatus(400)),
    ("an unknown status", 400, r#"{"error":{"code":400,"status":"BAD"}}"#, HttpStatus(400)),
    ("a word for an error", 400, r#"{"error":"INVALID_ARGUMENT"}"#, HttpStatus(400)),
    ("an error in an array", 400, r#"[{"error":{"code":400,"status":"INVALID_ARGUMENT"}}]"#, HttpStatus(400)),
    ("results with 400", 400, r#"{"places":[]}"#, HttpStatus(400)),
    ("an empty refusal", 400, "{}", HttpStatus(400)),
    ("HTML", 404, "<html>", HttpStatus(404)),
    ("a refusal with 200", 200, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#, NO_ERROR),
    ("a refusal and places", 200, r#"{"places":[],"error":{}}"#, NO_ERROR),
    ("something else", 200, r#"{"place":[]}"#, Shape("places or nothing")),
    ("the legacy answer", 200, r#"{"results":[],"status":"OK"}"#, Shape("places or nothing")),
    ("null places", 200, r#"{"places":null}"#, NO_PLACES),
    ("strings", 200, r#"{"places":["a"]}"#, NO_PLACES),
    ("places twice", 200, r#"{"places":[],"places":[{}]}"#, Duplicate("places")),
    ("an array", 200, "[]", Shape("an object")),
    ("nothing", 200, " ", NotJson),
];

/// Judged with the bound 5; nothing may have been written.
fn reason(api: Api, status: u16, body: &[u8]) -> Option<Unusable> {
    let mut out = b"AT".to_vec();
    let reason = verdict(api, status, body, 5, None, &mut out).err();
    assert_eq!(reason.is_some(), out == b"AT");
    reason
}

#[test]
fn what_is_no_answer_is_refused_for_the_right_reason() {
    for (api, cases) in [(Api::Legacy, LEGACY), (Api::New, NEW)] {
        for (what, status, body, wanted) in cases {
            assert_eq!(
                reason(api, *status, body.as_bytes()),
                Some(*wanted),
                "{what}"
            );
        }
    }
    // The tables' own yardstick.
    assert_eq!(reason(Api::Legacy, 200, OK.as_bytes()), None);
    let refusal = r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#;
    assert_eq!(reason(Api::New, 400, refusal.as_bytes()), None);
}

#[test]
fn so_is_what_is_no_text_or_a_pit() {
    assert_eq!(
        reason(Api::Legacy, 200, b"{\"status\":\"\xe9\"}"),
        Some(NotUtf8)
    );
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"a\":{open}{close},\"results\":[],\"status\":\"OK\"}}")
    };
    assert_eq!(reason(Api::Legacy, 200, nested(63).as_bytes()), None);
    for depth in [64, 127, 400_000] {
        assert_eq!(
            reason(Api::Legacy, 200, nested(depth).as_bytes()),
            Some(TooDeep)
        );
    }
    assert_eq!(
        reason(Api::New, 200, "[".repeat(1_000_000).as_bytes()),
        Some(TooDeep)
    );
    let refusal = format!("{{\"error\":{}", "{\"a\":".repeat(100_000));
    assert_eq!(
        reason(Api::New, 400, refusal.as_bytes()),
        Some(HttpStatus(400))
    );
}

#[test]
fn reasons_are_sentences() {
    for (reason, sentence) in [
        (
            HttpStatus(302),
            "HTTP status 302: redirects are not followed",
        ),
        (
            HttpStatus(503),
            "HTTP status 503 without a refusal by Google",
        ),
        (TooDeep, "the JSON is nested more than 64 deep"),
        (
            Duplicate("results"),
            "\"results\" is there twice in the JSON",
        ),
        (NO_STATUS, "expected a known status in the JSON"),
    ] {
        assert_eq!(reason.to_string(), sentence);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn random_bytes_are_no_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (api, status) in [(Api::Legacy, 200), (Api::New, 200), (Api::New, 400)] {
            prop_assert!(reason(api, status, &bytes).is_some());
        }
    }

    #[test]
    fn hurt_json_is_cut_right_or_refused(
        hurt in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(
            br#"{}[]",:\ 0ea"#.to_vec(),
        )), 1..3),
        bound in 0u8..5,
    ) {
        let mut body =
            br#"{"a":["\u00e9\"",-1.50,{}],"results":[{"x":"]"},{},{"y":[1]}],"status":"OK"}"#.to_vec();
        for (at, byte) in hurt {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let mut out = Vec::new();
        if verdict(Api::Legacy, 200, &body, bound, None, &mut out).is_ok() {
            let mut wanted: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            if let Some(results) = wanted["results"].as_array_mut() {
                results.truncate(bound.into());
            }
            let found: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            prop_assert_eq!(found, wanted);
        }
    }
}
