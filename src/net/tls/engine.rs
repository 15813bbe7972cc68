//! TLS by rustls. No other file calls a rustls session.

use std::io::{self, BufRead, Write};

use rustls::{Connection, HandshakeKind, ProtocolVersion};

use super::error::TlsError;
use super::names::bears;
use super::state::{TlsEngine, TlsState};

/// What the other side's `close_notify` does to our own direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It closes ours too, as asyncio does: who asks one question needs no half-open connection.
    Both,
    /// Ours stays open until we close it (RFC 8446, 6.1): a client that has asked all it will ask
    /// still gets its answers.
    Half,
}

/// A rustls session behind our state machine. About 1 KiB: box it.
#[derive(Debug)]
pub struct RustlsEngine {
    session: Connection,
    closing: Closing,
    state: TlsState,
    /// Why nothing works any more; [`TlsError::Closed`] if nothing was wrong.
    over: Option<TlsError>,
    at_end: bool,
}

impl RustlsEngine {
    /// A session that has said nothing yet.
    pub(super) fn new(session: impl Into<Connection>, closing: Closing) -> RustlsEngine {
        let mut session = session.into();
        // With its limit of 64 KiB rustls takes part of a long `write` and leaves the rest to us.
        // A second queue for that rest would be the same memory, with more to go wrong.
        session.set_buffer_limit(None);
        RustlsEngine {
            session,
            closing,
            state: TlsState::Unwrapped,
            over: None,
            at_end: false,
        }
    }

    /// The protocol that ALPN agreed on.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    /// True if the other side showed a certificate, which was verified, and it bears `name`.
    pub(super) fn proves(&self, name: &str) -> bool {
        let certificates = self.session.peer_certificates().unwrap_or_default();
        certificates.first().is_some_and(|first| bears(first, name))
    }

    /// Begins the handshake, unless it has begun.
    ///
    /// # Errors
    /// Why it is over.
    fn begin(&mut self) -> Result<(), TlsError> {
        if let Some(why) = &self.over {
            return Err(why.clone());
        }
        if self.state == TlsState::Unwrapped {
            self.state.enter(TlsState::DoHandshake);
        }
        Ok(())
    }

    /// The end, for `why`. rustls may have an alert to say, so it is not silenced.
    fn fail(&mut self, why: TlsError) -> TlsError {
        self.over = Some(why.clone());
        self.state.enter(TlsState::Unwrapped);
        why
    }

    /// Feeds rustls some of `ciphertext` (it takes about 4 KiB at a time) and takes all plaintext
    /// out: with more than 16 KiB of it inside, the next `read_tls` would fail.
    ///
    /// rustls has `wants_read` to tell when to feed it; false while handshake output waits, it
    /// makes a loop over it hang unless it writes in turns. It is backpressure for sockets, and
    /// our output has no limit: so it is not asked.
    fn feed(&mut self, ciphertext: &mut &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsError> {
        match self.session.read_tls(ciphertext) {
            Ok(0) => return Err(TlsError::Protocol("rustls takes no more".to_string())),
            Ok(_) => {}
            Err(error) => return Err(TlsError::Protocol(error.to_string())),
        }
        let processed = self.session.process_new_packets();
        // What was decrypted before a fault is authentic: it counts.
        let mut reader = self.session.reader();
        while let Ok(chunk) = reader.fill_buf()
            && !chunk.is_empty()
        {
            let length = chunk.len();
            plaintext.extend_from_slice(chunk);
            reader.consume(length);
        }
        let greeted = self.session.protocol_version().is_some();
        let processed = processed.map_err(|error| TlsError::from_rustls(error, greeted))?;
        if self.state == TlsState::DoHandshake && !self.session.is_handshaking() {
            self.state.enter(TlsState::Wrapped);
        }
        if processed.peer_has_closed() {
            self.at_end = true;
            if self.closing == Closing::Both {
                self.close();
            }
        }
        Ok(())
    }

    /// Moves all that rustls wants to say to `out`; a Vec and a sink take everything.
    fn drain(&mut self, out: &mut dyn Write) {
        while self.session.wants_write() && self.session.write_tls(out).is_ok_and(|n| n > 0) {}
    }
}

impl TlsEngine for RustlsEngine {
    fn state(&self) -> TlsState {
        self.state
    }

    fn receive(&mut self, mut ciphertext: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsError> {
        self.begin()?;
        while !ciphertext.is_empty() {
            // After our close rustls must hear nothing: it would answer a key update behind our
            // close_notify, and a fault with a second fatal alert, which its own assertion forbids.
            // asyncio reads on until the other side's close_notify; who closes here is done.
            if matches!(self.state, TlsState::Flushing | TlsState::Shutdown) {
                break;
            }
            if let Err(error) = self.feed(&mut ciphertext, plaintext) {
                return Err(self.fail(error));
            }
        }
        Ok(())
    }

    fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsError> {
        if let Some(why) = &self.over {
            return Err(why.clone());
        }
        // Nothing in rustls stops data behind a close_notify.
        if matches!(self.state, TlsState::Flushing | TlsState::Shutdown) {
            return Err(TlsError::Closed);
        }
        self.session
            .writer()
            .write_all(plaintext)
            .map_err(|error| self.fail(TlsError::Protocol(error.to_string())))
    }

    fn output(&mut self, out: &mut Vec<u8>) {
        // An error is no news here, and the alert it left must go out.
        let _ = self.begin();
        self.drain(out);
        if self.state == TlsState::Flushing {
            self.state.enter(TlsState::Shutdown);
        }
    }

    fn close(&mut self) {
        match self.state {
            TlsState::Wrapped => {
                self.session.send_close_notify();
                self.state.enter(TlsState::Flushing);
            }
            TlsState::Unwrapped | TlsState::DoHandshake if self.over.is_none() => {
                self.drain(&mut io::sink());
                self.fail(TlsError::Closed);
            }
            _ => {}
        }
    }

    fn end_of_stream(&mut self) -> Result<(), TlsError> {
        match (&self.over, self.state) {
            (Some(TlsError::Closed), _) => Ok(()),
            (Some(why), _) => Err(why.clone()),
            (None, TlsState::Flushing | TlsState::Shutdown) => {
                self.fail(TlsError::Closed);
                Ok(())
            }
            (None, _) if self.at_end => Ok(()),
            (None, _) => Err(self.fail(TlsError::Truncated)),
        }
    }

    fn at_end(&self) -> bool {
        self.at_end
    }

    fn resumed(&self) -> Option<bool> {
        let kind = self.session.handshake_kind()?;
        Some(kind == HandshakeKind::Resumed)
    }

    fn protocol(&self) -> Option<&'static str> {
        match self.session.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }
}
