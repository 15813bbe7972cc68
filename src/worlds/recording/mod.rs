//! Recordings: everything that a world told a server, in order, and enough of what the server asked
//! to notice if another run asks something else.
//!
//! # Format, version 1
//! A line `herd recording 1`, a line of JSON (the configuration; the Places key as its length), then
//! records until the file ends. One record is one call that crossed the waist: a byte that names
//! the [`Kind`], the numbers of the question, and the answer. Numbers are LEB128 varints. Bytes that
//! a server read stand as they were, behind their length; of bytes that it wrote only the
//! [`Digest`], since a replay makes them again. Of a TLS connection the socket's bytes are counted
//! and its plaintext stands as it was, the key masked. Times are differences to the time before, in
//! nanoseconds. The record [`Kind::End`] is the last of a server that stopped in good order; a
//! recording without it ends where the server was killed, and is good so far.

mod codec;
mod digest;
mod mask;
mod question;
mod recorder;
mod tape;

pub use codec::{Decoder, Encoder};
pub use digest::Digest;
pub use mask::Mask;
pub use question::{Kind, Question};
pub use recorder::{RECORD_BUFFER_MAX, Recorder};
pub use tape::{Difference, Ending, Tape, ended};

/// The first line of a recording.
pub const MAGIC: &str = "herd recording 1";

/// The longest second line of a recording, in bytes.
pub const HEADER_MAX: usize = 1 << 20;
