//! The log: a group of alerts under the position of its first row, and beside it a head that can be read alone.
//!
//! It must not know why entries go. Invariant: `log` and `head` hold the same keys, and an entry, once written, is
//! never changed.
//!
//! A large value fills pages of its own, and reading any part of it reads all of it. So what a scan needs to skip a
//! group lies in a table of its own.

use std::sync::Arc;

use redb::{OwnedRange, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::{
    Shared,
    codec::{Reader, Writer},
    error::{Defect, Error},
};
use crate::domain::{Group, Millis, Position};

pub(super) mod group;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const HEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("head");
const HEAD_VERSION: u8 = 1;

/// Entries that one commit drops at most, so that no commit takes long.
const DROPPED_MAX: usize = 64;

/// How much log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogExtent {
    /// First position of the oldest entry; the next position where there is none.
    pub oldest: Position,
    /// Sum of the entries' lengths in bytes. The file takes up more: it rounds an entry up to a power of two.
    pub bytes: u64,
    /// Number of entries.
    pub groups: u64,
}

/// What can be known of a group without decoding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHead {
    /// Position of its first row.
    pub first: Position,
    /// The position after it.
    pub end: Position,
    /// Number of rows; 0 for a group of rejected alerts only.
    pub rows: u32,
    /// When it was judged.
    pub judged_ms: Millis,
    /// Earliest time of receipt; `judged_ms` where there is no row.
    pub received_ms_min: Millis,
    /// Latest time of receipt; `judged_ms` where there is no row.
    pub received_ms_max: Millis,
    /// Length of the entry in bytes.
    pub bytes: u64,
}

impl GroupHead {
    fn of(group: &Group, bytes: usize) -> Self {
        let received = group.rows.received_ms.iter().copied();
        Self {
            first: group.first,
            end: group.end(),
            rows: group.rows.len() as u32,
            judged_ms: group.judged_ms,
            received_ms_min: received.clone().min().unwrap_or(group.judged_ms),
            received_ms_max: received.max().unwrap_or(group.judged_ms),
            bytes: bytes as u64,
        }
    }

    pub(super) fn encode(&self) -> Writer {
        let mut out = Writer::new(HEAD_VERSION);
        out.u32(self.rows);
        out.i64(self.judged_ms);
        out.i64(self.received_ms_min);
        out.i64(self.received_ms_max);
        out.u64(self.bytes);
        out
    }

    pub(super) fn decode(first: u64, bytes: &[u8]) -> Result<Self, Error> {
        let read = || -> Result<Self, Defect> {
            let mut input = Reader::new(bytes, HEAD_VERSION)?;
            let rows = input.u32()?;
            let end = first.checked_add(u64::from(rows.max(1))).ok_or(Defect("it ends past the last position"))?;
            let head = Self {
                first: Position(first),
                end: Position(end),
                rows,
                judged_ms: input.i64()?,
                received_ms_min: input.i64()?,
                received_ms_max: input.i64()?,
                bytes: input.u64()?,
            };
            input.finish()?;
            Ok(head)
        };
        read().map_err(|defect| Error::corrupt("head", first, defect))
    }
}

/// Makes sure that the tables exist.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(LOG)?;
    txn.open_table(HEAD)?;
    Ok(())
}

/// Appends one entry. `euis` are the devices' EUI-64s by number; `scratch` is overwritten.
pub(super) fn append(
    txn: &WriteTransaction,
    group: &Group,
    euis: &[u64],
    scratch: &mut Writer,
    extent: &mut LogExtent,
) -> Result<(), Error> {
    group::encode(group, euis, scratch).map_err(|Defect(what)| Error::Effects(format!("group: {what}")))?;
    let head = GroupHead::of(group, scratch.as_bytes().len());
    txn.open_table(LOG)?.insert(group.first.0, scratch.as_bytes())?;
    txn.open_table(HEAD)?.insert(group.first.0, head.encode().as_bytes())?;
    if extent.groups == 0 {
        extent.oldest = group.first;
    }
    extent.bytes += head.bytes;
    extent.groups += 1;
    Ok(())
}

