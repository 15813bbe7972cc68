//! Why a case failed.

use super::wire::Quiet;

/// So much of what came is kept behind the first byte that differs.
const BEHIND_MAX: usize = 4_096;
/// So much is kept of what was sent.
const SENT_MAX: usize = 4_096;

/// Why a case failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The server that was spoken to.
    pub server: String,
    /// What was sent to it last on that connection, or the first of it.
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
            sent: sent[..sent.len().min(SENT_MAX)].to_vec(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_so_much_and_no_more() {
        let long = vec![b'x'; 10 * BEHIND_MAX.max(SENT_MAX)];
        let failure = Failure::new("Clark", &long, long.clone(), "y", 10);
        assert_eq!(
            (failure.sent.len(), failure.got.len()),
            (SENT_MAX, 10 + BEHIND_MAX)
        );
    }
}
