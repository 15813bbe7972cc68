//! Writes Chrome trace events, which Perfetto and chrome://tracing open.
//!
//! One process is one server, and one track of it the event loop: turns, within them the poll, the
//! callbacks and the finish. Times are wall-clock microseconds, so that the files of one herd can be
//! laid side by side. The form is the JSON array whose closing bracket may be missing: a server that
//! is killed leaves a file that opens.

use std::io::{self, Write};
use std::time::Duration;

use crate::herd::write_padded;

/// Bytes of trace that wait to be written.
pub const TRACE_BUFFER_MAX: usize = 64 * 1024;

/// A trace that is being written. If writing fails it ends, and the server goes on.
pub struct Trace {
    out: Option<Box<dyn Write>>,
    buffer: Vec<u8>,
    error: Option<io::Error>,
    /// What stands in each event between its name and its time.
    process: String,
    epoch: Duration,
}

/// A value of an event's arguments.
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    /// A number.
    Number(u64),
    /// Text of any bytes.
    Text(&'a [u8]),
}

/// A flow's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// It leaves here.
    Start,
    /// It arrives here.
    Finish,
}

impl Trace {
    /// Begins a trace of the server `name`, a process with the number `process`; `epoch` is the
    /// Unix time at which its loop was born.
    pub fn new(out: Box<dyn Write>, name: &str, process: u32, epoch: Duration) -> Trace {
        let mut trace = Trace {
            out: Some(out),
            buffer: vec![b'[', b'\n'],
            error: None,
            process: format!(",\"pid\":{process},\"tid\":1,\"ts\":"),
            epoch,
        };
        for (what, value) in [("process_name", name), ("thread_name", "event loop")] {
            trace.open("M", what, Duration::ZERO);
            trace.close(&[("name", Argument::Text(value.as_bytes()))]);
        }
        trace
    }

    /// Something that took time.
    pub fn slice(
        &mut self,
        name: &str,
        began: Duration,
        took: Duration,
        arguments: &[(&str, Argument<'_>)],
    ) {
        self.open("X", name, began);
        self.push(",\"cat\":\"loop\",\"dur\":");
        self.micros(took);
        self.close(arguments);
    }

    /// One end of an arrow between two slices: it binds to the slice that encloses `at`.
    pub fn flow(&mut self, end: FlowEnd, id: u64, name: &str, at: Duration) {
        self.open(if end == FlowEnd::Start { "s" } else { "f" }, name, at);
        self.push(&format!(
            ",\"cat\":\"flood\",\"bp\":\"e\",\"id\":\"{id:#x}\""
        ));
        self.close(&[]);
    }

    /// Figures at a time: a track of their own.
    pub fn counters(&mut self, name: &str, at: Duration, figures: &[(&str, u64)]) {
        self.open("C", name, at);
        let figures: Vec<_> = figures
            .iter()
            .map(|(name, figure)| (*name, Argument::Number(*figure)))
            .collect();
        self.close(&figures);
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        let Some(out) = &mut self.out else {
            return self.buffer.clear();
        };
        let written = out.write_all(&self.buffer).and_then(|()| out.flush());
        self.buffer.clear();
        if let Err(error) = written {
            self.out = None;
            self.error = Some(error);
        }
    }

    /// Why the trace ended before the server did. Told once.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    fn open(&mut self, phase: &str, name: &str, at: Duration) {
        self.push("{\"ph\":\"");
        self.push(phase);
        self.push("\",\"name\":");
        self.text(name.as_bytes());
        self.buffer.extend_from_slice(self.process.as_bytes());
        let at = if phase == "M" { at } else { self.epoch + at };
        self.micros(at);
    }

    fn close(&mut self, arguments: &[(&str, Argument<'_>)]) {
        self.push(",\"args\":{");
        for (position, (name, value)) in arguments.iter().enumerate() {
            self.push(if position == 0 { "\"" } else { ",\"" });
            self.push(name);
            self.push("\":");
            match value {
                Argument::Number(number) => self.number(*number),
                Argument::Text(text) => self.text(text),
            }
        }
        self.push("}},\n");
        if self.buffer.len() > TRACE_BUFFER_MAX {
            self.flush();
        }
    }

    fn push(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Microseconds with three decimals.
    fn micros(&mut self, time: Duration) {
        self.number(time.as_micros() as u64);
        self.buffer.push(b'.');
        write_padded(&mut self.buffer, u64::from(time.subsec_nanos() % 1000), 3);
    }

    fn number(&mut self, number: u64) {
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        write_padded(&mut self.buffer, number, digits);
    }

    /// A JSON string of any bytes: what is not plain ASCII is escaped, byte by byte.
    fn text(&mut self, bytes: &[u8]) {
        self.buffer.push(b'"');
        let plain = |byte: &u8| (0x20..0x7f).contains(byte) && !matches!(byte, b'"' | b'\\');
        // Nearly all text is plain throughout.
        if bytes.iter().all(plain) {
            self.buffer.extend_from_slice(bytes);
            return self.buffer.push(b'"');
        }
        for &byte in bytes {
            match byte {
                b'"' | b'\\' => self.buffer.extend([b'\\', byte]),
                0x20..0x7f => self.buffer.push(byte),
                _ => {
                    // Writing to a Vec cannot fail.
                    let _ = write!(self.buffer, "\\u{byte:04x}");
                }
            }
        }
        self.buffer.push(b'"');
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.flush();
    }
}
