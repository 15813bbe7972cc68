//! Google's two Nearby Searches, and what the new one is asked for. Pure.

use std::fmt;
use std::str::FromStr;

/// The fields of a place that [`Api::New`] is asked for, unless told otherwise: who it is, where,
/// and what. All are of Google's *Nearby Search Pro* price tier, the lowest that a Nearby Search
/// has. One more field of a higher tier (a rating, a telephone number, opening hours: Enterprise)
/// makes every request cost that tier.
pub const DEFAULT_FIELD_MASK: &str =
    "places.id,places.displayName,places.formattedAddress,places.location,places.types";

/// The longest field mask, in bytes.
pub const FIELD_MASK_MAX: usize = 4096;

/// Which of Google's two Nearby Searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// The one the course used: it can no longer be enabled for new projects.
    Legacy,
    /// Places API (New), `searchNearby`.
    New,
}

impl Api {
    /// The path that comes after an endpoint's base path.
    pub fn path(self) -> &'static str {
        match self {
            Api::Legacy => "/maps/api/place/nearbysearch/json",
            Api::New => "/v1/places:searchNearby",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Api::Legacy => "legacy",
            Api::New => "new",
        })
    }
}

impl FromStr for Api {
    type Err = String;

    /// Reads `legacy` or `new`.
    fn from_str(name: &str) -> Result<Api, String> {
        match name {
            "legacy" => Ok(Api::Legacy),
            "new" => Ok(Api::New),
            _ => Err(format!("expected legacy or new, not {name:?}")),
        }
    }
}

/// Which fields of a place [`Api::New`] is asked for: the value of the header X-Goog-FieldMask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMask(String);

impl FieldMask {
    /// Reads paths separated by commas, without spaces, at most [`FIELD_MASK_MAX`] bytes; a path
    /// is names of letters, digits and underscores separated by points, or `*`. The error is a
    /// sentence that says what was expected.
    pub fn parse(text: &str) -> Result<FieldMask, String> {
        let is_name = |name: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            name == "*" || (!name.is_empty() && name.bytes().all(is_part))
        };
        let is_mask = text.split(',').all(|path| path.split('.').all(is_name));
        if is_mask && text.len() <= FIELD_MASK_MAX {
            return Ok(FieldMask(text.to_string()));
        }
        Err(format!(
            "expected a field mask such as {DEFAULT_FIELD_MASK}, at most {FIELD_MASK_MAX} bytes"
        ))
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for FieldMask {
    fn default() -> FieldMask {
        FieldMask(DEFAULT_FIELD_MASK.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_field_mask() {
        for good in [DEFAULT_FIELD_MASK, "*", "places.*", "a_b.c2"] {
            assert_eq!(FieldMask::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(FIELD_MASK_MAX + 1);
        for bad in [
            "", ",", "a,", "a..b", ".a", "a, b", "a\r\nb", "é", "a*", &long,
        ] {
            assert!(
                FieldMask::parse(bad).unwrap_err().contains("field mask"),
                "{bad:?}"
            );
        }
        assert_eq!(
            FieldMask::parse(DEFAULT_FIELD_MASK),
            Ok(FieldMask::default())
        );
    }

    #[test]
    fn the_names_of_the_apis() {
        assert_eq!("legacy".parse(), Ok(Api::Legacy));
        assert_eq!("new".parse(), Ok(Api::New));
        assert!("NEW".parse::<Api>().unwrap_err().contains("legacy or new"));
    }
}
