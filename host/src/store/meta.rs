//! What the whole file is: its format, how far it has come, and how many rows each table has.
//!
//! Invariant: every commit writes all of it, so it belongs to what the same transaction wrote.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    log::LogExtent,
    sealed::{Rows, Table, Transaction, guarded},
};
use crate::domain::{ClockMark, Position};

/// The format by its name, and in formats before 4 the numbers of [`Progress`] beside it. A program that reads another
/// format finds it here, so it has no checksum: a number that was changed is a format that no program reads.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_NAME: &str = "meta";

/// How far the store has come, under its name.
pub(super) const TABLE: Table<&str> = Table::new("progress");
const KEY: &str = "store";
const VERSION: u8 = 1;

/// The format this program writes. It goes up when a table or a value changes in a way that an older program would
/// misread.
const FORMAT: u64 = 6;
/// The formats before, which this program reads as well: every value says its version. A file becomes one of this format
/// when it is opened, before anything of it is written that an older program would misread. Those before 4 lack checksums
/// and tables; format 4 lacks versions of values, and formats 4 and 5 lack tables, which are made as any that is missing.
const FORMATS_BEFORE: [u64; 2] = [2, 3];
const FORMATS_OF_OLDER_VALUES: [u64; 2] = [4, 5];

/// How far the store has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// The next position.
    pub(super) position: Position,
    /// Recovery folds the log from here.
    pub(super) replay_from: Position,
    /// How much log there is.
    pub(super) extent: LogExtent,
    /// First position of the last log entry; 0 where there is none.
    pub(super) log_last: Position,
    /// Rows of each table.
    pub(super) rows: Rows,
    /// How far the values of a format before 4 have been given checksums.
    pub(super) sealing: Option<Sealing>,
    /// How long hosts have run on the store, in milliseconds.
    pub(super) ran_ms: u64,
    /// What is kept of the host's clock; `None` before the first alerts.
    pub(super) clock: Option<ClockMark>,
}

/// How far values have been given checksums.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sealing {
    /// Tables that are done.
    pub(super) tables: u32,
    /// The last key of the next table that is done; empty where none is.
    pub(super) key: Vec<u8>,
}

/// Makes sure that the tables exist, and notes that values from here on may be of this format.
pub(super) fn create(txn: &Transaction) -> Result<(), Error> {
    guarded(META_NAME, || Ok(txn.inner().open_table(META)?.insert("format", FORMAT).map(drop)?))?;
    TABLE.write(txn).map(drop)
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A new file, without tables.
    Nothing,
    /// A store of a format before 4.
    Before,
    /// A store of format 4 or 5: with older versions of values, and without tables that were added since.
    OlderValues,
    /// A store of this format.
    Now,
}

/// Returns what the file is. Rejects a format that this program does not read.
pub(super) fn look(txn: &ReadTransaction) -> Result<Found, Error> {
    guarded(META_NAME, || {
        let table = match txn.open_table(META) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => return Ok(Found::Nothing),
            Err(TableError::TableDoesNotExist(_)) => return Err(missing("format")),
            Err(other) => return Err(other.into()),
        };
        match number(&table, "format")? {
            FORMAT => Ok(Found::Now),
            older if FORMATS_OF_OLDER_VALUES.contains(&older) => Ok(Found::OlderValues),
            before if FORMATS_BEFORE.contains(&before) => Ok(Found::Before),
            found => Err(Error::Format { found, wanted: FORMAT }),
        }
    })
}

/// Writes how far the store has come.
pub(super) fn write(txn: &Transaction, progress: &Progress) -> Result<(), Error> {
    TABLE.write(txn)?.insert(KEY, &mut encode(progress)).map(drop)
}

/// Reads how far the store has come.
pub(super) fn read(txn: &ReadTransaction) -> Result<Progress, Error> {
    TABLE.read(txn)?.get(KEY, decode)?.ok_or_else(|| Error::corrupt(TABLE.name, KEY, Defect("it is missing")))
}

/// Reads how far a store of a format before 4 has come.
pub(super) fn read_before(txn: &ReadTransaction) -> Result<Progress, Error> {
    guarded(META_NAME, || {
        let table = txn.open_table(META)?;
        let (bytes, groups) = (number(&table, "log_bytes")?, number(&table, "log_groups")?);
        Ok(Progress {
            position: Position(number(&table, "position")?),
            replay_from: Position(number(&table, "replay_from")?),
            extent: LogExtent { bytes, groups, ..LogExtent::default() },
            ..Progress::default()
        })
    })
}

fn encode(progress: &Progress) -> Writer {
    let Progress { position, replay_from, extent, log_last, rows, sealing, ran_ms, clock } = progress;
    let mut out = Writer::new(VERSION);
    out.u64(position.0);
    out.u64(replay_from.0);
    out.u64(extent.oldest.0);
    out.u64(extent.oldest_end.0);
    out.i64(extent.oldest_judged_ms);
    out.u64(extent.bytes);
    out.u64(extent.groups);
    out.u64(log_last.0);
    out.u64(*ran_ms);
    out.u8(u8::from(clock.is_some()));
    let ClockMark { latest_ms, age_ms } = clock.unwrap_or_default();
    out.i64(latest_ms);
    out.i64(age_ms);
    out.count(rows.len());
    for (table, rows) in rows {
        out.text(table);
        out.u64(*rows);
    }
    out.u8(u8::from(sealing.is_some()));
    if let Some(Sealing { tables, key }) = sealing {
        out.u32(*tables);
        out.count(key.len());
        out.raw(key);
    }
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Progress, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let progress = Progress {
        position: Position(input.u64()?),
        replay_from: Position(input.u64()?),
        extent: LogExtent {
            oldest: Position(input.u64()?),
            oldest_end: Position(input.u64()?),
            oldest_judged_ms: input.i64()?,
            bytes: input.u64()?,
            groups: input.u64()?,
        },
        log_last: Position(input.u64()?),
        ran_ms: input.u64()?,
        clock: {
            let known = input.flag()?;
            Some(ClockMark { latest_ms: input.i64()?, age_ms: input.i64()? }).filter(|_| known)
        },
        rows: input.list(12, |input| Ok((input.text()?, input.u64()?)))?.into_iter().collect(),
        sealing: if input.flag()? {
            Some(Sealing { tables: input.u32()?, key: input.list(1, Reader::u8)? })
        } else {
            None
        },
    };
    input.finish()?;
    Ok(progress)
}

fn number(table: &impl ReadableTable<&'static str, u64>, key: &'static str) -> Result<u64, Error> {
    Ok(table.get(key)?.ok_or_else(|| missing(key))?.value())
}

fn missing(key: &'static str) -> Error {
    Error::corrupt(META_NAME, key, Defect("it is missing"))
}
