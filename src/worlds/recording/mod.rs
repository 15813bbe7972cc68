//! Recordings: everything that a world told a server, in order, and enough of what the server asked
//! to notice if another run asks something else.
//!
//! # Format, version 4
//! A line `herd recording 4`, a line of JSON (the version of the herd that recorded it, which alone
//! replays it, and the configuration; the Places key as its length), then records, in [`Blocks`], until
//! the file ends. One record is one call that crossed the waist: a byte that names
//! the [`Kind`], the numbers of the question, and the answer. Numbers are LEB128 varints. Bytes that
//! a server read stand as they were, behind their length; of bytes that it wrote only the
//! [`Digest`], since a replay makes them again. Of a TLS connection the socket's bytes are counted
//! and its plaintext stands as it was, the key masked. Times are differences to the time before, in
//! nanoseconds. The record [`Kind::End`] is the last of a server that stopped in good order; a
//! recording without it ends where the server was killed, and is good so far.

mod blocks;
mod codec;
mod digest;
mod format;
mod mask;
mod question;
mod recorder;
mod tape;

pub use blocks::{BLOCK_MAX, Blocks, Records};
pub use codec::{Decoder, Encoder};
pub use digest::Digest;
pub use format::{HEADER_MAX, MAGIC};
pub use mask::Mask;
pub use question::{Kind, Question};
pub use recorder::{RECORD_BUFFER_MAX, Recorder};
pub use tape::{Difference, Ending, Tape, ended};
