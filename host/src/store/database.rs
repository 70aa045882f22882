//! One open database: read and written in transactions, and closed once.
//!
//! Invariant: once it is closed, every transaction that is asked for fails with [`Error::Closed`].

use std::sync::{PoisonError, RwLock};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase};

use super::{
    error::Error,
    sealed::{Rows, Transaction, unpanicked},
};

/// A database that a writer and its readers share; `None` once closed.
pub(super) struct OpenDatabase(RwLock<Option<Database>>);

// A panic while the lock is held leaves what it guards whole, so a poisoned lock is as good as any.
impl OpenDatabase {
    pub(super) fn over(database: Database) -> Self {
        Self(RwLock::new(Some(database)))
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, Error> {
        let database = self.0.read().unwrap_or_else(PoisonError::into_inner);
        unpanicked(|| Ok(database.as_ref().ok_or(Error::Closed)?.begin_read()?))
    }

    /// Begins a transaction that is durable once committed. `rows` are those of the tables before it.
    pub(super) fn begin_write(&self, rows: Rows) -> Result<Transaction, Error> {
        let database = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut txn = unpanicked(|| Ok(database.as_ref().ok_or(Error::Closed)?.begin_write()?))?;
        txn.set_durability(Durability::Immediate)?;
        // Opening after a crash then takes a moment instead of a walk over the whole file.
        txn.set_quick_repair(true);
        Ok(Transaction::new(txn, rows))
    }

    pub(super) fn close(&self) -> Result<(), Error> {
        let database = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        unpanicked(|| Ok(database.ok_or(Error::Closed)?.close()?))
    }
}

impl Drop for OpenDatabase {
    /// Closes a database that nobody closed. Closing commits, and the database panics where what it needs for that is
    /// damaged.
    fn drop(&mut self) {
        let database = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let closed = unpanicked(|| {
            drop(database);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the store's file was not closed");
        }
    }
}
