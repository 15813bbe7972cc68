//! Files that are named on the command line: a pipe or a device in their place would hold up whoever
//! opens, reads or writes it, and with it the whole server; and what we write holds where phones are.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

/// How a file is opened for writing: made if there is none, and then for its owner alone. One that is
/// there keeps its mode and its owner.
pub fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// How many links may lie between a name and its file.
const LINKS_MAX: usize = 40;

/// The file behind a name, links followed, whether it is there or not.
///
/// # Errors
/// Its folder cannot be found, or links run in a circle.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS_MAX {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")))?;
        let name = path.file_name();
        let name = name.ok_or_else(|| io::Error::other("expected the name of a file"))?;
        let whole = folder.join(name);
        match fs::read_link(&whole) {
            Ok(to) => path = folder.join(to),
            Err(_) => return Ok(whole),
        }
    }
    Err(io::Error::other("its links run in a circle"))
}

/// What a journal becomes that has reached its size.
pub fn rotated(path: &Path) -> PathBuf {
    with_ending(path, ".1")
}

/// The file beside another whose name is that one's and this.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    PathBuf::from(name)
}
