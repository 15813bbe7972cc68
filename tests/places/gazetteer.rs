//! The embedded gazetteer against its own table, read and searched here in another way.
use std::collections::HashSet;
use std::f64::consts::{PI, TAU};

use herd::places::gazetteer::nearby;
use serde_json::Value;

const FILE: &[u8] = include_bytes!("../../src/places/gazetteer/cities.bin");
const EARTH_RADIUS: f64 = 6_371_008.8;

struct City {
    latitude: f64,
    longitude: f64,
    direction: [f64; 3],
    id: u64,
    name: String,
    country: String,
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

fn degrees(bytes: &[u8]) -> f64 {
    f64::from(number(bytes) as u32 as i32) / 1e5
}

fn direction(latitude: f64, longitude: f64) -> [f64; 3] {
    let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
    [
        latitude.cos() * longitude.cos(),
        latitude.cos() * longitude.sin(),
        latitude.sin(),
    ]
}

/// The square of the straight line between two points of the unit sphere.
fn chord(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (x, y, z) = (a[0] - b[0], a[1] - b[1], a[2] - b[2]);
    x * x + y * y + z * z
}

/// Great-circle metres by the angle between two vectors: not the formula under test.
fn metres(a: [f64; 3], b: [f64; 3]) -> f64 {
    let opposite = b.map(|part| -part);
    2.0 * EARTH_RADIUS * chord(a, b).sqrt().atan2(chord(a, opposite).sqrt())
}

fn cities() -> Vec<City> {
    let (places, countries) = (number(&FILE[8..12]), number(&FILE[12..16]));
    let (countries_at, names_at) = (16 + 15 * places, 16 + 15 * places + 3 * countries);
    let name = |offset: &[u8]| {
        let at = names_at + number(offset);
        String::from_utf8(FILE[at + 1..][..usize::from(FILE[at])].to_vec()).unwrap()
    };
    let city = |record: &[u8]| {
        let (latitude, longitude) = (degrees(&record[..4]), degrees(&record[4..8]));
        let country = usize::from(record[11]);
        assert!(country < countries);
        City {
            latitude,
            longitude,
            direction: direction(latitude, longitude),
            id: number(&record[8..11]) as u64,
            name: name(&record[12..]),
            country: name(&FILE[countries_at + 3 * country..][..3]),
        }
    };
    FILE[16..countries_at].chunks(15).map(city).collect()
}

fn text(latitude: f64, longitude: f64, radius: f64, bound: usize) -> String {
    let mut out = Vec::new();
    nearby(latitude, longitude, radius, bound, &mut out);
    String::from_utf8(out).unwrap()
}

fn results(text: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(text).unwrap();
    let results = json["results"].as_array().unwrap().clone();
    let attributions = json["html_attributions"].as_array().unwrap();
    match json["status"].as_str().unwrap() {
        "OK" => assert!(attributions[0].as_str().unwrap().contains(">CC BY 4.0</a>")),
        status => assert_eq!((status, results.len()), ("ZERO_RESULTS", 0)),
    }
    results
}

fn names(results: &[Value]) -> Vec<&str> {
    results
        .iter()
        .map(|result| result["name"].as_str().unwrap())
        .collect()
}

const ZERO: &str = "{
   \"html_attributions\" : [],
   \"results\" : [],
   \"status\" : \"ZERO_RESULTS\"
}
";

#[test]
fn the_table_is_whole_and_small() {
    let cities = cities();
    assert_eq!(cities.len(), 69_472);
    assert!(FILE.len() < 2_000_000);
    assert!(cities.is_sorted_by_key(|city| city.latitude));
    assert_eq!(
        cities
            .iter()
            .map(|city| city.id)
            .collect::<HashSet<_>>()
            .len(),
        cities.len()
    );
    assert!(cities.iter().all(|city| {
        let trimmed = |text: &str| !text.is_empty() && text.trim() == text;
        trimmed(&city.name)
            && trimmed(&city.country)
            && city.latitude.abs() <= 90.0
            && city.longitude.abs() <= 180.0
    }));
    let countries: HashSet<_> = cities.iter().map(|city| &city.country).collect();
    assert_eq!(countries.len(), number(&FILE[12..16]));
    for (name, country) in [
        ("Longyearbyen", "Svalbard and Jan Mayen"),
        ("Ushuaia", "Argentina"),
    ] {
        assert!(
            cities
                .iter()
                .any(|city| city.name == name && city.country == country),
            "{name}"
        );
    }
}

