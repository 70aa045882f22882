//! What the file of readings is: its format, and how many rows each table has.
//!
//! Invariant: every commit writes all of it, so it belongs to what the same transaction wrote.

use redb::{ReadTransaction, TableDefinition, TableError};

use crate::store::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Rows, Table, Transaction, guarded},
};

/// The format by its name. It has no checksum, so that every program finds it here; the name is no table of a store's, so
/// neither of the two files passes for the other.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("readings-meta");
const META_NAME: &str = "readings-meta";
const FORMAT_KEY: &str = "format";

/// The rows of each table, under its name.
pub(super) const TABLE: Table<&str> = Table::new("readings-rows");
const KEY: &str = "rows";
const VERSION: u8 = 1;

/// The format that this program writes and reads.
const FORMAT: u64 = 1;

/// Makes the tables of a new file.
pub(super) fn create(txn: &Transaction) -> Result<(), Error> {
    guarded(META_NAME, || Ok(txn.inner().open_table(META)?.insert(FORMAT_KEY, FORMAT).map(drop)?))?;
    TABLE.write(txn).map(drop)
}

/// True for a file of readings of this format, false for one without tables. Rejects any other.
pub(super) fn is_made(txn: &ReadTransaction) -> Result<bool, Error> {
    let found = guarded(META_NAME, || {
        let table = match txn.open_table(META) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => {
                return Ok(Found::Nothing);
            }
            Err(TableError::TableDoesNotExist(_)) => return Ok(Found::Else),
            Err(other) => return Err(other.into()),
        };
        let missing = || Error::corrupt(META_NAME, FORMAT_KEY, Defect("it is missing"));
        match table.get(FORMAT_KEY)?.ok_or_else(missing)?.value() {
            FORMAT => Ok(Found::Readings),
            found => Err(Error::Format { found, wanted: FORMAT }),
        }
    })?;
    match found {
        Found::Nothing => Ok(false),
        Found::Readings => Ok(true),
        Found::Else => Err(Error::Damaged("it holds something else than readings".to_owned())),
    }
}

/// What a file holds.
enum Found {
    Nothing,
    Readings,
    Else,
}

/// Notes the rows of each table as a transaction leaves them.
pub(super) fn write(txn: &Transaction) -> Result<(), Error> {
    let rows = txn.rows();
    let mut out = Writer::new(VERSION);
    out.count(rows.len());
    for (table, rows) in &rows {
        out.text(table);
        out.u64(*rows);
    }
    TABLE.write(txn)?.insert(KEY, &mut out).map(drop)
}

/// The rows of each table as the last commit left them.
pub(super) fn rows(txn: &ReadTransaction) -> Result<Rows, Error> {
    let missing = || Error::corrupt(TABLE.name, KEY, Defect("it is missing"));
    TABLE.read(txn)?.get(KEY, decode)?.ok_or_else(missing)
}

fn decode(bytes: &[u8]) -> Result<Rows, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let rows = input.list(12, |input| Ok((input.text()?, input.u64()?)))?.into_iter().collect();
    input.finish()?;
    Ok(rows)
}
