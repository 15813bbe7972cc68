//! A disk for each server: three are small and can be filled, two can be frozen.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::super::frozen_disk;
pub use super::super::frozen_disk::{run, text};

/// Where the disks that can be frozen are mounted.
static FREEZABLE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Thaws every disk, frozen or not.
pub fn thaw_all() {
    for disk in FREEZABLE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
    {
        let _ = run("fsfreeze", &["--unfreeze", text(disk)]);
    }
}

/// One disk. It is thawed when it goes; its mount goes with the enclosure.
pub enum Disk {
    /// A tmpfs of 1 MiB.
    Small(PathBuf),
    /// An ext4.
    Freezable(frozen_disk::Disk),
}

impl Disk {
    /// Mounts one in a fresh folder.
    pub fn small(folder: &Path) -> Disk {
        let disk = folder.join("disk");
        fs::create_dir_all(&disk).expect("a folder");
        run(
            "mount",
            &["-t", "tmpfs", "-o", "size=1m", "herd", text(&disk)],
        )
        .expect("a small tmpfs");
        Disk::Small(disk)
    }

    /// The same. `None`: this machine lets us mount none.
    pub fn freezable(folder: &Path) -> Option<Disk> {
        fs::create_dir_all(folder).expect("a folder");
        let disk = frozen_disk::Disk::mount(folder)?;
        let mut all = FREEZABLE.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(disk.path().to_path_buf());
        Some(Disk::Freezable(disk))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Disk::Small(path) => path,
            Disk::Freezable(disk) => disk.path(),
        }
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path().join("ballast")).expect("a file");
        while ballast.write_all(&[0; 4096]).is_ok() {}
        // The last write was short of room for a page, not for a byte.
        while ballast.write_all(&[0]).is_ok() {}
    }

    /// Makes room: the ballast goes, and what the journal has so far. The journal is open for appending,
    /// and begins anew once it is opened again.
    pub fn free(&self) {
        let _ = fs::remove_file(self.path().join("ballast"));
        let _ = File::create(self.path().join("journal"));
    }

    /// Stops it or lets it go on, if it can be frozen.
    pub fn freeze(&self, how: &str) {
        if let Disk::Freezable(disk) = self {
            disk.freeze(how).expect("froze before");
        }
    }
}
