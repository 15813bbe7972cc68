//! A conversation with a server, shown as it happens.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::Kept;

/// A connection to a server; what is said and heard on it is shown.
pub struct Phone {
    /// Whom it talks to.
    pub name: &'static str,
    /// The connection.
    pub stream: BufReader<TcpStream>,
}

impl Phone {
    /// Says a line.
    pub fn say(&mut self, line: &str) -> Kept {
        println!("  {:8} > {line}", self.name);
        self.whisper(line)
    }

    /// Hears a line.
    pub fn hear_line(&mut self) -> Kept<String> {
        let line = self.overhear()?;
        println!("  {:8} < {line}", self.name);
        Ok(line)
    }

    /// Hears JSON up to the blank line, shown in short, and tells the names of the places in it.
    pub fn hear_places(&mut self) -> Kept<Vec<String>> {
        names(&self.hear_json()?)
    }

    /// Hears JSON up to the blank line, shown in short.
    pub fn hear_json(&mut self) -> Kept<String> {
        let json = self.overhear_json()?;
        println!("  {:8} < {{ {} bytes of JSON }}", self.name, json.len());
        for name in names(&json)? {
            println!("  {:8}     … {name} …", "");
        }
        Ok(json)
    }

    /// Says a line that is not shown.
    pub fn whisper(&mut self, line: &str) -> Kept {
        let sent = self
            .stream
            .get_mut()
            .write_all(format!("{line}\n").as_bytes());
        sent.map_err(|error| format!("{} does not listen: {error}", self.name))
    }

    /// Hears a line that is not shown.
    pub fn overhear(&mut self) -> Kept<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Err(error) => Err(format!("{} does not answer: {error}", self.name)),
            Ok(_) if !line.ends_with('\n') => Err(format!("{} hung up after {line:?}", self.name)),
            Ok(_) => Ok(line.trim_end_matches('\n').to_string()),
        }
    }

    /// Hears JSON that is not shown.
    pub fn overhear_json(&mut self) -> Kept<String> {
        let mut json = String::new();
        loop {
            let line = self.overhear()?;
            if line.is_empty() {
                return Ok(json);
            }
            json.push_str(&line);
            json.push('\n');
        }
    }
}

fn names(json: &str) -> Kept<Vec<String>> {
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| format!("no JSON, {error}: {json}"))?;
    let places = value["results"].as_array();
    let places = places.ok_or_else(|| format!("no results in {json}"))?;
    let name = |place: &serde_json::Value| place["name"].as_str().map(String::from);
    Ok(places.iter().filter_map(name).collect())
}
