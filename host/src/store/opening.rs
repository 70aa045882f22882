//! Opening a store: a file, or what stands for one; made where there is none, upgraded where an earlier program wrote it,
//! and mended where it is damaged.
//!
//! Invariant: a store that opens has every table, in today's format, with as many rows as its last commit left.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

#[cfg(test)]
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use super::{
    Store, codec, damage, device,
    error::{Damage, Defect, Error},
    file,
    growth::{Bounded, Growth},
    meta,
    sealed::{ROWS, unpanicked},
    sealing::{self, TABLES},
    shared::Shared,
};
use crate::config::StoreLimits;

impl Store {
    /// Opens the file at `path`, or makes it and its folder. `acks_kept` is how many answers to keep of each producer.
    ///
    /// Fails with [`Error::Locked`] where another process has it open, with [`Error::Format`] where another version of
    /// the program wrote it, and with [`Error::Corrupt`] or [`Error::Damaged`] where it is not as it was written.
    pub fn open(path: &Path, limits: &StoreLimits, acks_kept: u64) -> Result<Self, Error> {
        file::ensure(path, |unfinished| {
            let shared = Shared::over(file::builder(limits.cache_bytes_max, false).create(unfinished)?);
            shared.make()?;
            shared.close()
        })?;
        let checked = fs::metadata(path)?.len() <= limits.check_bytes_max;
        Self::over_backend(|| file::backend(path), limits, checked, acks_kept)
    }

    /// Opens a store over something else than a file: what tests make fail on demand.
    pub fn with_backend(
        backend: impl StorageBackend + Clone,
        limits: &StoreLimits,
        acks_kept: u64,
    ) -> Result<Self, Error> {
        let checked = backend.len()? <= limits.check_bytes_max;
        Self::over_backend(|| Ok((backend.clone(), None)), limits, checked, acks_kept)
    }

    /// Makes a store in memory.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Result<Self, Error> {
        Self::over_backend(|| Ok((InMemoryBackend::new(), None)), &StoreLimits::default(), false, 1)
    }

    /// Opens what `backend` returns; beside it the file, where it is one. Only a store that is `checked` is compared with its
    /// checksums as a whole.
    fn over_backend<B: StorageBackend>(
        backend: impl Fn() -> Result<(B, Option<File>), Error>,
        limits: &StoreLimits,
        checked: bool,
        acks_kept: u64,
    ) -> Result<Self, Error> {
        let growth = Growth::new();
        let open = |checked| {
            let (backend, file) = backend()?;
            let bounded = Bounded::new(backend, growth.clone(), file);
            Ok(file::builder(limits.cache_bytes_max, checked).create_with_backend(bounded)?)
        };
        Self::whole(open, checked, growth.clone(), acks_kept)
    }

    /// Opens a database, as a whole if it is `checked`: what is damaged and follows from the rest is taken out of it, so
    /// that recovery makes it again.
    fn whole(
        open: impl Fn(bool) -> Result<Database, Error>,
        checked: bool,
        growth: Growth,
        acks_kept: u64,
    ) -> Result<Self, Error> {
        let open = |checked| unpanicked(|| open(checked));
        let damaged = match open(checked) {
            Err(error) if checked && error.is_damage() => error,
            database => return Self::over(database?, Vec::new(), growth, acks_kept),
        };
        tracing::error!(%damaged, "the store's file is damaged: looking for what is");
        // Only values can be made again. Where the database cannot be opened as it is, none can be found; once it has met a
        // page that is not in the file, it answers nothing more.
        let named = |error: Error| match error {
            Error::Io(_) | Error::Redb(_) | Error::Poisoned => Error::Damaged(damaged.to_string()),
            other => other,
        };
        let shared = Shared::over(open(false).map_err(named)?);
        let mend = || match meta::look(&shared.begin_read()?)? {
            meta::Found::Now | meta::Found::OlderValues => damage::mend(&shared),
            meta::Found::Nothing | meta::Found::Before => Err(Error::Damaged(damaged.to_string())),
        };
        let mended = mend().map_err(named)?;
        shared.close().map_err(named)?;
        Self::over(open(true)?, mended, growth, acks_kept)
    }

    fn over(database: Database, mended: Vec<Damage>, growth: Growth, acks_kept: u64) -> Result<Self, Error> {
        let shared = Shared::over(database);
        match meta::look(&shared.begin_read()?)? {
            meta::Found::Nothing => shared.make()?,
            meta::Found::Before => sealing::upgrade(&shared)?,
            meta::Found::OlderValues => sealing::mark_format(&shared)?,
            meta::Found::Now => {}
        }
        sealing::add_tables(&shared)?;
        sealing::seal_all(&shared)?;
        let txn = shared.begin_read()?;
        let progress = meta::read(&txn)?;
        for table in TABLES {
            if progress.rows.get(table.name()) != Some(&table.rows(&txn)?) {
                let what = Defect("it has another number of rows than the last commit left it with");
                return Err(Error::corrupt(table.name(), ROWS, what));
            }
        }
        shared.euis_mut().extend(device::read(&txn)?.iter().map(|device| device.eui.0));
        Ok(Self {
            shared: Arc::new(shared),
            acks_kept: acks_kept.max(1),
            progress,
            mended,
            poisoned: false,
            growth,
            scratch: codec::Writer::default(),
        })
    }
}
