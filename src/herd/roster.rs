//! The herd file: who the servers are, where, and who is linked with whom. Pure.

use std::fmt;
use std::net::SocketAddr;

use serde_json::{Map, Value};

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
    /// Not JSON, an unknown key or name, a link of a server with itself, a link twice, an address
    /// twice, an address that is none: with the place.
    pub fn parse(text: &str) -> Result<Roster, RosterError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| wrong("", format!("expected JSON: {error}")))?;
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
        for (number, link) in list(file, "links", true)?.iter().enumerate() {
            let place = format!("links[{number}]");
            let link = roster.link(link, &place)?;
            roster.links.push(link);
        }
        for (number, name) in list(file, "course", false)?.iter().enumerate() {
            let place = format!("course[{number}]");
            let index = roster.known(name, &place)?;
            roster.servers[index].course = true;
        }
        Ok(roster)
    }

    /// Where a server stands in [`Roster::servers`].
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.servers.iter().position(|server| server.name == name)
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
        if self.links.contains(&(a, b)) || self.links.contains(&(b, a)) {
            return Err(wrong(place, format!("{link} stands there twice")));
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
    for (name, address) in object(table, "servers")? {
        let place = format!("servers.{name}");
        if name.is_empty() || name.bytes().any(|b| !b.is_ascii_graphic() || b == b'/') {
            return Err(wrong(
                place,
                "a name is one word of visible ASCII without a solidus",
            ));
        }
        let address = address
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                wrong(
                    &place,
                    format!("{address} is no address; expected one like \"127.0.0.1:10000\""),
                )
            })?;
        if let Some(other) = servers.iter().find(|other| other.address == address) {
            return Err(wrong(
                place,
                format!("{address} is {}'s address already", other.name),
            ));
        }
        servers.push(Server {
            name: name.clone(),
            address,
            course: false,
        });
    }
    match servers.is_empty() {
        true => Err(wrong("servers", "expected at least one server")),
        false => Ok(servers),
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
}
