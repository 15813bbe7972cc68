//! Standard input, for the threads that wait for it.

use std::io::{self, BufRead, ErrorKind, Read};
use std::thread;
use std::time::Duration;

/// How long we look away from input that has nothing and does not wait.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Standard input that waits for what there is to read. Whoever started us may have left it
/// non-blocking, and it is shared with others who may make it so at any time: that is no end.
pub struct Input(io::StdinLock<'static>);

impl Input {
    /// Locks it, for as long as this lives.
    pub fn new() -> Input {
        Input(io::stdin().lock())
    }

    /// What there is to read; nothing at the end, or when nothing can be read any more.
    fn wait(&mut self) -> &[u8] {
        loop {
            match self.0.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOOK_AGAIN),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return &[],
            }
        }
        // What is there already is not read again.
        self.0.fill_buf().unwrap_or_default()
    }
}

impl Default for Input {
    fn default() -> Input {
        Input::new()
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.wait().read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.wait())
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}
