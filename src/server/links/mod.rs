//! Our links to neighbours: we dial, greet, and only write.

mod link;
mod part;
mod shown;

pub use link::{LINK_UNSENT_LOW, LINK_UNSENT_MAX, Link};
pub use part::Links;
