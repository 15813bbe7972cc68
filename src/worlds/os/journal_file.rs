//! The journal's file: appended to, opened anew by its name, and put aside when it is large.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::disk::create_beside;
use crate::net::{private_file, real_path, rotated};

/// Linux: open(2). A journal on a pipe must not hold up the thread's end when nobody reads.
const O_NONBLOCK: i32 = 0o4000;

/// An open journal.
pub struct JournalFile {
    path: PathBuf,
    file: File,
    size: u64,
    /// It becomes FILE.1 before it is larger; 0: never.
    max: u64,
    /// The same for this file: more, if it could not be put aside; 0 if it is no regular one.
    limit: u64,
    /// The last line has no end yet.
    mid_line: bool,
}

impl JournalFile {
    /// Opens it at its end. What is no regular file stays what it is.
    ///
    /// # Errors
    /// As the system says.
    pub fn open(path: &Path, max: u64) -> io::Result<JournalFile> {
        let (file, size) = open(path)?;
        Ok(JournalFile {
            path: path.to_path_buf(),
            file,
            size: size.unwrap_or(0),
            max,
            limit: size.map_or(0, |_| max),
            mid_line: false,
        })
    }

    /// Opens it anew by its name.
    ///
    /// # Errors
    /// As the system says; the old file stays in use.
    pub fn reopen(&mut self) -> io::Result<()> {
        let (file, size) = open(&self.path)?;
        (self.file, self.size) = (file, size.unwrap_or(0));
        self.limit = size.map_or(0, |_| self.max);
        Ok(())
    }

    /// Writes some of these lines; how many bytes.
    ///
    /// # Errors
    /// As the system says.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut fitting = self.fitting(lines);
        if fitting == 0 {
            if let Err(error) = self.rotate() {
                // It grows on, and is tried again when it is larger by as much.
                eprintln!("herd: {}: {error}; it goes on", self.path.display());
                self.limit = self.limit.saturating_add(self.size);
            }
            fitting = self.fitting(lines);
        }
        let count = self.file.write(&lines[..fitting])?;
        self.size += count as u64;
        if let Some(last) = lines[..count].last() {
            self.mid_line = *last != b'\n';
        }
        Ok(count)
    }

    /// How many bytes of these lines belong into this file: whole lines, and at least the rest of one
    /// that has begun. An empty file takes any line.
    fn fitting(&self, lines: &[u8]) -> usize {
        let left = usize::try_from(self.limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if self.limit == 0 || lines.len() <= left {
            return lines.len();
        }
        let end = |end: usize| end + 1;
        let whole = lines[..left]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map(end);
        match whole {
            None if self.mid_line || self.size == 0 => {
                let line = lines.iter().position(|&byte| byte == b'\n').map(end);
                line.unwrap_or(lines.len())
            }
            whole => whole.unwrap_or(0),
        }
    }

    /// The file becomes FILE.1, in place of an older one, and a new one begins. That one is made first: if
    /// it cannot be had (no descriptor is left, say), the old one stays where it is looked for.
    fn rotate(&mut self) -> io::Result<()> {
        let path = real_path(&self.path)?;
        let (file, beside) = create_beside(&path, OpenOptions::new().append(true))?;
        let renamed = fs::rename(&path, rotated(&path)).and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = renamed {
            let _ = fs::remove_file(beside);
            return Err(error);
        }
        (self.file, self.size, self.limit) = (file, 0, self.max);
        Ok(())
    }
}

/// The file, and its size if it is a regular one.
fn open(path: &Path) -> io::Result<(File, Option<u64>)> {
    let file = private_file()
        .append(true)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    let facts = file.metadata()?;
    let size = facts.is_file().then_some(facts.len());
    Ok((file, size))
}
