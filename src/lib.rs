//! herd.
pub mod places;
