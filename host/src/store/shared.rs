//! What the writer and its readers share: the database, and the EUI-64s of the devices.
//!
//! Invariant: once the database is closed, every transaction that is asked for fails with [`Error::Closed`].

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase};

use super::{
    error::Error,
    meta::{self, Progress},
    plugin,
    sealed::{Transaction, unpanicked},
    sealing::TABLES,
};

/// What the writer and its readers share.
pub(super) struct Shared {
    /// `None` once closed.
    database: RwLock<Option<Database>>,
    /// EUI-64s by device number. It grows before a commit makes the numbers visible, so whatever transaction a reader
    /// has, the devices of its groups are here.
    euis: RwLock<Vec<u64>>,
}

// A panic while one of these locks is held leaves what it guards whole, so a poisoned lock is as good as any.
impl Shared {
    pub(super) fn over(database: Database) -> Self {
        Self { database: RwLock::new(Some(database)), euis: RwLock::default() }
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        unpanicked(|| Ok(database.as_ref().ok_or(Error::Closed)?.begin_read()?))
    }

    pub(super) fn begin_write(&self, progress: &Progress) -> Result<Transaction, Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let mut txn = unpanicked(|| Ok(database.as_ref().ok_or(Error::Closed)?.begin_write()?))?;
        txn.set_durability(Durability::Immediate)?;
        // Opening after a crash then takes a moment instead of a walk over the whole file.
        txn.set_quick_repair(true);
        Ok(Transaction::new(txn, progress.rows.clone()))
    }

    pub(super) fn euis(&self) -> RwLockReadGuard<'_, Vec<u64>> {
        self.euis.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn euis_mut(&self) -> RwLockWriteGuard<'_, Vec<u64>> {
        self.euis.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes all tables of a new file, so that reading never has to ask whether one is there.
    pub(super) fn create_tables(&self, txn: &Transaction) -> Result<(), Error> {
        TABLES.iter().try_for_each(|table| table.create(txn))?;
        plugin::create_components(txn)?;
        meta::create(txn)
    }

    /// Makes a new file a store.
    pub(super) fn make(&self) -> Result<(), Error> {
        let txn = self.begin_write(&Progress::default())?;
        self.create_tables(&txn)?;
        meta::write(&txn, &Progress { rows: txn.rows(), ..Progress::default() })?;
        txn.commit()
    }

    pub(super) fn close(&self) -> Result<(), Error> {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        unpanicked(|| Ok(database.ok_or(Error::Closed)?.close()?))
    }
}

impl Drop for Shared {
    /// Closes a database that nobody closed. Closing commits, and the database panics where what it needs for that is
    /// damaged.
    fn drop(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let closed = unpanicked(|| {
            drop(database);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the store's file was not closed");
        }
    }
}
