//! What becomes of Google's answer: passed on by the byte, cut to the client's bound, or not at
//! all. Pure.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::ops::Range;

use super::api::Api;
use super::json::{self, Flaw};
use super::key::Key;

/// What the legacy API may say in `status`.
const LEGACY_WORDS: [&str; 7] = [
    "OK",
    "ZERO_RESULTS",
    "INVALID_REQUEST",
    "OVER_QUERY_LIMIT",
    "OVER_DAILY_LIMIT",
    "REQUEST_DENIED",
    TRY_AGAIN,
];
/// The legacy API's word for a failure of its own.
const TRY_AGAIN: &str = "UNKNOWN_ERROR";
/// What [`Api::New`] may say in `error.status` along with an HTTP code of 4xx: google.rpc.Code.
const NEW_WORDS: [&str; 10] = [
    "CANCELLED",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
];

/// Why an answer is of no use to a client. `Display` is a sentence for the journal that shows
/// nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// An HTTP status other than 200, and no refusal that the API gives with it.
    HttpStatus(u16),
    /// The body is not UTF-8.
    NotUtf8,
    /// The body is not one JSON value and nothing else.
    NotJson,
    /// Arrays and objects stand in one another more than 64 deep.
    TooDeep,
    /// This member is there twice: two readers might see two answers.
    Duplicate(&'static str),
    /// JSON, but not as the API gives it; what was expected.
    Shape(&'static str),
}

impl Display for Unusable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::HttpStatus(status @ 300..=399) => {
                write!(f, "HTTP status {status}: redirects are not followed")
            }
            Unusable::HttpStatus(status) => {
                write!(f, "HTTP status {status} without a refusal by Google")
            }
            Unusable::NotUtf8 => write!(f, "the body is not UTF-8"),
            Unusable::NotJson => write!(f, "the body is not JSON"),
            Unusable::TooDeep => write!(f, "the JSON is nested more than {} deep", json::DEPTH_MAX),
            Unusable::Duplicate(name) => write!(f, "{name:?} is there twice in the JSON"),
            Unusable::Shape(expected) => write!(f, "expected {expected} in the JSON"),
        }
    }
}

impl Error for Unusable {}

/// A complete answer that is of use.
pub struct Judged<'a> {
    /// Google's word for what it gave: `status`, `error.status`, or `OK` for the results of
    /// [`Api::New`].
    pub word: &'static str,
    text: &'a str,
    /// Where the array of results stands, if there is one, and where each of them ends.
    array: Range<usize>,
    ends: Vec<usize>,
}

impl Judged<'_> {
    /// Appends to `out` the JSON for a client, yet to be framed: Google's text by the byte, without the
    /// elements of `results` or `places` beyond `bound`, and with `***` for the key wherever a string
    /// holds it.
    pub fn write(&self, bound: u8, key: Option<&Key>, out: &mut Vec<u8>) {
        let cut = self.beyond(bound);
        // No string stands astride the cut.
        for part in [&self.text[..cut.start], &self.text[cut.end..]] {
            match key {
                Some(key) => key.strike_out(part, out),
                None => out.extend_from_slice(part.as_bytes()),
            }
        }
    }

    /// Where the elements beyond the bound stand, with what separates them from those that stay; the
    /// white space before the bracket stays, unless nothing else does.
    fn beyond(&self, bound: u8) -> Range<usize> {
        let (array, ends) = (&self.array, &self.ends);
        match (usize::from(bound).checked_sub(1), ends.last()) {
            (None, Some(_)) => array.start + 1..array.end - 1,
            (Some(last_kept), Some(&last)) => ends.get(last_kept).map_or(last, |&end| end)..last,
            (_, None) => 0..0,
        }
    }
}

/// Judges a complete answer, and writes it for one bound: see [`judge`] and [`Judged::write`].
///
/// # Errors
/// As [`judge`]; `out` is as it was.
pub fn verdict(
    api: Api,
    status: u16,
    body: &[u8],
    bound: u8,
    key: Option<&Key>,
    out: &mut Vec<u8>,
) -> Result<&'static str, Unusable> {
    let judged = judge(api, status, body)?;
    judged.write(bound, key, out);
    Ok(judged.word)
}

