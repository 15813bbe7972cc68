//! How a recording begins.

/// The first line of a recording.
pub const MAGIC: &str = "herd recording 4";

/// The longest second line of a recording, in bytes.
pub const HEADER_MAX: usize = 1 << 20;
