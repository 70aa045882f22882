//! Numbers of the DCC's throttled sequences: one that does not follow tells of alerts that never arrived.
//!
//! Invariant: what is said of a number follows from the rows of its device since the position handed in.

use hashbrown::HashMap;

use crate::domain::{Position, Rows};

/// Sequences from which on those that are forgotten are looked for.
const SEQUENCES_MIN: usize = 1_024;

/// What a sequence is of: a device by its number, its recipient and a code.
type Key = (u32, u64, u16);

/// The last number of each sequence.
#[derive(Debug, Default)]
pub(super) struct Throttled {
    last: HashMap<Key, (u32, Position)>,
    forgotten: Position,
    /// How many sequences there may be before forgotten ones are taken out.
    tidy_at: usize,
}

impl Throttled {
    /// Forgets what was met before a position.
    pub(super) fn forget_before(&mut self, from: Position) {
        self.forgotten = from;
        if self.last.len() > self.tidy_at.max(SEQUENCES_MIN) {
            self.last.retain(|_, (_, position)| *position >= from);
            self.tidy_at = self.last.len() * 2;
        }
    }

    /// Notes a row's number. Returns true if numbers between it and the one before are missing. A lower number begins another
    /// sequence, and so does one after a number that is forgotten.
    pub(super) fn note(&mut self, rows: &Rows, row: usize, position: Position) -> bool {
        let Some(number) = rows.details(row).and_then(|details| details.throttle_sequence) else { return false };
        let key = (rows.device_no[row], rows.recipient[row], rows.code[row]);
        let before = self.last.insert(key, (number, position)).filter(|(_, at)| *at >= self.forgotten);
        before.is_some_and(|(before, _)| number > before.saturating_add(1))
    }
}
