//! The herd, pure: grammar, exact times, the table, what floods where. Knows no socket, no loop,
//! no clock.

mod backlog;
mod course;
mod flood;
mod geo;
mod keys;
mod newest;
mod roster;
mod snapshot;
mod store;
mod time;
mod wire;

pub use backlog::Backlog;
pub use course::course_form;
pub use flood::{Heard, Replica, Taken};
pub use geo::Position;
pub use newest::{COURSE_OWED_MAX, Newest};
pub use roster::{Roster, RosterError, Server};
pub use snapshot::{SnapshotReader, SnapshotWriter};
pub use store::{Offer, RECORDS_MAX, STORE_BYTES_MAX, Source, Store, Ties};
pub use time::{Decimal, write_integer, write_padded, write_skew};
pub use wire::{
    At, BOUND_MAX, Command, ID_MAX, Question, RADIUS_MAX_METRES, Report, is_white_space,
};
