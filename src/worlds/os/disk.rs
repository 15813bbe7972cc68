//! The system's disk, for a file that is replaced whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::net::{check_regular, real_path, with_ending};
use crate::worlds::disk::Disk;

/// What the name of a file that is written beside ends with.
const UNFINISHED: &str = ".new";

/// Copies of a file that are kept aside.
const ASIDE_MAX: usize = 9;

/// A file beside the one that counts.
pub struct Beside {
    file: File,
    path: PathBuf,
}

/// The folder of a file, links followed.
pub struct OsDisk {
    path: PathBuf,
}

impl OsDisk {
    /// Where the file stands that has this name.
    ///
    /// # Errors
    /// Its folder cannot be found, or it is no regular file.
    pub fn new(path: &Path) -> io::Result<OsDisk> {
        let path = real_path(path)?;
        check_regular(&path)?;
        Ok(OsDisk { path })
    }
}

impl Disk for OsDisk {
    type File = Beside;

    fn create(&mut self) -> io::Result<Beside> {
        let (file, path) = create_beside(&self.path, OpenOptions::new().write(true))?;
        Ok(Beside { file, path })
    }

    fn append(&mut self, beside: &mut Beside, bytes: &[u8]) -> io::Result<()> {
        beside.file.write_all(bytes)
    }

    fn sync(&mut self, beside: &mut Beside) -> io::Result<()> {
        beside.file.sync_all()
    }

    fn put(&mut self, beside: &Beside) -> io::Result<()> {
        fs::rename(&beside.path, &self.path)
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    }

    fn remove(&mut self, beside: Beside) {
        // What cannot be removed is removed at the next start.
        let _ = fs::remove_file(beside.path);
    }
}

/// A new file that is to take the place of the one at `path`, and where it is until then: under a name
/// that nobody could know, since whoever may write in this folder can have put a link there.
///
/// # Errors
/// As the system says.
pub fn create_beside(path: &Path, options: &mut OpenOptions) -> io::Result<(File, PathBuf)> {
    let chance = RandomState::new().hash_one(0);
    let beside = with_ending(path, &format!(".{chance:016x}{UNFINISHED}"));
    let file = options.create_new(true).mode(0o600).open(&beside)?;
    match keep_rights(path, &file) {
        Ok(()) => Ok((file, beside)),
        Err(error) => {
            let _ = fs::remove_file(beside);
            Err(error)
        }
    }
}

/// Gives a new file the mode and the owner of the one in whose place it goes. Who may not give it
/// away lets nobody else read it.
fn keep_rights(path: &Path, file: &File) -> io::Result<()> {
    let old = match fs::metadata(path) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let new = file.metadata()?;
    let mut mode = old.mode() & 0o777;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
    {
        mode &= 0o700;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// Takes away what runs that were killed have left unfinished. Not before we listen: a second server
/// started by mistake must leave the first its own.
pub fn remove_unfinished(path: &Path) {
    // Mostly there is nothing, and what cannot be looked at stays.
    let Ok(path) = real_path(path) else {
        return;
    };
    let entries = path.parent().map(fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        if is_unfinished(&entry.path(), &path) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// True for a name that [`create_beside`] gives.
fn is_unfinished(name: &Path, path: &Path) -> bool {
    let bytes = |path: &'_ Path| path.as_os_str().as_encoded_bytes().to_vec();
    let (name, path) = (bytes(name), bytes(path));
    let middle = name
        .strip_prefix(path.as_slice())
        .and_then(|rest| rest.strip_prefix(b"."))
        .and_then(|rest| rest.strip_suffix(UNFINISHED.as_bytes()));
    middle.is_some_and(|middle| middle.len() == 16 && middle.iter().all(u8::is_ascii_hexdigit))
}

/// Copies a file aside, before something less takes its place: the copy, as `FILE.before`, or as
/// `FILE.before.2` if that is another.
///
/// # Errors
/// As the system says; or there are too many copies.
pub fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    let path = real_path(path)?;
    let bytes = fs::read(&path)?;
    for number in 1..=ASIDE_MAX {
        let aside = match number {
            1 => with_ending(&path, ".before"),
            number => with_ending(&path, &format!(".before.{number}")),
        };
        let mut options = OpenOptions::new();
        match options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)
        {
            Ok(mut file) => {
                keep_rights(&path, &file)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                return Ok(aside);
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            // A start before this one has copied the same.
            Err(_) if check_regular(&aside).is_ok() && fs::read(&aside)? == bytes => {
                return Ok(aside);
            }
            Err(_) => {}
        }
    }
    let path = path.display();
    Err(io::Error::other(format!(
        "{path}.before to {path}.before.{ASIDE_MAX} are there already"
    )))
}
