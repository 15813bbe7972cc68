//! An engine of TLS, watched: its plaintext is kept, the key of Places masked.

use std::cell::RefCell;
use std::rc::Rc;

use super::notes::Notes;
use crate::event_loop::Token;
use crate::net::{TlsEngine, TlsError, TlsState};
use crate::worlds::recording::{Encoder, Kind, Mask, Question};
use crate::worlds::tap::Way;

/// An engine of the other world.
pub struct WatchedTls<T> {
    pub(super) inner: T,
    pub(super) token: Token,
    pub(super) notes: Rc<RefCell<Notes>>,
    pub(super) mask: Mask,
}

impl<T: TlsEngine> WatchedTls<T> {
    fn record(&self, question: Question, put: impl FnOnce(&mut Encoder)) {
        self.notes.borrow_mut().record(question, |out| {
            put(out);
            facts(&self.inner, out);
        });
    }
}

impl<T: TlsEngine> TlsEngine for WatchedTls<T> {
    fn state(&self) -> TlsState {
        self.inner.state()
    }

    fn receive(&mut self, ciphertext: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsError> {
        let before = plaintext.len();
        let answer = self.inner.receive(ciphertext, plaintext);
        let mut masked = plaintext[before..].to_vec();
        self.mask.apply(&mut masked);
        let question = Question::sized(Kind::Receive, self.token, ciphertext.len());
        self.record(question, |out| {
            out.bytes(&masked);
            out.tls_result(&answer);
        });
        if !masked.is_empty() {
            let mut notes = self.notes.borrow_mut();
            notes.exchange(self.token, Way::Decrypted, masked.len(), &masked);
        }
        answer
    }

    fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsError> {
        let answer = self.inner.send(plaintext);
        self.record(Question::about(Kind::Send, self.token), |out| {
            out.tls_result(&answer)
        });
        answer
    }

    fn output(&mut self, out: &mut Vec<u8>) {
        let before = out.len();
        self.inner.output(out);
        let count = out.len() - before;
        self.record(Question::about(Kind::Output, self.token), |out| {
            out.number(count as u64)
        });
    }

    fn close(&mut self) {
        self.inner.close();
        self.record(Question::about(Kind::CloseTls, self.token), |_| ());
    }

    fn end_of_stream(&mut self) -> Result<(), TlsError> {
        let answer = self.inner.end_of_stream();
        let question = Question::about(Kind::EndOfStream, self.token);
        self.record(question, |out| out.tls_result(&answer));
        answer
    }

    fn at_end(&self) -> bool {
        self.inner.at_end()
    }

    fn resumed(&self) -> Option<bool> {
        self.inner.resumed()
    }

    fn protocol(&self) -> Option<&'static str> {
        self.inner.protocol()
    }
}

/// What an engine looks like.
pub(super) fn facts(engine: &impl TlsEngine, out: &mut Encoder) {
    let protocol = engine.protocol().unwrap_or_default();
    out.facts(engine.state(), engine.at_end(), engine.resumed(), protocol);
}
