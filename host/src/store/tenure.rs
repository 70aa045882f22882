//! Which devices were at a metering point, by the point's number.
//!
//! A point of which only loads of before format 6 spoke has no row: its devices were there before times were kept.
//! Invariant: a row is written in the transaction that writes the device, and holds at most
//! [`TENURES_MAX`](crate::domain::TENURES_MAX) tenures.

use std::collections::BTreeMap;

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{Eui64, Mpxn, OperatorId, PointRole, Tenure, TenureChange, Tenures};

pub(super) const TABLE: Table<u64> = Table::new("tenure");
const VERSION: u8 = 1;

/// Points that have a history. Further ones have none, and their devices count as there since before times were kept; a
/// store of so many has more points than Great Britain has meters.
const POINTS_MAX: u64 = 100_000_000;

/// Bytes of a tenure.
const TENURE_BYTES: usize = 8 + 1 + 1 + 1 + 1 + 8 + 1 + 8 + 8 + 1;

/// Notes what a load says of points, in order.
pub(super) fn write(txn: &Transaction, changes: &[(Mpxn, TenureChange)]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut by_point: BTreeMap<u64, Vec<TenureChange>> = BTreeMap::new();
    for (mpxn, change) in changes {
        by_point.entry(mpxn.number()).or_default().push(*change);
    }
    let mut table = TABLE.write(txn)?;
    let mut room = POINTS_MAX.saturating_sub(table.rows()?);
    for (point, changes) in by_point {
        let before = table.get(point, decode)?;
        if before.is_none() && room == 0 {
            tracing::warn!(point, "no more points have a history: there are {POINTS_MAX}");
            continue;
        }
        room -= u64::from(before.is_none());
        let mut tenures = before.unwrap_or_default();
        changes.into_iter().for_each(|change| tenures.note(change));
        table.insert(point, &mut encode(&tenures))?;
    }
    Ok(())
}

/// The tenures of a point; `None` where no load has spoken of it since they are kept.
pub(super) fn read_one(txn: &ReadTransaction, mpxn: Mpxn) -> Result<Option<Tenures>, Error> {
    TABLE.read(txn)?.get(mpxn.number(), decode)
}

pub(super) fn encode(tenures: &Tenures) -> Writer {
    let Tenures { kept, dropped } = tenures;
    let mut out = Writer::new(VERSION);
    out.u32(*dropped);
    out.count(kept.len());
    for tenure in kept {
        let Tenure { device, role, operator, is_meter, since_ms, until_ms, moved_from: (mpxn, whose) } = *tenure;
        out.u64(device.0);
        out.u8(role as u8);
        out.u8(operator.get());
        out.u8(u8::from(is_meter));
        for time in [since_ms, until_ms] {
            out.u8(u8::from(time.is_some()));
            out.i64(time.unwrap_or(0));
        }
        out.u64(mpxn.number());
        out.u8(whose.get());
    }
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Tenures, Defect> {
    fn operator(input: &mut Reader<'_>) -> Result<OperatorId, Defect> {
        OperatorId::new(u32::from(input.u8()?)).ok_or(Defect("its operator is not known"))
    }
    fn time(input: &mut Reader<'_>) -> Result<Option<i64>, Defect> {
        let is_known = input.flag()?;
        let ms = input.i64()?;
        if !is_known && ms != 0 {
            return Err(Defect("a time that is not known has a value"));
        }
        Ok(is_known.then_some(ms))
    }
    let mut input = Reader::new(bytes, VERSION)?;
    let dropped = input.u32()?;
    let kept = input.list(TENURE_BYTES, |input| {
        Ok(Tenure {
            device: Eui64(input.u64()?),
            role: PointRole::from_number(input.u8()?).ok_or(Defect("its role is not known"))?,
            operator: operator(input)?,
            is_meter: input.flag()?,
            since_ms: time(input)?,
            until_ms: time(input)?,
            moved_from: (Mpxn::from_number(input.u64()?), operator(input)?),
        })
    })?;
    input.finish()?;
    Ok(Tenures { kept, dropped })
}