/// Judges a complete answer: once, whatever the number of those who wait for it.
///
/// Both the HTTP status and Google's own must be what the API gives. Its refusals are answers and
/// passed on: the legacy API's with HTTP 200, [`Api::New`]'s with 4xx.
///
/// # Errors
/// It is of no use to a client.
pub fn judge(api: Api, status: u16, body: &[u8]) -> Result<Judged<'_>, Unusable> {
    let is_refusal = api == Api::New && (400..=499).contains(&status);
    if status != 200 && !is_refusal {
        return Err(Unusable::HttpStatus(status));
    }
    let text = str::from_utf8(body).map_err(|_| Unusable::NotUtf8);
    match text.and_then(|text| judge_text(api, status, text)) {
        // That it is no refusal of Google's is all there is to say.
        Err(_) if is_refusal => Err(Unusable::HttpStatus(status)),
        judged => judged,
    }
}

/// Whether a verdict speaks for leaving Google alone for a while: nothing usable, or a failure by
/// its own account. Refusals do not: they are what the client must see.
pub fn is_failure(verdict: &Result<&'static str, Unusable>) -> bool {
    !matches!(verdict, Ok(word) if *word != TRY_AGAIN)
}

fn judge_text(api: Api, status: u16, text: &str) -> Result<Judged<'_>, Unusable> {
    let (word, array) = match (api, status) {
        (Api::Legacy, _) => legacy(text)?,
        (Api::New, 200) => ("OK", places(text)?),
        (Api::New, _) => (refusal(text, status)?, None),
    };
    let expected = match api {
        Api::Legacy => "results, an array of objects",
        Api::New => "places, an array of objects",
    };
    let ends = array
        .as_ref()
        .map(|array| json::ends_of_objects(text, array));
    let ends = ends.transpose().map_err(|flaw| unusable(flaw, expected))?;
    Ok(Judged {
        word,
        text,
        array: array.unwrap_or_default(),
        ends: ends.unwrap_or_default(),
    })
}

/// Google's word, and where the results stand.
type Found = (&'static str, Option<Range<usize>>);

fn legacy(text: &str) -> Result<Found, Unusable> {
    let [status, results] =
        json::find(text, ["status", "results"]).map_err(|flaw| unusable(flaw, "an object"))?;
    let word = status.and_then(|status| known(&text[status], &LEGACY_WORDS));
    let word = word.ok_or(Unusable::Shape("a known status"))?;
    match results {
        // With an error message there may be none.
        found if found.is_some() || word != "OK" => Ok((word, found)),
        _ => Err(Unusable::Shape("results")),
    }
}

/// Where the results of the new API stand. Without any, it says `{}`.
fn places(text: &str) -> Result<Option<Range<usize>>, Unusable> {
    let [places, error] =
        json::find(text, ["places", "error"]).map_err(|flaw| unusable(flaw, "an object"))?;
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    match (places, error) {
        (Some(array), None) => Ok(Some(array)),
        (None, None) if text.bytes().filter(|byte| !is_space(byte)).eq(*b"{}") => Ok(None),
        (None, None) => Err(Unusable::Shape("places or nothing")),
        (_, Some(_)) => Err(Unusable::Shape("no error with HTTP status 200")),
    }
}

/// The status of a refusal by the new API, which must repeat the HTTP status.
fn refusal(text: &str, http_status: u16) -> Result<&'static str, Unusable> {
    let find = |flaw| unusable(flaw, "an error object");
    let [error] = json::find(text, ["error"]).map_err(find)?;
    let error = error.ok_or(Unusable::Shape("an error object"))?;
    let error = &text[error];
    let [code, status] = json::find(error, ["code", "status"]).map_err(find)?;
    let code = code.and_then(|code| serde_json::from_str(&error[code]).ok());
    let word = status.and_then(|status| known(&error[status], &NEW_WORDS));
    match word {
        Some(word) if code == Some(http_status) => Ok(word),
        _ => Err(Unusable::Shape("the HTTP status and its name")),
    }
}

