//! What a server asks the stand-in: both of Google's Nearby Searches, read from HTTP. Pure.

use serde_json::Value;

/// A head may have so many headers.
const HEADERS_MAX: usize = 64;
/// The longest question, its body too.
pub const QUESTION_MAX: usize = 64 * 1024;
/// The most results that Google gives.
const RESULTS_MAX: usize = 20;

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// True for `places:searchNearby`, a POST; else it is the older search, a GET.
    pub is_new: bool,
    /// Around what; `None` if it does not say so, or not as Google wants it.
    pub circle: Option<Circle>,
    /// How many results at most.
    pub count: usize,
    /// True if the connection goes on after the answer.
    pub stays: bool,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Metres.
    pub radius: f64,
}

/// The question that `input` begins with, once it is whole, and its length.
///
/// # Errors
/// It is no HTTP, or too long.
pub fn parse(input: &[u8]) -> Result<Option<(Question, usize)>, String> {
    if input.len() > QUESTION_MAX {
        return Err(String::from("it is too long"));
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let parsed = head.parse(input).map_err(|error| error.to_string())?;
    let httparse::Status::Complete(start) = parsed else {
        return Ok(None);
    };
    let header = |name: &str| {
        let mut headers = head.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
    };
    let length = header("content-length").map_or(Ok(0), |length| length.trim().parse::<usize>());
    let length = length.map_err(|_| String::from("its Content-Length is no number"))?;
    let Some(body) = input.get(start..start.saturating_add(length)) else {
        return match length > QUESTION_MAX {
            true => Err(String::from("it is too long")),
            false => Ok(None),
        };
    };
    let connection = header("connection").unwrap_or_default();
    let stays = match head.version {
        Some(1) => connection != "close",
        _ => connection == "keep-alive",
    };
    let is_new = head.method == Some("POST");
    let (circle, count) = match is_new {
        true => searched(body),
        false => (queried(head.path.unwrap_or_default()), RESULTS_MAX),
    };
    let question = Question {
        is_new,
        circle,
        count,
        stays,
    };
    Ok(Some((question, start + length)))
}

/// `?location=34.1,-118.4&radius=10000`, in any order.
fn queried(target: &str) -> Option<Circle> {
    let (_, query) = target.split_once('?')?;
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(found, _)| *found == name)
            .map(|(_, value)| decoded(value))
    };
    let location = value("location")?;
    let (latitude, longitude) = location.split_once(',')?;
    let radius = value("radius")?;
    circle(
        latitude.trim().parse().ok(),
        longitude.trim().parse().ok(),
        radius.trim().parse().ok(),
    )
}

/// What stands in the body of a POST, and `maxResultCount`.
fn searched(body: &[u8]) -> (Option<Circle>, usize) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return (None, RESULTS_MAX);
    };
    let around = &body["locationRestriction"]["circle"];
    let center = &around["center"];
    let (latitude, longitude) = (center["latitude"].as_f64(), center["longitude"].as_f64());
    let count = body["maxResultCount"].as_u64();
    let count = count.map_or(RESULTS_MAX, |count| (count as usize).min(RESULTS_MAX));
    (
        circle(latitude, longitude, around["radius"].as_f64()),
        count,
    )
}

fn circle(latitude: Option<f64>, longitude: Option<f64>, radius: Option<f64>) -> Option<Circle> {
    Some(Circle {
        latitude: latitude?,
        longitude: longitude?,
        radius: radius?,
    })
}

/// `%2C` is a comma, and `+` a space.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let hex = str::from_utf8(behind.get(..2).unwrap_or_default());
        let hex = hex.ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(match (first, hex) {
            (b'%', Some(byte)) => {
                rest = &behind[2..];
                byte
            }
            (b'+', _) => b' ',
            (other, _) => *other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UCLA: Circle = Circle {
        latitude: 34.5,
        longitude: -118.25,
        radius: 2500.0,
    };

    #[test]
    fn both_searches_are_read() {
        let old =
            "GET /maps/json?key=x&radius=2500&location=+34.5%2C-118.25 HTTP/1.1\r\nHost: a\r\n\r\n";
        let body = r#"{"maxResultCount":5,"locationRestriction":{"circle":{"center":{"latitude":34.5,"longitude":-118.25},"radius":2500.0}}}"#;
        let new = format!(
            "POST /v1/places:searchNearby HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        for (text, is_new, count) in [(old, false, 20), (&new, true, 5)] {
            for end in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..end]), Ok(None), "{end}");
            }
            let (question, length) = parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!(
                (question.is_new, question.count, length),
                (is_new, count, text.len())
            );
            assert_eq!(question.circle, Some(UCLA));
            assert_eq!(question.stays, !is_new);
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let long = vec![b'x'; QUESTION_MAX + 1];
        for text in [
            &b"\x16\x03\x01\x02"[..],
            b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            &long,
        ] {
            assert!(parse(text).is_err());
        }
        let (question, _) = parse(b"GET /?location=1&radius=x HTTP/1.0\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!((question.circle, question.stays), (None, false));
    }
}
