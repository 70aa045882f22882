//! What the guards of promoted rules have counted, by the revision that each goes back to.
//!
//! It must not know what a guard allows. Invariant: a count is that of the groups committed so far.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
};
use crate::domain::{GuardCount, Revision};

const GUARD: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("guard");
const VERSION: u8 = 1;

/// Makes sure that the table exists.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(GUARD)?;
    Ok(())
}

/// Replaces counts, and drops those of guards that are over.
pub(super) fn write(txn: &WriteTransaction, counts: &[GuardCount], dropped: &[Revision]) -> Result<(), Error> {
    if counts.is_empty() && dropped.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(GUARD)?;
    for fallback in dropped {
        table.remove(fallback.0)?;
    }
    for count in counts {
        table.insert(count.fallback.0, encode(count).as_bytes())?;
    }
    Ok(())
}

/// Every count, in order. A store from before there were any has none.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<GuardCount>, Error> {
    let table = match txn.open_table(GUARD) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let counts = table.iter()?.map(|entry| {
        let (fallback, value) = entry?;
        decode(fallback.value(), value.value()).map_err(|defect| Error::corrupt("guard", fallback.value(), defect))
    });
    counts.collect()
}

pub(super) fn encode(count: &GuardCount) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u64(count.shown);
    out.u64(count.suppressed);
    out
}

pub(super) fn decode(fallback: u32, bytes: &[u8]) -> Result<GuardCount, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let (shown, suppressed) = (input.u64()?, input.u64()?);
    input.finish()?;
    Ok(GuardCount { fallback: Revision(fallback), shown, suppressed })
}
