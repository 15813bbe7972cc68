//! The herd file: who the servers are, where, and who is linked with whom. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::keys::repeated_key;

/// The herd of the course: five servers, six links, ports 10000 to 10004.
const STANDARD: &str = r#"{
    "servers": {
        "Bailey": "127.0.0.1:10000",
        "Bona": "127.0.0.1:10001",
        "Campbell": "127.0.0.1:10002",
        "Clark": "127.0.0.1:10003",
        "Jaquez": "127.0.0.1:10004"
    },
    "links": [
        ["Clark", "Jaquez"], ["Clark", "Bona"], ["Campbell", "Bailey"],
        ["Campbell", "Bona"], ["Campbell", "Jaquez"], ["Bona", "Bailey"]
    ]
}"#;

/// One server of the herd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name: the argument of `herd NAME`.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// True if it is somebody else's program, written for the course: it gets no greeting, and
    /// greets nobody.
    pub course: bool,
}

/// The herd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// The servers, ordered by name.
    pub servers: Vec<Server>,
    links: Vec<(usize, usize)>,
}

/// What is wrong with a herd file: the place in it, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterError {
    place: String,
    problem: String,
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.is_empty() {
            true => f.write_str(&self.problem),
            false => write!(f, "at {}: {}", self.place, self.problem),
        }
    }
}

impl std::error::Error for RosterError {}

fn wrong(place: impl Into<String>, problem: impl Into<String>) -> RosterError {
    RosterError {
        place: place.into(),
        problem: problem.into(),
    }
}

impl Roster {
    /// The herd of the course.
    pub fn standard() -> Roster {
        // A test parses the constant, so the empty herd is never seen.
        Roster::parse(STANDARD).unwrap_or(Roster {
            servers: Vec::new(),
            links: Vec::new(),
        })
    }

    /// Reads a herd file.
    ///
    /// # Errors
    /// Not JSON, an unknown key or name, a key twice, names that differ in case alone, a link of a server
    /// with itself, a link twice, an address twice, an address that is none: with the place.
    pub fn parse(text: &str) -> Result<Roster, RosterError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| wrong("", format!("expected JSON: {error}")))?;
        if let Some(place) = repeated_key(text) {
            return Err(wrong(place, "this key stands there twice"));
        }
        let file = object(&value, "the top")?;
        if let Some(key) = file
            .keys()
            .find(|key| !["servers", "links", "course"].contains(&key.as_str()))
        {
            return Err(wrong(
                key,
                "unknown key; expected \"servers\", \"links\" and perhaps \"course\"",
            ));
        }
        let mut roster = Roster {
            servers: servers(file)?,
            links: Vec::new(),
        };
        let mut linked = BTreeSet::new();
        for (number, link) in list(file, "links", true)?.iter().enumerate() {
            let place = format!("links[{number}]");
            let (a, b) = roster.link(link, &place)?;
            if !linked.insert((a.min(b), a.max(b))) {
                return Err(wrong(place, format!("{link} stands there twice")));
            }
            roster.links.push((a, b));
        }
        for (number, name) in list(file, "course", false)?.iter().enumerate() {
            let place = format!("course[{number}]");
            let index = roster.known(name, &place)?;
            if std::mem::replace(&mut roster.servers[index].course, true) {
                return Err(wrong(place, format!("{name} stands there twice")));
            }
        }
        Ok(roster)
    }

    /// Where a server stands in [`Roster::servers`].
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let by_name = |server: &Server| server.name.as_str().cmp(name);
        self.servers.binary_search_by(by_name).ok()
    }

    /// The servers that one is linked with, ordered by name.
    pub fn neighbours(&self, server: usize) -> Vec<usize> {
        let other = |&(a, b): &(usize, usize)| match (a == server, b == server) {
            (true, _) => Some(b),
            (_, true) => Some(a),
            _ => None,
        };
        let mut neighbours: Vec<usize> = self.links.iter().filter_map(other).collect();
        neighbours.sort_unstable();
        neighbours
    }

    /// The links, as pairs of places in [`Roster::servers`].
    pub fn links(&self) -> &[(usize, usize)] {
        &self.links
    }

    /// All names.
    pub fn names(&self) -> Vec<&str> {
        self.servers
            .iter()
            .map(|server| server.name.as_str())
            .collect()
    }

    fn known(&self, name: &Value, place: &str) -> Result<usize, RosterError> {
        name.as_str()
            .and_then(|name| self.index_of(name))
            .ok_or_else(|| {
                wrong(
                    place,
                    format!(
                        "{name} is not a server; expected one of {}",
                        self.names().join(", ")
                    ),
                )
            })
    }

    fn link(&self, link: &Value, place: &str) -> Result<(usize, usize), RosterError> {
        let Some([a, b]) = link.as_array().map(Vec::as_slice) else {
            return Err(wrong(place, format!("expected two names, found {link}")));
        };
        let (a, b) = (self.known(a, place)?, self.known(b, place)?);
        if a == b {
            return Err(wrong(place, format!("{link} links a server with itself")));
        }
        Ok((a, b))
    }
}

fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, RosterError> {
    value
        .as_object()
        .ok_or_else(|| wrong(place, "expected an object"))
}

fn list<'a>(
    file: &'a Map<String, Value>,
    key: &str,
    needed: bool,
) -> Result<&'a [Value], RosterError> {
    match file.get(key) {
        Some(Value::Array(items)) => Ok(items),
        None if !needed => Ok(&[]),
        _ => Err(wrong(key, "expected a list")),
    }
}

fn servers(file: &Map<String, Value>) -> Result<Vec<Server>, RosterError> {
    let table = file
        .get("servers")
        .ok_or_else(|| wrong("servers", "expected an object of names and addresses"))?;
    let mut servers: Vec<Server> = Vec::new();
    let (mut places, mut names) = (BTreeMap::new(), BTreeMap::new());
    for (name, address) in object(table, "servers")? {
        let place = format!("servers.{name}");
        check_name(name).map_err(|problem| wrong(&place, problem))?;
        if let Some(other) = names.insert(name.to_ascii_lowercase(), name) {
            // Certificates and folders often do not know one from the other.
            let problem = format!("it differs from {other} in case alone");
            return Err(wrong(place, problem));
        }
        let address = check_address(address).map_err(|problem| wrong(&place, problem))?;
        let canonical = (address.ip().to_canonical(), address.port());
        if let Some(other) = places.insert(canonical, name) {
            return Err(wrong(
                place,
                format!("{address} is {other}'s address already"),
            ));
        }
        servers.push(Server {
            name: name.clone(),
            address,
            course: false,
        });
    }
    servers.sort_by(|one, other| one.name.cmp(&other.name));
    match servers.is_empty() {
        true => Err(wrong("servers", "expected at least one server")),
        false => Ok(servers),
    }
}

/// True if a server may be called so.
pub(super) fn is_name(name: &str) -> bool {
    check_name(name).is_ok()
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.bytes().any(|b| !b.is_ascii_graphic() || b == b'/') {
        return Err("a name is one word of visible ASCII without a solidus");
    }
    match name.starts_with('-') {
        true => Err("a name that begins with - would be taken for an option"),
        false => Ok(()),
    }
}

