//! A stand-in for Google Places inside the checker, for servers of anybody's: over TLS, whose throwaway
//! authority is in this folder, and over plain HTTP; on loopback alone.

mod authority;
mod manners;
mod question;
mod stand_in;

pub use manners::Manner;
pub use question::Circle;
pub use stand_in::{StandIn, Urls};
