//! Writes a recording.

use std::io::{self, Write};

use super::blocks::Blocks;
use super::codec::Encoder;
use super::format::MAGIC;
use super::question::{Kind, Question};

/// Bytes of recording that wait to be written; then they are, in the middle of a turn.
pub const RECORD_BUFFER_MAX: usize = 256 * 1024;

/// Writes what crosses the waist to a file. If that fails, the recording ends and the server goes
/// on.
pub struct Recorder {
    encoder: Encoder,
    blocks: Blocks,
    /// What goes to the file next.
    file: Vec<u8>,
    out: Option<Box<dyn Write>>,
    error: Option<io::Error>,
    /// Something was written.
    begun: bool,
    callbacks: u64,
    order: u64,
}

impl Recorder {
    /// Begins a recording with `header`, one line of JSON.
    pub fn new(out: Box<dyn Write>, header: &str) -> Recorder {
        let file = format!("{MAGIC}\n{header}\n").into_bytes();
        Recorder {
            encoder: Encoder::default(),
            blocks: Blocks::new(&file),
            file,
            out: Some(out),
            error: None,
            begun: false,
            callbacks: 0,
            order: 0,
        }
    }

    /// Writes one record: a question, and the answer as `put` writes it.
    pub fn record(&mut self, question: Question, put: impl FnOnce(&mut Encoder)) {
        if self.out.is_none() {
            return;
        }
        question.put(&mut self.encoder);
        put(&mut self.encoder);
        if self.encoder.bytes.len() > RECORD_BUFFER_MAX {
            self.flush();
        }
    }

    /// A callback begins.
    pub fn begin(&mut self, callback: u32) {
        self.callbacks += 1;
        self.order = super::tape::order(self.order, callback);
        self.record(Question::with(Kind::Begin, callback.into(), 0), |_| ());
    }

    /// How many callbacks began, and a hash of which in which order.
    pub fn order(&self) -> (u64, u64) {
        (self.callbacks, self.order)
    }

    /// Writes what waits: before the loop sleeps, so that a server that is killed leaves all of its
    /// recording.
    pub fn flush(&mut self) {
        let Some(out) = &mut self.out else {
            return;
        };
        self.begun = true;
        self.blocks.put(&self.encoder.bytes, &mut self.file);
        self.encoder.bytes.clear();
        let written = out.write_all(&self.file);
        self.file.clear();
        if let Err(error) = written {
            self.out = None;
            self.error = Some(error);
        }
    }

    /// Why the recording ended before the server did. Told once.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// The server stopped in good order.
    pub fn finish(&mut self) {
        let (callbacks, order) = self.order();
        self.record(Question::new(Kind::End), |out| {
            out.number(callbacks);
            out.number(order);
        });
        self.flush();
        self.out = None;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // A server that could not even start leaves what stood in the file before.
        if self.begun {
            self.flush();
        }
    }
}