#[test]
fn agrees_with_a_search_of_the_whole_table() {
    let cities = cities();
    // xorshift64*
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut matches = 0;
    for round in 0..500 {
        let near = &cities[(random() * cities.len() as f64) as usize];
        let (latitude, longitude) = match round % 10 {
            0 => (90.0, random() * 360.0 - 180.0),
            1 => (-90.0, random() * 360.0 - 180.0),
            2 => (near.latitude, 180.0),
            3 => (near.latitude, -180.0),
            4 => (
                (random() * 2.0 - 1.0).asin().to_degrees(),
                random() * 360.0 - 180.0,
            ),
            _ => (
                (near.latitude + random() - 0.5).clamp(-90.0, 90.0),
                near.longitude,
            ),
        };
        // Away from cities it takes a wide circle, at times most of the world, to meet any.
        let radius = if round % 10 < 5 {
            random().powi(8) * PI * EARTH_RADIUS
        } else {
            random() * 50_000.0
        };
        let bound = (random() * 60.0) as usize;
        let here = direction(latitude, longitude);
        // Spares the debug build most of the trigonometry; an arc is longer than its chord.
        let longest = (radius / EARTH_RADIUS).powi(2) + 1e-12;
        let mut wanted: Vec<_> = cities
            .iter()
            .filter(|city| chord(here, city.direction) <= longest)
            .map(|city| (metres(here, city.direction), city))
            .filter(|(metres, _)| *metres <= radius)
            .map(|(metres, city)| ((metres * 1e3).round() as u64, city.id, city))
            .collect();
        wanted.sort_by_key(|&(millimetres, id, _)| (millimetres, id));
        matches += wanted.len();
        let text = text(latitude, longitude, radius, bound);
        assert_eq!(text.contains("\"OK\""), !wanted.is_empty());
        let results = results(&text);
        let context = format!("{latitude} {longitude} {radius} {bound}");
        assert_eq!(results.len(), wanted.len().min(bound), "{context}");
        for (result, (_, id, city)) in results.iter().zip(wanted) {
            assert_eq!(result["place_id"], format!("geonames:{id}"), "{context}");
            assert_eq!(result["name"], city.name);
            assert_eq!(result["vicinity"], city.country);
            assert_eq!(result["geometry"]["location"]["lat"], city.latitude);
            assert_eq!(result["geometry"]["location"]["lng"], city.longitude);
        }
    }
    assert!(matches > 10_000, "{matches}");
}

#[test]
fn known_places() {
    let text_near_ucla = text(34.068_930, -118.445_127, 10_000.0, 5);
    let near_ucla = results(&text_near_ucla);
    assert_eq!(near_ucla.len(), 5);
    assert!(names(&near_ucla).contains(&"Beverly Hills"));
    assert!(
        near_ucla
            .iter()
            .all(|result| result["vicinity"] == "United States")
    );
    assert_eq!(text(0.0, -140.0, 50_000.0, 20), ZERO);
    // Both sides of the antimeridian, from both of its names.
    let around = results(&text(-15.0, 180.0, 700_000.0, 99));
    assert_eq!(around, results(&text(-15.0, -180.0, 700_000.0, 99)));
    assert!(names(&around).contains(&"Labasa") && names(&around).contains(&"Mata-Utu"));
    // From the pole all the world is in reach.
    let longyearbyen = results(&text(90.0, 77.0, TAU * EARTH_RADIUS, 1));
    assert_eq!(names(&longyearbyen), ["Longyearbyen"]);
}

#[test]
fn edges_of_the_arguments() {
    let (latitude, longitude) = (42.463_72, 1.491_29);
    assert_eq!(results(&text(latitude, longitude, 0.0, 20)).len(), 1);
    assert!(
        text(latitude, longitude, 1e3, 0)
            .ends_with("\n   \"results\" : [],\n   \"status\" : \"OK\"\n}\n")
    );
    assert_eq!(
        results(&text(latitude, longitude, f64::INFINITY, usize::MAX)).len(),
        69_472
    );
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        -f64::MAX,
        180.000_1,
    ];
    for value in odd {
        assert_eq!(text(value, longitude, 1e3, 20), ZERO);
        assert_eq!(text(latitude, value, 1e3, 20), ZERO);
    }
    for radius in [f64::NAN, f64::NEG_INFINITY, -1.0] {
        assert_eq!(text(latitude, longitude, radius, 20), ZERO);
    }
}

#[test]
fn layout() {
    let golden = r#"{
   "html_attributions" : [
      "Places by \u003ca href=\"https://www.geonames.org/\"\u003eGeoNames\u003c/a\u003e, \u003ca href=\"https://creativecommons.org/licenses/by/4.0/\"\u003eCC BY 4.0\u003c/a\u003e"
   ],
   "results" : [
      {
         "geometry" : {
            "location" : {
               "lat" : 42.46372,
               "lng" : 1.49129
            }
         },
         "name" : "Sant Julià de Lòria",
         "place_id" : "geonames:3039163",
         "types" : [ "locality", "political" ],
         "vicinity" : "Andorra"
      },
      {
         "geometry" : {
            "location" : {
               "lat" : 42.50779,
               "lng" : 1.52109
            }
         },
         "name" : "Andorra la Vella",
         "place_id" : "geonames:3041563",
         "types" : [ "locality", "political" ],
         "vicinity" : "Andorra"
      }
   ],
   "status" : "OK"
}
"#;
    assert_eq!(text(42.463_72, 1.491_29, 6e3, 2), golden);
    let hong_kong = text(22.33, 114.17, 2e4, 999);
    assert!(hong_kong.contains(r#""name" : "Tai Hang Estate (East \u0026 West)","#));
}
