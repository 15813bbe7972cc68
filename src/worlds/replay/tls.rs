//! An engine of TLS that says what it said.

use std::cell::RefCell;
use std::rc::Rc;

use crate::event_loop::Token;
use crate::net::{TlsEngine, TlsError, TlsState};
use crate::worlds::recording::{Decoder, Kind, Question, Tape};

/// An engine that says what it said.
pub struct ReplayTls {
    pub(super) tape: Rc<RefCell<Tape>>,
    pub(super) token: Token,
    pub(super) facts: Facts,
}

/// What an engine looks like.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    state: TlsState,
    at_end: bool,
    resumed: Option<bool>,
    protocol: Option<&'static str>,
}

impl Facts {
    pub(super) fn take(from: &mut Decoder<'_>) -> Option<Facts> {
        let (state, at_end, resumed, protocol) = from.facts()?;
        let protocol = ["TLSv1.2", "TLSv1.3"]
            .into_iter()
            .find(|&known| known == protocol);
        Some(Facts {
            state,
            at_end,
            resumed,
            protocol,
        })
    }
}

impl ReplayTls {
    fn ask<T>(
        &mut self,
        question: Question,
        take: impl FnOnce(&mut Decoder<'_>) -> Option<T>,
    ) -> Option<T> {
        let answer = self.tape.borrow_mut().ask(question, |from| {
            let answer = take(from)?;
            Some((answer, Facts::take(from)?))
        });
        let (answer, facts) = answer?;
        self.facts = facts;
        Some(answer)
    }
}

impl TlsEngine for ReplayTls {
    fn state(&self) -> TlsState {
        self.facts.state
    }

    fn receive(&mut self, ciphertext: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsError> {
        let question = Question::sized(Kind::Receive, self.token, ciphertext.len());
        self.ask(question, |from| {
            plaintext.extend_from_slice(from.bytes()?);
            from.tls_result()
        })
        .unwrap_or(Err(TlsError::Closed))
    }

    fn send(&mut self, _: &[u8]) -> Result<(), TlsError> {
        self.ask(Question::about(Kind::Send, self.token), |from| {
            from.tls_result()
        })
        .unwrap_or(Err(TlsError::Closed))
    }

    fn output(&mut self, out: &mut Vec<u8>) {
        let count = self.ask(Question::about(Kind::Output, self.token), |from| {
            from.number()
        });
        let count = count.and_then(|count| usize::try_from(count).ok());
        // More than an engine ever has at once can only be a damaged recording.
        let count = count.unwrap_or_default().min(OUTPUT_MAX);
        out.resize(out.len() + count, 0);
    }

    fn close(&mut self) {
        self.ask(Question::about(Kind::CloseTls, self.token), |_| Some(()));
    }

    fn end_of_stream(&mut self) -> Result<(), TlsError> {
        let question = Question::about(Kind::EndOfStream, self.token);
        self.ask(question, |from| from.tls_result())
            .unwrap_or(Err(TlsError::Closed))
    }

    fn at_end(&self) -> bool {
        self.facts.at_end
    }

    fn resumed(&self) -> Option<bool> {
        self.facts.resumed
    }

    fn protocol(&self) -> Option<&'static str> {
        self.facts.protocol
    }
}

/// Ciphertext that an engine gives out at once, at most.
const OUTPUT_MAX: usize = 16 << 20;
