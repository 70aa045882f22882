//! A storage backend that keeps the file from taking more of the disk while the disk is short of room.
//!
//! redb reuses the pages it has freed before it asks for more. While growth is off it may go on doing so, but a change
//! that needs new disk space fails as it would on a full disk: one that makes the file longer, and one that writes into
//! a hole of a sparse file. redb makes the file longer ahead of its needs, so the length alone says nothing.

use std::{
    fs::File,
    io,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, StorageBackend};
use rustix::fs::{SeekFrom, seek};

/// Whether the file may take more of the disk. Clones share the switch.
#[derive(Debug, Clone)]
pub(super) struct Growth(Arc<AtomicBool>);

impl Growth {
    /// On.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(super) fn allow(&self, allowed: bool) {
        self.0.store(allowed, Ordering::Relaxed);
    }

    fn is_allowed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A backend whose growth can be switched off.
#[derive(Debug)]
pub(super) struct Bounded<B> {
    inner: B,
    growth: Growth,
    /// The same file once more, to find holes in it; `None` where the backend is no file.
    file: Option<File>,
}

impl<B: StorageBackend> Bounded<B> {
    pub(super) fn new(inner: B, growth: Growth, file: Option<File>) -> Self {
        Self { inner, growth, file }
    }

    /// Whether a part of the file has no disk space yet. A file system that cannot tell says that all has.
    fn is_hole(&self, offset: u64, len: usize) -> bool {
        let Some(file) = &self.file else { return false };
        seek(file, SeekFrom::Hole(offset)).is_ok_and(|hole| hole < offset + len as u64)
    }
}

fn no_room() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "less than free_bytes_min is free, and the file has no free page left")
}

impl<B: StorageBackend> StorageBackend for Bounded<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !self.growth.is_allowed() && len > self.inner.len()? {
            return Err(no_room());
        }
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.growth.is_allowed() && self.is_hole(offset, data.len()) {
            return Err(no_room());
        }
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use redb::backends::FileBackend;

    use super::*;

    #[test]
    fn a_file_that_may_not_grow_takes_no_more_of_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::options().read(true).write(true).create_new(true).open(folder.path().join("f")).unwrap();
        let (growth, same) = (Growth::new(), file.try_clone().unwrap());
        let backend = Bounded::new(FileBackend::new(file).unwrap(), growth.clone(), Some(same));
        let page = [7; 65_536];
        backend.set_len(1 << 22).unwrap();
        backend.write(0, &page).unwrap();
        backend.sync_data().unwrap();
        let blocks = || std::fs::metadata(folder.path().join("f")).unwrap().blocks();
        let before = blocks();

        growth.allow(false);
        backend.write(0, &page).unwrap();
        for refused in [backend.write(1 << 21, &page), backend.set_len(1 << 23)] {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        backend.set_len(1 << 21).unwrap();
        backend.sync_data().unwrap();
        assert_eq!((blocks(), backend.len().unwrap()), (before, 1 << 21));

        growth.allow(true);
        backend.set_len(1 << 23).unwrap();
        backend.write(1 << 22, &page).unwrap();
        backend.sync_data().unwrap();
        assert!(blocks() > before);
    }
}
