//! The question to Google, as HTTP/1.1 bytes. Pure.

use std::fmt::{self, Display, Formatter};

use super::api::{Api, FieldMask};
use super::endpoint::Endpoint;
use super::key::Key;

/// Digits after the point of a coordinate that are passed on: 10^-15 degrees, more than a double
/// can hold and less than the width of an atom. Further ones are cut off.
const FRACTION_MAX: usize = 15;
/// The most results that Google gives in one answer.
const RESULTS_MAX: u8 = 20;

/// One question: what is near a position.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which API is asked.
    pub api: Api,
    /// Where it is asked.
    pub endpoint: &'a Endpoint,
    /// Without a key the request says nothing of one, and Google refuses it in its own words.
    pub key: Option<&'a Key>,
    /// Only [`Api::New`] is told.
    pub field_mask: &'a FieldMask,
    /// Degrees as the client wrote them: sign, digits, perhaps a point and digits, of any length.
    /// Anything else is left out.
    pub latitude: &'a [u8],
    /// The same.
    pub longitude: &'a [u8],
    /// How far around, in metres: 0 to 50,000. It is passed on as it is, also where Google will
    /// refuse it.
    pub radius_metres: u32,
    /// How many results at most. [`Api::New`] is asked for so many, but at least 1 and at most 20,
    /// the numbers it allows; the legacy API cannot be asked for a number.
    pub bound: u8,
}

impl Request<'_> {
    /// Appends the request's exact bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let key = self.key().map(Key::expose);
        let (target, host) = (self.target(key), self.endpoint.authority());
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!(
            "{target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: herd/{version}\r\n\
             Accept: application/json\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\n"
        );
        let mut body = String::new();
        if self.api == Api::New {
            body = self.body();
            let (length, mask) = (body.len(), self.field_mask.as_str());
            text += "Content-Type: application/json\r\n";
            text += &format!("Content-Length: {length}\r\nX-Goog-FieldMask: {mask}\r\n");
            text += &key.map_or_else(String::new, |key| format!("X-Goog-Api-Key: {key}\r\n"));
        }
        for part in [&text, "\r\n", &body] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// The request in one line for the journal: its first line, with `***` for the key, and for
    /// [`Api::New`] its body, where the question is.
    pub fn shown(&self) -> String {
        let target = self.target(self.key().map(|_| "***"));
        match self.api {
            Api::Legacy => format!("{target} HTTP/1.1"),
            Api::New => format!("{target} HTTP/1.1 {}", self.body()),
        }
    }

    /// The key to send: a key must not travel in clear.
    fn key(&self) -> Option<&Key> {
        self.key.filter(|_| !self.endpoint.is_plain())
    }

    /// The method and the target.
    fn target(&self, key: Option<&str>) -> String {
        let (base, path) = (self.endpoint.base(), self.api.path());
        if self.api == Api::New {
            return format!("POST {base}{path}");
        }
        let latitude = Degrees(self.latitude);
        let longitude = Degrees(self.longitude);
        let radius = self.radius_metres;
        let key = key.map_or_else(String::new, |key| format!("&key={}", InQuery(key)));
        format!("GET {base}{path}?location={latitude},{longitude}&radius={radius}{key}")
    }

    fn body(&self) -> String {
        let count = self.bound.clamp(1, RESULTS_MAX);
        let latitude = Degrees(self.latitude);
        let longitude = Degrees(self.longitude);
        let radius = self.radius_metres;
        format!(
            "{{\"maxResultCount\":{count},\"locationRestriction\":{{\"circle\":{{\"center\":\
             {{\"latitude\":{latitude},\"longitude\":{longitude}}},\"radius\":{radius}.0}}}}}}"
        )
    }
}

/// Prints a coordinate as JSON and Google's addresses want it: no plus sign, no needless zeros,
/// `0` for any zero.
struct Degrees<'a>(&'a [u8]);

