//! Standard input and output, for whoever steps.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::inspector::InspectCallback;
use crate::event_loop::Remote;
use crate::net::Input;

/// The longest line that is read from standard input; what is longer is cut.
pub const LINE_MAX: u64 = 8 * 1024;

/// Commands that wait to be obeyed; what comes behind them waits in the pipe.
pub const LINES_MAX: usize = 16;

/// Where the stepper speaks.
pub struct Console {
    out: Box<dyn Write>,
    terminal: bool,
    prompted: bool,
}

impl Console {
    /// Standard output.
    pub fn new() -> Console {
        Console {
            out: Box::new(io::stdout()),
            terminal: io::stdin().is_terminal(),
            prompted: false,
        }
    }

    /// True if somebody types.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says something. If nobody listens any more, that is no reason to stop.
    pub fn say(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
        self.prompted &= text.is_empty();
    }

    /// Asks for a command, once.
    pub fn prompt(&mut self) {
        if !self.prompted {
            self.say("(herd) ");
            self.prompted = true;
        }
    }

    /// Shows a command that nobody typed here, so that a transcript can be read.
    pub fn echo(&mut self, line: &str) {
        if !self.terminal {
            self.prompt();
            self.say(&format!("{line}\n"));
        }
        self.prompted = false;
    }
}

impl Default for Console {
    fn default() -> Console {
        Console::new()
    }
}

/// Starts the thread that reads standard input line by line: a file or a terminal cannot always be
/// polled, and a thread can always wait. For each line that was obeyed, send one `()` back: no more
/// than [`LINES_MAX`] are ever under way.
///
/// # Errors
/// There is no thread to be had.
pub fn read_lines(remote: Remote<InspectCallback>) -> io::Result<SyncSender<()>> {
    let (obeyed, permits) = sync_channel(LINES_MAX);
    for _ in 0..LINES_MAX {
        // It holds as many.
        let _ = obeyed.try_send(());
    }
    let read = move || {
        let mut input = Input::new();
        while permits.recv().is_ok() {
            let mut line = Vec::new();
            let limited = &mut io::Read::take(&mut input, LINE_MAX);
            match limited.read_until(b'\n', &mut line) {
                Ok(count) if count > 0 => {
                    let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                    // A full inbox holds more commands than anybody means to give.
                    if remote
                        .call_soon_threadsafe(InspectCallback::Line(text))
                        .is_err()
                    {
                        break;
                    }
                }
                _ => break,
            }
        }
        let _ = remote.call_soon_threadsafe(InspectCallback::InputEnded);
    };
    std::thread::Builder::new()
        .name(String::from("stdin"))
        .spawn(read)
        .map(|_| obeyed)
}
