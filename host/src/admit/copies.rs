//! Which alerts are copies of others: the rule that docs/duplicates.md states.
//!
//! It must not know what comes of a copy, nor when messages are forgotten: that is handed in. Invariant: whether an alert is a
//! copy follows from the alerts of its device since the position handed in, and from nothing else: not from groups, other
//! devices, clocks, or what else happens to be remembered.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::domain::{AlertCode, DeviceNo, Flags, Millis, Position, Remark, Remarks, Rows, Series, TimeStatus};

mod counters;
mod horizon;
mod recent;
mod throttle;

use counters::Counters;
pub use horizon::{Horizon, KEPT_MS};
use recent::Recent;
use throttle::Throttled;

/// Power outage event of a communications hub, of which the DCC may tell more than once.
const OUTAGE: u16 = 0xDA01;
/// The DCC where its own id is not stated. No party has it.
const DCC: u64 = 1;

/// Positions that series are told apart by in time: what they say of it is about blocks.
const BLOCK_POSITIONS: u64 = 1 << 16;

/// What is remembered while a group is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Messages before this position are forgotten.
    pub from: Position,
    /// All that were forgotten had been received before.
    pub since_ms: Millis,
}

/// What to do about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Nothing: it belongs to another part.
    Skip,
    /// It is on record whether it is a copy, and its counter was noted: remember its message.
    Remember {
        /// What is on record.
        copy: bool,
    },
    /// It is on record whether it is a copy: note its counter and remember its message.
    Obey {
        /// What is on record.
        copy: bool,
    },
    /// Find out whether it is a copy.
    Judge,
}

/// What there is to say of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sight {
    /// It is a copy.
    pub copy: bool,
    /// What to remark of it; nothing of a copy.
    pub remarks: Remarks,
}

/// Counters and messages that were seen.
#[derive(Debug, Default)]
pub struct Copies {
    counters: Counters,
    recent: Recent,
    throttled: Throttled,
    hasher: DefaultHashBuilder,
}

impl Copies {
    /// Notes the rows of a group that begins at `first`, each as `note` says, and tells what there is to say of it.
    pub fn note_rows(
        &mut self,
        rows: &Rows,
        first: Position,
        memory: Memory,
        is_protected: impl Fn(u16) -> bool,
        note: impl Fn(usize) -> Note,
    ) -> Vec<Sight> {
        self.recent.forget_before(memory.from);
        self.throttled.forget_before(memory.from);
        let sight = |row: usize| match note(row) {
            Note::Skip => Sight::default(),
            Note::Remember { copy } | Note::Obey { copy } => {
                let (device, position) = (DeviceNo(rows.device_no[row]), first.after(row));
                let party = party_of(rows, row);
                if note(row) == (Note::Obey { copy }) && Flags(rows.flags[row]).has_counter() {
                    self.counters.note(device, party, rows.counter[row], position, memory.from);
                }
                if !copy && let Some((print, content)) = self.message(rows, row, party) {
                    self.recent.add(device, position, print, content);
                }
                if !copy {
                    self.throttled.note(rows, row, position);
                }
                Sight { copy, ..Sight::default() }
            }
            Note::Judge => {
                let position = first.after(row);
                let mut sight = self.judge(rows, row, position, memory, &is_protected);
                if !sight.copy && self.throttled.note(rows, row, position) {
                    sight.remarks.add(Remark::ThrottleGap);
                }
                sight
            }
        };
        (0..rows.len()).map(sight).collect()
    }

    /// The series of one device, in order of first sight.
    pub fn series_of(&self, device: DeviceNo) -> impl Iterator<Item = &Series> {
        self.counters.of(device)
    }

    /// Puts back a series of a device, in the order [`series_of`](Self::series_of) gave them.
    pub fn restore(&mut self, device: DeviceNo, series: Series) {
        self.counters.restore(device, series);
    }

    fn judge(
        &mut self,
        rows: &Rows,
        row: usize,
        position: Position,
        memory: Memory,
        is_protected: &impl Fn(u16) -> bool,
    ) -> Sight {
        let (device, party) = (DeviceNo(rows.device_no[row]), party_of(rows, row));
        let Some((print, content)) = self.message(rows, row, party) else { return Sight::default() };
        let is_counted = Flags(rows.flags[row]).has_counter();
        let (mut remarks, mut sought, mut began) = (Remarks::default(), true, 0);
        if is_counted {
            let place = self.counters.note(device, party, rows.counter[row], position, memory.from);
            began = place.began;
            // An outage is the same under another counter.
            sought = !place.is_above || rows.code[row] == OUTAGE;
            // Outages of one document have one counter.
            if place.is_late && !(place.is_last && rows.code[row] == OUTAGE) {
                remarks.add(Remark::OutOfOrder);
            }
        }
        if sought {
            let mut found = None;
            self.recent.each(device, print, |other| found = found.max(Some(content.beside(Content(other)))));
            match found {
                Some(Beside::Same) if is_counted || !is_protected(rows.code[row]) => {
                    return Sight { copy: true, ..Sight::default() };
                }
                Some(Beside::Same | Beside::Unclear) => remarks.add(Remark::MaybeCopy),
                Some(Beside::Other) => remarks.add(Remark::OtherContent),
                None if memory.may_have_forgotten(began, rows, row) => remarks.add(Remark::MaybeCopy),
                None => {}
            }
        }
        self.recent.add(device, position, print, content);
        Sight { copy: false, remarks }
    }