impl Display for Degrees<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let number = (self.0.strip_prefix(b"-")).or_else(|| self.0.strip_prefix(b"+"));
        let number = str::from_utf8(number.unwrap_or(self.0)).unwrap_or_default();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = digits(whole).trim_start_matches('0');
        let fraction = digits(fraction);
        let fraction = fraction[..fraction.len().min(FRACTION_MAX)].trim_end_matches('0');
        let is_zero = whole.is_empty() && fraction.is_empty();
        if self.0.starts_with(b"-") && !is_zero {
            f.write_str("-")?;
        }
        f.write_str(if whole.is_empty() { "0" } else { whole })?;
        f.write_str(if fraction.is_empty() { "" } else { "." })?;
        f.write_str(fraction)
    }
}

/// The digits that `text` begins with: nothing else may get into a request.
fn digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit());
    &text[..end.unwrap_or(text.len())]
}

/// Prints a value in a query: as it is, with `%XX` for what would end it or be read as something
/// else.
struct InQuery<'a>(&'a str);

impl Display for InQuery<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| {
            // The asterisk, which needs no encoding, stands for the key in a replay: the request
            // must keep its length.
            if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
                write!(f, "{}", char::from(byte))
            } else {
                write!(f, "%{byte:02X}")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::DEFAULT_FIELD_MASK;
    use super::*;

    fn written(request: &Request<'_>) -> String {
        let mut out = b"before|".to_vec();
        request.write(&mut out);
        let text = String::from_utf8(out).unwrap();
        text.strip_prefix("before|").unwrap().to_string()
    }

    /// Calls `check` with a question that each test changes.
    fn with_request(api: Api, check: impl Fn(Request<'_>)) {
        let endpoint = Endpoint::google(api);
        let key = Key::parse(b"SENTINEL_KEY-1").unwrap();
        check(Request {
            api,
            endpoint: &endpoint,
            key: Some(&key),
            field_mask: &FieldMask::default(),
            latitude: b"+34.068930",
            longitude: b"-118.445127",
            radius_metres: 10_000,
            bound: 5,
        });
    }

    #[test]
    fn the_legacy_request() {
        with_request(Api::Legacy, |request| {
            let wanted = concat!(
                "GET /maps/api/place/nearbysearch/json?location=34.06893,-118.445127&radius=10000",
                "&key=SENTINEL_KEY-1 HTTP/1.1\r\n",
                "Host: maps.googleapis.com\r\n",
                "User-Agent: herd/",
                env!("CARGO_PKG_VERSION"),
                "\r\n",
                "Accept: application/json\r\n",
                "Accept-Encoding: identity\r\n",
                "Connection: keep-alive\r\n\r\n",
            );
            assert_eq!(written(&request), wanted);
            let keyless = Request {
                key: None,
                ..request
            };
            assert_eq!(written(&keyless), wanted.replace("&key=SENTINEL_KEY-1", ""));
        });
    }

    #[test]
    fn the_new_request() {
        with_request(Api::New, |request| {
            let body = concat!(
                r#"{"maxResultCount":5,"locationRestriction":{"circle":{"center":{"#,
                r#""latitude":34.06893,"longitude":-118.445127},"radius":10000.0}}}"#,
            );
            let wanted = format!(
                "POST /v1/places:searchNearby HTTP/1.1\r\n\
                 Host: places.googleapis.com\r\n\
                 User-Agent: herd/{}\r\n\
                 Accept: application/json\r\n\
                 Accept-Encoding: identity\r\n\
                 Connection: keep-alive\r\n\
                 Content-Type: application/json\r\n\
                 Content-Length: {}\r\n\
                 X-Goog-FieldMask: {DEFAULT_FIELD_MASK}\r\n\
                 X-Goog-Api-Key: SENTINEL_KEY-1\r\n\r\n{body}",
                env!("CARGO_PKG_VERSION"),
                body.len(),
            );
            assert_eq!(written(&request), wanted);
            let keyless = Request {
                key: None,
                ..request
            };
            let wanted = wanted.replace("X-Goog-Api-Key: SENTINEL_KEY-1\r\n", "");
            assert_eq!(written(&keyless), wanted);
        });
    }

    #[test]
    fn another_server_may_be_asked() {
        with_request(Api::Legacy, |request| {
            let endpoint = Endpoint::parse("https://[::1]:8443/stub/").unwrap();
            let text = written(&Request {
                endpoint: &endpoint,
                ..request
            });
            assert!(text.starts_with("GET /stub/maps/api/place/nearbysearch/json?"));
            assert!(text.contains("\r\nHost: [::1]:8443\r\n"));
        });
    }

    #[test]
    fn no_key_travels_in_clear() {
        for api in [Api::Legacy, Api::New] {
            with_request(api, |request| {
                let endpoint = Endpoint::parse("http://localhost:8080").unwrap();
                let endpoint = &endpoint;
                let plain = Request {
                    endpoint,
                    ..request
                };
                let text = written(&plain) + &plain.shown();
                assert!(text.contains("\r\nHost: localhost:8080\r\n"));
                assert!(
                    !text.contains("SENTINEL") && !text.contains("***"),
                    "{text}"
                );
            });
        }
    }

    #[test]
    fn the_number_of_results_is_one_that_google_allows() {
        for (bound, count) in [(0, 1), (1, 1), (20, 20), (21, 20), (255, 20)] {
            with_request(Api::New, |request| {
                let body = Request { bound, ..request }.body();
                let json: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!(json["maxResultCount"], count);
            });
        }
    }

    #[test]
    fn a_request_is_shown_without_its_key() {
        with_request(Api::Legacy, |request| {
            let wanted = "GET /maps/api/place/nearbysearch/json\
                ?location=34.06893,-118.445127&radius=10000&key=*** HTTP/1.1";
            assert_eq!(request.shown(), wanted);
            assert!(!format!("{request:?}").contains("SENTINEL"));
            let keyless = Request {
                key: None,
                ..request
            };
            assert_eq!(keyless.shown(), wanted.replace("&key=***", ""));
        });
        with_request(Api::New, |request| {
            let shown = request.shown();
            assert!(
                shown.starts_with("POST /v1/places:searchNearby HTTP/1.1 {\"maxResultCount\":5,")
            );
            assert!(!shown.contains("SENTINEL") && !shown.contains('\n'));
        });
    }

    #[test]
    fn coordinates_lose_what_is_needless() {
        let long = format!("+{}1.5{}", "0".repeat(60_000), "0".repeat(60_000));
        for (text, shown) in [
            ("+34.068930", "34.06893"),
            ("-118.445127", "-118.445127"),
            ("+34", "34"),
            ("-0034.500", "-34.5"),
            ("+0", "0"),
            ("-0.000", "0"),
            ("-00.05", "-0.05"),
            ("+90.0", "90"),
            ("+100.10", "100.1"),
            ("+1.1234567890123456789", "1.123456789012345"),
            ("+1.1000000000000000009", "1.1"),
            ("-0.0000000000000000009", "0"),
            (&long, "1.5"),
            // None of these gets here; nothing of them may get further.
            ("", "0"),
            ("+", "0"),
            ("1&key=x", "1"),
            ("1.2\r\nX: y", "1.2"),
            ("--1", "0"),
        ] {
            assert_eq!(Degrees(text.as_bytes()).to_string(), shown, "{text:.40}");
        }
        assert_eq!(Degrees(b"+1\xff").to_string(), "0");
    }

    #[test]
    fn odd_keys_stay_one_value_and_stars_keep_their_length() {
        assert_eq!(
            InQuery("a&b=c#d%e+f/é").to_string(),
            "a%26b%3Dc%23d%25e%2Bf%2F%C3%A9"
        );
        let key = "AIza-_.~0";
        assert_eq!(InQuery(key).to_string(), key);
        assert_eq!(InQuery("***").to_string(), "***");
    }
}
