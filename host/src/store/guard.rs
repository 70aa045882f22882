//! What the guards of promoted rules have counted, by the revision that each goes back to.
//!
//! It must not know what a guard allows. Invariant: a count is that of the groups committed so far.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{GuardCount, Revision};

pub(super) const TABLE: Table<u32> = Table::new("guard");
const VERSION: u8 = 1;

/// Replaces counts, and drops those of guards that are over.
pub(super) fn write(txn: &Transaction, counts: &[GuardCount], dropped: &[Revision]) -> Result<(), Error> {
    if counts.is_empty() && dropped.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for fallback in dropped {
        table.remove(fallback.0)?;
    }
    for count in counts {
        table.insert(count.fallback.0, &mut encode(count))?;
    }
    Ok(())
}

/// Every count, in order.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<GuardCount>, Error> {
    TABLE.read(txn)?.all()?.decoded(|fallback, value| decode(*fallback, value)).collect()
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
