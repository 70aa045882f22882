//! Where devices are connected, by the device's number. A device without a row has no placement.
//!
//! Invariant: a row is written in the transaction that writes the device's.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{DeviceType, Eui64, Mpxn, Placement};

pub(super) const TABLE: Table<u32> = Table::new("placement");
const VERSION: u8 = 1;

/// Adds, replaces and, where there is nothing to say, removes placements.
pub(super) fn write(txn: &Transaction, placements: &[(u32, Placement)]) -> Result<(), Error> {
    if placements.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for (no, placement) in placements {
        if *placement == Placement::default() {
            table.remove(no)?;
        } else {
            table.insert(no, &mut encode(placement))?;
        }
    }
    Ok(())
}

/// Every placement, by the device's number.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<(u32, Placement)>, Error> {
    TABLE.read(txn)?.all()?.decoded(|no, value| Ok((*no, decode(value)?))).collect()
}

/// The placements of a range of devices, by number.
pub(super) fn read_some(
    txn: &ReadTransaction,
    range: std::ops::RangeInclusive<u32>,
) -> Result<Vec<(u32, Placement)>, Error> {
    TABLE.read(txn)?.range(range)?.decoded(|no, value| Ok((*no, decode(value)?))).collect()
}

pub(super) fn encode(placement: &Placement) -> Writer {
    let Placement { secondary, export, kind, hub } = *placement;
    let mut out = Writer::new(VERSION);
    out.u64(secondary.number());
    out.u64(export.number());
    out.u8(kind as u8);
    out.u64(hub.0);
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Placement, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let placement = Placement {
        secondary: Mpxn::from_number(input.u64()?),
        export: Mpxn::from_number(input.u64()?),
        kind: DeviceType::from_number(input.u8()?).ok_or(Defect("its type is not known"))?,
        hub: Eui64(input.u64()?),
    };
    input.finish()?;
    Ok(placement)
}
