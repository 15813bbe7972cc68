//! Writes Chrome trace events, which Perfetto and chrome://tracing open.
//!
//! One process is one server, and one track of it the event loop: turns, within them the poll, the
//! callbacks and the finish. The form is the JSON array, whose closing bracket may be missing: a server
//! that is killed leaves a file that opens.
//!
//! Readers take times as doubles in microseconds, and drop slices that do not nest exactly. So times
//! count from a near origin, the same for all servers of these weeks (the files of one herd can be laid
//! side by side), in eighths of a microsecond: three decimals and a double both hold those exactly, and
//! so does their sum and their number of nanoseconds. A double holds the time since 1970 to 250 ns only.

use std::io::{self, Write};
use std::time::Duration;

use crate::herd::write_padded;

/// Bytes of trace that wait to be written.
pub const TRACE_BUFFER_MAX: usize = 64 * 1024;

/// The unit of times, in nanoseconds.
const TICK: u32 = 125;
/// A time is a multiple of this in microseconds.
const TICKS_A_MICROSECOND: u64 = 8;
/// The origin is a midnight (UTC) once in four weeks: servers that start on the two sides of one do not
/// line up, so it comes seldom. Nanoseconds of ticks are exact for a hundred days.
const ORIGIN_EVERY: u64 = 28 * 24 * 3600;

/// A trace that is being written. If writing fails it ends, and the server goes on.
pub struct Trace {
    out: Option<Box<dyn Write>>,
    buffer: Vec<u8>,
    error: Option<io::Error>,
    /// What stands before the next event.
    separator: &'static str,
    /// What stands in each event between its name and its time.
    process: String,
    /// From the origin to the loop's birth.
    birth: Duration,
    /// The tick from which on the track is free.
    free: u64,
    /// Where the turn began that is under way.
    turn: Option<u64>,
    /// The middle of the last part of a turn.
    middle: u64,
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
    /// Unix time at which its loop was born. A replay has none, zero: its times count from there.
    pub fn new(out: Box<dyn Write>, name: &str, process: u32, epoch: Duration) -> Trace {
        let origin = epoch.as_secs() - epoch.as_secs() % ORIGIN_EVERY;
        let mut trace = Trace {
            out: Some(out),
            buffer: Vec::new(),
            error: None,
            separator: "[\n",
            process: format!(",\"pid\":{process},\"tid\":1,\"ts\":"),
            birth: epoch - Duration::from_secs(origin),
            free: 0,
            turn: None,
            middle: 0,
        };
        let zero = match epoch.is_zero() {
            true => String::from("time 0 is the birth of the loop"),
            false => format!("time 0 is Unix time {origin}"),
        };
        for (what, key, value) in [
            ("process_name", "name", name),
            ("thread_name", "name", "event loop"),
            ("process_labels", "labels", &zero),
        ] {
            trace.open("M", what, 0);
            trace.close(&[(key, Argument::Text(value.as_bytes()))]);
        }
        trace
    }

    /// A turn begins. Its parts begin a tick later: of two slices that begin at once some readers would
    /// take the inner one for the outer.
    pub fn begin_turn(&mut self, at: Duration) {
        let begin = self.ticks(at).max(self.free);
        self.turn = Some(begin);
        self.free = begin + 1;
    }

