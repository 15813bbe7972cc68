//! What is known of a link, connected or not.

use std::ops::Range;
use std::time::Duration;

use crate::event_loop::{Handle, Token};
use crate::herd::{Backlog, Newest};
use crate::net::Backoff;

/// A neighbour may say so much behind our end; a course server that says more is not listened to.
pub const COURSE_ANSWER_MAX: usize = 64 * 1024;

/// What is known of a link, connected or not.
pub struct Slot {
    /// How it lives.
    pub kind: Kind,
    /// Where it is.
    pub state: State,
    /// How long it waits before it is dialled again.
    pub backoff: Backoff,
    /// When the timer of [`State::Waiting`] dials.
    pub redial: Duration,
    /// When a greeting had us dial, at the latest.
    pub greeted: Option<Duration>,
    /// Since when, if it is up.
    pub up_since: Duration,
    /// The connection on which the neighbour greeted last. It may be gone.
    pub heard: Option<Token>,
    /// Which of this turn's news it has taken, by number.
    pub took: Range<usize>,
}

/// Where a link is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection; the timer will dial. `None` before the start, after the end, and while a link
    /// that ends by itself owes nothing.
    Waiting(Option<Handle>),
    /// A connect is under way, with its deadline.
    Dialling(Token, Handle),
    /// Connected.
    Up(Token),
    /// We have said all; the neighbour's word of that, or its end, is waited for, with a deadline.
    Ending(Token, Handle),
}

/// How a link lives, and what it owes while it has no connection.
pub enum Kind {
    /// It stands, and owes the whole table whenever it comes up.
    Standing,
    /// With `--short-links`: it ends when all is said.
    Short(Short),
    /// To a course server: a connection for each line.
    Course(Course),
}

/// A short link between two connections.
#[derive(Default)]
pub struct Short {
    /// The whole table: the neighbour has not said that it took what we sent.
    pub owes_all: bool,
    /// Else what changed since.
    pub owed: Backlog,
    /// The neighbour does not know yet that we have started and want its whole table.
    pub asks: bool,
    /// While it is up: looks whether all is said.
    pub timer: Option<Handle>,
    /// When it last had something to say.
    pub spoke: Duration,
}

/// A link to a course server.
#[derive(Default)]
pub struct Course {
    /// What the server has yet to hear.
    pub owed: Newest,
    /// What the connection carries.
    pub carries: Option<u32>,
    /// What is carried for the second time, since the first failed; it is not carried once more.
    pub again: Option<u32>,
    /// Positions that were given up since the journal last said so.
    pub given_up: usize,
}

impl Kind {
    /// A short link of a server that has just started.
    pub fn short(catch_up: bool) -> Kind {
        Kind::Short(Short {
            owes_all: catch_up,
            asks: catch_up,
            ..Short::default()
        })
    }

    /// True if there is a reason to have a connection.
    pub fn owes(&self) -> bool {
        match self {
            Kind::Standing => true,
            Kind::Short(short) => short.owes_all || short.asks || !short.owed.is_empty(),
            Kind::Course(course) => !course.owed.is_empty(),
        }
    }

    /// How many records it owes while it has no connection, of a table of so many.
    pub fn owed(&self, records: usize) -> usize {
        match self {
            Kind::Standing => 0,
            Kind::Short(short) if short.owes_all => records,
            Kind::Short(short) => short.owed.len(),
            Kind::Course(course) => course.owed.len(),
        }
    }

    /// Owes a record that has changed while there is no connection to say it on.
    pub fn mark(&mut self, position: u32) {
        match self {
            Kind::Standing => {}
            Kind::Short(short) if short.owes_all => {}
            Kind::Short(short) => short.owed.mark(position),
            Kind::Course(course) => {
                course.given_up += usize::from(!course.owed.mark(position));
            }
        }
    }

    /// The server stops, and the neighbour is not there: nothing is owed any more.
    pub fn give_up(&mut self) {
        match self {
            Kind::Standing => {}
            Kind::Short(short) => *short = Short::default(),
            Kind::Course(course) => *course = Course::default(),
        }
    }

    /// The connection is lost, or was not `made`: what it carried is owed again. Without catching up
    /// nothing is.
    pub fn lost(&mut self, made: bool, catch_up: bool) {
        match self {
            Kind::Standing => {}
            Kind::Short(short) => {
                if made || !catch_up {
                    short.owed = Backlog::default();
                    short.owes_all = catch_up;
                }
            }
            Kind::Course(course) if !catch_up => {
                (course.owed, course.carries) = (Newest::default(), None);
            }
            Kind::Course(course) => {
                let Some(carried) = course.carries.take() else {
                    return;
                };
                // Once more, and no more than that: nobody else may wait for it for ever.
                let first = course.again.take() != Some(carried);
                if first {
                    course.owed.mark(carried);
                    course.again = Some(carried);
                }
            }
        }
    }
}

impl Slot {
    /// A link that is not dialled yet.
    pub fn new(kind: Kind) -> Slot {
        Slot {
            kind,
            state: State::Waiting(None),
            backoff: Backoff::default(),
            redial: Duration::ZERO,
            greeted: None,
            up_since: Duration::ZERO,
            heard: None,
            took: 0..0,
        }
    }

    /// Its connection, if it has one.
    pub fn token(&self) -> Option<Token> {
        match self.state {
            State::Waiting(_) => None,
            State::Dialling(token, _) | State::Up(token) | State::Ending(token, _) => Some(token),
        }
    }

    /// When it is dialled next, if it waits for that.
    pub fn redial_at(&self) -> Option<Duration> {
        matches!(self.state, State::Waiting(Some(_))).then_some(self.redial)
    }

    /// Its connection while it is up.
    pub fn up(&self) -> Option<Token> {
        match self.state {
            State::Up(token) => Some(token),
            _ => None,
        }
    }

    /// True if it follows the news: a link that ends by itself does so without a connection.
    pub fn follows(&self) -> bool {
        self.up().is_some() || !matches!(self.kind, Kind::Standing)
    }

    /// In a word, for the view.
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Waiting(None) if !matches!(self.kind, Kind::Standing) => "resting",
            State::Waiting(_) => "waiting",
            State::Dialling(..) => "dialling",
            State::Up(_) => "up",
            State::Ending(..) => "ending",
        }
    }
}
