//! Words for the terminal.

use std::io::{self, Write};

/// Prints text that nothing depends on: a stream that is closed or full is no reason to stop.
pub fn say(stream: &mut impl Write, text: &str) {
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}

/// Prints what was asked for.
///
/// # Errors
/// In words: why it is not printed.
pub fn print(text: &str) -> Result<(), String> {
    let mut output = io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| format!("standard output: {error}"))
}
