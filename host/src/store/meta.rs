//! What the whole file is: its format, and how far it has come.
//!
//! It must not know what the other tables hold. Invariant: every commit writes the positions, so they belong to what
//! the same transaction wrote.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{
    error::{Defect, Error},
    log::LogExtent,
};
use crate::domain::Position;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The format this program writes. It goes up when a table or a value changes in a way that an older program would
/// misread.
const FORMAT: u64 = 3;
/// The format before, which this program reads as well: every value says its version. A file becomes one of this format
/// when it is opened, before anything of it is written that an older program would misread.
const FORMAT_BEFORE: u64 = 2;

/// How far the store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// The next position.
    pub(super) position: Position,
    /// Recovery folds the log from here.
    pub(super) replay_from: Position,
    /// Sum of the log entries' lengths.
    pub(super) log_bytes: u64,
    /// Number of log entries.
    pub(super) log_groups: u64,
}

impl Progress {
    /// After a commit.
    pub(super) fn new(position: Position, replay_from: Position, extent: LogExtent) -> Self {
        Self { position, replay_from, log_bytes: extent.bytes, log_groups: extent.groups }
    }
}

/// Makes the table of a new file.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(META)?.insert("format", FORMAT)?;
    write(txn, Progress::default())
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A new file, without tables.
    Nothing,
    /// A store of the format before.
    Before,
    /// A store of this format.
    Now,
}

/// What the file is. A format that this program does not read is an error.
pub(super) fn look(txn: &ReadTransaction) -> Result<Found, Error> {
    let table = match txn.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => return Ok(Found::Nothing),
        Err(TableError::TableDoesNotExist(_)) => return Err(missing("format")),
        Err(other) => return Err(other.into()),
    };
    match number(&table, "format")? {
        FORMAT => Ok(Found::Now),
        FORMAT_BEFORE => Ok(Found::Before),
        found => Err(Error::Format { found, wanted: FORMAT }),
    }
}

/// Makes a store of the format before one of this format.
pub(super) fn raise(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(META)?.insert("format", FORMAT)?;
    Ok(())
}

/// Writes how far the store has come.
pub(super) fn write(txn: &WriteTransaction, progress: Progress) -> Result<(), Error> {
    let mut table = txn.open_table(META)?;
    table.insert("position", progress.position.0)?;
    table.insert("replay_from", progress.replay_from.0)?;
    table.insert("log_bytes", progress.log_bytes)?;
    table.insert("log_groups", progress.log_groups)?;
    Ok(())
}

/// Reads how far the store has come.
pub(super) fn read(txn: &ReadTransaction) -> Result<Progress, Error> {
    let table = txn.open_table(META)?;
    Ok(Progress {
        position: Position(number(&table, "position")?),
        replay_from: Position(number(&table, "replay_from")?),
        log_bytes: number(&table, "log_bytes")?,
        log_groups: number(&table, "log_groups")?,
    })
}

fn number(table: &impl ReadableTable<&'static str, u64>, key: &'static str) -> Result<u64, Error> {
    Ok(table.get(key)?.ok_or_else(|| missing(key))?.value())
}

fn missing(key: &'static str) -> Error {
    Error::corrupt("meta", key, Defect("it is missing"))
}
