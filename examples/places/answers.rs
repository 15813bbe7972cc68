//! What Google would say, with the gazetteer's places.

use herd::places::{Api, gazetteer};
use serde_json::{Value, json};

use crate::http::Request;

/// Results of one answer, at most. Google's limit, too.
const RESULTS_MAX: usize = 20;
/// Metres. Google's limit, too.
const RADIUS_MAX: f64 = 50_000.0;

/// A response without its frame.
pub struct Answer {
    pub status: u16,
    /// Its content type.
    pub kind: &'static str,
    pub body: Vec<u8>,
}

/// The answer, and which API was asked. With a key, every other one is refused; the refusal
/// repeats what came, as a careless server would: our client must strike it out.
pub fn answer(request: &Request, key: Option<&str>) -> (&'static str, Answer) {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path == Api::Legacy.path() => ("legacy", legacy(request, key)),
        ("POST", path) if path == Api::New.path() => ("new", new(request, key)),
        _ => {
            let body = b"<!DOCTYPE html>\n<title>Error 404 (Not Found)!!1</title>\n".to_vec();
            let kind = "text/html; charset=UTF-8";
            (
                "other",
                Answer {
                    status: 404,
                    kind,
                    body,
                },
            )
        }
    }
}

fn as_json(status: u16, body: Vec<u8>) -> Answer {
    let kind = "application/json; charset=UTF-8";
    Answer { status, kind, body }
}

// ---- Nearby Search (legacy) ----

fn legacy(request: &Request, key: Option<&str>) -> Answer {
    let sent = request.parameter("key").unwrap_or_default();
    if key.is_some_and(|key| key != sent) {
        let message = format!("The provided API key {sent:?} is invalid.");
        return refusal("REQUEST_DENIED", &message);
    }
    let Some((latitude, longitude, radius)) = circle(request) else {
        return refusal("INVALID_REQUEST", "location or radius is missing or wrong");
    };
    let mut body = Vec::new();
    let radius = radius.min(RADIUS_MAX);
    gazetteer::nearby(latitude, longitude, radius, RESULTS_MAX, &mut body);
    as_json(200, body)
}

fn circle(request: &Request) -> Option<(f64, f64, f64)> {
    let location = request.parameter("location")?;
    let (latitude, longitude) = location.split_once(',')?;
    let radius = request.parameter("radius")?;
    Some((
        latitude.parse().ok()?,
        longitude.parse().ok()?,
        radius.parse().ok()?,
    ))
}

/// The layout is Google's.
fn refusal(status: &str, message: &str) -> Answer {
    let (status, message) = (json!(status), json!(message));
    let body = format!(
        "{{\n   \"error_message\" : {message},\n   \"html_attributions\" : [],\n   \
         \"results\" : [],\n   \"status\" : {status}\n}}\n"
    );
    as_json(200, body.into_bytes())
}

// ---- searchNearby (New) ----

fn new(request: &Request, key: Option<&str>) -> Answer {
    let sent = request.header("x-goog-api-key").unwrap_or_default();
    if key.is_some_and(|key| key != sent) {
        let message = format!("The API key {sent:?} is not one that may ask.");
        return error(403, "PERMISSION_DENIED", &message);
    }
    let Some(mask) = request.header("x-goog-fieldmask") else {
        let message = "FieldMask is a required parameter.";
        return error(400, "INVALID_ARGUMENT", message);
    };
    match search(&request.body, mask) {
        Ok(found) => as_json(200, found.into_bytes()),
        Err(message) => error(400, "INVALID_ARGUMENT", message),
    }
}

fn error(code: u16, status: &str, message: &str) -> Answer {
    let error = json!({"error": {"code": code, "message": message, "status": status}});
    as_json(code, format!("{error:#}\n").into_bytes())
}

fn search(body: &[u8], mask: &str) -> Result<String, &'static str> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let circle = &body["locationRestriction"]["circle"];
    let center = &circle["center"];
    let degrees = (center["latitude"].as_f64(), center["longitude"].as_f64());
    let (Some(latitude), Some(longitude)) = degrees else {
        return Err("expected a center with latitude and longitude");
    };
    let radius = circle["radius"].as_f64();
    let in_range = |radius: &f64| (0.0..=RADIUS_MAX).contains(radius);
    let radius = radius
        .filter(in_range)
        .ok_or("expected a radius up to 50000.0")?;
    let count = match &body["maxResultCount"] {
        Value::Null => RESULTS_MAX,
        count => count
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| (1..=RESULTS_MAX).contains(count))
            .ok_or("maxResultCount must be between 1 and 20 (inclusive)")?,
    };
    let mut text = Vec::new();
    gazetteer::nearby(latitude, longitude, radius, count, &mut text);
    let legacy: Value = serde_json::from_slice(&text).map_err(|_| "the gazetteer is broken")?;
    let results = legacy["results"].as_array().map_or(&[][..], Vec::as_slice);
    let places: Vec<Value> = results
        .iter()
        .map(|place| translated(place, mask))
        .collect();
    let found = match places.is_empty() {
        true => json!({}),
        false => json!({"places": places}),
    };
    Ok(format!("{found:#}\n"))
}

/// A place in the shape of the new API, with the fields that the mask asks for.
fn translated(place: &Value, mask: &str) -> Value {
    let mut fields = json!({
        "id": place["place_id"],
        "displayName": {"text": place["name"]},
        "formattedAddress": format!(
            "{}, {}",
            place["name"].as_str().unwrap_or_default(),
            place["vicinity"].as_str().unwrap_or_default()
        ),
        "location": {
            "latitude": place["geometry"]["location"]["lat"],
            "longitude": place["geometry"]["location"]["lng"],
        },
        "types": place["types"],
    });
    if let Some(fields) = fields.as_object_mut() {
        let wanted = |name: &str| {
            mask.split(',').any(|path| {
                let field = path.strip_prefix("places.").unwrap_or(path);
                ["*", "places", name].contains(&field)
            })
        };
        fields.retain(|name, _| wanted(name));
    }
    fields
}
