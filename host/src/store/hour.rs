//! The books, an hour a value.
//!
//! It must not know how counts are asked for. Invariant: the cells of an hour are in order and each is there once.
//!
//! ```text
//! version | hour u32 | as_of u64 | cells u32
//! count (dense), represented, withheld, code, operator, generation, model*, end, rule, reason, and each remark's count: a
//! column each
//! ```
//! The code column holds 65,536 for none.

use std::ops::Range;

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    column::Packing::{Dense, Dictionary, Frame},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{Cell, End, HourPage, Position, Remark, RemarkCounts, Revision, Tally};

pub(super) const TABLE: Table<u32> = Table::new("hour");
/// Version 1 had no counts of remarks, version 2 those of the first four, version 3 those of the first six.
const VERSION: u8 = 4;
const VERSION_OF_SIX_REMARKS: u8 = 3;
const VERSION_OF_FOUR_REMARKS: u8 = 2;
const VERSION_WITHOUT_REMARKS: u8 = 1;
/// What the code column holds where there is no code.
const NO_CODE: u32 = 65_536;
/// Remarks that are counted.
const REMARKS: usize = Remark::COUNT;

/// Writes hours over what they were.
pub(super) fn write(txn: &Transaction, hours: &[HourPage], out: &mut Writer) -> Result<(), Error> {
    if hours.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for page in hours {
        encode(page, out).map_err(|Defect(what)| Error::Effects(format!("hour {}: {what}", page.hour)))?;
        table.insert(page.hour, out)?;
    }
    Ok(())
}

/// The hours of a range that are there, in order, each decoded when it is asked for.
pub(super) fn read(
    txn: &ReadTransaction,
    hours: Range<u32>,
) -> Result<impl Iterator<Item = Result<HourPage, Error>> + use<>, Error> {
    // The database panics over a range that ends before it begins.
    let hours = hours.start..hours.end.max(hours.start);
    Ok(TABLE.read(txn)?.range(hours)?.decoded(|hour, value| decode(*hour, value)))
}

/// One hour.
pub(super) fn read_one(txn: &ReadTransaction, hour: u32) -> Result<Option<HourPage>, Error> {
    TABLE.read(txn)?.get(hour, |value| decode(hour, value))
}

/// The hour of a damaged value, if the value and the key it is stored under agree on it.
pub(super) fn stored_under(txn: &ReadTransaction, key: &[u8]) -> Option<u32> {
    let hour = u32::from_le_bytes(*key.as_array()?);
    let stored = TABLE.read(txn).ok()?.stored(hour).ok()??;
    (stored.get(1..5)? == key).then_some(hour)
}

pub(super) fn encode(page: &HourPage, out: &mut Writer) -> Result<(), Defect> {
    check(page)?;
    let cells = || page.cells.iter().map(|(cell, _)| cell);
    let tallies = || page.cells.iter().map(|(_, tally)| tally);
    out.restart(VERSION);
    out.u32(page.hour);
    out.u64(page.as_of.0);
    out.count(page.cells.len());
    out.column(tallies().map(|tally| tally.count), Dense);
    out.column(tallies().map(|tally| tally.represented), Frame);
    out.column(tallies().map(|tally| tally.withheld), Frame);
    out.column(cells().map(|cell| cell.code.map_or(NO_CODE, u32::from)), Frame);
    out.column(cells().map(|cell| cell.operator), Frame);
    out.column(cells().map(|cell| cell.generation), Frame);
    out.column(cells().map(|cell| cell.model), Dictionary);
    out.column(cells().map(|cell| cell.end as u8), Frame);
    out.column(cells().map(|cell| cell.rule.0), Frame);
    out.column(cells().map(|cell| cell.reason), Frame);
    for remark in 0..REMARKS {
        out.column(tallies().map(|tally| tally.remarks.each()[remark].1), Frame);
    }
    Ok(())
}

pub(super) fn decode(hour: u32, bytes: &[u8]) -> Result<HourPage, Defect> {
    let versions = [VERSION_WITHOUT_REMARKS, VERSION_OF_FOUR_REMARKS, VERSION_OF_SIX_REMARKS, VERSION];
    let (version, mut input) = Reader::of_versions(bytes, &versions)?;
    if input.u32()? != hour {
        return Err(Defect("it is another hour's"));
    }
    let as_of = Position(input.u64()?);
    let count = input.count(1)?;
    let counts: Vec<u64> = input.dense_column(count)?;
    let represented: Vec<u64> = input.column(count)?;
    let withheld: Vec<u64> = input.column(count)?;
    let code: Vec<u32> = input.column(count)?;
    let operator: Vec<u8> = input.column(count)?;
    let generation: Vec<u8> = input.column(count)?;
    let model: Vec<u32> = input.column(count)?;
    let end: Vec<u8> = input.column(count)?;
    let rule: Vec<u32> = input.column(count)?;
    let reason: Vec<u8> = input.column(count)?;
    let mut remarks: [Vec<u64>; REMARKS] = std::array::from_fn(|_| vec![0; count]);
    let counted = match version {
        VERSION_WITHOUT_REMARKS => 0,
        VERSION_OF_FOUR_REMARKS => 4,
        VERSION_OF_SIX_REMARKS => 6,
        _ => REMARKS,
    };
    for column in remarks.iter_mut().take(counted) {
        *column = input.column(count)?;
    }
    input.finish()?;
    let cell = |row: usize| -> Result<(Cell, Tally), Defect> {
        let code = match code[row] {
            NO_CODE => None,
            number => Some(u16::try_from(number).map_err(|_| Defect("a code is out of range"))?),
        };
        let cell = Cell {
            code,
            operator: operator[row],
            generation: generation[row],
            model: model[row],
            end: End::from_number(end[row]).ok_or(Defect("an end is not known"))?,
            rule: Revision(rule[row]),
            reason: reason[row],
        };
        let remarks = RemarkCounts::listed(std::array::from_fn(|remark| remarks[remark][row]));
        Ok((cell, Tally { count: counts[row], represented: represented[row], withheld: withheld[row], remarks }))
    };
    let page = HourPage { hour, as_of, cells: (0..count).map(cell).collect::<Result<_, _>>()? };
    check(&page)?;
    Ok(page)
}

/// What every hour must satisfy, whether it comes or goes.
fn check(page: &HourPage) -> Result<(), Defect> {
    let ordered = page.cells.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if ordered { Ok(()) } else { Err(Defect("its cells are out of order")) }
}

#[cfg(test)]
mod tests;
