//! How much of an answer from Places is taken: past each of these it is refused.

/// The longest head, in bytes, its blank line included. Each interim response may have as much.
pub const HEAD_MAX: usize = 16 * 1024;

/// The most headers in a head.
pub const HEADERS_MAX: usize = 64;

/// The longest first line of a chunk, in bytes, its CR LF included.
pub const CHUNK_LINE_MAX: usize = 256;

/// The most bytes of extensions in all chunks of a body: they are read for nothing.
pub const CHUNK_EXTENSIONS_MAX: usize = 16 * 1024;

/// The longest trailers, in bytes, their CR LFs and the blank line's included.
pub const TRAILERS_MAX: usize = 4096;

/// The longest body, in bytes, chunk sizes and the like not counted.
pub const BODY_MAX: usize = 1024 * 1024;

/// The most interim responses (1xx) before the one that counts.
pub const INTERIM_MAX: usize = 8;
