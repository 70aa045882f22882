//! The audit log by number.
//!
//! It must not know what hashes mean. Invariant: an entry, once written, is never changed.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
};
use crate::domain::{AuditEntry, AuditEvent};

const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
const VERSION: u8 = 1;

/// Makes sure that the table exists.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(AUDIT)?;
    Ok(())
}

/// Adds entries. A number that is taken is refused.
pub(super) fn write(txn: &WriteTransaction, entries: &[AuditEntry]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(AUDIT)?;
    for entry in entries {
        let number = entry.number;
        if table.insert(number, encode(entry).as_bytes())?.is_some() {
            return Err(Error::Effects(format!("audit entry {number}: there is one of this number")));
        }
    }
    Ok(())
}

/// Entries from a number on, at most so many.
pub(super) fn read(txn: &ReadTransaction, from: u64, entries_max: usize) -> Result<Vec<AuditEntry>, Error> {
    let table = txn.open_table(AUDIT)?;
    let entries = table.range(from..)?.take(entries_max).map(|entry| {
        let (number, value) = entry?;
        decode(number.value(), value.value()).map_err(|defect| Error::corrupt("audit", number.value(), defect))
    });
    entries.collect()
}

/// The last entry.
pub(super) fn last(txn: &ReadTransaction) -> Result<Option<AuditEntry>, Error> {
    let table = txn.open_table(AUDIT)?;
    let Some((number, value)) = table.last()? else { return Ok(None) };
    let entry = decode(number.value(), value.value());
    entry.map(Some).map_err(|defect| Error::corrupt("audit", number.value(), defect))
}

pub(super) fn encode(entry: &AuditEntry) -> Writer {
    let AuditEntry { number: _, at_ms, event, hash } = entry;
    let AuditEvent { who, action, subject, detail } = event;
    let mut out = Writer::new(VERSION);
    out.i64(*at_ms);
    out.raw(hash);
    [who, action, subject, detail].into_iter().for_each(|text| out.text(text));
    out
}

pub(super) fn decode(number: u64, bytes: &[u8]) -> Result<AuditEntry, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let (at_ms, hash) = (input.i64()?, input.array()?);
    let event = AuditEvent { who: input.text()?, action: input.text()?, subject: input.text()?, detail: input.text()? };
    input.finish()?;
    Ok(AuditEntry { number, at_ms, event, hash })
}
