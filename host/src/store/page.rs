//! Pages of device state: what the fold keeps for a stretch of device numbers.
//!
//! It must not know what the words of a rule mean. Invariant: an index into a page is an index of one of its devices.
//!
//! ```text
//! version | no u32 | as_of u64
//! devices u32 | forwarded, suppressed, duplicate: a column each
//! series u32 | recent (dense), device, party*, top, recent_at, began: a column each
//! namespaces u32 | per namespace: namespace u32 | words per entry u32 | entries u32
//!                  | a dense column for each word | device, code: a column each
//! ```

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    column::Packing::{Dense, Dictionary, Frame},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{DevicePage, DeviceTally, NamespacePage, Position, Revision, Series};

pub(super) const TABLE: Table<u32> = Table::new("page");
/// Version 1 had windows of counters instead: which of the 64 up to the highest were seen by a recipient.
const VERSION: u8 = 2;
const VERSION_WITH_WINDOWS: u8 = 1;
/// Devices of one page: an index is 16 bits wide.
const DEVICES_MAX: usize = 65_536;
/// Bytes of a namespace without its columns.
const NAMESPACE_BYTES: usize = 12;

/// Writes pages over those of the same number.
pub(super) fn write(txn: &Transaction, pages: &[DevicePage], out: &mut Writer) -> Result<(), Error> {
    if pages.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for page in pages {
        encode(page, out).map_err(|Defect(what)| Error::Effects(format!("page {}: {what}", page.no)))?;
        table.insert(page.no, out)?;
    }
    Ok(())
}

/// The pages in order, each decoded when it is asked for.
pub(super) fn read(txn: &ReadTransaction) -> Result<impl Iterator<Item = Result<DevicePage, Error>> + use<>, Error> {
    Ok(TABLE.read(txn)?.all()?.decoded(|no, value| decode(*no, value)))
}

pub(super) fn encode(page: &DevicePage, out: &mut Writer) -> Result<(), Defect> {
    check(page)?;
    out.restart(VERSION);
    out.u32(page.no);
    out.u64(page.as_of.0);
    out.count(page.tallies.len());
    out.column(page.tallies.iter().map(|tally| tally.forwarded), Frame);
    out.column(page.tallies.iter().map(|tally| tally.suppressed), Frame);
    out.column(page.tallies.iter().map(|tally| tally.duplicate), Frame);
    let series = || page.series.iter().map(|(_, series)| series);
    out.count(page.series.len());
    out.column(series().map(|series| series.recent), Dense);
    out.column(page.series.iter().map(|(device, _)| *device), Frame);
    out.column(series().map(|series| series.party), Dictionary);
    out.column(series().map(|series| series.top), Frame);
    out.column(series().map(|series| series.recent_at), Frame);
    out.column(series().map(|series| series.began), Frame);
    out.count(page.namespaces.len());
    for kept in &page.namespaces {
        out.u32(kept.namespace.0);
        out.u32(kept.words_per_entry);
        out.count(kept.device.len());
        let words_per_entry = kept.words_per_entry as usize;
        for word in 0..words_per_entry {
            let of_entries = kept.words.chunks_exact(words_per_entry).map(|entry| entry[word]);
            out.column(of_entries, Dense);
        }
        out.column(kept.device.iter().copied(), Frame);
        out.column(kept.code.iter().copied(), Frame);
    }
    Ok(())
}

pub(super) fn decode(no: u32, bytes: &[u8]) -> Result<DevicePage, Defect> {
    let (version, mut input) = Reader::of_versions(bytes, &[VERSION_WITH_WINDOWS, VERSION])?;
    if input.u32()? != no {
        return Err(Defect("it has another page's number"));
    }
    let page = DevicePage {
        no,
        as_of: Position(input.u64()?),
        tallies: read_tallies(&mut input)?,
        series: if version == VERSION { read_series(&mut input)? } else { read_windows(&mut input)? },
        namespaces: input.list(NAMESPACE_BYTES, read_namespace)?,
    };
    input.finish()?;
    check(&page)?;
    Ok(page)
}

fn read_tallies(input: &mut Reader<'_>) -> Result<Vec<DeviceTally>, Defect> {
    let count = input.u32()? as usize;
    if count > DEVICES_MAX {
        return Err(Defect("it has more devices than a page can"));
    }
    let forwarded: Vec<u32> = input.column(count)?;
    let suppressed: Vec<u32> = input.column(count)?;
    let duplicate: Vec<u32> = input.column(count)?;
    let ends = forwarded.into_iter().zip(suppressed).zip(duplicate);
    Ok(ends.map(|((forwarded, suppressed), duplicate)| DeviceTally { forwarded, suppressed, duplicate }).collect())
}

fn read_series(input: &mut Reader<'_>) -> Result<Vec<(u16, Series)>, Defect> {
    let count = input.count(1)?;
    let recent: Vec<u64> = input.dense_column(count)?;
    let device: Vec<u16> = input.column(count)?;
    let party: Vec<u64> = input.column(count)?;
    let top: Vec<u64> = input.column(count)?;
    let recent_at: Vec<u32> = input.column(count)?;
    let began: Vec<u32> = input.column(count)?;
    let series = |row: usize| Series {
        party: party[row],
        top: top[row],
        recent: recent[row],
        recent_at: recent_at[row],
        began: began[row],
    };
    Ok((0..count).map(|row| (device[row], series(row))).collect())
}

/// A window tells nothing but its highest counter, and that may be one of the DCC's: nothing is out of order by it.
fn read_windows(input: &mut Reader<'_>) -> Result<Vec<(u16, Series)>, Defect> {
    let count = input.count(1)?;
    let _seen: Vec<u64> = input.dense_column(count)?;
    let device: Vec<u16> = input.column(count)?;
    let recipient: Vec<u64> = input.column(count)?;
    let highest: Vec<u64> = input.column(count)?;
    let series = recipient.into_iter().zip(highest).map(|(party, top)| Series { party, top, ..Series::default() });
    Ok(device.into_iter().zip(series).collect())
}

fn read_namespace(input: &mut Reader<'_>) -> Result<NamespacePage, Defect> {
    let namespace = Revision(input.u32()?);
    let words_per_entry = input.u32()?;
    let entries = input.count(1)?;
    if words_per_entry == 0 {
        return Err(Defect("it keeps state of no words"));
    }
    let mut columns: Vec<Vec<u64>> = Vec::new();
    for _ in 0..words_per_entry {
        columns.push(input.dense_column(entries)?);
    }
    let mut words = Vec::with_capacity(entries * columns.len());
    for entry in 0..entries {
        words.extend(columns.iter().map(|column| column[entry]));
    }
    let device = input.column(entries)?;
    let code = input.column(entries)?;
    Ok(NamespacePage { namespace, words_per_entry, device, code, words })
}

/// What every page must satisfy, whether it comes or goes.
fn check(page: &DevicePage) -> Result<(), Defect> {
    let devices = page.tallies.len();
    let there = |device: &u16| usize::from(*device) < devices;
    if devices > DEVICES_MAX {
        return Err(Defect("it has more devices than a page can"));
    }
    if !page.series.iter().all(|(device, _)| there(device)) {
        return Err(Defect("a series is of a device outside the page"));
    }
    for kept in &page.namespaces {
        let entries = kept.device.len();
        let words = entries.checked_mul(kept.words_per_entry as usize);
        if kept.words_per_entry == 0 || kept.code.len() != entries || words != Some(kept.words.len()) {
            return Err(Defect("the columns of a namespace differ in length"));
        }
        if !kept.device.iter().all(there) {
            return Err(Defect("state is of a device outside the page"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
