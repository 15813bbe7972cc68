//! A file that is replaced whole: at every moment, also when the power fails, one whole file stands
//! under its name. The steps are here; the disk that takes them is the system's or a simulated one.

use std::io;

/// The disk is waited for after so many bytes: a piece that is taken is progress of the disk, not of
/// the system's memory, and the last sync is a short one.
const SYNC_EVERY: u64 = 4 * 1024 * 1024;

/// Where one file stands under its name, and others are written beside it.
pub trait Disk {
    /// A file that is written beside.
    type File;

    /// A new file, which nobody else has.
    ///
    /// # Errors
    /// As the system says; so do the others.
    fn create(&mut self) -> io::Result<Self::File>;

    /// Appends all of the bytes.
    ///
    /// # Errors
    /// No room, among others.
    fn append(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

    /// Comes back once the file's bytes survive a failure of the power.
    ///
    /// # Errors
    /// They may not.
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;

    /// Gives the file the name, in place of the one that has it.
    ///
    /// # Errors
    /// The other one still has it.
    fn put(&mut self, file: &Self::File) -> io::Result<()>;

    /// Comes back once the names survive a failure of the power.
    ///
    /// # Errors
    /// They may not.
    fn sync_folder(&mut self) -> io::Result<()>;

    /// Takes a file away that did not get the name.
    fn remove(&mut self, file: Self::File);
}

/// A file on its way.
pub struct Replacement<F> {
    file: F,
    length: u64,
}

impl<F> Replacement<F> {
    /// Begins one.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn begin(disk: &mut impl Disk<File = F>) -> io::Result<Replacement<F>> {
        let file = disk.create()?;
        Ok(Replacement { file, length: 0 })
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// As [`Disk::append`] and [`Disk::sync`]; then it is to be abandoned.
    pub fn append(&mut self, disk: &mut impl Disk<File = F>, bytes: &[u8]) -> io::Result<()> {
        disk.append(&mut self.file, bytes)?;
        let before = self.length / SYNC_EVERY;
        self.length += bytes.len() as u64;
        match self.length / SYNC_EVERY > before {
            true => disk.sync(&mut self.file),
            false => Ok(()),
        }
    }

    /// All was appended: it takes the name, if it is still `wanted` then. How long it is.
    ///
    /// # Errors
    /// As the disk says, and it is gone; only if the folder's sync failed, it has the name.
    pub fn finish(
        mut self,
        disk: &mut impl Disk<File = F>,
        wanted: impl FnOnce() -> bool,
    ) -> io::Result<u64> {
        let mut put = disk.sync(&mut self.file);
        if put.is_ok() {
            put = match wanted() {
                true => disk.put(&self.file),
                false => Err(io::Error::other("nobody waits for it any more")),
            };
        }
        if let Err(error) = put {
            self.abandon(disk);
            return Err(error);
        }
        disk.sync_folder()?;
        Ok(self.length)
    }

    /// Takes it away.
    pub fn abandon(self, disk: &mut impl Disk<File = F>) {
        disk.remove(self.file);
    }
}
