//! No TLS at all, behind the same trait: for a network that exists in memory alone.

use super::error::TlsError;
use super::state::{TlsEngine, TlsState};

/// Bytes pass as they are, and the handshake is done before it begins. There is no `close_notify`:
/// the stream's end is a clean one.
#[derive(Debug)]
pub struct PlainEngine {
    state: TlsState,
    waiting: Vec<u8>,
    at_end: bool,
}

impl PlainEngine {
    /// An engine that is [`TlsState::Wrapped`] already.
    pub fn new() -> PlainEngine {
        PlainEngine {
            state: TlsState::Wrapped,
            waiting: Vec::new(),
            at_end: false,
        }
    }
}

impl Default for PlainEngine {
    fn default() -> PlainEngine {
        PlainEngine::new()
    }
}

impl TlsEngine for PlainEngine {
    fn state(&self) -> TlsState {
        self.state
    }

    fn receive(&mut self, ciphertext: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsError> {
        match self.state {
            TlsState::Wrapped => plaintext.extend_from_slice(ciphertext),
            TlsState::Unwrapped => return Err(TlsError::Closed),
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsError> {
        if self.state != TlsState::Wrapped {
            return Err(TlsError::Closed);
        }
        self.waiting.extend_from_slice(plaintext);
        Ok(())
    }

    fn output(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.waiting);
        if self.state == TlsState::Flushing {
            self.state.enter(TlsState::Shutdown);
        }
    }

    fn close(&mut self) {
        if self.state == TlsState::Wrapped {
            self.state.enter(TlsState::Flushing);
        }
    }

    fn end_of_stream(&mut self) -> Result<(), TlsError> {
        self.at_end = true;
        self.state.enter(TlsState::Unwrapped);
        Ok(())
    }

    fn at_end(&self) -> bool {
        self.at_end
    }

    fn resumed(&self) -> Option<bool> {
        None
    }

    fn protocol(&self) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_until_closed() {
        let mut engine = PlainEngine::new();
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        engine.send(b"ask").expect("open");
        engine.receive(b"answer", &mut plaintext).expect("open");
        engine.output(&mut out);
        assert_eq!((&out[..], &plaintext[..]), (&b"ask"[..], &b"answer"[..]));

        engine.close();
        assert_eq!(engine.state(), TlsState::Flushing);
        assert_eq!(engine.send(b"more"), Err(TlsError::Closed));
        engine.receive(b"late", &mut plaintext).expect("ignored");
        engine.output(&mut out);
        assert_eq!(engine.state(), TlsState::Shutdown);
        assert_eq!((out.len(), plaintext.len()), (3, 6));
        assert!(!engine.at_end());
        assert_eq!(engine.end_of_stream(), Ok(()));
        assert!(engine.at_end());
        assert_eq!(engine.receive(b"x", &mut plaintext), Err(TlsError::Closed));
    }
}
