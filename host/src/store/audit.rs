//! The audit log by number.
//!
//! It must not know what hashes mean. Invariant: an entry, once written, is never changed.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{AuditEntry, AuditEvent};

pub(super) const TABLE: Table<u64> = Table::new("audit");
const VERSION: u8 = 1;

/// Adds entries. A number that is taken is refused.
pub(super) fn write(txn: &Transaction, entries: &[AuditEntry]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for entry in entries {
        let number = entry.number;
        if table.insert(number, &mut encode(entry))? {
            return Err(Error::Effects(format!("audit entry {number}: there is one of this number")));
        }
    }
    Ok(())
}

/// Entries from a number on, at most so many.
pub(super) fn read(txn: &ReadTransaction, from: u64, entries_max: usize) -> Result<Vec<AuditEntry>, Error> {
    TABLE.read(txn)?.range(from..)?.decoded(|number, value| decode(*number, value)).take(entries_max).collect()
}

/// The last entry.
pub(super) fn last(txn: &ReadTransaction) -> Result<Option<AuditEntry>, Error> {
    TABLE.read(txn)?.last(|number, value| decode(*number, value))
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
