//! Files that are named on the command line: a pipe or a device in their place would hold up whoever
//! opens, reads or writes it, and with it the whole server.

use std::fs;
use std::io;
use std::path::Path;

/// Looks whether the path names a regular file, or nothing yet. Opens nothing.
///
/// # Errors
/// It names something else, or nobody can say.
pub fn check_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(facts) if !facts.is_file() => Err(io::Error::other("expected a regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a regular file.
///
/// # Errors
/// As [`check_regular`]; or as the system says.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    fs::read(path)
}