fn check_address(value: &Value) -> Result<SocketAddr, String> {
    let address = value.as_str().and_then(|text| text.parse().ok());
    let address: SocketAddr = address
        .ok_or_else(|| format!("{value} is no address; expected one like \"127.0.0.1:10000\""))?;
    match address.port() {
        0 => Err(format!("{value}: nobody can dial port 0")),
        _ => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        match Roster::parse(text) {
            Ok(_) => String::from("no error"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_standard_herd() {
        let roster = Roster::parse(STANDARD).expect("the standard herd");
        assert_eq!(roster, Roster::standard());
        assert_eq!(
            roster.names(),
            ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"]
        );
        let campbell = roster.index_of("Campbell").expect("Campbell");
        assert_eq!(roster.neighbours(campbell), [0, 1, 4]);
        assert_eq!(roster.neighbours(3), [1, 4]);
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let two = r#""servers": {"A": "127.0.0.1:1", "B": "127.0.0.1:2"}"#;
        for (text, wanted) in [
            (
                "{",
                "expected JSON: EOF while parsing an object at line 1 column 1".into(),
            ),
            ("[]", "at the top: expected an object".into()),
            (
                &format!("{{{two}}}"),
                "at links: expected a list".to_string(),
            ),
            (
                &format!("{{{two}, \"links\": [], \"x\": 1}}"),
                "at x: unknown key".into(),
            ),
            (
                &format!("{{{two}, \"links\": [[\"A\", \"C\"]]}}"),
                "at links[0]: \"C\" is not a server; expected one of A, B".into(),
            ),
            (
                &format!("{{{two}, \"links\": [[\"A\", \"A\"]]}}"),
                "at links[0]: [\"A\",\"A\"] links a server with itself".into(),
            ),
            (
                &format!("{{{two}, \"links\": [[\"A\"]]}}"),
                "at links[0]: expected two names".into(),
            ),
            (
                &format!("{{{two}, \"links\": [[\"A\",\"B\"],[\"B\",\"A\"]]}}"),
                "at links[1]: [\"B\",\"A\"] stands there twice".into(),
            ),
            (
                &format!("{{{two}, \"links\": [], \"course\": [\"D\"]}}"),
                "at course[0]: \"D\" is not a server".into(),
            ),
            (
                r#"{"servers": {"A": "x"}, "links": []}"#,
                "at servers.A: \"x\" is no address".into(),
            ),
            (
                r#"{"servers": {"A B": "127.0.0.1:1"}, "links": []}"#,
                "at servers.A B: a name is one word".into(),
            ),
            (
                r#"{"servers": {}, "links": []}"#,
                "at servers: expected at least one".into(),
            ),
            (
                r#"{"servers": {"A": "127.0.0.1:1", "B": "127.0.0.1:1"}, "links": []}"#,
                "at servers.B: 127.0.0.1:1 is A's address already".into(),
            ),
        ] {
            let found = problem(text);
            assert!(
                found.starts_with(&wanted),
                "{text}: found {found:?}, wanted {wanted:?}"
            );
        }
    }

    #[test]
    fn what_would_be_lost_or_mistaken_is_refused() {
        for (text, wanted) in [
            (
                r#"{"servers": {"A": "127.0.0.1:1"}, "links": [], "course": ["A", "A"]}"#,
                "at course[1]: \"A\" stands there twice",
            ),
            (
                r#"{"servers": {"A": "127.0.0.1:1", "B": "[::ffff:127.0.0.1]:1"}, "links": []}"#,
                "at servers.B: [::ffff:127.0.0.1]:1 is A's address already",
            ),
            (
                r#"{"servers": {"Ada": "127.0.0.1:1", "\u0041da": "127.0.0.1:2"}, "links": []}"#,
                "at servers.Ada: this key stands there twice",
            ),
            (
                r#"{"servers": {"A": "127.0.0.1:1"}, "links": [], "links": []}"#,
                "at links: this key stands there twice",
            ),
            (
                r#"{"servers": {"Ada": "127.0.0.1:1", "ADA": "127.0.0.1:2"}, "links": []}"#,
                "at servers.Ada: it differs from ADA in case alone",
            ),
            (
                r#"{"servers": {"-x": "127.0.0.1:1"}, "links": []}"#,
                "at servers.-x: a name that begins with -",
            ),
            (
                r#"{"servers": {"A": "127.0.0.1:0"}, "links": []}"#,
                "at servers.A: \"127.0.0.1:0\": nobody can dial port 0",
            ),
        ] {
            let found = problem(text);
            assert!(found.starts_with(wanted), "{text}: found {found:?}");
        }
    }

    /// A pair at a time, this took minutes.
    #[test]
    fn a_mesh_of_a_thousand_is_read_in_a_moment() {
        let name = |number: usize| format!("s{number:03}");
        let servers: Map<String, Value> = (0..1000)
            .map(|number| {
                (
                    name(number),
                    format!("127.0.0.1:{}", 10_000 + number).into(),
                )
            })
            .collect();
        let links: Vec<[String; 2]> = (0..1000)
            .flat_map(|a| (0..a).map(move |b| [name(a), name(b)]))
            .collect();
        let text = serde_json::json!({"servers": servers, "links": links}).to_string();
        let begun = std::time::Instant::now();
        let roster = Roster::parse(&text).expect("a mesh");
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        assert_eq!(roster.links().len(), 499_500);
    }
}
