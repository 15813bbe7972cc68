//! Files that the command line names: what is written must not be what something else writes or reads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use herd::net::real_path;

/// A file that an option names.
pub struct Named {
    option: &'static str,
    path: PathBuf,
    written: bool,
}

impl Named {
    /// A file that is written.
    pub fn written(option: &'static str, path: PathBuf) -> Named {
        let written = true;
        Named {
            option,
            path,
            written,
        }
    }

    /// True if it is written.
    pub fn is_written(&self) -> bool {
        self.written
    }

    /// A file that is read.
    pub fn read(option: &'static str, path: PathBuf) -> Named {
        let written = false;
        Named {
            option,
            path,
            written,
        }
    }
}

/// What makes two names one file: who it is if it is there, else where it would be.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Whereabouts {
    There(u64, u64),
    Absent(PathBuf),
}

/// `None`: a terminal, a pipe or a device, which loses nothing to a second writer.
fn whereabouts(path: &Path) -> Option<Whereabouts> {
    match fs::metadata(path) {
        Ok(facts) => facts
            .is_file()
            .then(|| Whereabouts::There(facts.dev(), facts.ino())),
        // A folder that is not there is said by whoever opens the file.
        Err(_) => {
            let path = real_path(path).unwrap_or_else(|_| path.to_path_buf());
            Some(Whereabouts::Absent(path))
        }
    }
}

/// Looks whether each file that is written has a name of its own.
///
/// # Errors
/// The two options, and the file.
pub fn distinct(files: impl IntoIterator<Item = Named>) -> Result<(), String> {
    let mut known = BTreeMap::new();
    for named in files {
        let Some(whereabouts) = whereabouts(&named.path) else {
            continue;
        };
        match known.entry(whereabouts) {
            Entry::Vacant(place) => drop(place.insert((named.option, named.written))),
            Entry::Occupied(place) => {
                let (first, written) = *place.get();
                if written || named.written {
                    let (option, path) = (named.option, named.path.display());
                    return Err(format!("--{option} {path}: that is the file of --{first}"));
                }
            }
        }
    }
    Ok(())
}
