//! Our links to neighbours: we dial, greet, and only write.

mod brief;
mod link;
mod part;
mod shown;
mod slot;

pub use brief::{COURSE_END, SHORT_LINK_END, SHORT_LINK_QUIET};
pub use link::Link;
pub use part::Links;
pub use slot::COURSE_ANSWER_MAX;
