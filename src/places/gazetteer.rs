//! An embedded gazetteer: the nearest populated places of GeoNames (CC BY 4.0), answered in the
//! layout of Google's legacy Nearby Search. It needs neither a key nor a network.
//!
//! The table is `gazetteer/cities.bin`, made by `gazetteer/make.py`; `gazetteer/ATTRIBUTION.md`
//! says where the data comes from. All its integers are little-endian:
//!
//! | part | bytes | content |
//! |---|---|---|
//! | header | 16 | `HERDGAZ1` (the 1 is the version), number of places u32, number of countries u32 |
//! | places | 15 each | latitude i32 and longitude i32 in 1e-5 degrees, geonameid u24, country u8, name u24 |
//! | countries | 3 each | name u24 |
//! | names | the rest | each: its length in bytes u8, then UTF-8 |
//!
//! Places are sorted by latitude, then longitude, then geonameid. A country is an index into the
//! countries; a name is an offset into the names.
use std::fmt::{self, Display, Formatter, Write as _};
use std::io::Write as _;
use std::str;

const FILE: &[u8] = include_bytes!("gazetteer/cities.bin");
const MAGIC: [u8; 8] = *b"HERDGAZ1";
/// Table units in a degree.
const UNITS: u32 = 100_000;
/// The mean radius of the earth (IUGG), in metres.
const EARTH_RADIUS: f64 = 6_371_008.8;
/// What a distance costs, in places looked at: five functions of angles.
const DISTANCE_COST: usize = 20;
/// What the licence of the data demands to be shown, escaped as Google escapes such links.
const CREDIT: &str = concat!(
    r#"Places by \u003ca href=\"https://www.geonames.org/\"\u003eGeoNames\u003c/a\u003e, "#,
    r#"\u003ca href=\"https://creativecommons.org/licenses/by/4.0/\"\u003eCC BY 4.0\u003c/a\u003e"#
);

/// Appends to `out` the places around a position as the JSON text of a legacy Nearby Search
/// answer that ends with one newline: nearest first, equals by geonameid, at most `bound`.
///
/// `latitude` (-90 to 90) and `longitude` (-180 to 180) are in degrees; `radius_metres` is a
/// great-circle distance on a sphere, inclusive, with no upper limit. The status is `OK` if any
/// place lies within the radius, even when `bound` is 0; else, and for arguments that are out of
/// range or not numbers, it is `ZERO_RESULTS`. Distances equal to the millimetre count as equal.
///
/// Returns what it cost, in units of looking at one place of the table: some 3 ns.
pub fn nearby(
    latitude: f64,
    longitude: f64,
    radius_metres: f64,
    bound: usize,
    out: &mut Vec<u8>,
) -> usize {
    let table = Table::open(FILE).unwrap_or_default();
    let before = out.len();
    let looked = table.answer(latitude, longitude, radius_metres, bound, out);
    // A byte of text costs as much as a place.
    looked + out.len() - before
}

/// The parts of the file. A damaged one yields fewer results or none, never a panic.
#[derive(Default)]
struct Table<'a> {
    places: &'a [[u8; 15]],
    countries: &'a [[u8; 3]],
    names: &'a [u8],
}

/// A record of the table: coordinates in table units, `name` an offset, `country` an index.
struct Place {
    latitude: i32,
    longitude: i32,
    geonameid: u32,
    country: u8,
    name: [u8; 3],
}

/// What orders the results: millimetres, geonameid; then the place's index in the table.
type Found = (u64, u32, usize);

impl<'a> Table<'a> {
    fn open(file: &'a [u8]) -> Option<Self> {
        let (magic, rest) = file.split_first_chunk()?;
        let (places, rest) = rest.split_first_chunk()?;
        let (countries, rest) = rest.split_first_chunk()?;
        let bytes = |count, size| (u32::from_le_bytes(count) as usize).checked_mul(size);
        let (places, rest) = rest.split_at_checked(bytes(*places, 15)?)?;
        let (countries, names) = rest.split_at_checked(bytes(*countries, 3)?)?;
        (*magic == MAGIC).then_some(Self {
            places: places.as_chunks().0,
            countries: countries.as_chunks().0,
            names,
        })
    }