    /// A part of a turn: it begins when the part before has ended, and takes a tick at least.
    pub fn slice(
        &mut self,
        name: &str,
        began: Duration,
        took: Duration,
        arguments: &[(&str, Argument<'_>)],
    ) {
        let begin = self.ticks(began).max(self.free);
        self.free = self.ticks(began + took).max(begin + 1);
        self.middle = begin.midpoint(self.free);
        self.complete(name, begin, arguments);
    }

    /// The turn ends with its last part.
    pub fn end_turn(&mut self, arguments: &[(&str, Argument<'_>)]) {
        if let Some(begin) = self.turn.take() {
            self.complete("turn", begin, arguments);
        }
    }

    /// One end of an arrow between two slices: it binds to the part of a turn that was written last.
    pub fn flow(&mut self, end: FlowEnd, id: u64, name: &str) {
        let phase = if end == FlowEnd::Start { "s" } else { "f" };
        self.open(phase, name, self.middle);
        self.push(&format!(
            ",\"cat\":\"flood\",\"bp\":\"e\",\"id\":\"{id:#x}\""
        ));
        self.close(&[]);
    }

    /// Figures as of now: a track of their own.
    pub fn counters(&mut self, name: &str, figures: &[(&str, u64)]) {
        self.open("C", name, self.free);
        let figures: Vec<_> = figures
            .iter()
            .map(|(name, figure)| (*name, Argument::Number(*figure)))
            .collect();
        self.close(&figures);
    }

    /// Closes the array and writes what waits: from now on nothing more is written.
    pub fn end(&mut self) {
        self.push("\n]");
        self.flush();
        self.out = None;
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

    fn ticks(&self, at: Duration) -> u64 {
        ((self.birth + at).as_nanos() / u128::from(TICK)) as u64
    }

    /// Something that took from `begin` until now.
    fn complete(&mut self, name: &str, begin: u64, arguments: &[(&str, Argument<'_>)]) {
        self.open("X", name, begin);
        self.push(",\"cat\":\"loop\",\"dur\":");
        self.micros(self.free - begin);
        self.close(arguments);
    }

    fn open(&mut self, phase: &str, name: &str, at: u64) {
        let separator = std::mem::replace(&mut self.separator, ",\n");
        self.push(separator);
        self.push("{\"ph\":\"");
        self.push(phase);
        self.push("\",\"name\":");
        self.text(name.as_bytes());
        self.buffer.extend_from_slice(self.process.as_bytes());
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
        self.push("}}");
        if self.buffer.len() > TRACE_BUFFER_MAX {
            self.flush();
        }
    }

    fn push(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Microseconds with three decimals.
    fn micros(&mut self, ticks: u64) {
        self.number(ticks / TICKS_A_MICROSECOND);
        self.buffer.push(b'.');
        let rest = ticks % TICKS_A_MICROSECOND * u64::from(TICK);
        write_padded(&mut self.buffer, rest, 3);
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
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Rc<RefCell<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Where the slices begin of a loop that was born at `epoch`, one for each Unix time.
    fn begins(epoch: Duration, times: &[Duration]) -> Vec<f64> {
        let memory = Memory::default();
        let mut trace = Trace::new(Box::new(memory.clone()), "Clark", 1, epoch);
        for &time in times {
            trace.slice("it", time - epoch, Duration::from_nanos(1), &[]);
        }
        drop(trace);
        let events: Vec<Value> = serde_json::from_slice(&memory.0.borrow()).expect("JSON");
        let slices = events.iter().filter(|event| event["ph"] == "X");
        let begin = |event: &Value| event["ts"].as_f64().expect("a time");
        slices.map(begin).collect()
    }

    #[test]
    fn servers_of_one_day_share_an_origin_and_midnights_change_nothing() {
        let day = |days: u64| Duration::from_secs(days * 24 * 3600);
        let second = Duration::from_secs(1);
        // Day 20,608 of the Unix time is the first of four weeks.
        let noon = day(20_608 + 3) + day(1) / 2;
        let times = [
            noon,
            day(20_612) - second,
            day(20_612) + second,
            day(20_636),
        ];
        let early = begins(noon - 5 * second, &times);
        let late = begins(noon - Duration::from_nanos(1), &times);
        assert_eq!(early, late);
        let micros = |time: Duration| (time - day(20_608)).as_micros() as f64;
        assert_eq!(early, times.map(micros));
        assert_eq!(begins(day(20_636), &[day(20_636) + second]), [1e6]);
    }

    #[test]
    fn slices_of_no_time_take_a_tick_each_and_do_not_overlap() {
        let epoch = Duration::from_secs(1_796_069_713);
        let begins = begins(epoch, &[epoch + Duration::from_micros(3); 4]);
        let first = begins[0];
        assert_eq!(begins, [0.0, 0.125, 0.25, 0.375].map(|more| first + more));
    }
}