/// The word of the list that a JSON string holds.
fn known(json: &str, words: &[&'static str]) -> Option<&'static str> {
    let text: String = serde_json::from_str(json).ok()?;
    words.iter().find(|word| **word == text).copied()
}

fn unusable(flaw: Flaw, expected: &'static str) -> Unusable {
    match flaw {
        Flaw::NotJson => Unusable::NotJson,
        Flaw::TooDeep => Unusable::TooDeep,
        Flaw::OtherKind => Unusable::Shape(expected),
        Flaw::Duplicate(name) => Unusable::Duplicate(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(api: Api, status: u16, body: &str, bound: u8) -> Result<String, Unusable> {
        let key = Key::parse(b"SENTINEL").unwrap();
        let mut out = b"AT\n".to_vec();
        let word = verdict(api, status, body.as_bytes(), bound, Some(&key), &mut out);
        let text = String::from_utf8(out).unwrap();
        let json = text.strip_prefix("AT\n").unwrap().to_string();
        assert!(word.is_ok() || json.is_empty(), "{json}");
        Ok(format!("{} {json}", word?))
    }

    #[test]
    fn the_array_is_cut_and_all_else_stays() {
        let text =
            "{ \"results\": [ {\"a\":[1,2.50]} ,\n{\"b\":\"]},{\"},{}\t] ,\"status\":\"OK\" }\n";
        for (bound, wanted) in [
            (0, "OK { \"results\": [] ,\"status\":\"OK\" }\n"),
            (
                1,
                "OK { \"results\": [ {\"a\":[1,2.50]}\t] ,\"status\":\"OK\" }\n",
            ),
            (
                2,
                "OK { \"results\": [ {\"a\":[1,2.50]} ,\n{\"b\":\"]},{\"}\t] ,\"status\":\"OK\" }\n",
            ),
        ] {
            assert_eq!(judged(Api::Legacy, 200, text, bound).unwrap(), wanted);
        }
        for bound in [3, 20, 255] {
            assert_eq!(
                judged(Api::Legacy, 200, text, bound).unwrap(),
                format!("OK {text}")
            );
        }
        let text = r#"{"places":[{},{"x":{"places":[{},{}]}}]}"#;
        assert_eq!(
            judged(Api::New, 200, text, 1).unwrap(),
            r#"OK {"places":[{}]}"#
        );
        assert_eq!(judged(Api::New, 200, " { }\n", 1).unwrap(), "OK  { }\n");
        let text = r#"{"places":[ ]}"#;
        assert_eq!(
            judged(Api::New, 200, text, 0).unwrap(),
            format!("OK {text}")
        );
    }

    #[test]
    fn refusals_are_passed_on_without_the_key() {
        let text = r#"{"error_message":"bad key SENTINEL","status":"REQUEST_DENIED"}"#;
        assert_eq!(
            judged(Api::Legacy, 200, text, 5).unwrap(),
            r#"REQUEST_DENIED {"error_message":"bad key ***","status":"REQUEST_DENIED"}"#
        );
        let text = r#"{"error":{"status":"UNAUTHENTICATED","code":401,"message":"SENTI\u004eEL"}}"#;
        assert_eq!(
            judged(Api::New, 401, text, 0).unwrap(),
            r#"UNAUTHENTICATED {"error":{"status":"UNAUTHENTICATED","code":401,"message":"***"}}"#
        );
    }

    #[test]
    fn without_a_key_nothing_is_struck_out() {
        let body = br#"{"status":"ZERO_RESULTS"}"#;
        let mut out = Vec::new();
        let word = verdict(Api::Legacy, 200, body, 20, None, &mut out);
        assert_eq!((word, &out[..]), (Ok("ZERO_RESULTS"), &body[..]));
    }

    #[test]
    fn what_counts_as_a_failure() {
        assert!(is_failure(&Err(Unusable::HttpStatus(503))));
        assert!(is_failure(&Ok("UNKNOWN_ERROR")));
        for word in [
            "OK",
            "ZERO_RESULTS",
            "OVER_QUERY_LIMIT",
            "RESOURCE_EXHAUSTED",
        ] {
            assert!(!is_failure(&Ok(word)), "{word}");
        }
    }
}
