//! How far a connection's TLS has come, and the machine behind it.

use super::error::TlsError;

/// How far a connection's TLS has come. (asyncio: sslproto.SSLProtocolState.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsState {
    /// Not begun, or over for whatever reason.
    Unwrapped,
    /// Our hello went out.
    DoHandshake,
    /// Data flows.
    Wrapped,
    /// Closed by us, or by the other side; our `close_notify` waits to be taken.
    Flushing,
    /// Our `close_notify` was taken: nothing may follow it.
    Shutdown,
}

impl TlsState {
    /// The only moves there are. (asyncio: `SSLProtocol._set_state`.)
    pub fn allowed(from: TlsState, to: TlsState) -> bool {
        use TlsState::{DoHandshake, Flushing, Shutdown, Unwrapped, Wrapped};
        matches!(
            (from, to),
            (_, Unwrapped)
                | (Unwrapped, DoHandshake)
                | (DoHandshake, Wrapped)
                | (Wrapped, Flushing)
                | (Flushing, Shutdown)
        )
    }

    /// Moves on. asyncio raises a RuntimeError where the assertion stands.
    pub(super) fn enter(&mut self, to: TlsState) {
        debug_assert!(TlsState::allowed(*self, to), "{self:?} to {to:?}");
        *self = to;
    }
}

/// One connection's TLS. Real, it is a [`RustlsEngine`](super::RustlsEngine); simulated, a
/// [`PlainEngine`](super::PlainEngine).
pub trait TlsEngine {
    /// Where it stands. Data may be sent before [`TlsState::Wrapped`]; it waits for it.
    fn state(&self) -> TlsState;

    /// Takes all of `ciphertext` as it came from the socket, in any pieces, and appends what it
    /// held to `plaintext`: at most as many bytes as came in, and one record (16 KiB) more whose
    /// beginning had come before. After our own close it is thrown away.
    /// (asyncio: `buffer_updated`, `_do_read`.)
    ///
    /// # Errors
    /// The connection is over. What was appended to `plaintext` before the fault is good; the
    /// alert that tells the other side is in [`output`](TlsEngine::output). Asked again, the same
    /// error.
    fn receive(&mut self, ciphertext: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsError>;

    /// Takes all of `plaintext`, before the handshake is done or after. It has no limit: the
    /// caller pauses when its transport holds too much. (asyncio: `_write_appdata`.)
    ///
    /// # Errors
    /// [`TlsError::Closed`] after a close by either side, the connection's error after that.
    fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsError>;

    /// Appends all ciphertext that waits for the socket. The first call begins the handshake.
    fn output(&mut self, out: &mut Vec<u8>);

    /// Ends the connection: `close_notify` is the last thing said. Before the handshake is done
    /// nothing more is said at all. A second call does nothing. (asyncio: `_start_shutdown`.)
    fn close(&mut self);

    /// The socket has ended.
    ///
    /// # Errors
    /// [`TlsError::Truncated`] unless either side closed before: bytes may be missing. An HTTP
    /// answer whose length is known and reached may ignore it. After an error, that error.
    fn end_of_stream(&mut self) -> Result<(), TlsError>;

    /// True once the other side said that it will send no more. It may well leave its socket open.
    fn at_end(&self) -> bool;

    /// True if the handshake took up an earlier session, None if that is not known (yet).
    fn resumed(&self) -> Option<bool>;

    /// The agreed version, such as `TLSv1.3`. (asyncio: `SSLObject.version`.)
    fn protocol(&self) -> Option<&'static str>;
}

#[cfg(test)]
mod tests {
    use super::TlsState::{self, DoHandshake, Flushing, Shutdown, Unwrapped, Wrapped};

    #[test]
    fn states_move_forwards_or_end() {
        let all = [Unwrapped, DoHandshake, Wrapped, Flushing, Shutdown];
        for (i, from) in all.into_iter().enumerate() {
            for (j, to) in all.into_iter().enumerate() {
                assert_eq!(
                    TlsState::allowed(from, to),
                    to == Unwrapped || j == i + 1,
                    "{from:?} to {to:?}"
                );
            }
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "Wrapped to DoHandshake")]
    fn an_illegal_move_is_found_in_a_debug_build() {
        Wrapped.clone().enter(DoHandshake);
    }
}
