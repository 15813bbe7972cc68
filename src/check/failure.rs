//! Why a case failed.

use super::wire::Quiet;

/// So much of what came is kept behind the first byte that differs.
const BEHIND_MAX: usize = 4_096;

/// Why a case failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The server that was spoken to.
    pub server: String,
    /// What was sent to it last on that connection.
    pub sent: Vec<u8>,
    /// What came.
    pub got: Vec<u8>,
    /// Why no more came, if more was due.
    pub quiet: Option<Quiet>,
    /// What was expected, in words or as bytes.
    pub expected: String,
    /// The first byte of what came that differs.
    pub at: usize,
}

impl Failure {
    /// What came is not what was expected, from a byte on.
    pub fn new(server: &str, sent: &[u8], mut got: Vec<u8>, expected: &str, at: usize) -> Failure {
        got.truncate(at.saturating_add(BEHIND_MAX));
        Failure {
            server: server.to_string(),
            sent: sent.to_vec(),
            got,
            quiet: None,
            expected: expected.to_string(),
            at,
        }
    }

    /// Nothing came, and nothing will.
    pub fn nothing(server: &str, expected: &str) -> Failure {
        let mut failure = Failure::new(server, b"", Vec::new(), expected, 0);
        failure.quiet = Some(Quiet::Closed);
        failure
    }
}

/// What a step comes to.
pub type Judged = Result<(), Failure>;
