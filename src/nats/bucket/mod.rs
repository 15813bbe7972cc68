//! The machine that keeps a table and a bucket equal: a neighbour that is slow, whose every key is a
//! register. Pure.
//!
//! A put is one of compare-and-set: it is taken only if its key still has the revision whose value we saw,
//! and we put only what is greater than that value. So a key's values strictly increase, whoever puts.
//! A record is *dirty* from when it changes until the register is seen to hold as much; so the greatest report
//! arrives in the end, also after a put was refused, its answer lost, or the register wiped.

mod claim;
mod flights;
mod machine;
mod marks;
mod notice;
mod pause;
mod registers;
mod settings;
mod turn;
mod watch;

pub use claim::Clash;
pub use flights::{IN_FLIGHT_MAX, PUT_TIMEOUT};
pub use machine::{Bucket, REQUEST_TIMEOUT};
pub use notice::Notice;
pub use registers::{FOREIGN_SHOWN_MAX, GRACE, SWEEP_A_STEP};
pub use settings::{Rules, Settings};
pub use turn::{Event, Turn};
