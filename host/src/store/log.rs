//! The log: a group of alerts under the position of its first row, and beside it a head that can be read alone.
//!
//! Invariant: `log` and `head` hold the same keys, an entry, once written, is never changed, and each head names the entry
//! before it, so that one which is lost is missed.
//!
//! A large value fills pages of its own, and reading any part of it reads all of it. So what a scan needs to skip a
//! group lies in a table of its own.

use std::sync::Arc;

use redb::ReadTransaction;

use super::{
    Shared,
    codec::{Reader, Writer},
    error::{Defect, Error},
    meta,
    sealed::{Entries, Reading, Table, Transaction, Writing},
};
use crate::domain::{Group, Millis, Position, Retention};

pub(super) mod group;

pub(super) const LOG: Table<u64> = Table::new("log");
pub(super) const HEAD: Table<u64> = Table::new("head");
/// Version 1 did not name the entry before.
const HEAD_VERSION: u8 = 2;
const HEAD_VERSION_BEFORE: u8 = 1;

/// How much log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogExtent {
    /// First position of the oldest entry; the next position where there is none.
    pub oldest: Position,
    /// The position after the oldest entry; 0 where there is none.
    pub oldest_end: Position,
    /// When the oldest entry was judged; 0 where there is none.
    pub oldest_judged_ms: Millis,
    /// Sum of the entries' lengths in bytes. The file takes up more: it rounds an entry up to a power of two.
    pub bytes: u64,
    /// Number of entries.
    pub groups: u64,
}

impl LogExtent {
    /// True if the log is larger, or its oldest entry older, than retention allows.
    pub fn exceeds(&self, retention: &Retention) -> bool {
        self.groups > 0 && (self.bytes > retention.bytes_max || self.oldest_judged_ms < retention.judged_before_ms)
    }

    /// True if the oldest entry may go now.
    pub fn can_drop(&self, retention: &Retention) -> bool {
        self.exceeds(retention) && self.oldest_end <= retention.keep_from
    }

    /// Notes the oldest entry; without one the log begins at `next`.
    pub(super) fn begin_at(&mut self, oldest: Option<GroupHead>, next: Position) {
        (self.oldest, self.oldest_end, self.oldest_judged_ms) =
            oldest.map_or((next, Position(0), 0), |head| (head.first, head.end, head.judged_ms));
    }
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
    /// First position of the entry before it, if that is known.
    before: Option<Position>,
}

impl GroupHead {
    fn of(group: &Group, bytes: usize, before: Option<Position>) -> Self {
        let received = group.rows.received_ms.iter().copied();
        Self {
            first: group.first,
            end: group.end(),
            rows: group.rows.len() as u32,
            judged_ms: group.judged_ms,
            received_ms_min: received.clone().min().unwrap_or(group.judged_ms),
            received_ms_max: received.max().unwrap_or(group.judged_ms),
            bytes: bytes as u64,
            before,
        }
    }

    pub(super) fn encode(&self) -> Writer {
        let mut out = Writer::new(HEAD_VERSION);
        out.u32(self.rows);
        out.i64(self.judged_ms);
        out.i64(self.received_ms_min);
        out.i64(self.received_ms_max);
        out.u64(self.bytes);
        out.u8(u8::from(self.before.is_some()));
        out.u64(self.before.unwrap_or_default().0);
        out
    }

    pub(super) fn decode(first: u64, bytes: &[u8]) -> Result<Self, Defect> {
        let (version, mut input) = Reader::of_versions(bytes, &[HEAD_VERSION_BEFORE, HEAD_VERSION])?;
        let rows = input.u32()?;
        let end = first.checked_add(u64::from(rows.max(1))).ok_or(Defect("it ends past the last position"))?;
        let mut head = Self {
            first: Position(first),
            end: Position(end),
            rows,
            judged_ms: input.i64()?,
            received_ms_min: input.i64()?,
            received_ms_max: input.i64()?,
            bytes: input.u64()?,
            before: None,
        };
        if version == HEAD_VERSION {
            let known = input.flag()?;
            head.before = Some(Position(input.u64()?)).filter(|_| known);
        }
        input.finish()?;
        Ok(head)
    }
}

/// Appends one entry after that at `last`. `euis` are the devices' EUI-64s by number; `scratch` is overwritten.
pub(super) fn append(
    txn: &Transaction,
    group: &Group,
    euis: &[u64],
    scratch: &mut Writer,
    (extent, last): (&mut LogExtent, &mut Position),
) -> Result<(), Error> {
    group::encode(group, euis, scratch).map_err(|Defect(what)| Error::Effects(format!("group: {what}")))?;
    let before = Some(*last).filter(|_| extent.groups > 0);
    let head = GroupHead::of(group, scratch.as_bytes().len(), before);
    LOG.write(txn)?.insert(group.first.0, scratch)?;
    HEAD.write(txn)?.insert(group.first.0, &mut head.encode())?;
    if extent.groups == 0 {
        extent.begin_at(Some(head), head.end);
    }
    extent.bytes += head.bytes;
    extent.groups += 1;
    *last = group.first;
    Ok(())
}