/// Drops the oldest entries that end at or before `limit`, a bounded number of them.
pub(super) fn drop_before(txn: &WriteTransaction, limit: Position, extent: &mut LogExtent) -> Result<(), Error> {
    if extent.groups == 0 || limit <= extent.oldest {
        return Ok(());
    }
    let mut log = txn.open_table(LOG)?;
    let mut heads = txn.open_table(HEAD)?;
    for _ in 0..DROPPED_MAX {
        let Some(head) = oldest(&heads)? else { break };
        if head.end > limit {
            break;
        }
        log.remove(head.first.0)?;
        heads.remove(head.first.0)?;
        extent.bytes = extent.bytes.saturating_sub(head.bytes);
        extent.groups = extent.groups.saturating_sub(1);
    }
    if let Some(head) = oldest(&heads)? {
        extent.oldest = head.first;
    }
    Ok(())
}

/// The head of the oldest entry.
fn oldest(heads: &impl ReadableTable<u64, &'static [u8]>) -> Result<Option<GroupHead>, Error> {
    let Some((key, value)) = heads.first()? else { return Ok(None) };
    GroupHead::decode(key.value(), value.value()).map(Some)
}

/// First position of the oldest entry.
pub(super) fn first(txn: &ReadTransaction) -> Result<Option<Position>, Error> {
    Ok(oldest(&txn.open_table(HEAD)?)?.map(|head| head.first))
}

/// Heads of the log in order, as of one moment. The first is that of the group that holds the position asked for, or
/// the next one.
pub struct Heads {
    heads: OwnedRange<u64, &'static [u8]>,
    log: ReadOnlyTable<u64, &'static [u8]>,
    shared: Arc<Shared>,
}

impl Heads {
    pub(super) fn new(txn: &ReadTransaction, from: Position, shared: Arc<Shared>) -> Result<Self, Error> {
        let heads = txn.open_table(HEAD)?;
        let mut start = from.0;
        if let Some(entry) = heads.range(..=from.0)?.next_back() {
            let (key, value) = entry?;
            let before = GroupHead::decode(key.value(), value.value())?;
            if before.end > from {
                start = before.first.0;
            }
        }
        Ok(Self { heads: heads.range_owned(start..)?, log: txn.open_table(LOG)?, shared })
    }

    /// Reads and decodes the group of a head that came from here.
    pub fn read(&self, head: &GroupHead) -> Result<Group, Error> {
        self.decode(head, group::decode)
    }

    /// The same as far as rules and questions need it: without recipients, originator counters, the DCC's times and
    /// remarks, and without the EUI-64s of devices unless they are asked for. Those columns are empty.
    pub fn read_for_rules(&self, head: &GroupHead, devices: bool) -> Result<Group, Error> {
        let part = group::Part { devices, messages: false };
        self.decode(head, |bytes, euis| group::decode_part(bytes, euis, part))
    }

    fn decode(
        &self,
        head: &GroupHead,
        decode: impl FnOnce(&[u8], &[u64]) -> Result<Group, Defect>,
    ) -> Result<Group, Error> {
        let corrupt = |defect| Error::corrupt("log", head.first, defect);
        let entry = self.log.get_owned(head.first.0)?.ok_or(corrupt(Defect("it is missing")))?;
        let group = decode(entry.value(), &self.shared.euis()).map_err(corrupt)?;
        let same = group.first == head.first && group.end() == head.end;
        if same { Ok(group) } else { Err(corrupt(Defect("it is not the group that its head names"))) }
    }
}

impl Iterator for Heads {
    type Item = Result<GroupHead, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.heads.next()?;
        Some(entry.map_err(Error::from).and_then(|(key, value)| GroupHead::decode(key.value(), value.value())))
    }
}

/// Groups of the log in order, as of one moment; one is decoded at a time.
pub struct Groups(pub(super) Heads);

impl Iterator for Groups {
    type Item = Result<Group, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.0.next()?;
        Some(head.and_then(|head| self.0.read(&head)))
    }
}
