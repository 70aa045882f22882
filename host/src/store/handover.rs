//! Devices that came to another operator after alerts of them were counted, by EUI-64.
//!
//! Invariant: an entry is written in the transaction that writes the device with its new operator.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{DeviceTally, Eui64, Handover};

pub(super) const TABLE: Table<u64> = Table::new("handover");
const VERSION: u8 = 1;

/// Adds or replaces handovers.
pub(super) fn write(txn: &Transaction, handovers: &[(Eui64, Handover)]) -> Result<(), Error> {
    if handovers.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    handovers.iter().try_for_each(|(device, handover)| table.insert(device.0, &mut encode(handover)).map(drop))
}

/// Every handover, by device.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<(Eui64, Handover)>, Error> {
    TABLE.read(txn)?.all()?.decoded(|device, value| Ok((Eui64(*device), decode(value)?))).collect()
}

/// The handover of one device; `None` where it never changed hands.
pub(super) fn read_one(txn: &ReadTransaction, device: Eui64) -> Result<Option<Handover>, Error> {
    TABLE.read(txn)?.get(device.0, decode)
}

pub(super) fn encode(handover: &Handover) -> Writer {
    let Handover { since_ms, before: DeviceTally { forwarded, suppressed, duplicate } } = *handover;
    let mut out = Writer::new(VERSION);
    out.i64(since_ms);
    out.u32(forwarded);
    out.u32(suppressed);
    out.u32(duplicate);
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Handover, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let since_ms = input.i64()?;
    let before = DeviceTally { forwarded: input.u32()?, suppressed: input.u32()?, duplicate: input.u32()? };
    input.finish()?;
    Ok(Handover { since_ms, before })
}
