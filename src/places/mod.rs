//! What is near a place. Pure: knows no socket, no loop, no clock.

mod answer;
pub mod gazetteer;

pub use answer::frame;
