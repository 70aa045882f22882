//! A database's file: found or made, and opened.
//!
//! It must not know what is in it. Invariant: a file under its name is a whole database, however its making ended.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use redb::{Builder, Database, backends::FileBackend};

use super::error::Error;

/// Makes sure that the file at `path` is there, with its folder. `make` writes a new one at the path that it is given.
///
/// Fails with [`Error::Damaged`] where the file is empty.
pub(super) fn ensure(path: &Path, make: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    match fs::metadata(path) {
        // The database would make a new store of it, and all that was acknowledged would be gone without a word.
        Ok(file) if file.len() == 0 => Err(Error::Damaged(format!("{} is empty, it was cut off", path.display()))),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_new(path, make)?;
            // A power cut takes a new file's name, and all that was acknowledged with it, unless its folder is synced.
            if cfg!(unix) {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a new file under another name first: one whose making was cut short could never be opened again.
fn make_new(path: &Path, make: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
    let unfinished = path.with_added_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    make(&unfinished)?;
    // Unlike a rename, a link cannot replace a store that another process has made meanwhile and already writes to.
    match fs::hard_link(&unfinished, path) {
        Ok(()) => Ok(fs::remove_file(&unfinished)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(fs::remove_file(&unfinished)?),
        // The file system has no links.
        Err(_) => Ok(fs::rename(&unfinished, path)?),
    }
}

/// The file as a database's backend, and once more to look at.
pub(super) fn backend(path: &Path) -> Result<(FileBackend, Option<File>), Error> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let same = file.try_clone()?;
    Ok((FileBackend::new(file)?, Some(same)))
}

/// Opens databases. One that is `checked` is compared with its checksums as a whole.
pub(super) fn builder(cache_bytes_max: usize, checked: bool) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes_max).set_check_integrity_on_open(checked);
    builder
}
