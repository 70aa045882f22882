//! The tables of alert codes that alerts were logged under, by the log position from which each holds.
//!
//! Invariant: a table, once alerts were logged under it, is never changed.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{CodeTableChange, Position};

pub(super) const TABLE: Table<u64> = Table::new("code_table");
const VERSION: u8 = 1;

/// Adds a table, and drops those that go.
pub(super) fn write(txn: &Transaction, change: Option<&CodeTableChange>) -> Result<(), Error> {
    let Some(CodeTableChange { since, table, dropped }) = change else { return Ok(()) };
    let mut rows = TABLE.write(txn)?;
    for position in dropped {
        rows.remove(position.0)?;
    }
    match rows.insert(since.0, &mut encode(table))? {
        true => Err(Error::Effects(format!("code table at {since}: there is one already"))),
        false => Ok(()),
    }
}

/// Returns all of them as CSV, in order.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<(Position, String)>, Error> {
    TABLE.read(txn)?.all()?.decoded(|since, value| Ok((Position(*since), decode(value)?))).collect()
}

pub(super) fn encode(table: &str) -> Writer {
    let mut out = Writer::new(VERSION);
    out.text(table);
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<String, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let table = input.text()?;
    input.finish()?;
    Ok(table)
}
