//! How much of what a NATS server sends is taken: past each of these the connection is of no use.

/// The longest line of control but INFO's, in bytes, its CR LF included. A server takes 4,096 from a
/// client; what it sends has a subject as long, and a reply subject.
pub const CONTROL_LINE_MAX: usize = 8 * 1024;

/// The longest INFO: it names every server of a cluster.
pub const INFO_MAX: usize = 64 * 1024;

/// The longest headers of a message, in bytes.
pub const HEADERS_MAX: usize = 16 * 1024;

/// The longest payload of a message, in bytes: an AT line, or an answer about the bucket.
pub const PAYLOAD_MAX: usize = 128 * 1024;

/// The longest key of a record that is its client's id; that of a longer id is a hash.
pub const KEY_MAX: usize = 200;

/// How many addresses of a cluster are remembered of an INFO.
pub const CONNECT_URLS_MAX: usize = 64;

/// The longest address that is: a host's name and a port.
pub const CONNECT_URL_MAX: usize = 262;