    /// Writes the answer; what the search cost.
    fn answer(
        &self,
        latitude: f64,
        longitude: f64,
        radius: f64,
        bound: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        let (mut found, cost) = self.search(latitude, longitude, radius);
        if found.is_empty() {
            out.extend_from_slice(
                b"{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}\n",
            );
            return cost;
        }
        if found.len() > bound {
            found.select_nth_unstable(bound);
            found.truncate(bound);
        }
        found.sort_unstable();
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "{{\n   \"html_attributions\" : [\n      \"{CREDIT}\"\n   ],\n   \"results\" : ["
        );
        let mut results = found.iter().filter_map(|&(.., index)| self.result(index));
        if let Some(first) = results.next() {
            let _ = write!(out, "{first}");
            for another in results {
                let _ = write!(out, ",{another}");
            }
            out.extend_from_slice(b"\n   ");
        }
        out.extend_from_slice(b"],\n   \"status\" : \"OK\"\n}\n");
        cost
    }

    /// All places within `radius` metres, in no order; and what it cost to find them.
    fn search(&self, latitude: f64, longitude: f64, radius: f64) -> (Vec<Found>, usize) {
        let on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        if !on_earth || radius.is_nan() || radius < 0.0 {
            return (Vec::new(), 0);
        }
        let reach = (radius / EARTH_RADIUS).to_degrees();
        let longitude_reach = longitude_reach(latitude, reach);
        let units = f64::from(UNITS);
        // One unit more on either side: rounding must not lose a place on the very circle.
        let south = ((latitude - reach) * units).floor() - 1.0;
        let north = ((latitude + reach) * units).ceil() + 1.0;
        let cosine = latitude.to_radians().cos();
        let mut found = Vec::new();
        let mut cost = 0;
        let start = self
            .places
            .partition_point(|record| f64::from(Place::latitude(record)) < south);
        for (index, record) in self.places.iter().enumerate().skip(start) {
            cost += 1;
            let place = Place::read(record);
            if f64::from(place.latitude) > north {
                break;
            }
            let across = (f64::from(place.longitude) / units - longitude).abs();
            let across = across.min(360.0 - across);
            if across > longitude_reach {
                continue;
            }
            cost += DISTANCE_COST;
            // The haversine formula; `min` because rounding can exceed 1 at the antipode.
            let place_latitude = f64::from(place.latitude) / units;
            let cosines = cosine * place_latitude.to_radians().cos();
            let square = haversine(place_latitude - latitude) + cosines * haversine(across);
            let metres = 2.0 * EARTH_RADIUS * square.sqrt().min(1.0).asin();
            if metres <= radius {
                found.push(((metres * 1e3).round() as u64, place.geonameid, index));
            }
        }
        (found, cost)
    }

    fn name(&self, offset: [u8; 3]) -> Option<&'a str> {
        let (length, rest) = self.names.get(u24(offset) as usize..)?.split_first()?;
        str::from_utf8(rest.get(..usize::from(*length))?).ok()
    }

    fn result(&self, index: usize) -> Option<Shown<'a>> {
        let place = Place::read(self.places.get(index)?);
        let country = *self.countries.get(usize::from(place.country))?;
        Some(Shown {
            name: self.name(place.name)?,
            country: self.name(country)?,
            place,
        })
    }
}

/// A place as Google shows it.
struct Shown<'a> {
    place: Place,
    name: &'a str,
    country: &'a str,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"
      {{
         "geometry" : {{
            "location" : {{
               "lat" : {},
               "lng" : {}
            }}
         }},
         "name" : {},
         "place_id" : "geonames:{}",
         "types" : [ "locality", "political" ],
         "vicinity" : {}
      }}"#,
            Degrees(self.place.latitude),
            Degrees(self.place.longitude),
            Quoted(self.name),
            self.place.geonameid,
            Quoted(self.country),
        )
    }
}

impl Place {
    fn latitude(&[a, b, c, d, ..]: &[u8; 15]) -> i32 {
        i32::from_le_bytes([a, b, c, d])
    }

    fn read(record: &[u8; 15]) -> Self {
        let &[_, _, _, _, a, b, c, d, i, j, k, country, l, m, n] = record;
        Self {
            latitude: Self::latitude(record),
            longitude: i32::from_le_bytes([a, b, c, d]),
            geonameid: u24([i, j, k]),
            country,
            name: [l, m, n],
        }
    }
}

fn u24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_le_bytes([a, b, c, 0])
}

fn haversine(degrees: f64) -> f64 {
    (degrees.to_radians() / 2.0).sin().powi(2)
}

/// How far east and west a circle of `reach` degrees around `latitude` extends, in degrees of
/// longitude, a little more rather than less; all around if it touches a pole.
fn longitude_reach(latitude: f64, reach: f64) -> f64 {
    if latitude.abs() + reach > 89.999 {
        return 180.0;
    }
    let sine = reach.to_radians().sin() / latitude.to_radians().cos();
    sine.min(1.0).asin().to_degrees() + 1e-5
}

/// Prints table units as degrees, exactly: trailing zeros trimmed down to one digit after the point.
struct Degrees(i32);

impl Display for Degrees {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / UNITS;
        let mut fraction = self.0.unsigned_abs() % UNITS;
        let mut digits = 5;
        while digits > 1 && fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{sign}{whole}.{fraction:0digits$}")
    }
}

/// Prints a JSON string, escaping what JSON demands, and as Google does what HTML would read.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\0'..='\x1f' | '<' | '>' | '&' => write!(f, "\\u{:04x}", u32::from(c))?,
                _ => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_exact() {
        for (units, text) in [
            (0, "0.0"),
            (-1, "-0.00001"),
            (3_400_000, "34.0"),
            (-11_844_510, "-118.4451"),
            (i32::MIN, "-21474.83648"),
        ] {
            assert_eq!(Degrees(units).to_string(), text);
        }
    }

    #[test]
    fn strings_are_escaped() {
        let text = "a\"\\\n\u{1f}<b>&é\u{7f}";
        let quoted = Quoted(text).to_string();
        assert_eq!(
            quoted,
            "\"a\\\"\\\\\\u000a\\u001f\\u003cb\\u003e\\u0026é\u{7f}\""
        );
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
    }

    #[test]
    fn a_damaged_table_does_not_panic() {
        for cut in (0..64).chain((64..FILE.len()).step_by(99_991)) {
            if let Some(table) = Table::open(&FILE[..cut]) {
                table.answer(42.5, 1.5, 1e6, 99, &mut Vec::new());
            }
        }
        let mut file = FILE.to_vec();
        for (index, byte) in file.iter_mut().enumerate().skip(16) {
            *byte = (index * index / 7) as u8;
        }
        for latitude in [-90.0, 0.0, 42.5] {
            let mut out = Vec::new();
            Table::open(&file)
                .unwrap()
                .answer(latitude, 1.5, 1e9, 99, &mut out);
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        }
    }
}