    /// What a message is told by: of what must be the same a fingerprint, and what decides beside it. `None` for a row that
    /// has neither a counter nor a document.
    fn message(&self, rows: &Rows, row: usize, party: u64) -> Option<(u64, Content)> {
        let (counted, digest) = (Flags(rows.flags[row]).has_counter(), rows.digest[row]);
        if !counted && digest == 0 {
            return None;
        }
        let time = rows.time_status(row);
        // A document is told by its digest alone.
        let is_timed = counted && time.is_stated();
        let occurred = if is_timed { rows.occurred_ms[row] } else { Millis::MIN };
        let (code, counter, dcc) = (rows.code[row], rows.counter[row], rows.dcc_ms[row]);
        let (told_by, content) = match (counted, code) {
            (false, _) => (digest, Content(Content::NONE)),
            (true, OUTAGE) => {
                let dcc = if time == TimeStatus::Stated { 0 } else { dcc };
                (0, Content::of(self.hasher.hash_one((counter, dcc)), Content::OUTAGE))
            }
            (true, _) if digest != 0 => (counter, Content::of(self.hasher.hash_one(digest), Content::BYTES)),
            (true, _) if time == TimeStatus::Stated => (counter, Content(Content::NONE)),
            (true, _) => (counter, Content::of(self.hasher.hash_one(dcc), Content::TIME)),
        };
        let kind = u32::from(code) << 1 | u32::from(counted);
        let print = self.hasher.hash_one((rows.device[row], party, told_by, occurred, kind, rows.instruction[row]));
        Some((print, content))
    }
}

impl Memory {
    /// Whether a message like a row's may be among those that were forgotten of a series that began in a block.
    fn may_have_forgotten(&self, began: u32, rows: &Rows, row: usize) -> bool {
        let happened_later = rows.time_status(row) == TimeStatus::Stated && rows.occurred_ms[row] > self.since_ms;
        // The same document has the same time, where a message that is delivered again is given another.
        let passed_on_later = !Flags(rows.flags[row]).has_counter() && rows.dcc_ms[row] > self.since_ms;
        let may = self.from > Position(0) && began <= block_of(self.from);
        may && !happened_later && !passed_on_later
    }
}

/// What tells messages with the same fingerprint apart: a hash, and of what in its two lowest bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Content(u64);

/// How two messages with the same fingerprint compare, what is most certain last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Beside {
    /// It cannot be told whether they are the same.
    Unclear,
    /// They are two.
    Other,
    /// They are the same.
    Same,
}

impl Content {
    /// The fingerprint decides alone.
    const NONE: u64 = 0;
    /// The bytes of a GBCS message decide.
    const BYTES: u64 = 1;
    /// Nothing but the DCC's time can decide.
    const TIME: u64 = 2;
    /// The counter under which an outage was told.
    const OUTAGE: u64 = 3;

    fn of(hash: u64, kind: u64) -> Self {
        Self(hash & !3 | kind)
    }

    fn beside(self, other: Self) -> Beside {
        match (self.0 & 3, other.0 & 3) {
            _ if self == other => Beside::Same,
            (Self::BYTES, Self::BYTES) => Beside::Other,
            // One of them has no bytes to compare, and the rest is the same.
            (Self::NONE, Self::BYTES) | (Self::BYTES, Self::NONE) => Beside::Same,
            _ => Beside::Unclear,
        }
    }
}

/// Whose counters a row's is one of: the recipient's name where the device counts itself, else a number for both parties.
fn party_of(rows: &Rows, row: usize) -> u64 {
    let (sender, device, recipient) = (rows.sender[row], rows.device[row], rows.recipient[row]);
    match sender {
        0 if AlertCode(rows.code[row]).is_of_dcc() => mixed(DCC, recipient),
        0 => recipient,
        sender if sender == device => recipient,
        sender => mixed(sender, recipient),
    }
}

/// A number for two parties. It is on disk: never change it.
fn mixed(sender: u64, recipient: u64) -> u64 {
    let product = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product >> 64) as u64 ^ product as u64
    };
    product(product(sender ^ 0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9) ^ recipient, 0x94D0_49BB_1331_11EB)
}

/// The block of a position.
fn block_of(position: Position) -> u32 {
    // 2^48 positions: at a million alerts a second, nine years.
    u32::try_from(position.0 / BLOCK_POSITIONS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
