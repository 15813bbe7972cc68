//! Words for the terminal.

use std::io::Write;

/// Prints text that nothing depends on: a stream that is closed or full is no reason to stop.
pub fn say(stream: &mut impl Write, text: &str) {
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}
