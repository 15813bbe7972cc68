//! Why a run ends early.

use std::fmt;
use std::io;
use std::time::Duration;

/// A server that answers nothing for this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub enum Fault {
    Io(io::Error),
    /// The server closed with requests unanswered.
    Closed {
        unanswered: usize,
    },
    /// No answer for too long.
    Silent {
        unanswered: usize,
    },
    WrongAnswer {
        request: Vec<u8>,
        received: Vec<u8>,
    },
    /// Every request needs a new id, and there are no more.
    NoNewKeys,
    /// Far fewer answers a second than were asked for.
    Behind {
        unasked: u64,
    },
    /// A connection that only has to stay open did not.
    IdleClosed,
}

impl Fault {
    pub fn wrong(request: &[u8], received: &[u8]) -> Fault {
        Fault::WrongAnswer {
            request: request.to_vec(),
            received: received[..received.len().min(256)].to_vec(),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => write!(f, "{error}"),
            Fault::Closed { unanswered } => {
                write!(f, "the server closed with {unanswered} requests unanswered")
            }
            Fault::Silent { unanswered } => {
                write!(f, "no answer for {PATIENCE:?}, {unanswered} requests wait")
            }
            Fault::WrongAnswer { request, received } => write!(
                f,
                "wrong answer\n  asked    {}\n  received {}",
                request.escape_ascii(),
                received.escape_ascii()
            ),
            Fault::NoNewKeys => write!(f, "there are no new ids left: ask fewer requests"),
            Fault::Behind { unasked } => {
                let seconds = "twice the time that the schedule has";
                write!(f, "after {seconds}, {unasked} requests are still unasked")
            }
            Fault::IdleClosed => write!(f, "the server closed an idle connection"),
        }
    }
}
