//! Which herd a server's name belongs to, as the bucket has it.

use crate::nats::key;

/// Our claim of our name: its key's value is the names of our herd.
#[derive(Debug)]
pub struct Claim {
    me: Vec<u8>,
    herd: Vec<String>,
    value: Vec<u8>,
    /// The revision of its key.
    revision: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The bucket does not hold it, as far as we know.
    Open,
    /// It is put.
    Flying,
    Held,
}

/// A name that is ours and another herd's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The name.
    pub name: String,
    /// What the bucket says of the herd that has it.
    pub theirs: Vec<u8>,
}

impl Claim {
    /// The claim of a server of a herd.
    pub fn new(me: &str, herd: &[String]) -> Claim {
        Claim {
            me: me.into(),
            herd: herd.to_vec(),
            value: format!("{}\n", herd.join(" ")).into_bytes(),
            revision: 0,
            state: State::Open,
        }
    }

    /// A watch begins that shows it anew.
    pub fn forget(&mut self) {
        self.revision = 0;
        self.state = State::Open;
    }

    /// The bucket has this under a reserved key.
    pub fn seen(&mut self, key: &[u8], value: Option<&[u8]>, revision: u64) -> Option<Clash> {
        let name = key::name_of(key)?;
        let known = self.herd.iter().find(|of| of.as_bytes() == name)?;
        if value.is_some_and(|value| value != self.value) {
            return Some(Clash {
                name: known.clone(),
                theirs: value.unwrap_or_default().trim_ascii().to_vec(),
            });
        }
        if name == self.me {
            self.revision = self.revision.max(revision);
            self.state = match value {
                Some(_) => State::Held,
                None => State::Open,
            };
        }
        None
    }

    /// What is to be put, if something is: its key, the revision that it follows, its value.
    pub fn put(&mut self) -> Option<(String, u64, &[u8])> {
        if self.state != State::Open {
            return None;
        }
        self.state = State::Flying;
        let me = String::from_utf8_lossy(&self.me);
        Some((key::of_name(&me), self.revision, &self.value))
    }

    /// Its put has come to an end: it is held, or must be put again.
    pub fn landed(&mut self, taken: bool) {
        if self.state == State::Flying {
            self.state = if taken { State::Held } else { State::Open };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_claimed_once_and_by_one_herd() {
        let herd = [String::from("Bona"), String::from("Clark")];
        let mut claim = Claim::new("Clark", &herd);
        assert_eq!(
            claim.put(),
            Some((String::from("_herd=Clark"), 0, &b"Bona Clark\n"[..]))
        );
        assert_eq!(claim.put(), None);
        claim.landed(false);
        assert_eq!(claim.seen(b"_herd=Clark", None, 7), None, "deleted by hand");
        assert_eq!(
            claim.put(),
            Some((String::from("_herd=Clark"), 7, &b"Bona Clark\n"[..]))
        );
        claim.landed(true);
        assert_eq!(claim.put(), None);
        assert_eq!(claim.seen(b"_herd=Other", Some(b"Other\n"), 8), None);
        assert_eq!(claim.seen(b"_other", Some(b"?"), 9), None);
        let clash = Clash {
            name: String::from("Bona"),
            theirs: b"Bona Zoe".to_vec(),
        };
        assert_eq!(
            claim.seen(b"_herd=Bona", Some(b"Bona Zoe\n"), 10),
            Some(clash)
        );
    }
}
