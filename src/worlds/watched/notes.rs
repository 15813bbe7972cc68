//! What is noted of each call that crosses the waist.

use crate::event_loop::Token;
use crate::worlds::recording::{Encoder, Question, Recorder};
use crate::worlds::tap::{Tap, Way};

/// Notes what crosses the waist.
pub(super) struct Notes {
    pub(super) recorder: Option<Recorder>,
    pub(super) tap: Option<Tap>,
}

impl Notes {
    pub(super) fn record(&mut self, question: Question, put: impl FnOnce(&mut Encoder)) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(question, put);
        }
    }

    pub(super) fn exchange(&mut self, token: Token, way: Way, length: usize, bytes: &[u8]) {
        if let Some(tap) = &mut self.tap {
            tap.note(token, way, length, bytes);
        }
    }
}