/// Drops the oldest entries, as far as retention says. Without any left the log begins at `next`.
pub(super) fn retain(
    txn: &Transaction,
    retention: &Retention,
    next: Position,
    extent: &mut LogExtent,
) -> Result<(), Error> {
    if !extent.can_drop(retention) {
        return Ok(());
    }
    let mut log = LOG.write(txn)?;
    let mut heads = HEAD.write(txn)?;
    for _ in 0..retention.entries_max {
        if !extent.can_drop(retention) {
            break;
        }
        let Some(head) = oldest(&heads)? else { break };
        log.remove(head.first.0)?;
        heads.remove(head.first.0)?;
        extent.bytes = extent.bytes.saturating_sub(head.bytes);
        extent.groups = extent.groups.saturating_sub(1);
        extent.begin_at(oldest(&heads)?, next);
    }
    Ok(())
}

/// The head of the oldest entry.
fn oldest(heads: &Writing<'_, u64>) -> Result<Option<GroupHead>, Error> {
    heads.first(|first, value| GroupHead::decode(*first, value))
}

/// The heads of the oldest and of the last entry.
pub(super) fn ends(txn: &ReadTransaction) -> Result<Option<(GroupHead, GroupHead)>, Error> {
    let heads = HEAD.read(txn)?;
    let first = heads.range(..=u64::MAX)?.next_as(|first, value| GroupHead::decode(*first, value)).transpose()?;
    let last = heads.last(|first, value| GroupHead::decode(*first, value))?;
    Ok(first.zip(last))
}

/// When the oldest entry was judged, if its head can be read.
pub(super) fn first_judged(txn: &ReadTransaction) -> Option<Millis> {
    let mut heads = HEAD.read(txn).and_then(|heads| heads.range(..=u64::MAX)).ok()?;
    heads.next_as(|first, value| GroupHead::decode(*first, value))?.ok().map(|head| head.judged_ms)
}

/// Makes the heads of those entries that have none. `before` is the store without the transaction.
pub(super) fn make_heads(txn: &Transaction, before: &ReadTransaction, euis: &[u64]) -> Result<(), Error> {
    let mut heads = HEAD.write(txn)?;
    let mut groups = LOG.read(before)?.all()?;
    let mut last = None;
    while let Some(group) = groups.next_as(|_, value| Ok((group::decode(value, euis)?, value.len()))) {
        let (group, bytes) = group?;
        if !heads.has(group.first.0)? {
            heads.insert(group.first.0, &mut GroupHead::of(&group, bytes, last).encode())?;
        }
        last = Some(group.first);
    }
    Ok(())
}

/// Heads of the log in order, as of one moment. The first is that of the group that holds the position asked for, or
/// the next one.
pub struct Heads {
    heads: Entries<u64>,
    log: Reading<u64>,
    shared: Arc<Shared>,
    /// First position of the head that was given last, or of the one before the first.
    before: Option<Position>,
    /// That of the last entry of the log; `None` where there is none, or once it was given.
    last: Option<Position>,
}

impl Heads {
    pub(super) fn new(txn: &ReadTransaction, from: Position, shared: Arc<Shared>) -> Result<Self, Error> {
        let heads = HEAD.read(txn)?;
        let meta::Progress { extent, log_last, sealing, .. } = meta::read(txn)?;
        // Nothing is looked for before the oldest entry: a log that begins later is one whose beginning is lost.
        let from = from.max(extent.oldest);
        let (mut before, mut start) = (None, from.0);
        let at = heads.range(..=from.0)?.next_back_as(|first, value| GroupHead::decode(*first, value)).transpose()?;
        match at {
            Some(head) if head.end > from => start = head.first.0,
            Some(head) => before = Some(head.first),
            None if extent.groups > 0 => return Err(Error::corrupt(HEAD.name, from, Defect("it is missing"))),
            None => {}
        }
        let last = Some(log_last).filter(|_| extent.groups > 0 && sealing.is_none());
        Ok(Self { heads: heads.range(start..)?, log: LOG.read(txn)?, shared, before, last })
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
        decode: impl Fn(&[u8], &[u64]) -> Result<Group, Defect>,
    ) -> Result<Group, Error> {
        let euis = self.shared.euis();
        let group = self.log.get(head.first.0, |value| {
            let group = decode(value, &euis)?;
            let same = group.first == head.first && group.end() == head.end;
            if same { Ok(group) } else { Err(Defect("it is not the group that its head names")) }
        })?;
        group.ok_or_else(|| Error::corrupt(LOG.name, head.first, Defect("it is missing")))
    }
}

impl Iterator for Heads {
    type Item = Result<GroupHead, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(head) = self.heads.next_as(|first, value| GroupHead::decode(*first, value)) else {
            // The last entry is always among those asked for, unless they begin after it.
            let lost = self.last.take().filter(|last| self.before != Some(*last))?;
            return Some(Err(Error::corrupt(HEAD.name, lost, Defect("it is missing"))));
        };
        Some(head.and_then(|head| {
            let follows = self.before.is_none() || head.before.is_none() || self.before == head.before;
            if !follows {
                let lost = head.before.unwrap_or_default();
                return Err(Error::corrupt(HEAD.name, lost, Defect("it is missing")));
            }
            self.before = Some(head.first);
            self.last = self.last.filter(|last| *last != head.first);
            Ok(head)
        }))
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
