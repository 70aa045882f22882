//! What the writer and its readers share: the database, and the EUI-64s of the devices.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{Database, ReadTransaction};

use super::{
    database::OpenDatabase,
    error::Error,
    meta::{self, Progress},
    plugin,
    sealed::Transaction,
    sealing::TABLES,
};

/// What the writer and its readers share.
pub(super) struct Shared {
    database: OpenDatabase,
    /// EUI-64s by device number. It grows before a commit makes the numbers visible, so whatever transaction a reader
    /// has, the devices of its groups are here.
    euis: RwLock<Vec<u64>>,
}

// A panic while the lock is held leaves what it guards whole, so a poisoned lock is as good as any.
impl Shared {
    pub(super) fn over(database: Database) -> Self {
        Self { database: OpenDatabase::over(database), euis: RwLock::default() }
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, Error> {
        self.database.begin_read()
    }

    pub(super) fn begin_write(&self, progress: &Progress) -> Result<Transaction, Error> {
        self.database.begin_write(progress.rows.clone())
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
        self.database.close()
    }
}
