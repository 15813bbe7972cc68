//! What the machine has to say about itself, a line of the journal each.

use std::fmt::{self, Display, Formatter};

use super::super::answer::Refusal;
use super::claim::Clash;

/// A transition, or a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// There was no bucket; we made it.
    Made,
    /// It is not as we need it, for this reason.
    Unfit(&'static str),
    /// A request was refused: which, and why.
    Refused(&'static str, Refusal),
    /// A request was answered by a status, or not at all (0).
    Unanswered(&'static str, u16),
    /// An answer to it, which we cannot read.
    Unreadable(&'static str),
    /// The watch has begun; so many values come first.
    Watching(u64),
    /// All that the bucket held has come.
    Whole,
    /// The watch is over; another will begin.
    Lost(&'static str),
    /// Puts are no longer taken.
    PutsFail,
    /// They are again.
    PutsWork,
    /// A key holds what is no AT line of its id; it is left alone.
    Foreign(Vec<u8>),
    /// A record is longer than the server takes.
    TooLong(u32),
    /// A name of our herd is another's.
    Clash(Clash),
}

impl Display for Notice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Made => write!(f, "the bucket was made"),
            Notice::Unfit(why) => write!(f, "the bucket is of no use to us: {why}"),
            Notice::Refused(what, refusal) => write!(f, "{what} was refused: {refusal}"),
            Notice::Unanswered(what, 0) => write!(f, "{what} was not answered in time"),
            Notice::Unanswered(what, status) => write!(f, "{what} was answered by {status}"),
            Notice::Unreadable(what) => write!(f, "the answer to {what} is none"),
            Notice::Watching(values) => write!(f, "watching; {values} values come first"),
            Notice::Whole => write!(f, "all that the bucket held has come"),
            Notice::Lost(why) => write!(f, "the watch is over: {why}"),
            Notice::PutsFail => write!(f, "puts are not taken"),
            Notice::PutsWork => write!(f, "puts are taken again"),
            Notice::Foreign(key) => write!(
                f,
                "the value of {} is no AT line of its id: it is left alone",
                key.escape_ascii()
            ),
            Notice::TooLong(position) => {
                write!(f, "record {position} is longer than the server takes")
            }
            Notice::Clash(Clash { name, theirs }) => write!(
                f,
                "{name} is a server of ours and of another herd ({}). If that is ours of before, delete \
                 the key _herd={name} of the bucket",
                theirs.escape_ascii()
            ),
        }
    }
}
