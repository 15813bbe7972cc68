//! Our links to neighbours: we dial, greet, and only write.

mod link;
mod part;
mod shown;

pub use link::Link;
pub use part::Links;
