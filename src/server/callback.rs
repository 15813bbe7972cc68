//! Everything that a server ever has to do, as data.

use std::hash::{Hash, Hasher};

use crate::event_loop::{self, EventLoop, Readiness, Token};

/// The loop that a server runs on.
pub type Loop<H> = EventLoop<H, Callback>;

/// Who in the server asks the world for jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Questions to Places: a name to resolve.
    Questions,
    /// Snapshots: one that is written to its end.
    Snapshots,
    /// The journal: its file is opened anew.
    Journal,
}

impl Part {
    /// The name of a job in the world: whose it is, and its number there (56 bits).
    pub fn job(self, number: u64) -> u64 {
        (self as u64) << 56 | number & (u64::MAX >> 8)
    }

    fn name(self) -> &'static str {
        match self {
            Part::Questions => "questions",
            Part::Snapshots => "snapshots",
            Part::Journal => "journal",
        }
    }

    /// The reverse of [`Part::job`].
    fn of(job: u64) -> (Part, u64) {
        let part = match job >> 56 {
            0 => Part::Questions,
            1 => Part::Snapshots,
            _ => Part::Journal,
        };
        (part, job & (u64::MAX >> 8))
    }
}

/// Everything that a server ever has to do, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// A socket became ready: the listener, a client, a neighbour, Places.
    Ready(Token, Readiness),
    /// A connection has input that the last callback did not reach.
    Again(Token),
    /// More connections wait at the listener than one callback takes.
    Accept,
    /// Look at the listener again, now that a descriptor may be free.
    AcceptRetry,
    /// A deadline of an accepted connection has come.
    Deadline(Token),
    /// Dial a neighbour again (by its place among this server's neighbours).
    Redial(usize),
    /// A dial took too long, or a link's end does; or a short link has been quiet for long enough.
    LinkDeadline(Token),
    /// A link has room for more of what it owes.
    Dump(Token),
    /// Questions to Places wait for connections.
    StartLookups,
    /// A lookup has been in its state for too long.
    LookupDeadline(u64),
    /// A lookup's connect is slow: try the next address beside it.
    NextAddress(u64),
    /// A kept connection to Places was idle for long enough.
    UpstreamIdle(Token),
    /// Go on with what parts want of each other: the turn before had nothing left to spend.
    CarryOn,
    /// A signal arrived.
    Signal(i32),
    /// Stopping took too long.
    StopDeadline,
    /// A snapshot is due, or has further to go.
    Snapshot,
    /// A job of the world is done: whose it was, and its number there.
    Done(Part, u64),
}

/// The kinds of callbacks, by the names of their variants.
pub const CALLBACK_KINDS: [&str; 17] = [
    "Ready",
    "Again",
    "Accept",
    "AcceptRetry",
    "Deadline",
    "Redial",
    "LinkDeadline",
    "Dump",
    "StartLookups",
    "LookupDeadline",
    "NextAddress",
    "UpstreamIdle",
    "Snapshot",
    "Done",
    "CarryOn",
    "Signal",
    "StopDeadline",
];

