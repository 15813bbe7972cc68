//! WHATSAT of clients that the server knows: each answer must be the AT line
//! that it gave their IAMAT, then places in JSON, no more than were asked
//! for, then an empty line.
//!
//! ```text
//! let whatsat = Whatsat::introduce(&mut stream, 1000, Question { radius, bound })?;
//! whatsat.write(1, &mut batch);        // WHATSAT c0000000.cs.ucla.edu 10 5
//! ```

use crate::ask::ask;
use crate::exchange::{Exchange, Verdict, field, write_digits};
use crate::fault::Fault;
use crate::iamat::{Iamat, Keys};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::net::TcpStream;
use std::ops::Range;

/// IAMATs in one write while the clients are introduced.
const INTRODUCED: u64 = 100;

/// Where a request holds its client's number.
const KEY: Range<usize> = field("WHATSAT c".len(), 7);

/// What is asked about each client.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// In whole kilometres.
    pub radius: u32,
    pub bound: usize,
}

/// Questions for places.
pub struct Whatsat {
    template: Vec<u8>,
    bound: usize,
    written: u64,
    /// By client, the server's answer to its IAMAT.
    known: Vec<Vec<u8>>,
    /// The last body found right: with all clients in one place there are
    /// many more like it.
    body: Option<Vec<u8>>,
    /// The server's name.
    server: Vec<u8>,
}

impl Whatsat {
    /// Reports `keys` clients on a connection of its own, so that the server
    /// knows them.
    pub fn introduce(
        stream: &mut TcpStream,
        keys: u64,
        question: Question,
    ) -> Result<Whatsat, Fault> {
        let mut iamat = Iamat::new(Keys::Turns(keys));
        let mut known = Vec::new();
        while (known.len() as u64) < keys {
            let left = keys - known.len() as u64;
            known.extend(ask(stream, &mut iamat, left.min(INTRODUCED) as usize)?);
        }
        Ok(Whatsat::new(known, question, iamat.server()))
    }

    fn new(known: Vec<Vec<u8>>, question: Question, server: &[u8]) -> Whatsat {
        let Question { radius, bound } = question;
        let text = format!("WHATSAT c{:07}.cs.ucla.edu {radius} {bound}\n", 0);
        Whatsat {
            template: text.into_bytes(),
            bound,
            written: 0,
            known,
            body: None,
            server: server.to_vec(),
        }
    }

    /// Whether these are places as asked for: an object in which Google says
    /// that all went well, with `bound` results at most. An answer without
    /// places, UNKNOWN_ERROR, is not what a load wants to measure.
    fn is_right(&self, body: &[u8]) -> bool {
        let Ok(fields) = serde_json::from_slice::<HashMap<&str, &RawValue>>(body) else {
            return false;
        };
        let text = |name| fields.get(name).map(|value| value.get());
        let results = text("results")
            .and_then(|results| serde_json::from_str::<Vec<&RawValue>>(results).ok());
        let count_is_right = results.is_some_and(|results| results.len() <= self.bound);
        count_is_right && matches!(text("status"), Some(r#""OK""# | r#""ZERO_RESULTS""#))
    }
}

impl Exchange for Whatsat {
    fn request_len(&self) -> usize {
        self.template.len()
    }

    fn write(&mut self, count: usize, batch: &mut Vec<u8>) {
        batch.clear();
        for _ in 0..count {
            let key = self.written % self.known.len() as u64;
            write_digits(&mut self.template[KEY], key as u32);
            batch.extend_from_slice(&self.template);
            self.written += 1;
        }
    }

    fn check(&mut self, received: &[u8], request: &[u8]) -> Verdict {
        let known = self.known[number(&request[KEY])].as_slice();
        let Some(rest) = received.strip_prefix(known) else {
            return match known.starts_with(received) {
                true => Verdict::Partial,
                false => Verdict::Wrong,
            };
        };
        // The server leaves no empty line inside of a body.
        let Some(len) = rest.windows(2).position(|pair| pair == b"\n\n") else {
            return Verdict::Partial;
        };
        let body = &rest[..len];
        if self.body.as_deref() != Some(body) {
            if !self.is_right(body) {
                return Verdict::Wrong;
            }
            self.body = Some(body.to_vec());
        }
        Verdict::Right(known.len() + len + "\n\n".len())
    }

    fn left(&self) -> u64 {
        u64::MAX
    }

    fn server(&self) -> &[u8] {
        &self.server
    }
}

fn number(digits: &[u8]) -> usize {
    let value = |digit: &u8| usize::from(digit - b'0');
    digits.iter().fold(0, |sum, digit| sum * 10 + value(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: [&str; 2] = [
        "AT Clark +0.000000001 c0000000.cs.ucla.edu +34-118 1\n",
        "AT Clark +0.000000002 c0000001.cs.ucla.edu +34-118 2\n",
    ];
    const PLACES: &str = "{\n \"html_attributions\" : [],\n \"results\" : [{\"name\": \"a\"}, {}],\n \"status\" : \"OK\"\n}";

    fn whatsat(bound: usize) -> (Whatsat, Vec<u8>) {
        let known = AT.map(|line| line.as_bytes().to_vec()).to_vec();
        let mut whatsat = Whatsat::new(known, Question { radius: 10, bound }, b"Clark");
        let mut batch = Vec::new();
        whatsat.write(3, &mut batch);
        (whatsat, batch)
    }

    #[test]
    fn the_known_clients_take_turns() {
        let (whatsat, batch) = whatsat(5);
        let len = whatsat.request_len();
        assert_eq!(&batch[len..2 * len], b"WHATSAT c0000001.cs.ucla.edu 10 5\n");
        assert!(batch[2 * len..].starts_with(b"WHATSAT c0000000."));
    }

    #[test]
    fn a_right_answer_is_taken_at_every_cut() {
        let (_, batch) = whatsat(2);
        let answer = format!("{}{PLACES}\n\n", AT[0]);
        for cut in 0..answer.len() {
            let (mut whatsat, _) = whatsat(2);
            let verdict = whatsat.check(&answer.as_bytes()[..cut], &batch);
            assert_eq!(verdict, Verdict::Partial, "cut at {cut}");
        }
        let (mut whatsat, _) = whatsat(2);
        let more = format!("{answer}AT Cl");
        for _ in 0..2 {
            let verdict = whatsat.check(more.as_bytes(), &batch);
            assert_eq!(verdict, Verdict::Right(answer.len()));
        }
    }

    #[test]
    fn what_differs_is_wrong() {
        let (_, batch) = whatsat(2);
        let unknown_error = r#"{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}"#;
        for answer in [
            // Another client's record.
            format!("{}{PLACES}\n\n", AT[1]),
            format!("{}{unknown_error}\n\n", AT[0]),
            format!("{}{{\"status\": \"OK\"}}\n\n", AT[0]),
            format!("{}{}\n\n", AT[0], &PLACES[1..]),
            format!("{}\n\n", AT[0]),
            "? WHATSAT c0000000.cs.ucla.edu 10 2\n".to_string(),
        ] {
            let (mut whatsat, _) = whatsat(2);
            let verdict = whatsat.check(answer.as_bytes(), &batch);
            assert_eq!(verdict, Verdict::Wrong, "{answer}");
        }
        let (mut whatsat, batch) = whatsat(1);
        let answer = format!("{}{PLACES}\n\n", AT[0]);
        let too_many = whatsat.check(answer.as_bytes(), &batch);
        assert_eq!(too_many, Verdict::Wrong);
    }
}