impl Callback {
    /// Its kind: the name of its variant.
    pub fn kind(&self) -> &'static str {
        match self {
            Callback::Ready(..) => "Ready",
            Callback::Again(_) => "Again",
            Callback::Accept => "Accept",
            Callback::AcceptRetry => "AcceptRetry",
            Callback::Deadline(_) => "Deadline",
            Callback::Redial(_) => "Redial",
            Callback::LinkDeadline(_) => "LinkDeadline",
            Callback::Dump(_) => "Dump",
            Callback::StartLookups => "StartLookups",
            Callback::LookupDeadline(_) => "LookupDeadline",
            Callback::NextAddress(_) => "NextAddress",
            Callback::UpstreamIdle(_) => "UpstreamIdle",
            Callback::Snapshot => "Snapshot",
            Callback::Done(..) => "Done",
            Callback::CarryOn => "CarryOn",
            Callback::Signal(_) => "Signal",
            Callback::StopDeadline => "StopDeadline",
        }
    }

    /// The connection that it concerns.
    pub fn subject(&self) -> Option<Token> {
        match *self {
            Callback::Ready(token, _) => Some(token).filter(|token| !token.is_listener()),
            Callback::Again(token)
            | Callback::Deadline(token)
            | Callback::LinkDeadline(token)
            | Callback::Dump(token)
            | Callback::UpstreamIdle(token) => Some(token),
            Callback::Accept
            | Callback::AcceptRetry
            | Callback::Redial(_)
            | Callback::StartLookups
            | Callback::LookupDeadline(_)
            | Callback::NextAddress(_)
            | Callback::Snapshot
            | Callback::Done(..)
            | Callback::CarryOn
            | Callback::Signal(_)
            | Callback::StopDeadline => None,
        }
    }

    /// As a sentence, with the names of connections and of neighbours.
    pub fn describe(
        &self,
        name: impl Fn(Token) -> String,
        neighbour: impl Fn(usize) -> String,
    ) -> String {
        match *self {
            Callback::Ready(token, _) if token.is_listener() => {
                format!("connections wait at {}", name(token))
            }
            Callback::Ready(token, readiness) => format!("{} {}", name(token), told(readiness)),
            Callback::Again(token) => format!("go on reading from {}", name(token)),
            Callback::Accept => String::from("look whether connections wait at the listener"),
            Callback::AcceptRetry => String::from("try again to accept: a descriptor may be free"),
            Callback::Deadline(token) => format!("a deadline of {}", name(token)),
            Callback::Redial(index) => format!("dial {} again", neighbour(index)),
            Callback::LinkDeadline(token) => format!("a deadline of {}", name(token)),
            Callback::Dump(token) => format!("send more of what is owed on {}", name(token)),
            Callback::StartLookups => String::from("give connections to questions that wait"),
            Callback::LookupDeadline(number) => format!("question {number} to Places is too slow"),
            Callback::NextAddress(number) => {
                format!("question {number} to Places tries its next address")
            }
            Callback::UpstreamIdle(token) => format!("{} was idle for long enough", name(token)),
            Callback::Snapshot => String::from("write more of the snapshot"),
            Callback::Done(Part::Questions, number) => {
                format!("the resolver has answered job {number}")
            }
            Callback::Done(Part::Journal, _) => String::from("the journal was opened anew"),
            Callback::Done(Part::Snapshots, _) => {
                String::from("the writer of snapshots has room, or is done")
            }
            Callback::CarryOn => String::from("hand on the answers of Places that are left"),
            Callback::Signal(number) => format!("signal {number} arrived"),
            Callback::StopDeadline => String::from("stopping has taken too long"),
        }
    }
}

/// By its name, not by its place among the variants: a recording knows a callback by its hash, and a
/// new variant changes that of no other.
impl Hash for Callback {
    fn hash<S: Hasher>(&self, state: &mut S) {
        state.write(self.kind().as_bytes());
        match *self {
            Callback::Ready(token, readiness) => (token, readiness).hash(state),
            Callback::Again(token)
            | Callback::Deadline(token)
            | Callback::LinkDeadline(token)
            | Callback::Dump(token)
            | Callback::UpstreamIdle(token) => token.hash(state),
            Callback::LookupDeadline(number) | Callback::NextAddress(number) => number.hash(state),
            Callback::Done(part, number) => {
                state.write(part.name().as_bytes());
                number.hash(state);
            }
            Callback::Redial(index) => index.hash(state),
            Callback::Signal(number) => number.hash(state),
            Callback::Accept
            | Callback::AcceptRetry
            | Callback::StartLookups
            | Callback::Snapshot
            | Callback::CarryOn
            | Callback::StopDeadline => {}
        }
    }
}

impl event_loop::Callback for Callback {
    fn ready(token: Token, readiness: Readiness) -> Callback {
        Callback::Ready(token, readiness)
    }

    fn done(job: u64) -> Callback {
        let (part, number) = Part::of(job);
        Callback::Done(part, number)
    }

    fn signal(number: i32) -> Callback {
        Callback::Signal(number)
    }
}

/// What the poll told of a socket.
fn told(readiness: Readiness) -> String {
    let words = [
        (Readiness::READABLE, "readable"),
        (Readiness::WRITABLE, "writable"),
        (Readiness::READ_CLOSED, "ended by the other side"),
    ];
    let told = words.iter().filter(|(flag, _)| readiness.contains(*flag));
    let told: Vec<_> = told.map(|(_, word)| *word).collect();
    format!("is {}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_names_its_part_and_its_number() {
        for part in [Part::Questions, Part::Snapshots, Part::Journal] {
            for number in [0, 1, u64::MAX >> 8] {
                assert_eq!(Part::of(part.job(number)), (part, number));
            }
        }
    }

    #[test]
    fn a_listener_is_no_connection() {
        let token = Token {
            index: 0,
            generation: 1,
        };
        let ready = |token| Callback::Ready(token, Readiness::READABLE).subject();
        assert_eq!(ready(token), Some(token));
        assert_eq!(ready(Token::listener(0)), None);
    }

    #[test]
    fn kinds_are_the_names_of_the_variants() {
        for callback in [
            Callback::Ready(Token::listener(0), Readiness::READABLE),
            Callback::Accept,
            Callback::LookupDeadline(3),
            Callback::Done(Part::Snapshots, 1),
            Callback::StopDeadline,
        ] {
            let debug = format!("{callback:?}");
            assert_eq!(debug.split('(').next(), Some(callback.kind()));
            assert!(CALLBACK_KINDS.contains(&callback.kind()));
        }
    }
}
